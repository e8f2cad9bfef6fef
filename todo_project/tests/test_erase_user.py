"""``manage.py erase_user``."""

import json

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from changes.models import Forgotten, Move, Removal
from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory
from testing.commands import failure, run_command, success
from throttling.models import Window, hash_client

pytestmark = pytest.mark.django_db

NOTHING = "0 tasks, 0 kept responses, 0 rate limit windows, 0 logged actions and 0 texts in other log entries"
FILLED = "4 tasks, 3 kept responses, 2 rate limit windows, 4 logged actions and 1 text in other log entries"


@pytest.fixture
def log(admin_user):
    """Return a function that logs an action of the admin."""
    content_type = ContentType.objects.get_for_model(Task)

    def add(title="", message="", task_id=None):
        return LogEntry.objects.create(
            user=admin_user,
            content_type=content_type,
            object_id=task_id and str(task_id),
            object_repr=title,
            action_flag=CHANGE,
            change_message=message,
        )

    return add


def fill(log, user_id, removed=None):
    """Store something of a user in each table, and four log entries."""
    TaskFactory.create_batch(3, user_id=user_id, title=f"Secret of {user_id}")
    trashed = TaskFactory(user_id=user_id, trashed=True, title=f"Secret of {user_id}")
    KeptResponseFactory.create_batch(3, user_id=user_id, body=f"Secret of {user_id}".encode())
    Removal.objects.create(user_id=user_id, row_id=uuid7(), change_number=1, removed_at=timezone.now())
    Forgotten.objects.create(user_id=user_id, change_number=1, row_id=uuid7())
    Move.objects.create(user_id=user_id, state=Move.State.ARRIVED)
    for scope in ("read", "write"):
        Window.objects.count_request(hash_client(scope, f"user {user_id}"), 60)
    log(trashed.title, '[{"changed": {"fields": ["Title"]}}]', trashed.id)
    log("", f"Mark completed. Ids: {trashed.id}", trashed.id)
    log("", f"Reopen. All of /admin/tasks/task/?owner={user_id}&where=trash")
    log("", f"Reopen. All of /admin/tasks/task/?q={user_id}")


def contents():
    """Return every column of every table that the command writes, without the times."""
    rows = [model.objects.order_by("pk").values() for model in (Task, KeptResponse, LogEntry, Removal, Forgotten, Move)]
    return [list(each) for each in rows] + [list(Window.objects.order_by("client").values("client", "used"))]


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_all_of_one_user_is_erased_and_nothing_else(log, batch_size):
    fill(log, "bob")
    log("An entry of nobody's list", "Reopen. All of /admin/tasks/task/?owner=alice2&q=alice+bob")
    log("", "Reopen. All of /admin/tasks/task/")
    before = contents()
    fill(log, "alice")
    assert run_command("erase_user", "alice", f"--batch-size={batch_size}") == success(
        f"Erased of alice: {FILLED.replace('1 text', '0 texts')}\n"
    )
    assert contents() == before
    assert run_command("erase_user", "alice") == success(f"Erased of alice: {NOTHING}\n")
    assert contents() == before


def test_title_of_a_removed_task_is_cleared(log):
    entry = log("A secret of an unknown owner", "", uuid7())
    fill(log, "alice")
    assert run_command("erase_user", "alice") == success(f"Erased of alice: {FILLED}\n")
    assert list(LogEntry.objects.values_list("pk", "object_repr")) == [(entry.pk, "")]


def test_values_in_entries_of_several_tasks_are_cleared(log):
    """The entry stays, because it is about other users' tasks too."""
    alice, bob = TaskFactory(user_id="alice"), TaskFactory(user_id="bob")
    sentence = f"Add label “home”. Ids: {alice.pk}, {bob.pk}"
    values = [json.dumps({"id": f"{task.pk}", "version": 2, "values": []}) for task in (alice, bob)]
    entry = log("2 tasks labelled “home”", "\n".join((sentence, *values)))
    other = log("1 task labelled “home”", "\n".join((sentence, values[1])))
    numbers = "1 task, 0 kept responses, 0 rate limit windows, 0 logged actions and 1 text in other log entries"
    assert run_command("erase_user", "alice") == success(f"Erased of alice: {numbers}\n")
    assert list(LogEntry.objects.order_by("pk").values_list("pk", "object_repr", "change_message")) == [
        (entry.pk, "2 tasks labelled “home”", sentence),
        (other.pk, "1 task labelled “home”", f"{sentence}\n{values[1]}"),
    ]


@pytest.mark.parametrize("title", ["See /?owner=alice&x=1", "A. All of /?owner=alice"])
def test_value_that_looks_like_a_list_keeps_its_entry(log, title):
    bob = TaskFactory(user_id="bob")
    values = json.dumps({"id": f"{bob.pk}", "version": 2, "values": [["title", title, ""]]})
    entry = log("Bob's", f"Changed Title.\n{values}", bob.pk)
    assert run_command("erase_user", "alice") == success(f"Erased of alice: {NOTHING}\n")
    assert list(LogEntry.objects.values_list("pk", "object_repr", "change_message")) == [
        (entry.pk, "Bob's", f"Changed Title.\n{values}")
    ]


def test_values_of_a_removed_task_are_cleared(log):
    id_ = uuid7()
    TaskFactory(user_id="alice")
    message = "Changed Title.\n" + json.dumps({"id": f"{id_}", "version": 2, "values": [["title", "A secret", "B"]]})
    entry = log("A secret", message, id_)
    run_command("erase_user", "alice")
    assert list(LogEntry.objects.values_list("pk", "object_repr", "change_message")) == [
        (entry.pk, "", "Changed Title.")
    ]


def test_dry_run_counts_and_erases_nothing(log):
    log("A secret of an unknown owner", "", uuid7())
    fill(log, "alice")
    before = contents()
    assert run_command("erase_user", "alice", "--dry-run") == success(f"Would erase of alice: {FILLED}\n")
    assert contents() == before


def test_interrupted_run_is_completed_by_the_next_run(log):
    fill(log, "alice")

    def interrupt(execute, sql, *arguments):
        if sql.startswith('DELETE FROM "tasks_task"'):
            raise KeyboardInterrupt
        return execute(sql, *arguments)

    with connection.execute_wrapper(interrupt):
        assert run_command("erase_user", "alice") == failure("Interrupted; finished batches stay", 130)
    rest = FILLED.replace("4 logged", "0 logged").replace("1 text", "0 texts")
    assert run_command("erase_user", "alice") == success(f"Erased of alice: {rest}\n")


@pytest.mark.parametrize("user_id", ["", "a" * 256, "a\0"])
def test_impossible_user_is_refused(user_id):
    reason = "Error: argument ID: must be a user id of 1 to 255 characters"
    assert run_command("erase_user", user_id) == failure(reason, 1)


def test_user_that_no_token_names_is_erased(log):
    fill(log, "two words")
    assert run_command("erase_user", "two words") == success(
        f"Erased of two words: {FILLED.replace('1 text', '0 texts')}\n"
    )


def test_every_table_with_a_user_id_is_erased():
    """Add a new table of users' data to ``erase_user``, to ``fill`` and here."""
    models = {model for model in apps.get_models() if "user_id" in {field.name for field in model._meta.fields}}
    assert models == {Task, KeptResponse, Removal, Forgotten, Move}
