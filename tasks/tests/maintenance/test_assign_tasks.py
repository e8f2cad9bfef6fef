"""``manage.py assign_tasks``."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks.models import Task
from tasks.tests.api.contract import task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def assign(*arguments, giver="default", receiver="alice"):
    """What the command prints."""
    output = StringIO()
    call_command("assign_tasks", "--from", giver, "--to", receiver, *arguments, stdout=output)
    return output.getvalue()


def by_id(rows):
    return {row["id"]: row for row in rows}


def test_all_tasks_of_one_user_become_anothers(stored):
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    TaskFactory(foreign=True)
    TaskFactory(user_id="Default")
    before = by_id(stored())
    assert assign() == "Assigned 4 tasks of default to alice\n"
    after = by_id(stored())
    for id_, task in before.items():
        if task["user_id"] == "default":
            assert after[id_]["updated_at"] > task["updated_at"]
            moved = {"user_id": "alice", "version": 2, "updated_at": after[id_]["updated_at"]}
            assert after[id_] == {**task, **moved}
        else:
            assert after[id_] == task


def test_their_new_owner_sees_them(client_of):
    task, trashed = TaskFactory(), TaskFactory(trashed=True)
    assign()
    for where, assigned in (("/api/tasks", task), ("/api/tasks/trash", trashed)):
        shown = json.loads(client_of("alice").get(where).getvalue())
        assert shown == [task_body(Task.objects.get(id=assigned.id))]
        assert json.loads(client_of("default").get(where).getvalue()) == []


def test_a_dry_run_says_what_would_be(stored):
    TaskFactory.create_batch(2)
    before = stored()
    assert assign("--dry-run") == "Would assign 2 tasks of default to alice\n"
    assert stored() == before


def test_a_second_time_there_is_nothing_to_do(stored):
    TaskFactory()
    assert assign() == "Assigned 1 task of default to alice\n"
    before = stored()
    assert assign() == "Assigned 0 tasks of default to alice\n"
    assert stored() == before


def test_tasks_go_over_in_batches():
    TaskFactory.create_batch(5)
    with CaptureQueriesContext(connection) as queries:
        assert assign("--batch-size", "2") == "Assigned 5 tasks of default to alice\n"
    assert [query["sql"].split()[0] for query in queries if "UPDATE" in query["sql"]] == ["UPDATE"] * 4
    assert {task.user_id for task in Task.objects.all()} == {"alice"}


def test_a_command_that_was_interrupted_is_run_again():
    TaskFactory.create_batch(3)

    updates = []

    def interrupt(execute, sql, params, many, context):
        updates.extend([sql] if sql.startswith("UPDATE") else [])
        if len(updates) == 2:
            raise KeyboardInterrupt
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupt), pytest.raises(CommandError, match="Interrupted") as interrupted:
        assign("--batch-size", "2")
    assert interrupted.value.returncode == 130
    assert assign("--batch-size", "2") == "Assigned 1 task of default to alice\n"
    assert [(task.user_id, task.version) for task in Task.objects.all()] == [("alice", 2)] * 3


def test_an_owner_whom_no_token_names_gives_theirs_away():
    TaskFactory(user_id="two words")
    assert assign(giver="two words") == "Assigned 1 task of two words to alice\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"receiver": "default"}, "--from and --to are the same user"),
        ({"receiver": ""}, "Error: argument --to: must be 1 to 255 visible ASCII characters"),
        ({"receiver": "al ice"}, "Error: argument --to: must be 1 to 255 visible ASCII characters"),
        ({"receiver": "älice"}, "Error: argument --to: must be 1 to 255 visible ASCII characters"),
        ({"receiver": "a" * 256}, "Error: argument --to: must be 1 to 255 visible ASCII characters"),
        ({"giver": ""}, "Error: argument --from: must be a user id of 1 to 255 characters"),
        ({"giver": "\udcff"}, "Error: argument --from: must be a user id of 1 to 255 characters"),
    ],
    ids=ascii,
)
def test_users_who_cannot_be_are_refused(stored, arguments, sentence):
    TaskFactory()
    before = stored()
    with pytest.raises(CommandError) as refusal:
        assign(**arguments)
    assert str(refusal.value) == sentence
    assert stored() == before


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_batch_has_a_size(size):
    with pytest.raises(CommandError) as refusal:
        assign("--batch-size", size)
    assert str(refusal.value) == "Error: argument --batch-size: must be a whole number from 1 to 10000"
