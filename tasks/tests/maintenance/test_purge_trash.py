"""``manage.py purge_trash``."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from changes.models import Removal
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.tests.factories import TaskFactory
from testing.commands import failure, run_command, success

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("tasks.management.commands.purge_trash.timezone.now", lambda: NOON)


def trashed(**ago):
    return TaskFactory(created_at=NOON - timedelta(days=400), deleted_at=NOON - timedelta(**ago))


def removal(**ago):
    """Remember a task that was removed some time ago."""
    return Removal.objects.create(
        user_id="default", row_id=uuid7(), change_number=1, removed_at=NOON - timedelta(**ago)
    )


@pytest.mark.parametrize(
    ("options", "age"),
    [((), {"days": 30}), (("--older-than=12h",), {"hours": 12}), (("--older-than=0s",), {})],
    ids=["default", "12h", "0s"],
)
def test_only_tasks_trashed_longer_ago_are_removed(stored, options, age):
    trashed(**age, microseconds=1)
    trashed(days=300)
    kept = {trashed(**age).id, TaskFactory(created_at=NOON - timedelta(days=400)).id}
    before = stored()
    assert run_command("purge_trash", *options) == success("Removed 2 tasks and forgot 0 removals\n")
    assert stored() == [row for row in before if row["id"] in kept]
    assert run_command("purge_trash", *options) == success("Removed 0 tasks and forgot 0 removals\n")


def test_dry_run_counts_and_removes_nothing(stored):
    trashed(days=31)
    before = stored()
    assert run_command("purge_trash", "--dry-run") == success("Would remove 1 task and forget 0 removals\n")
    assert stored() == before


def test_each_batch_is_two_statements(django_assert_num_queries):
    for _ in range(5):
        trashed(days=31)
    row_security = connection.vendor == "postgresql"  # one query asks for it
    with django_assert_num_queries(
        row_security + 7, connection=connection
    ):  # three batches: the ids, and the removal; the removals
        assert run_command("purge_trash", "--batch-size=2") == success("Removed 5 tasks and forgot 0 removals\n")


def test_task_restored_before_its_batch_is_removed_stays(monkeypatch):
    task, _ = trashed(days=31), trashed(days=31)
    in_batches = TaskQuerySet.in_batches

    def restore_before_batch(tasks, size):
        for batch in in_batches(tasks, size):
            Task.objects.filter(id=task.id).restore()
            yield batch

    monkeypatch.setattr(TaskQuerySet, "in_batches", restore_before_batch)
    assert run_command("purge_trash") == success("Removed 1 task and forgot 0 removals\n")
    assert [live.id for live in Task.objects.live()] == [task.id]


def test_malformed_age_refused(stored):
    trashed(days=31)
    before = stored()
    assert run_command("purge_trash", "--older-than=30") == failure(
        "Error: argument --older-than: must be a number and a unit (w, d, h, m or s), at most 36500d: 30d, 12h", 1
    )
    assert stored() == before


def test_old_removals_are_forgotten():
    for days in (90, 91, 400):
        removal(days=days)
    assert run_command("purge_trash", "--dry-run") == success("Would remove 0 tasks and forget 2 removals\n")
    assert run_command("purge_trash", "--forget-after=200d") == success("Removed 0 tasks and forgot 1 removal\n")
    assert run_command("purge_trash") == success("Removed 0 tasks and forgot 1 removal\n")
    assert Removal.objects.count() == 1


def test_shorter_memory_than_promised_is_refused():
    removal(days=91)
    assert run_command("purge_trash", "--forget-after=89d") == failure(
        "Error: argument --forget-after: must be at least 90d, because the API remembers removals so long", 1
    )
    assert Removal.objects.count() == 1


def test_verbosity_0_prints_nothing():
    assert run_command("purge_trash", "--verbosity=0") == success("")
