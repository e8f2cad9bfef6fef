"""``manage.py assign_tasks``."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks.models import Task
from tasks.tests.api.contract import task_body
from tasks.tests.factories import TaskFactory
from testing.commands import failure, run_command, success

pytestmark = pytest.mark.django_db


def assign(*options, old_owner="default", new_owner="alice"):
    return run_command("assign_tasks", "--from", old_owner, "--to", new_owner, *options)


def test_all_tasks_of_old_owner_change_owner(stored):
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    TaskFactory(foreign=True)
    TaskFactory(user_id="Default")
    before = stored()
    assert assign() == success("Assigned 4 tasks of default to alice\n")
    for old, new in zip(before, stored(), strict=True):
        if old["user_id"] == "default":
            moved = {name: new[name] for name in ("updated_at", *Task.TRIGGER_FIELDS)}
            assert new == {**old, "user_id": "alice", "version": 2, **moved}
            assert new["updated_at"] > old["updated_at"]
        else:
            assert new == old


def test_new_owner_sees_assigned_tasks(client_of):
    task, trashed = TaskFactory(), TaskFactory(trashed=True)
    assign()
    for path, assigned in (("/api/tasks", task), ("/api/tasks/trash", trashed)):
        body = json.loads(client_of("alice").get(path).getvalue())
        assert body == [task_body(Task.objects.get(id=assigned.id))]
        assert json.loads(client_of("default").get(path).getvalue()) == []


def test_dry_run_counts_and_assigns_nothing(stored):
    TaskFactory.create_batch(2)
    before = stored()
    assert assign("--dry-run") == success("Would assign 2 tasks of default to alice\n")
    assert stored() == before


def test_second_run_assigns_nothing(stored):
    TaskFactory()
    assert assign() == success("Assigned 1 task of default to alice\n")
    before = stored()
    assert assign() == success("Assigned 0 tasks of default to alice\n")
    assert stored() == before


def test_each_batch_is_one_statement():
    TaskFactory.create_batch(5)
    with CaptureQueriesContext(connection) as queries:
        assert assign("--batch-size=2") == success("Assigned 5 tasks of default to alice\n")
    assert [query["sql"].split()[0] for query in queries if "UPDATE" in query["sql"]] == ["UPDATE"] * 4
    assert {task.user_id for task in Task.objects.all()} == {"alice"}


def test_interrupted_run_continues_with_next_run():
    TaskFactory.create_batch(3)
    updates = []

    def interrupt(execute, sql, params, many, context):
        updates.extend([sql] if sql.startswith("UPDATE") else [])
        if len(updates) == 2:
            raise KeyboardInterrupt
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupt):
        assert assign("--batch-size=2") == failure("Interrupted; finished batches stay", 130)
    assert assign("--batch-size=2") == success("Assigned 1 task of default to alice\n")
    assert [(task.user_id, task.version) for task in Task.objects.all()] == [("alice", 2)] * 3


def test_old_owner_that_no_token_names_accepted():
    TaskFactory(user_id="two words")
    assert assign(old_owner="two words") == success("Assigned 1 task of two words to alice\n")


NEW_OWNER_RULE = "Error: argument --to: must be 1 to 255 visible ASCII characters"
OLD_OWNER_RULE = "Error: argument --from: must be a user id of 1 to 255 characters"


@pytest.mark.parametrize(
    ("owners", "reason", "code"),
    [
        ({"new_owner": "default"}, "--from and --to are the same user", 2),
        *(({"new_owner": owner}, NEW_OWNER_RULE, 1) for owner in ("", "al ice", "älice", "a" * 256)),
        *(({"old_owner": owner}, OLD_OWNER_RULE, 1) for owner in ("", "\udcff")),
    ],
    ids=ascii,
)
def test_impossible_owners_refused(stored, owners, reason, code):
    TaskFactory()
    before = stored()
    assert assign(**owners) == failure(reason, code)
    assert stored() == before
