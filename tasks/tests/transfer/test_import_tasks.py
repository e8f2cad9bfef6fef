"""``manage.py import_tasks``: each line is checked as the API would, and stored once."""

import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.models import Task, TaskQuerySet
from tasks.tests.api.bad_requests import INVALID, UNPARSED
from tasks.tests.api.contract import task_body
from tasks.tests.factories import TaskFactory
from testing.commands import Ended, done, lines, run

pytestmark = pytest.mark.django_db

ID = "01900000-0000-7000-8000-000000000001"
LINE = {
    "id": ID,
    "title": "Buy milk",
    "description": "Two litres",
    "completed": True,
    "user_id": "alice",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-12T09:30:00.000001Z",
    "version": 3,
}
TIME = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"


@pytest.fixture
def write(tmp_path):
    """A file of these lines."""

    def write(*all_lines):
        file = tmp_path / "tasks.jsonl"
        file.write_text("".join(f"{json.dumps(line) if isinstance(line, dict) else line}\n" for line in all_lines))
        return file

    return write


def ids():
    return {str(task.id) for task in Task.objects.all()}


def id_of(number):
    return f"01900000-0000-7000-8000-{number:012}"


def imported(added=0, updated=0, skipped=0, refused=0):
    return f"Imported: {added} added, {updated} updated, {skipped} skipped, {refused} refused\n"


def test_a_line_becomes_the_task_that_it_is(write):
    assert run("import_tasks", write(LINE)) == done(imported(added=1))
    task = Task.objects.get()
    assert (task_body(task), task.deleted_at) == (LINE, None)


def test_a_line_may_leave_out_what_the_api_has_a_default_for(write):
    short = {name: value for name, value in LINE.items() if name not in {"description", "completed"}}
    assert run("import_tasks", write(short)) == done(imported(added=1))
    assert task_body(Task.objects.get()) == {**LINE, "description": "", "completed": False}


def test_texts_are_read_as_the_api_reads_them(write):
    run("import_tasks", write({**LINE, "title": " \u3000Buy milk\n", "description": None}))
    assert task_body(Task.objects.get()) == {**LINE, "description": ""}


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.csv", "TASKS.CSV"])
def test_what_was_exported_and_wiped_comes_back(stored, tmp_path, name):
    TaskFactory(title="=1", description='"\r\n,', completed=True)
    TaskFactory(trashed=True)
    Task.objects.filter(id=TaskFactory(foreign=True).id).change(title="Zähler")
    before, file = stored(), tmp_path / name
    run("export_tasks", f"--format={'csv' if name.lower().endswith('csv') else 'jsonl'}", "--output", file)
    Task.objects.all().delete()
    exported = file.read_bytes()
    assert run("import_tasks", file) == done(imported(added=3))
    assert stored() == before
    run("export_tasks", f"--format={'csv' if name.lower().endswith('csv') else 'jsonl'}", "--output", file)
    assert file.read_bytes() == exported


def test_the_format_may_be_said(write):
    file = write(f"{','.join(LINE)}", ",".join(str(value) for value in LINE.values()).replace("True", "true"))
    assert run("import_tasks", file, "--format=csv") == done(imported(added=1))
    assert task_body(Task.objects.get()) == LINE


def test_the_standard_input_is_read_too(write, monkeypatch):
    with write(LINE).open() as text:
        monkeypatch.setattr("sys.stdin", text)
        assert run("import_tasks", "-") == done(imported(added=1))


def test_the_tasks_may_become_another_users(write):
    nobodys = {name: value for name, value in LINE.items() if name != "user_id"}
    assert run("import_tasks", write(LINE, {**nobodys, "id": id_of(2)}), "--user=bob") == done(imported(added=2))
    assert set(Task.objects.values_list("user_id", flat=True)) == {"bob"}


@pytest.mark.parametrize("user", ["", "two words", "\udcff"])
def test_but_not_those_of_one_whom_no_token_names(write, stored, user):
    refusal = "CommandError: Error: argument --user: must be 1 to 255 visible ASCII characters\n"
    assert run("import_tasks", write(LINE), f"--user={user}") == Ended("", refusal, 1)
    assert stored() == []


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_it_works_in_batches(write, size):
    file = write(*({**LINE, "id": id_of(number)} for number in range(5)))
    assert run("import_tasks", file, f"--batch-size={size}") == done(imported(added=5))
    assert ids() == {id_of(number) for number in range(5)}


