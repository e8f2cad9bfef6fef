"""Numbers of tasks: counted up to a limit, and estimated beyond it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tasks import statistics
from tasks.models import Task
from tasks.statistics import TaskCount, TaskTotals, collect_statistics
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no estimates")
ON_SQLITE = pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL has estimates")


def midnight(days_ago=0):
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


def create(created, updated=None, **values):
    return TaskFactory(created_at=created, updated_at=updated or created, **values)


def daily_numbers(collected):
    """Return the created and completed tasks of each day that has any."""
    return {day.date: (day.created, day.completed) for day in collected.days if day.created or day.completed}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (TaskCount(0), "0 tasks"),
        (TaskCount(1), "1 task"),
        (TaskCount(1000), "1,000 tasks"),
        (TaskCount(1000, statistics.ABOUT), "about 1,000 tasks"),
    ],
)
def test_count_as_text_has_its_precision_and_noun(count, text):
    assert str(count) == text


def test_few_tasks_are_counted():
    create(midnight(40))
    create(midnight(3), completed=True)
    create(midnight(3), deleted_at=midnight(2))
    create(midnight(3), deleted_at=midnight(1), completed=True)
    collected = collect_statistics(30)
    assert collected.totals == TaskTotals(live=TaskCount(2), completed=TaskCount(1), trashed=TaskCount(2))
    assert (collected.oldest_in_trash, collected.is_estimated) == (midnight(2), False)
    assert collected.database_size > 10_000
    assert timezone.now() - collected.collected_at < timedelta(seconds=10)


def test_each_day_has_its_tasks():
    microsecond = timedelta(microseconds=1)
    create(midnight(30))
    create(midnight(29))
    create(midnight(5) - microsecond)
    create(midnight(5), deleted_at=midnight())
    create(midnight(4) - microsecond)
    create(midnight(8), updated=midnight(2), completed=True)
    create(midnight(60), updated=midnight(2), completed=True)
    create(midnight(60), updated=midnight(2), completed=True, deleted_at=midnight(2))
    collected = collect_statistics(30)
    assert [day.date for day in collected.days] == [midnight(days).date() for days in reversed(range(30))]
    assert daily_numbers(collected) == {
        midnight(29).date(): (1, 0),
        midnight(8).date(): (1, 0),
        midnight(6).date(): (1, 0),
        midnight(5).date(): (2, 0),
        midnight(2).date(): (0, 2),
    }


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda tasks: tasks.change(title="Changed"), id="title"),
        pytest.param(lambda tasks: tasks.change(priority=3), id="priority"),
        pytest.param(lambda tasks: tasks.change(completed=True), id="completed again"),
        pytest.param(lambda tasks: tasks.move_to_trash() and tasks.restore(), id="trashed and restored"),
    ],
)
def test_later_write_keeps_completed_per_day(write):
    create(midnight(20), updated=midnight(9), completed=True)
    create(midnight(20), updated=midnight(2), completed=True)
    assert write(Task.objects.all()) == 2
    assert {task.updated_at.date() for task in Task.objects.all()} == {datetime.now(UTC).date()}
    assert daily_numbers(collect_statistics(30)) == {
        midnight(20).date(): (2, 0),
        midnight(9).date(): (0, 1),
        midnight(2).date(): (0, 1),
    }


def test_second_toggle_moves_completed_to_today():
    create(midnight(20), updated=midnight(9), completed=True)
    assert Task.objects.toggle() == Task.objects.toggle() == 1
    assert daily_numbers(collect_statistics(30)) == {midnight(20).date(): (1, 0), midnight().date(): (0, 1)}


def test_statistics_take_5_queries(django_assert_num_queries):
    TaskFactory()
    with django_assert_num_queries(5):
        collect_statistics(30)


def plan_in_parallel():
    """Make PostgreSQL plan as it does for a large table."""
    with connection.cursor() as cursor:
        for cost in ("min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"):
            cursor.execute(f"SET LOCAL {cost} = 0")


@ON_POSTGRESQL
@pytest.mark.parametrize("parallel", [False, True])
def test_many_tasks_are_estimated_with_one_statement(parallel, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(statistics, "EXACT_LIMIT", 100)
    now = midnight(1) + timedelta(hours=1)
    Task.objects.bulk_create(
        Task(user_id="default", title="Task", created_at=now, updated_at=now, completed=number % 4 == 0)
        for number in range(4000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    if parallel:
        plan_in_parallel()
    with django_assert_num_queries(4):
        collected = collect_statistics(30)
    totals = collected.totals
    assert [str(totals.live), str(totals.completed)] == ["about 4,000 tasks", "about 1,000 tasks"]
    assert collected.is_estimated
    assert daily_numbers(collected) == {midnight(1).date(): (4000, 1000)}


@ON_SQLITE
def test_many_tasks_without_estimates_are_partly_counted(monkeypatch):
    monkeypatch.setattr(statistics, "EXACT_LIMIT", 2)
    TaskFactory.create_batch(3)
    collected = collect_statistics(30)
    assert [str(count) for count in collected.totals] == ["at least 3 tasks", "at least 0 tasks", "at least 0 tasks"]
    assert daily_numbers(collected) == {midnight().date(): (3, None)}
