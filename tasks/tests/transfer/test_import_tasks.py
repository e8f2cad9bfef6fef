"""``manage.py import_tasks``."""

import json
from codecs import BOM_UTF8, BOM_UTF16_LE
from datetime import timedelta
from operator import attrgetter
from zipfile import ZipFile

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.tests.api.contract import task_body
from tasks.tests.api.refusals import INVALID_REQUESTS, UNREADABLE_REQUESTS
from tasks.tests.factories import TaskFactory
from tasks.tests.transfer.exported import EXPORTS
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
    "due": "2026-12-24T18:00:00[Europe/Berlin]",
    "priority": "high",
    "labels": {"home": True, "work": True},
    "user_id": "alice",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-12T09:30:00.000001Z",
    "completed_at": "2026-01-12T09:30:00.000000Z",
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


@pytest.fixture
def stored():
    """Return a function that reads each task's fields of files, so not the place in the change feed."""
    return lambda: list(Task.objects.order_by("id").values(*FIELDS))


def ids():
    return {str(task.id) for task in Task.objects.all()}


def imported(added=0, updated=0, skipped=0, refused=0):
    return f"Imported: {added} added, {updated} updated, {skipped} skipped, {refused} refused\n"


def test_line_becomes_task_with_same_values(write):
    assert import_tasks(write(LINE)) == success(imported(added=1))
    task = Task.objects.get()
    assert (task_body(task), task.deleted_at) == (LINE, None)


def test_missing_values_get_defaults_of_api(write):
    line = line_without("description", "completed", "completed_at", "due", "priority", "labels")
    defaults = {
        "description": "",
        "completed": False,
        "completed_at": None,
        "due": None,
        "priority": None,
        "labels": {},
    }
    assert import_tasks(write(line)) == success(imported(added=1))
    assert task_body(Task.objects.get()) == {**LINE, **defaults}


def test_completed_task_of_earlier_file_gets_its_last_write(write):
    file = write(line_without("due", "priority", "labels", "completed_at"))
    assert import_tasks(file) == success(imported(added=1))
    assert task_body(Task.objects.get())["completed_at"] == LINE["updated_at"]


def test_texts_are_trimmed_like_in_api(write):
    import_tasks(write({**LINE, "title": " \u3000Buy milk\n", "description": None}))
    assert task_body(Task.objects.get()) == {**LINE, "description": ""}


@pytest.mark.parametrize(("name", "format"), [("tasks.jsonl", "jsonl"), ("tasks.csv", "csv"), ("TASKS.CSV", "csv")])
def test_exported_tasks_are_restored_after_deletion(stored, tmp_path, name, format):
    TaskFactory(title="=1", description='"\r\n,', completed=True, completed_at=timezone.now())
    TaskFactory(due="2026-12-24", priority=3, labels=frozenset({"=1+1", "zu Hause"}))
    TaskFactory(trashed=True)
    Task.objects.filter(id=TaskFactory(foreign=True).id).change(title="Zähler")
    before, file = stored(), tmp_path / name
    run_command("export_tasks", "--format", format, "--output", file)
    Task.objects.all().delete()
    exported = file.read_bytes()
    assert import_tasks(file) == success(imported(added=4))
    assert stored() == before
    run_command("export_tasks", "--format", format, "--output", file)
    assert file.read_bytes() == exported


def test_format_overrides_name_of_file(write):
    cells = {**LINE, "completed": "true", "labels": '"home,work"'}
    file = write(",".join(cells), ",".join(map(str, cells.values())))
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


@pytest.mark.parametrize(
    "omitted",
    [
        {"description"},
        {"completed", "completed_at"},
        {"completed_at"},
        {"due"},
        {"priority"},
        {"labels"},
        {"deleted_at"},
    ],
    ids=lambda names: " and ".join(sorted(names)),
)
def test_update_keeps_values_that_line_lacks(write, stored, omitted):
    complete = {**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}
    import_tasks(write(complete))
    before = stored()
    file = write({name: value for name, value in complete.items() if name not in omitted})
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
    ("completed_at", "2026-01-11", f"Completed_at {TIMESTAMP_RULE}"),
    ("completed_at", "9999-12-31T23:59:59.999999Z", "Completed_at must not be in the future"),
    ("due", "today", "Due must be a date, a local time, an instant or a local time with a zone"),
    ("priority", 1, "Priority must be low, medium, high or null"),
    ("labels", "home", "Labels must be an object of names to true, or an array of names"),
    ("remind_at", "today", "This field is unknown"),
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
    # A line may have deleted_at. A file may begin with a byte order mark, and one of UTF-16 or UTF-32 is refused.
    return one_line and b"deleted_at" not in request.body and not request.body.startswith((BOM_UTF8, BOM_UTF16_LE))


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


def test_open_task_with_time_of_completion_refused(write):
    file = write({**LINE, "completed": False}, line(2))
    reason = "Completed_at must be null while completed is false"
    assert import_tasks(file) == with_refusals(f"Line 1: #/completed_at {reason}", added=1, refused=1)