def test_a_second_run_adds_nothing(write, stored):
    file = write(LINE, {**LINE, "id": id_of(2)})
    run("import_tasks", file)
    before = stored()
    for on_conflict in ("skip", "update"):
        assert run("import_tasks", file, "--on-conflict", on_conflict) == done(imported(skipped=2))
    assert stored() == before


def test_an_id_that_stands_twice_is_a_conflict_with_itself(write):
    file = write(LINE, {**LINE, "title": "Buy bread"})
    assert run("import_tasks", file) == done(imported(added=1, skipped=1))
    assert task_body(Task.objects.get()) == LINE


def test_skip_leaves_what_is_there(write, stored):
    run("import_tasks", write(LINE))
    before = stored()
    other = write({**LINE, "title": "Buy bread"}, {**LINE, "id": id_of(2)})
    assert run("import_tasks", other) == done(imported(added=1, skipped=1))
    assert stored()[:1] == before


def test_update_is_a_write_of_what_differs(write):
    run("import_tasks", write(LINE))
    other = write({**LINE, "title": "Buy bread", "version": 1, "created_at": "2026-01-01T00:00:00Z"})
    assert run("import_tasks", other, "--on-conflict=update") == done(imported(updated=1))
    task = Task.objects.get()
    assert task_body(task) == {
        **LINE,
        "title": "Buy bread",
        "version": 4,
        "updated_at": task_body(task)["updated_at"],
    }
    assert task_body(task)["updated_at"] > LINE["updated_at"]


def test_update_trashes_and_restores(write):
    trashed = {**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}
    run("import_tasks", write(LINE))
    assert run("import_tasks", write(trashed), "--on-conflict=update") == done(imported(updated=1))
    assert not Task.objects.live().exists()
    live = {**LINE, "deleted_at": None}
    assert run("import_tasks", write(live), "--on-conflict=update") == done(imported(updated=1))
    assert Task.objects.live().get().version == 5


@pytest.mark.parametrize("member", ["description", "completed", "deleted_at"])
def test_update_leaves_what_a_line_does_not_say(write, stored, member):
    whole = {**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}
    run("import_tasks", write(whole))
    before = stored()
    file = write({name: value for name, value in whole.items() if name != member})
    assert run("import_tasks", file, "--on-conflict=update") == done(imported(skipped=1))
    assert stored() == before


def test_update_leaves_what_the_header_of_csv_does_not_name(write, tmp_path, stored):
    run("import_tasks", write({**LINE, "deleted_at": "2026-01-12T00:00:00.000000Z"}))
    [before] = stored()
    file = tmp_path / "tasks.csv"
    values = {**LINE, "title": "Buy bread"}
    names = ("id", "title", "user_id", "created_at", "updated_at", "version")
    file.write_text("".join(f"{','.join(map(str, row))}\n" for row in (names, [values[name] for name in names])))
    assert run("import_tasks", file, "--on-conflict=update") == done(imported(updated=1))
    [after] = stored()
    assert after == {**before, "title": "Buy bread", "version": 4, "updated_at": after["updated_at"]}


def test_update_takes_a_task_out_of_the_trash_where_a_cell_of_csv_says_so(tmp_path):
    file = tmp_path / "tasks.csv"
    TaskFactory()
    run("export_tasks", "--format=csv", "--output", file)
    Task.objects.all().move_to_trash()
    assert run("import_tasks", file, "--on-conflict=update") == done(imported(updated=1))
    assert Task.objects.live().count() == 1


def test_update_reads_what_is_there_in_the_transaction_that_writes_it(write):
    """And nobody else writes between the two."""
    run("import_tasks", write(LINE))
    with CaptureQueriesContext(connection) as queries:
        run("import_tasks", write({**LINE, "title": "Buy bread"}), "--on-conflict=update")
    statements = [query["sql"] for query in queries]
    [begin] = [index for index, statement in enumerate(statements) if statement.startswith("SAVEPOINT")]
    look, change, _ = statements[begin + 1 :]
    assert look.endswith("FOR UPDATE") == (connection.vendor == "postgresql")
    assert change.startswith("UPDATE")


