"""``manage.py move_user``, and the refusal of writes while a user moves."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from django.conf import settings as project
from django.db import Error, connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from changes import moves
from changes.models import Move, Removal
from database.errors import MOVING
from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory
from tasks.transfer.user_files import Header, Tally
from testing.commands import failure, run_command, success
from testing.horizon import wait_for_open_writes
from todo_project.management.commands import move_user
from todo_project.management.commands.move_user import receipt_of, remove_all, write_receipt

pytestmark = pytest.mark.django_db

CONTENTS = "4 tasks, 2 removals and 3 responses"
NOT_WRITTEN = "The file is not one that move_user has written"


@pytest.fixture
def file(tmp_path):
    """Return the path of the file."""
    return tmp_path / "alice.jsonl"


def fill(user_id="alice"):
    """Store something of a user in each table."""
    now = timezone.now()
    TaskFactory(
        user_id=user_id, title="Plan", due="2026-12-24T18:00:00[Europe/Berlin]", labels=frozenset({"büro", "a"})
    )
    TaskFactory(user_id=user_id, completed=True, updated_at=now, created_at=now - timedelta(days=9), version=7)
    TaskFactory(user_id=user_id, trashed=True, description='A\u2028B\n"', priority=2)
    TaskFactory(user_id=user_id, title="Moved by the clock")
    for task in TaskFactory.create_batch(2, user_id=user_id):
        Task.objects.addressed(task.id).remove()
    KeptResponseFactory.create_batch(3, user_id=user_id, body=b"\x00{}\xff", headers={"ETag": '"1"'})


def contents(user_id):
    """Return all that is kept of a user, without numbers that each database gives."""
    return [
        list(Task.objects.owned_by(user_id).order_by("id").values(*Task.PUBLIC_FIELDS, *Task.INTERNAL_FIELDS)),
        list(Removal.objects.filter(user_id=user_id).order_by("row_id").values("row_id", "removed_at")),
        [
            {**values, "body": bytes(values["body"])}
            for values in KeptResponse.objects.filter(user_id=user_id)
            .order_by("key")
            .values("key", "fingerprint", "status", "headers", "body", "created_at")
        ],
    ]


def enter_other_cell(user_id="alice"):
    """Make this database one in which the user has never been."""
    Move.objects.all().delete()
    remove_all(user_id, 100)


def write_file(file, user_id="alice"):
    """Fill the tables, and write the file."""
    fill(user_id)
    before = contents(user_id)
    assert run_command("move_user", user_id, "--to", file) == success(
        f"Wrote of {user_id} to {file}: {CONTENTS}; writes are refused\n"
    )
    return before


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_moved_user_has_the_same_data(file, batch_size):
    fill("bob")
    bob, alice = contents("bob"), write_file(file)
    enter_other_cell()
    assert run_command("move_user", "alice", "--from", file, f"--batch-size={batch_size}") == success(
        f"Stored of alice: {CONTENTS}\n"
    )
    assert contents("alice") == alice
    assert contents("bob") == bob
    assert Task.objects.owned_by("alice").change(title="Writable again") == 4
    assert run_command("verify_tasks").code == 0


def test_second_import_of_a_file_changes_nothing(file):
    write_file(file)
    enter_other_cell()
    run_command("move_user", "alice", "--from", file)
    Task.objects.owned_by("alice").change(title="Written since")
    receipt_of(file).unlink()
    before = contents("alice")
    assert run_command("move_user", "alice", "--from", file) == success("Stored of alice: all of it, before\n")
    assert contents("alice") == before
    assert receipt_of(file).exists()


def test_done_removes_the_data_and_refuses_writes(file):
    fill("bob")
    bob = contents("bob")
    write_file(file)
    write_receipt(file, Header("alice", Move.objects.get().move_id))
    assert run_command("move_user", "alice", "--done", file) == success(f"Removed of alice: {CONTENTS}\n")
    assert run_command("move_user", "alice", "--done", file) == success("Removed of alice: all of it, before\n")
    assert (contents("alice"), contents("bob")) == ([[], [], []], bob)
    with pytest.raises(Error, match="moves to another database"):
        TaskFactory(user_id="alice")


def test_file_is_the_same_after_a_second_run(file):
    before = write_file(file)
    text = file.read_text()
    assert run_command("move_user", "alice", "--to", file).code == 0
    assert (file.read_text(), contents("alice")) == (text, before)


def test_moved_user_can_move_on(file):
    write_file(file)
    enter_other_cell()
    run_command("move_user", "alice", "--from", file)
    first = Move.objects.get().move_id
    assert run_command("move_user", "alice", "--to", file).code == 0
    assert (str(Move.objects.get()), Move.objects.get().move_id == first) == ("alice: leaving", False)


def test_user_who_left_can_come_back(file):
    before = write_file(file)
    enter_other_cell()
    moves.mark_left("alice", uuid7())
    assert run_command("move_user", "alice", "--from", file) == success(f"Stored of alice: {CONTENTS}\n")
    assert contents("alice") == before


def test_cancelled_move_allows_writes(file):
    write_file(file)
    assert run_command("move_user", "alice", "--cancel") == success("Writes of alice are allowed\n")
    assert Task.objects.owned_by("alice").toggle() == 4
    assert run_command("move_user", "alice", "--cancel") == failure("alice does not leave this database", 2)


def test_receipt_of_a_cancelled_move_removes_nothing(file):
    write_file(file)
    write_receipt(file, Header("alice", Move.objects.get().move_id))
    run_command("move_user", "alice", "--cancel")
    run_command("move_user", "alice", "--to", file)
    before = contents("alice")
    reason = "alice does not leave this database by this move; was it cancelled, or begun again?"
    assert run_command("move_user", "alice", "--done", file) == failure(reason, 2)
    assert contents("alice") == before


def test_done_without_receipt_removes_nothing(file):
    before = write_file(file)
    reason = f"Cannot read {file}.received: No such file or directory"
    assert run_command("move_user", "alice", "--done", file) == failure(reason, 2)
    assert contents("alice") == before


def test_user_who_left_cannot_leave_again(file):
    moves.mark_left("alice", uuid7())
    assert run_command("move_user", "alice", "--to", file) == failure(
        "The data of alice has left this database already", 2
    )


def test_former_database_refuses_the_file(file):
    write_file(file)
    assert run_command("move_user", "alice", "--from", file) == failure(
        "alice leaves this database; --cancel ends that move", 2
    )
    write_receipt(file, Header("alice", Move.objects.get().move_id))
    run_command("move_user", "alice", "--done", file)
    assert run_command("move_user", "alice", "--from", file) == failure(
        "The data of alice has left this database by this move", 2
    )


def test_file_of_another_user_is_refused(file):
    write_file(file)
    assert run_command("move_user", "bob", "--from", file) == failure("The file has the data of alice", 2)


@pytest.mark.parametrize("store", [TaskFactory, KeptResponseFactory])
def test_user_with_other_data_is_refused(file, store):
    write_file(file)
    enter_other_cell()
    store(user_id="alice")
    before = contents("alice")
    assert run_command("move_user", "alice", "--from", file) == failure(
        "alice has other data here; erase_user removes it", 2
    )
    assert (contents("alice"), Move.objects.count(), receipt_of(file).exists()) == (before, 0, False)


def test_id_of_another_user_is_refused(file):
    id_ = write_file(file)[0][0]["id"]
    enter_other_cell()
    TaskFactory(user_id="bob", id=id_)
    assert run_command("move_user", "alice", "--from", file) == failure(
        "Line 2: # Id is in use by another user's task".replace("#", "#/id"), 2
    )
    assert contents("alice") == [[], [], []]


DAMAGES = {
    "no footer": lambda lines: lines[:-1],
    "a task is missing": lambda lines: [lines[0], *lines[2:]],
    "a task is there twice": lambda lines: [*lines[:2], *lines[1:]],
    "a line is no record": lambda lines: [*lines[:2], "[]\n", *lines[2:]],
    "half a line": lambda lines: [*lines[:-1], lines[-1][:20]],
    "nothing after the header": lambda lines: lines[:1],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_refused(file, damage):
    write_file(file)
    enter_other_cell()
    file.write_text("".join(damage(file.read_text().splitlines(keepends=True))))
    assert run_command("move_user", "alice", "--from", file) == failure(
        "The file is damaged or incomplete; write it again with --to", 2
    )
    assert contents("alice") == [[], [], []]


RECORDS = {
    "a kind of a later version": '{"attachment":{}}',
    "no JSON": "x",
    "no object": "[]",
    "two kinds": '{"removal":{},"task":{}}',
    "nested too deeply": "[" * 200_000,
    "a removal without a time": f'{{"removal":{{"row_id":"{uuid7()}"}}}}',
    "a removal without an id": '{"removal":{"row_id":1,"removed_at":"2026-01-01T00:00:00+00:00"}}',
    "a response of another user": '{"response":{"body":"","created_at":"2026-01-01T00:00:00+00:00","user_id":"bob"}}',
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_unknown_record_is_refused(file, record):
    write_file(file)
    header, *lines, _ = file.read_text().splitlines(keepends=True)
    enter_other_cell()
    tally = Tally()
    for line in [f"{record}\n", *lines]:
        tally.add("", line.encode())
    file.write_text("".join([header, f"{record}\n", *lines, tally.footer()]))
    assert run_command("move_user", "alice", "--from", file) == failure(
        "Line 2 is not a record that this version of the service knows", 2
    )
    assert (contents("alice"), Move.objects.count(), receipt_of(file).exists()) == ([[], [], []], 0, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        "[]\n",
        "half",
        '{"user_id": "alice", "move_id": "x"}\n',
        '{"user_id": "alice", "move_id": 1}\n',
        "[" * 200_000,
    ],
    ids=["empty", "no-members", "no-object", "no-json", "no-uuid", "number", "nested"],
)
def test_other_file_is_refused(file, text):
    file.write_text(text)
    assert run_command("move_user", "alice", "--from", file) == failure(NOT_WRITTEN, 2)


def test_data_that_the_database_changes_is_refused(file, monkeypatch):
    write_file(file)
    enter_other_cell()
    monkeypatch.setattr("tasks.transfer.user_files.remember_removals", lambda *_: None)
    assert run_command("move_user", "alice", "--from", file) == failure(
        "The database does not store what the file has", 2
    )
    assert contents("alice") == [[], [], []]


@pytest.mark.skipif("sqlite" in project.DATABASES["default"]["ENGINE"], reason="SQLite has one writer at a time")
def test_move_waits_for_write_in_progress(leave):
    task = TaskFactory(user_id="alice", title="Before")
    with closing(connection.copy()) as writer:
        writer.set_autocommit(False)
        with writer.cursor() as cursor:
            cursor.execute("UPDATE tasks_task SET title = 'During', version = 2")
        leave("alice")
        assert not moves.wait_for_writes(0.2)
        writer.commit()
    assert moves.wait_for_writes(60)
    assert Task.objects.get(id=task.id).title == "During"


def test_writes_in_progress_stop_the_move(file, monkeypatch):
    monkeypatch.setattr(move_user, "wait_for_writes", lambda _: False)
    reason = "Writes have been in progress for 60 s; alice's writes are refused until --to or --cancel"
    assert run_command("move_user", "alice", "--to", file) == failure(reason, 3)
    assert not file.exists()


def test_state_of_an_earlier_stay_has_expired(client, leave, file):
    """A state of another database has another history: changes/tests/test_states.py."""
    fill("default")
    wait_for_open_writes()
    state = client.get("/api/tasks/changes").json()["state"]
    run_command("move_user", "default", "--to", file)
    enter_other_cell("default")
    assert run_command("move_user", "default", "--from", file) == success(f"Stored of default: {CONTENTS}\n")
    wait_for_open_writes()
    assert client.get("/api/tasks/changes", {"since": state}).json()["code"] == "state_expired"
    changes = client.get("/api/tasks/changes").json()
    assert sorted(change["state"] for change in changes["changes"]) == ["live"] * 3 + ["removed"] * 2 + ["trashed"]
    after = client.get("/api/tasks/changes", {"since": changes["state"]}).json()
    assert after == {"changes": [], "state": changes["state"], "more": False}


@pytest.fixture
def leave(transactional_db):
    """Return a function that lets a user leave; at the end Django can empty the tables."""
    yield moves.leave
    Move.objects.all().delete()


REFUSAL = "Your data is moving to another database; it can be read, and changed again in a few minutes"
KEY = {"Idempotency-Key": "k"}
WRITES = {
    "POST": lambda client, task: client.post("/api/tasks", {"title": "A"}, "application/json"),
    "PATCH": lambda client, task: client.patch(f"/api/tasks/{task.id}", {"title": "A"}, "application/json"),
    "DELETE": lambda client, task: client.delete(f"/api/tasks/{task.id}"),
    "toggle": lambda client, task: client.post(f"/api/tasks/{task.id}/toggle"),
    "toggle with a key": lambda client, task: client.post(f"/api/tasks/{task.id}/toggle", headers=KEY),
    "404 with a key": lambda client, task: client.post(f"/api/tasks/{uuid7()}/toggle", headers=KEY),
    "PUT": lambda client, task: client.put(
        f"/api/tasks/{uuid7()}", {"title": "A"}, "application/json", headers={"If-None-Match": "*"}
    ),
    "bulk": lambda client, task: client.post(
        "/api/tasks/bulk", [{"op": "delete", "id": str(task.id)}], "application/json"
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_write_of_moving_user_is_refused(client, leave, write, caplog):
    task = TaskFactory()
    before = contents("default")
    leave("default")
    response = write(client, task)
    problem = response.json()
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert problem == {
        "type": "/problems/service_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": REFUSAL,
        "instance": response.request["PATH_INFO"],
        "code": "service_unavailable",
        "request_id": response["X-Request-ID"],
    }
    assert caplog.records == []
    assert client.get(f"/api/tasks/{task.id}").json()["title"] == task.title
    moves.allow_writes("default")
    assert contents("default") == before


def test_removal_from_trash_of_moving_user_is_refused(client, leave):
    task = TaskFactory(trashed=True)
    leave("default")
    assert client.delete(f"/api/tasks/trash/{task.id}").json()["detail"] == REFUSAL
    moves.allow_writes("default")
    assert client.delete(f"/api/tasks/trash/{task.id}").status_code == 200


def test_expired_responses_of_moving_user_are_purged(leave):
    KeptResponseFactory(user_id="alice", expired=True)
    leave("alice")
    assert run_command("purge_idempotency_keys").code == 0
    assert not KeptResponse.objects.exists()


@pytest.mark.parametrize("owners", [("alice", "bob"), ("bob", "alice")])
def test_task_of_moving_user_changes_no_owner(leave, owners):
    TaskFactory(user_id=owners[0])
    leave("alice")
    with pytest.raises(Error) as caught:
        Task.objects.change(user_id=owners[1])
    cause = caught.value.__cause__
    if connection.vendor == "postgresql":
        assert cause.sqlstate == MOVING
    else:
        assert cause.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_TRIGGER


def test_import_for_moving_user_fails(leave, tmp_path):
    """Without a check of the error, SQLite would report each line as wrong."""
    file = tmp_path / "tasks.jsonl"
    tasks = TaskFactory.create_batch(2, user_id="alice")
    run_command("export_tasks", f"--output={file}")
    Task.objects.filter(id__in=[task.id for task in tasks]).remove()
    leave("alice")
    reason = "The database failed: the data of this user moves to another database"
    assert run_command("import_tasks", file) == failure(reason, 3)


def test_admin_explains_the_refusal(admin_client, leave):
    task = TaskFactory()
    leave("default")
    admin_client.raise_request_exception = False
    response = admin_client.post(f"/admin/tasks/task/{task.id}/delete/", {"post": "yes"})
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert (
        "<p>The data of a user is moving to another database. "
        "Your change was not saved: try again in a few minutes.</p>"
    ) in response.content.decode()
    assert admin_client.get("/admin/tasks/task/").status_code == 200


def test_users_who_stay_can_write(leave):
    leave("alice")
    TaskFactory(user_id="bob")
    assert Task.objects.owned_by("bob").toggle() == 1
    assert Task.objects.owned_by("bob").remove() == 1