def test_errors_file_lists_every_refused_line(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    file = write("{", LINE, {**LINE, "title": "", "remind_at": 1}, "[]")
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
                {"pointer": "#/remind_at", "code": "unknown_field", "detail": "This field is unknown"},
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
        *printed, "More lines have faults; --errors FILE lists them all", refused=30
    )


def test_errors_file_is_emptied_without_refused_lines(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    errors.write_text("from an earlier import")
    import_tasks(write(LINE), "--errors", errors)
    assert errors.read_text() == ""


def test_task_refused_by_database_reported_and_rest_stored(write, monkeypatch):
    """The database may have a rule that the serializer lacks, or a new task with the same id."""
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


def write_csv(tmp_path, *rows, encoding="utf-8"):
    file = tmp_path / "tasks.csv"
    file.write_bytes("".join(f"{row}\r\n" for row in rows).encode(encoding))
    return file


CSV_HEADER = "id;title;completed;priority;labels;user_id;created_at;updated_at;version;deleted_at"


def csv_row(number, title, delimiter=";"):
    times = f"{LINE['created_at']};{LINE['updated_at']}"
    return f"{id_of(number)};{title};TRUE;high;home,work;alice;{times};1;".replace(";", delimiter)


def test_file_that_excel_saved_is_read(tmp_path):
    """Excel writes a byte order mark, TRUE, empty rows, and in many countries semicolons."""
    file = write_csv(
        tmp_path, f"\ufeff{CSV_HEADER}", csv_row(1, "Zähler"), ";" * 9, ";" * 9, csv_row(2, "a; b".join('""'))
    )
    assert import_tasks(file, "--delimiter", ";") == success(imported(added=2))
    task = Task.objects.order_by("id").first()
    assert (task.title, task.completed, task.priority, task.labels) == ("Zähler", True, 3, frozenset({"home", "work"}))


def test_file_with_tabs_is_read(tmp_path):
    file = write_csv(tmp_path, CSV_HEADER.replace(";", "\t"), csv_row(1, "a, b", "\t"))
    assert import_tasks(file, "--delimiter=tab") == success(imported(added=1))


def test_rows_that_are_not_utf_8_are_refused(tmp_path):
    rows = [csv_row(1, "Milch"), csv_row(2, "Zähler"), csv_row(3, "Brot")]
    file = write_csv(tmp_path, CSV_HEADER, *rows, encoding="cp1252")
    reason = "Line 3: # The line is not UTF-8; save the file in UTF-8 (Excel: “CSV UTF-8”)"
    assert import_tasks(file, "--delimiter=;") == with_refusals(reason, added=2, refused=1)
    assert ids() == {id_of(1), id_of(3)}


@pytest.mark.parametrize("name", ["tasks.csv", "tasks.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_file_in_utf_16_is_refused(tmp_path, name, encoding):
    file = tmp_path / name
    file.write_bytes("\ufeff{}\n".encode(encoding))
    assert import_tasks(file) == failure(f"{file}: The file is UTF-16; save the file in UTF-8 (Excel: “CSV UTF-8”)", 2)


def test_semicolons_without_option_are_named(tmp_path):
    file = write_csv(tmp_path, CSV_HEADER)
    columns = f"The first line must name columns, each once, of {', '.join(FIELDS)}"
    assert import_tasks(file) == failure(f"{file}: {columns}; if semicolons separate the columns, use --delimiter", 2)


@pytest.mark.parametrize("options", [["--format=jsonl"], ["--from=ics", "--user=alice"]])
def test_delimiter_of_other_format_is_refused(write, options):
    reason = "--delimiter is for CSV; leave it out"
    assert import_tasks(write(LINE), "--delimiter=;", *options) == failure(reason, 2)


def import_from(system, file, *options):
    return import_tasks(file, f"--from={system}", "--user=alice", *options)


def in_part(result, *lines):
    """Return the result of a successful import that reported these lines."""
    return CommandResult(result, "".join(f"{line}\n" for line in lines), 0)


def titles():
    return [task.title for task in Task.objects.all()]


SUBTASK = "#/INDENT A subtask becomes a task of its own"

TODOIST_LINES = [
    f"Line 4: #/DATE “4 Jan” is not a date with a year; the task has no due date; {SUBTASK}",
    f"Line 6: {SUBTASK}",
    "Line 17: #/note An attached file is left out",
    f"Line 21: {SUBTASK}",
]


def test_export_of_todoist_is_imported_once():
    file = EXPORTS / "todoist.csv"
    added = imported(added=7).replace("\n", ", 4 partial\n")
    assert import_from("todoist", file) == in_part(added, *TODOIST_LINES)
    assert titles() == [
        "* unclickable task",
        "clickable subtask, scheduled",
        "another subtask with a note",
        "task level one",
        "task with various attachments",
        "😎🍉↗︎↴⥺",
        'actually, what happens to a “comma"?',
    ]
    assert {task.user_id for task in Task.objects.all()} == {"alice"}
    skipped = imported(skipped=7).replace("\n", ", 4 partial\n")
    assert import_from("todoist", file) == in_part(skipped, *TODOIST_LINES)


@pytest.mark.parametrize("name", ["nextcloud.ics", "apple.ics", "tasks_org.ics", "thunderbird.ics", "synology.ics"])
def test_export_of_calendar_is_imported_once(stored, name):
    first = import_from("ics", EXPORTS / name)
    before = stored()
    second = import_from("ics", EXPORTS / name)
    assert (first.code, second.code, stored()) == (0, 0, before)
    assert first.out.startswith(f"Imported: {len(before)} added, 0 updated, 0 skipped, 0 refused")
    assert second.out.startswith(f"Imported: 0 added, 0 updated, {len(before)} skipped, 0 refused")


def test_export_of_vikunja_is_imported_once(stored, tmp_path):
    file = tmp_path / "export.zip"
    with ZipFile(file, "w") as archive:
        archive.write(EXPORTS / "vikunja.json", "data.json")
    first = import_from("vikunja", file, "--errors", tmp_path / "errors.jsonl")
    assert first == success(imported(added=3).replace("\n", ", 1 partial\n"))
    [report] = read_json_lines(tmp_path / "errors.jsonl")
    assert report["line"] == 1
    assert {error["code"] for error in report["errors"]} == {"left_out"}
    before = stored()
    assert import_from("vikunja", EXPORTS / "vikunja.json").out.startswith("Imported: 0 added, 0 updated, 3 skipped")
    assert stored() == before


def test_two_users_import_same_file():
    import_from("ics", EXPORTS / "apple.ics")
    result = import_tasks(EXPORTS / "apple.ics", "--from=ics", "--user=bob")
    assert (result.code, Task.objects.count()) == (0, 2)


def test_changed_export_updates_tasks(tmp_path):
    file = tmp_path / "apple.ics"
    text = (EXPORTS / "apple.ics").read_text()
    file.write_text(text)
    import_from("ics", file)
    file.write_text(text.replace("SUMMARY:Test daily", "SUMMARY:Test\nPRIORITY:1"))
    assert import_from("ics", file, "--on-conflict=update").out.startswith("Imported: 0 added, 1 updated")
    task = Task.objects.get()
    assert (task.title, task.priority, task.version) == ("Test", 3, 2)


def test_dry_run_of_foreign_file_changes_nothing(stored):
    result = import_from("todoist", EXPORTS / "todoist.csv", "--dry-run")
    assert result.out == "Would import: 7 added, 0 updated, 0 skipped, 0 refused, 4 partial\n"
    assert stored() == []


def test_foreign_task_that_breaks_rules_is_refused(tmp_path):
    file = tmp_path / "Home.csv"
    file.write_text(f"TYPE,CONTENT,PRIORITY\ntask,{'x' * 201},5\ntask,a,1\n")
    assert import_from("todoist", file) == with_refusals(
        "Line 2: #/title Title exceeds maximum length of 200 characters", added=1, refused=1
    )


def test_refused_tasks_of_vikunja_are_called_tasks(tmp_path):
    file = tmp_path / "data.json"
    file.write_text('[{"tasks": [{"id": 1, "title": "a"}, {"id": 2, "title": 5}]}]')
    result = CommandResult(
        imported(added=1, refused=1), "Task 2: #/title Title must be a string\nCommandError: Tasks refused: 1\n", 1
    )
    assert import_from("vikunja", file) == result


def test_file_of_another_system_is_refused():
    file = EXPORTS / "todoist.csv"
    assert import_from("ics", file) == failure(f"{file}: The first line must be BEGIN:VCALENDAR", 2)


def test_foreign_file_without_user_is_refused():
    reason = "--from needs --user ID, because the tasks of another system have no owner here"
    assert import_tasks(EXPORTS / "apple.ics", "--from=ics") == failure(reason, 2)


def test_foreign_file_with_format_is_refused():
    reason = "Error: argument --format: not allowed with argument --from"
    assert import_from("ics", EXPORTS / "apple.ics", "--format=csv") == failure(reason, 1)


def test_exported_calendar_is_restored_after_deletion(stored, tmp_path):
    now = timezone.now().replace(microsecond=0)
    TaskFactory(title="a; b", description="c\nd", due="2026-12-24", priority=3, user_id="alice", created_at=now)
    TaskFactory(completed=True, completed_at=now, created_at=now, labels=frozenset({"home"}), user_id="alice")
    Task.objects.filter(title="a; b").change(due="2026-12-24T18:00:00[UTC]")
    before, file = stored(), tmp_path / "tasks.ics"
    run_command("export_tasks", "--format=ics", "--output", file)
    Task.objects.all().delete()
    assert import_from("ics", file) == success(imported(added=2))
    assert [{**values, "updated_at": None} for values in stored()] == [
        {**values, "updated_at": None} for values in before
    ]
    assert import_from("ics", file) == success(imported(skipped=2))