def test_fail_ends_at_the_first_one_that_is_there(write, stored):
    run("import_tasks", write({**LINE, "id": id_of(4)}))
    file = write(*({**LINE, "id": id_of(number)} for number in range(1, 6)))
    assert run("import_tasks", file, "--on-conflict=fail", "--batch-size=2", "--dry-run") == Ended(
        "", f"CommandError: Line 4: there is a task {id_of(4)} already\n", 1
    )
    assert ids() == {id_of(4)}
    assert run("import_tasks", file, "--on-conflict=fail", "--batch-size=2") == Ended(
        "", f"CommandError: Line 4: there is a task {id_of(4)} already; the batches before it stay\n", 1
    )
    assert ids() == {id_of(1), id_of(2), id_of(4)}


@pytest.mark.parametrize("on_conflict", ["skip", "update", "fail"])
def test_another_users_task_is_not_touched(write, stored, on_conflict):
    run("import_tasks", write(LINE))
    before = stored()
    assert run("import_tasks", write(LINE), "--user=bob", "--on-conflict", on_conflict) == Ended(
        imported(refused=1), "Line 1: #/id Id is that of another user's task\nCommandError: Lines refused: 1\n", 1
    )
    assert stored() == before


def test_a_dry_run_checks_all_and_changes_nothing(write, stored):
    run("import_tasks", write(LINE))
    before = stored()
    file = write({**LINE, "title": "Buy bread"}, {**LINE, "id": id_of(2)}, {**LINE, "title": ""})
    assert run("import_tasks", file, "--dry-run", "--on-conflict=update") == Ended(
        "Would import: 1 added, 1 updated, 0 skipped, 1 refused\n",
        "Line 3: #/title Title must not be blank\nCommandError: Lines refused: 1\n",
        1,
    )
    assert stored() == before


#: A member of a line, a value that it may not have, and why.
BAD_VALUES = [
    ("id", "01900000-0000-4000-8000-000000000001", "Id must be a UUID of version 7, in lower case with dashes"),
    ("id", "01900000-0000-7000-0000-000000000001", "Id must be a UUID of version 7, in lower case with dashes"),
    ("id", ID.upper().replace("0", "A"), "Id must be a UUID of version 7, in lower case with dashes"),
    ("id", ID.replace("-", ""), "Id must be a UUID of version 7, in lower case with dashes"),
    ("id", 1, "Id must be a UUID of version 7, in lower case with dashes"),
    ("id", None, "Id must be a UUID of version 7, in lower case with dashes"),
    *(
        ("user_id", owner, "User_id must be 1 to 255 visible ASCII characters")
        for owner in (None, "", "x" * 256, 7, "a\0b", "\ud800", "a\x1b[31m", "two words", "\u200b", "\ufffd", "älice")
    ),
    ("created_at", "2026-01-11", f"Created_at {TIME}"),
    ("created_at", "2026-01-11T09:30:00", f"Created_at {TIME}"),
    ("created_at", 1768123800, f"Created_at {TIME}"),
    ("updated_at", None, f"Updated_at {TIME}"),
    ("updated_at", "0001-01-01T00:00:00+01:00", f"Updated_at {TIME}"),
    ("updated_at", "2026-01-11T09:29:59.999999Z", "Updated_at must not be before created_at"),
    ("deleted_at", "", f"Deleted_at {TIME}"),
    ("updated_at", "9999-12-31T23:59:59.999999Z", "Updated_at must not be in the future"),
    ("deleted_at", "9999-12-31T23:59:59.999999Z", "Deleted_at must not be in the future"),
    ("version", 0, "Version must be a whole number from 1 to 2^53"),
    ("version", 2**53 + 1, "Version must be a whole number from 1 to 2^53"),
    ("version", 2**63 - 1, "Version must be a whole number from 1 to 2^53"),
    ("version", 1.0, "Version must be a whole number from 1 to 2^53"),
    ("version", "1", "Version must be a whole number from 1 to 2^53"),
    ("version", True, "Version must be a whole number from 1 to 2^53"),
    ("due", "today", "This field is unknown"),
]


@pytest.mark.parametrize(("member", "value", "reason"), BAD_VALUES)
def test_a_line_that_breaks_a_rule_is_refused_and_the_next_one_stored(write, member, value, reason):
    file = write({**LINE, member: value}, {**LINE, "id": id_of(2)})
    assert run("import_tasks", file) == Ended(
        imported(added=1, refused=1), f"Line 1: #/{member} {reason}\nCommandError: Lines refused: 1\n", 1
    )
    assert ids() == {id_of(2)}


