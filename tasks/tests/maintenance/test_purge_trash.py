"""``manage.py purge_trash``: what has been in the trash for long goes for good, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tasks.models import Task, TaskQuerySet
from tasks.tests.factories import TaskFactory
from testing.commands import Ended, done, run

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("tasks.management.commands.purge_trash.timezone.now", lambda: NOON)


def trashed(**ago):
    return TaskFactory(created_at=NOON - timedelta(days=400), deleted_at=NOON - timedelta(**ago))


def test_it_removes_what_has_been_in_the_trash_for_30_days(stored):
    trashed(days=30, microseconds=1)
    trashed(days=300)
    kept = [trashed(days=30), trashed(days=1), TaskFactory(created_at=NOON - timedelta(days=400))]
    before = stored()
    assert run("purge_trash") == done("Removed 2 tasks\n")
    assert stored() == [row for row in before if row["id"] in {task.id for task in kept}]


@pytest.mark.parametrize(
    ("age", "ago"),
    [
        ("2w", {"weeks": 2}),
        ("1d", {"days": 1}),
        ("12h", {"hours": 12}),
        ("45m", {"minutes": 45}),
        ("90s", {"seconds": 90}),
        ("0s", {}),
    ],
)
def test_the_age_is_for_the_operator_to_say(age, ago):
    old = NOON - timedelta(**ago)
    TaskFactory(deleted_at=old - MICROSECOND)
    kept = TaskFactory(deleted_at=old)
    assert run("purge_trash", "--older-than", age) == done("Removed 1 task\n")
    assert list(Task.objects.all()) == [kept]


def test_a_dry_run_says_how_many_and_removes_none(stored):
    trashed(days=31)
    before = stored()
    assert run("purge_trash", "--dry-run") == done("Would remove 1 task\n")
    assert stored() == before


def test_a_second_run_finds_nothing():
    trashed(days=31)
    run("purge_trash")
    assert run("purge_trash") == done("Removed 0 tasks\n")


def test_it_works_in_batches(django_assert_num_queries):
    for _ in range(5):
        trashed(days=31)
    role = connection.vendor == "postgresql"  # whether it is one that sees all tasks
    with django_assert_num_queries(role + 6, connection=connection):  # of 2, 2 and 1: their ids, and the tasks
        assert run("purge_trash", "--batch-size=2") == done("Removed 5 tasks\n")


def test_a_task_that_is_restored_meanwhile_stays(monkeypatch):
    """Between the look at which tasks make a batch and its removal."""
    task, _ = trashed(days=31), trashed(days=31)
    batches = TaskQuerySet.in_batches

    def restoring(tasks, size):
        for batch in batches(tasks, size):
            Task.objects.filter(id=task.id).restore()
            yield batch

    monkeypatch.setattr(TaskQuerySet, "in_batches", restoring)
    assert run("purge_trash") == done("Removed 1 task\n")
    assert [left.id for left in Task.objects.live()] == [task.id]


@pytest.mark.parametrize("age", ["", "30", "d", "-1d", "1.5d", "1y", "36501d", "9999999999d", "999999999w", "٣d"])
def test_an_age_that_is_none_is_refused(stored, age):
    trashed(days=31)
    before = stored()
    assert run("purge_trash", f"--older-than={age}") == Ended(
        "",
        "CommandError: Error: argument --older-than: "
        "must be a number and one of w, d, h, m, s, up to 36500d: 30d, 12h\n",
        1,
    )
    assert stored() == before


@pytest.mark.parametrize("size", ["0", "10001", "-1", "x", ""])
def test_a_batch_is_of_1_to_10000(size):
    refusal = "CommandError: Error: argument --batch-size: must be a whole number from 1 to 10000\n"
    assert run("purge_trash", f"--batch-size={size}") == Ended("", refusal, 1)


def test_nothing_is_printed_if_so_asked():
    assert run("purge_trash", "--verbosity=0") == done("")
