"""``manage.py import_tasks``."""

import json
from datetime import timedelta
from operator import attrgetter

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.tests.api.contract import task_body
from tasks.tests.api.refusals import INVALID_REQUESTS, UNREADABLE_REQUESTS
from tasks.tests.factories import TaskFactory
from tasks.transfer.file_formats import FIELDS
from testing.commands import CommandResult, failure, read_json_lines, run_command, success

pytestmark = pytest.mark.django_db


def id_of(number):
    return f"01900000-0000-7000-8000-{number:012}"


LINE = {
    "id": id_of(1),
    "title": "Buy milk",
    "description": "Two litres",
    "completed": True,
    "user_id": "alice",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-12T09:30:00.000001Z",
    "version": 3,
}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of lines, objects as JSON, and returns its path."""

    def write(*all_lines):
        file = tmp_path / "tasks.jsonl"
        file.write_text("".join(f"{json.dumps(line) if isinstance(line, dict) else line}\n" for line in all_lines))
        return file

    return write


def line(number, **values):
    return {**LINE, "id": id_of(number), **values}


def line_without(*names):
    return {name: value for name, value in LINE.items() if name not in names}


def import_tasks(file, *options):
    return run_command("import_tasks", file, *options)


def with_refusals(*lines, **numbers):
    """Return the result of an import that printed these refused lines."""
    printed = "".join(f"{line}\n" for line in lines)
    return CommandResult(imported(**numbers), f"{printed}CommandError: Lines refused: {numbers['refused']}\n", 1)


def ids():
    return {str(task.id) for task in Task.objects.all()}


def imported(added=0, updated=0, skipped=0, refused=0):
    return f"Imported: {added} added, {updated} updated, {skipped} skipped, {refused} refused\n"


def test_line_becomes_task_with_same_values(write):
    assert import_tasks(write(LINE)) == success(imported(added=1))
    task = Task.objects.get()
    assert (task_body(task), task.deleted_at) == (LINE, None)


def test_missing_values_get_defaults_of_api(write):
    assert import_tasks(write(line_without("description", "completed"))) == success(imported(added=1))
    assert task_body(Task.objects.get()) == {**LINE, "description": "", "completed": False}


def test_texts_are_trimmed_like_in_api(write):
    import_tasks(write({**LINE, "title": " \u3000Buy milk\n", "description": None}))
    assert task_body(Task.objects.get()) == {**LINE, "description": ""}


@pytest.mark.parametrize(("name", "format"), [("tasks.jsonl", "jsonl"), ("tasks.csv", "csv"), ("TASKS.CSV", "csv")])
def test_exported_tasks_are_restored_after_deletion(stored, tmp_path, name, format):
    TaskFactory(title="=1", description='"\r\n,', completed=True)
    TaskFactory(trashed=True)
    Task.objects.filter(id=TaskFactory(foreign=True).id).change(title="Zähler")
    before, file = stored(), tmp_path / name
    run_command("export_tasks", "--format", format, "--output", file)
    Task.objects.all().delete()
    exported = file.read_bytes()
    assert import_tasks(file) == success(imported(added=3))
    assert stored() == before
    run_command("export_tasks", "--format", format, "--output", file)
    assert file.read_bytes() == exported


def test_format_overrides_name_of_file(write):
    file = write(f"{','.join(LINE)}", ",".join(str(value) for value in LINE.values()).replace("True", "true"))
    assert import_tasks(file, "--format=csv") == success(imported(added=1))
    assert task_body(Task.objects.get()) == LINE


def test_dash_reads_standard_input(write, monkeypatch):
    with write(LINE).open() as text:
        monkeypatch.setattr("sys.stdin", text)
        assert import_tasks("-") == success(imported(added=1))


def test_user_replaces_owners_of_lines(write):
    file = write(LINE, {**line_without("user_id"), "id": id_of(2)})
    assert import_tasks(file, "--user=bob") == success(imported(added=2))
    assert set(Task.objects.values_list("user_id", flat=True)) == {"bob"}


@pytest.mark.parametrize("user", ["", "two words", "\udcff"])
def test_user_that_no_token_names_refused(write, stored, user):
    reason = "Error: argument --user: must be 1 to 255 visible ASCII characters"
    assert import_tasks(write(LINE), f"--user={user}") == failure(reason, 1)
    assert stored() == []


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_batch_size_does_not_change_tasks(write, size):
    file = write(*(line(number) for number in range(5)))
    assert import_tasks(file, f"--batch-size={size}") == success(imported(added=5))
    assert ids() == {id_of(number) for number in range(5)}


def test_second_run_adds_nothing(write, stored):
    file = write(LINE, line(2))
    import_tasks(file)
    before = stored()
    for on_conflict in ("skip", "update"):
        assert import_tasks(file, "--on-conflict", on_conflict) == success(imported(skipped=2))
    assert stored() == before


def test_repeated_id_in_file_is_a_conflict(write):
    file = write(LINE, {**LINE, "title": "Buy bread"})
    assert import_tasks(file) == success(imported(added=1, skipped=1))
    assert task_body(Task.objects.get()) == LINE


def test_skip_keeps_stored_task(write, stored):
    import_tasks(write(LINE))
    before = stored()
    other = write({**LINE, "title": "Buy bread"}, line(2))
    assert import_tasks(other) == success(imported(added=1, skipped=1))
    assert stored()[:1] == before


def test_update_writes_values_that_differ(write):
    import_tasks(write(LINE))
    other = write({**LINE, "title": "Buy bread", "version": 1, "created_at": "2026-01-01T00:00:00Z"})
    assert import_tasks(other, "--on-conflict=update") == success(imported(updated=1))
    task = Task.objects.get()
    updated_at = task_body(task)["updated_at"]
    assert task_body(task) == {**LINE, "title": "Buy bread", "version": 4, "updated_at": updated_at}
    assert updated_at > LINE["updated_at"]


def test_update_moves_to_trash_and_restores(write):
    trashed = {**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}
    import_tasks(write(LINE))
    assert import_tasks(write(trashed), "--on-conflict=update") == success(imported(updated=1))
    assert not Task.objects.live().exists()
    live = {**LINE, "deleted_at": None}
    assert import_tasks(write(live), "--on-conflict=update") == success(imported(updated=1))
    assert Task.objects.live().get().version == 5


@pytest.mark.parametrize("omitted", ["description", "completed", "deleted_at"])
def test_update_keeps_values_that_line_lacks(write, stored, omitted):
    complete = {**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}
    import_tasks(write(complete))
    before = stored()
    file = write({name: value for name, value in complete.items() if name != omitted})
    assert import_tasks(file, "--on-conflict=update") == success(imported(skipped=1))
    assert stored() == before


def test_update_keeps_values_that_csv_header_lacks(write, tmp_path, stored):
    import_tasks(write({**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}))
    [before] = stored()
    file = tmp_path / "tasks.csv"
    values = {**LINE, "title": "Buy bread"}
    names = ("id", "title", "user_id", "created_at", "updated_at", "version")
    file.write_text("".join(f"{','.join(map(str, row))}\n" for row in (names, [values[name] for name in names])))
    assert import_tasks(file, "--on-conflict=update") == success(imported(updated=1))
    [after] = stored()
    assert after == {**before, "title": "Buy bread", "version": 4, "updated_at": after["updated_at"]}


def test_update_with_empty_cell_restores_from_trash(tmp_path):
    file = tmp_path / "tasks.csv"
    TaskFactory()
    run_command("export_tasks", "--format=csv", "--output", file)
    Task.objects.all().move_to_trash()
    assert import_tasks(file, "--on-conflict=update") == success(imported(updated=1))
    assert Task.objects.live().count() == 1


def test_update_locks_task_before_comparing(write):
    """Otherwise another writer could change the task between the comparison and the update."""
    import_tasks(write(LINE))
    with CaptureQueriesContext(connection) as queries:
        import_tasks(write({**LINE, "title": "Buy bread"}), "--on-conflict=update")
    statements = [query["sql"] for query in queries]
    [begin] = [index for index, statement in enumerate(statements) if statement.startswith("SAVEPOINT")]
    select, change, _ = statements[begin + 1 :]
    assert select.endswith("FOR UPDATE") == (connection.vendor == "postgresql")
    assert change.startswith("UPDATE")


def test_fail_stops_at_first_existing_task(write, stored):
    import_tasks(write(line(4)))
    file = write(*(line(number) for number in range(1, 6)))
    assert import_tasks(file, "--on-conflict=fail", "--batch-size=2", "--dry-run") == failure(
        f"Line 4: task {id_of(4)} exists already", 1
    )
    assert ids() == {id_of(4)}
    assert import_tasks(file, "--on-conflict=fail", "--batch-size=2") == failure(
        f"Line 4: task {id_of(4)} exists already; finished batches stay", 1
    )
    assert ids() == {id_of(1), id_of(2), id_of(4)}


@pytest.mark.parametrize("on_conflict", ["skip", "update", "fail"])
def test_task_of_another_user_is_kept(write, stored, on_conflict):
    import_tasks(write(LINE))
    before = stored()
    assert import_tasks(write(LINE), "--user=bob", "--on-conflict", on_conflict) == with_refusals(
        "Line 1: #/id Id is in use by another user's task", refused=1
    )
    assert stored() == before


def test_dry_run_checks_all_lines_and_changes_nothing(write, stored):
    import_tasks(write(LINE))
    before = stored()
    file = write({**LINE, "title": "Buy bread"}, line(2), {**LINE, "title": ""})
    assert import_tasks(file, "--dry-run", "--on-conflict=update") == CommandResult(
        "Would import: 1 added, 1 updated, 0 skipped, 1 refused\n",
        "Line 3: #/title Title must not be blank\nCommandError: Lines refused: 1\n",
        1,
    )
    assert stored() == before


ID_RULE = "Id must be a UUID of version 7, in lower case with dashes"
USER_ID_RULE = "User_id must be 1 to 255 visible ASCII characters"
TIMESTAMP_RULE = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"
VERSION_RULE = "Version must be a whole number from 1 to 2^53"

#: A field, a value that breaks its rule, and the reason.
BAD_VALUES = [
    ("id", "01900000-0000-4000-8000-000000000001", ID_RULE),
    ("id", "01900000-0000-7000-0000-000000000001", ID_RULE),
    ("id", "AAAAAAAA-AAAA-7AAA-8AAA-AAAAAAAAAAAA", ID_RULE),
    ("id", id_of(1).replace("-", ""), ID_RULE),
    ("id", 1, ID_RULE),
    ("id", None, ID_RULE),
    *(
        ("user_id", owner, USER_ID_RULE)
        for owner in (None, "", "x" * 256, 7, "a\0b", "\ud800", "a\x1b[31m", "two words", "\u200b", "\ufffd", "älice")
    ),
    ("created_at", "2026-01-11", f"Created_at {TIMESTAMP_RULE}"),
    ("created_at", "2026-01-11T09:30:00", f"Created_at {TIMESTAMP_RULE}"),
    ("created_at", 1768123800, f"Created_at {TIMESTAMP_RULE}"),
    ("updated_at", None, f"Updated_at {TIMESTAMP_RULE}"),
    ("updated_at", "0001-01-01T00:00:00+01:00", f"Updated_at {TIMESTAMP_RULE}"),
    ("updated_at", "2026-01-11T09:29:59.999999Z", "Updated_at must not be before created_at"),
    ("deleted_at", "", f"Deleted_at {TIMESTAMP_RULE}"),
    ("updated_at", "9999-12-31T23:59:59.999999Z", "Updated_at must not be in the future"),
    ("deleted_at", "9999-12-31T23:59:59.999999Z", "Deleted_at must not be in the future"),
    *(("version", version, VERSION_RULE) for version in (0, 2**53 + 1, 2**63 - 1, 1.0, "1", True)),
    ("due", "today", "This field is unknown"),
]


@pytest.mark.parametrize(("name", "value", "reason"), BAD_VALUES)
def test_line_with_bad_value_refused_and_next_line_stored(write, name, value, reason):
    file = write({**LINE, name: value}, line(2))
    assert import_tasks(file) == with_refusals(f"Line 1: #/{name} {reason}", added=1, refused=1)
    assert ids() == {id_of(2)}


def test_times_up_to_a_minute_in_the_future_accepted(write):
    now = timezone.now()
    names = ("created_at", "updated_at", "deleted_at")
    soon, later = (f"{now + timedelta(seconds=seconds):%FT%TZ}" for seconds in (30, 120))
    file = write(line(1, **dict.fromkeys(names, soon)), line(2, **dict.fromkeys(names, later)))
    reasons = "; ".join(f"#/{name} {name.capitalize()} must not be in the future" for name in names)
    assert import_tasks(file) == with_refusals(f"Line 2: {reasons}", added=1, refused=1)
    assert ids() == {id_of(1)}


def test_task_of_maximum_version_can_be_written(write, as_user):
    import_tasks(write({**LINE, "user_id": "default", "version": 2**53}))
    assert as_user.post(f"/api/tasks/{id_of(1)}/toggle").json()["version"] == 2**53 + 1


@pytest.mark.parametrize("name", ["id", "title", "user_id", "created_at", "updated_at", "version"])
def test_line_without_required_value_refused(write, name):
    reason = f"{name.capitalize()} is required"
    assert import_tasks(write(line_without(name))) == with_refusals(f"Line 1: #/{name} {reason}", refused=1)


#: The values that only the server sets. An import restores them, and the API ignores them.
SERVER_VALUES = {name: LINE[name] for name in ("id", "user_id", "created_at", "updated_at", "version")}


def as_line(body):
    """Return a request's body as a line, with the server's values if the body is an object."""
    server_values = json.dumps(SERVER_VALUES).encode()
    if body == b"{}":
        return server_values
    return body.replace(b"{", server_values.removesuffix(b"}") + b", ", 1) if body.startswith(b'{"') else body


def can_be_a_line(request):
    one_line = request.method == "POST" and request.body.strip() and b"\n" not in request.body
    return one_line and b"deleted_at" not in request.body  # a line may have deleted_at


@pytest.mark.parametrize("request_", [*filter(can_be_a_line, INVALID_REQUESTS)], ids=attrgetter("name"))
def test_invalid_line_refused_with_faults_of_api(as_user, tmp_path, stored, request_):
    sent = as_user.post("/api/tasks", request_.body, content_type="application/json").json()
    (tmp_path / "tasks.jsonl").write_bytes(as_line(request_.body))
    file, errors = tmp_path / "tasks.jsonl", tmp_path / "errors.jsonl"
    assert import_tasks(file, "--errors", errors) == with_refusals(refused=1)
    [report] = read_json_lines(errors)
    in_a_line = [{**error, "detail": error["detail"].replace("The body", "The line")} for error in sent["errors"]]
    assert report == {"line": 1, "errors": in_a_line}
    assert stored() == []


@pytest.mark.parametrize("request_", [*filter(can_be_a_line, UNREADABLE_REQUESTS)], ids=attrgetter("name"))
def test_malformed_json_refused(tmp_path, stored, request_):
    (tmp_path / "tasks.jsonl").write_bytes(as_line(request_.body))
    file, errors = tmp_path / "tasks.jsonl", tmp_path / "errors.jsonl"
    assert import_tasks(file, "--errors", errors) == with_refusals(refused=1)
    [report] = read_json_lines(errors)
    assert {error["code"] for error in report["errors"]} <= {"parse_error", "repeated_key"}
    assert stored() == []


def test_errors_file_lists_every_refused_line(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    file = write("{", LINE, {**LINE, "title": "", "due": 1}, "[]")
    assert import_tasks(file, "--errors", errors) == with_refusals(added=1, refused=3)
    assert read_json_lines(errors) == [
        {
            "line": 1,
            "errors": [{"pointer": "#", "code": "parse_error", "detail": "The line is not valid JSON: column 2"}],
        },
        {
            "line": 3,
            "errors": [
                {"pointer": "#/title", "code": "blank", "detail": "Title must not be blank"},
                {"pointer": "#/due", "code": "unknown_field", "detail": "This field is unknown"},
            ],
        },
        {
            "line": 4,
            "errors": [{"pointer": "#", "code": "not_an_object", "detail": "The line must be a JSON object"}],
        },
    ]


def test_without_errors_file_first_20_lines_are_printed(write):
    printed = [f"Line {number}: # The line is not valid JSON: column 2" for number in range(1, 21)]
    assert import_tasks(write(*["{"] * 30)) == with_refusals(
        *printed, "More lines are refused; --errors FILE lists them all", refused=30
    )


def test_errors_file_is_emptied_without_refused_lines(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    errors.write_text("from an earlier import")
    import_tasks(write(LINE), "--errors", errors)
    assert errors.read_text() == ""


def test_task_refused_by_database_reported_and_rest_stored(write, monkeypatch):
    """The database may have a rule that the serializer lacks, or a task that was just created with the same id."""
    monkeypatch.setattr("tasks.api.serializers.LineField.run_validation", lambda field, data: data)
    file = write(*(line(number, title="ab " if number == 2 else "a") for number in range(1, 5)))
    result = import_tasks(file)
    assert (result.out, result.code) == (imported(added=3, refused=1), 1)
    assert result.err.startswith("Line 2: # The database refuses the task: ")
    assert "task_title_trimmed" in result.err
    assert ids() == {id_of(1), id_of(3), id_of(4)}


def test_failed_batch_is_not_stored(write, monkeypatch):
    insert = TaskQuerySet.insert

    def fail_at_the_second(tasks, new):
        insert(tasks, new)
        if Task.objects.count() == 4:
            raise OperationalError("server closed the connection unexpectedly\nand more")

    monkeypatch.setattr(TaskQuerySet, "insert", fail_at_the_second)
    file = write(*(line(number) for number in range(6)))
    assert import_tasks(file, "--batch-size=2") == failure(
        "The database failed: server closed the connection unexpectedly", 3
    )
    assert ids() == {id_of(0), id_of(1)}
    monkeypatch.undo()
    assert import_tasks(file, "--batch-size=2") == success(imported(added=4, skipped=2))


def test_failed_insert_rolls_back_updates(write, stored, monkeypatch):
    import_tasks(write(LINE))
    before = stored()

    def fail(tasks, new):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(TaskQuerySet, "insert", fail)
    file = write({**LINE, "title": "Buy bread"}, line(2))
    assert import_tasks(file, "--on-conflict=update").code == 3
    assert stored() == before


def test_empty_file_imports_nothing(write):
    assert import_tasks(write()) == success(imported())


def test_missing_file_refused(tmp_path):
    file = tmp_path / "missing.jsonl"
    reason = f"Cannot read {file}: No such file or directory"
    assert import_tasks(file) == failure(reason, 2)


def test_errors_file_in_missing_directory_refused_first(write, tmp_path):
    errors = tmp_path / "missing" / "errors.jsonl"
    reason = f"Cannot write {errors}: No such file or directory"
    assert import_tasks(write(LINE), "--errors", errors) == failure(reason, 2)
    assert ids() == set()


@pytest.mark.parametrize("name", ["tasks.jsonl", "link.jsonl"])
def test_input_file_as_errors_file_refused(write, tmp_path, name):
    file = write(LINE)
    before = file.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(file)
    reason = f"{tmp_path / name} is the input file; choose another file"
    assert import_tasks(file, "--errors", tmp_path / name) == failure(reason, 2)
    assert (file.read_bytes(), ids()) == (before, set())


def test_standard_input_as_errors_file_refused(write, monkeypatch):
    file = write(LINE)
    before = file.read_bytes()
    with file.open() as text:
        monkeypatch.setattr("sys.stdin", text)
        reason = f"{file} is the input file; choose another file"
        assert import_tasks("-", "--errors", file) == failure(reason, 2)
    assert (file.read_bytes(), ids()) == (before, set())


def test_csv_with_other_header_refused(tmp_path):
    file = tmp_path / "tasks.csv"
    file.write_text("Id,Title\n1,Buy milk\n")
    reason = f"{file}: The first line must name columns, each once, of {', '.join(FIELDS)}"
    assert import_tasks(file) == failure(reason, 2)