def test_times_may_be_of_a_clock_that_is_a_little_ahead(write):
    now = timezone.now()
    times = {
        seconds: dict.fromkeys(("created_at", "updated_at", "deleted_at"), f"{now + timedelta(seconds=seconds):%FT%TZ}")
        for seconds in (30, 120)
    }
    assert run("import_tasks", write({**LINE, **times[30]}, {**LINE, "id": id_of(2), **times[120]})) == Ended(
        imported(added=1, refused=1),
        "Line 2: #/created_at Created_at must not be in the future; #/updated_at Updated_at must not be in the future; "
        "#/deleted_at Deleted_at must not be in the future\nCommandError: Lines refused: 1\n",
        1,
    )
    assert ids() == {ID}


def test_a_task_of_the_highest_version_is_still_written(write, as_user):
    run("import_tasks", write({**LINE, "user_id": "default", "version": 2**53}))
    assert as_user.post(f"/api/tasks/{ID}/toggle").json()["version"] == 2**53 + 1


@pytest.mark.parametrize("member", ["id", "title", "user_id", "created_at", "updated_at", "version"])
def test_what_a_line_must_say(write, member):
    file = write({name: value for name, value in LINE.items() if name != member})
    assert run("import_tasks", file) == Ended(
        imported(refused=1),
        f"Line 1: #/{member} {member.capitalize()} is required\nCommandError: Lines refused: 1\n",
        1,
    )


#: What the server says of itself, and a client may send back without effect: an import takes it at its word.
GIVEN = {name: LINE[name] for name in ("id", "user_id", "created_at", "updated_at", "version")}


def as_line(body):
    """A request's body as a line: with the members that a client may leave out, where it is an object."""
    given = json.dumps(GIVEN).encode()
    if body == b"{}":
        return given
    return body.replace(b"{", given.removesuffix(b"}") + b", ", 1) if body.startswith(b'{"') else body


def can_be_a_line(request):
    one_line = request.method == "POST" and request.body.strip() and b"\n" not in request.body
    return one_line and b"deleted_at" not in request.body  # which a line may have


@pytest.mark.parametrize("request_", [*filter(can_be_a_line, INVALID)], ids=lambda request_: request_.name[:60])
def test_a_line_is_refused_for_what_the_api_refuses_it(as_user, tmp_path, stored, request_):
    """Whatever stands in a field: the same faults, with the same words."""
    sent = as_user.post("/api/tasks", request_.body, content_type="application/json").json()
    (tmp_path / "tasks.jsonl").write_bytes(as_line(request_.body))
    ended = run("import_tasks", tmp_path / "tasks.jsonl", "--errors", tmp_path / "errors.jsonl")
    assert ended == Ended(imported(refused=1), "CommandError: Lines refused: 1\n", 1)
    [told] = lines(tmp_path / "errors.jsonl")
    in_a_line = [{**error, "detail": error["detail"].replace("The body", "The line")} for error in sent["errors"]]
    assert told == {"line": 1, "errors": in_a_line}
    assert stored() == []


@pytest.mark.parametrize("request_", [*filter(can_be_a_line, UNPARSED)], ids=lambda request_: request_.name[:60])
def test_a_line_that_is_no_json_is_refused(tmp_path, stored, request_):
    (tmp_path / "tasks.jsonl").write_bytes(as_line(request_.body))
    ended = run("import_tasks", tmp_path / "tasks.jsonl", "--errors", tmp_path / "errors.jsonl")
    assert ended == Ended(imported(refused=1), "CommandError: Lines refused: 1\n", 1)
    [told] = lines(tmp_path / "errors.jsonl")
    assert {error["code"] for error in told["errors"]} <= {"parse_error", "repeated_key"}
    assert stored() == []


def test_every_bad_line_is_told_of_in_the_file_of_errors(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    file = write("{", LINE, {**LINE, "title": "", "due": 1}, "[]")
    assert run("import_tasks", file, "--errors", errors) == Ended(
        imported(added=1, refused=3), "CommandError: Lines refused: 3\n", 1
    )
    assert lines(errors) == [
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


def test_without_such_a_file_the_first_twenty_are_told(write):
    ended = run("import_tasks", write(*["{"] * 30))
    told = [f"Line {number}: # The line is not valid JSON: column 2\n" for number in range(1, 21)]
    assert ended == Ended(
        imported(refused=30),
        "".join(told) + "More lines are refused; --errors FILE names each\nCommandError: Lines refused: 30\n",
        1,
    )


def test_an_import_without_faults_leaves_an_empty_file_of_errors(write, tmp_path):
    errors = tmp_path / "errors.jsonl"
    errors.write_text("of the last time")
    run("import_tasks", write(LINE), "--errors", errors)
    assert errors.read_text() == ""


def test_what_only_the_database_refuses_is_told_by_line_and_the_rest_stored(write, monkeypatch):
    """A rule that the serializer has not, or a task that somebody else made at the same moment."""
    monkeypatch.setattr("tasks.api.serializers.TitleField.run_validation", lambda field, data: data)
    file = write(*({**LINE, "id": id_of(number), "title": "ab " if number == 2 else "a"} for number in range(1, 5)))
    ended = run("import_tasks", file)
    assert (ended.out, ended.code) == (imported(added=3, refused=1), 1)
    assert ended.err.startswith("Line 2: # The database refuses the task: ")
    assert "task_title_trimmed" in ended.err
    assert ids() == {id_of(1), id_of(3), id_of(4)}


def test_a_batch_is_stored_whole_or_not_at_all(write, monkeypatch):
    insert = TaskQuerySet.insert

    def fail_at_the_second(tasks, new):
        insert(tasks, new)
        if Task.objects.count() == 4:
            raise OperationalError("server closed the connection unexpectedly\nand more")

    monkeypatch.setattr(TaskQuerySet, "insert", fail_at_the_second)
    file = write(*({**LINE, "id": id_of(number)} for number in range(6)))
    assert run("import_tasks", file, "--batch-size=2") == Ended(
        "", "CommandError: The database failed: server closed the connection unexpectedly\n", 3
    )
    assert ids() == {id_of(0), id_of(1)}
    monkeypatch.undo()
    assert run("import_tasks", file, "--batch-size=2") == done(imported(added=4, skipped=2))


def test_a_batch_whose_new_tasks_fail_updates_none(write, stored, monkeypatch):
    run("import_tasks", write(LINE))
    before = stored()

    def fail(tasks, new):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(TaskQuerySet, "insert", fail)
    file = write({**LINE, "title": "Buy bread"}, {**LINE, "id": id_of(2)})
    assert run("import_tasks", file, "--on-conflict=update").code == 3
    assert stored() == before


def test_an_empty_file_is_no_fault(write):
    assert run("import_tasks", write()) == done(imported())


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    file = tmp_path / "missing.jsonl"
    refusal = f"CommandError: {file} cannot be read: No such file or directory\n"
    assert run("import_tasks", file) == Ended("", refusal, 2)


def test_a_file_of_errors_that_cannot_be_written_is_refused_before_anything_is_done(write, tmp_path):
    errors = tmp_path / "missing" / "errors.jsonl"
    refusal = f"CommandError: {errors} cannot be written: No such file or directory\n"
    assert run("import_tasks", write(LINE), "--errors", errors) == Ended("", refusal, 2)
    assert ids() == set()


@pytest.mark.parametrize("name", ["tasks.jsonl", "link.jsonl"])
def test_the_file_that_is_read_cannot_be_that_of_errors(write, tmp_path, name):
    file = write(LINE)
    before = file.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(file)
    refusal = f"CommandError: {tmp_path / name} is the file that is read; give --errors another\n"
    assert run("import_tasks", file, "--errors", tmp_path / name) == Ended("", refusal, 2)
    assert (file.read_bytes(), ids()) == (before, set())


def test_nor_can_the_one_that_is_the_standard_input(write, monkeypatch):
    file = write(LINE)
    before = file.read_bytes()
    with file.open() as text:
        monkeypatch.setattr("sys.stdin", text)
        refusal = f"CommandError: {file} is the file that is read; give --errors another\n"
        assert run("import_tasks", "-", "--errors", file) == Ended("", refusal, 2)
    assert (file.read_bytes(), ids()) == (before, set())


def test_csv_under_another_header_is_refused(tmp_path):
    file = tmp_path / "tasks.csv"
    file.write_text("Id,Title\n1,Buy milk\n")
    columns = "id, title, description, completed, user_id, created_at, updated_at, version, deleted_at"
    refusal = f"CommandError: {file}: The first line must name columns, each once, of {columns}\n"
    assert run("import_tasks", file) == Ended("", refusal, 2)
