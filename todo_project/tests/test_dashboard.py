"""The figures of the operators' front page."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from tasks.models import Task
from tasks.tests.factories import TaskFactory
from tasks.totals import Total
from todo_project import dashboard
from todo_project.dashboard import Chart, Day, take_figures

pytestmark = pytest.mark.django_db

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite estimates nothing")
ON_SQLITE = pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL estimates")


@pytest.fixture(autouse=True)
def _forget():
    cache.clear()
    yield
    cache.clear()


def midnight(days=0):
    """The beginning of the day, so many days ago."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def make(created, updated=None, **values):
    return TaskFactory(created_at=created, updated_at=updated or created, **values)


def days_of(taken):
    return {day.date: (day.created, day.completed) for day in taken.days if day.created or day.completed}


def test_totals_of_a_few_tasks_are_counted():
    make(midnight(40))
    make(midnight(3), completed=True)
    make(midnight(3), deleted_at=midnight(2))
    make(midnight(3), deleted_at=midnight(1), completed=True)
    taken = take_figures()
    assert (taken.live, taken.completed, taken.trashed) == (Total(2), Total(1), Total(2))
    assert (taken.oldest_trash, taken.exact) == (midnight(2), True)
    assert taken.size > 10_000
    assert timezone.now() - taken.taken_at < timedelta(seconds=10)


def test_each_of_30_days_has_its_tasks():
    second = timedelta(seconds=1)
    make(midnight(30))
    make(midnight(29))
    make(midnight(5) - second)
    make(midnight(5), deleted_at=midnight())
    make(midnight(5) + timedelta(days=1) - timedelta(microseconds=1))
    make(midnight(8), updated=midnight(2), completed=True)
    make(midnight(60), updated=midnight(2), completed=True)
    make(midnight(60), updated=midnight(2), completed=True, deleted_at=midnight(2))
    taken = take_figures()
    assert [day.date for day in taken.days] == [midnight(back).date() for back in reversed(range(30))]
    assert days_of(taken) == {
        midnight(29).date(): (1, 0),
        midnight(8).date(): (1, 0),
        midnight(6).date(): (1, 0),
        midnight(5).date(): (2, 0),
        midnight(2).date(): (0, 2),
    }


def test_figures_take_few_queries(django_assert_num_queries):
    TaskFactory()
    with django_assert_num_queries(5):
        take_figures()


def test_figures_are_kept_for_a_minute(django_assert_num_queries, monkeypatch):
    assert dashboard.figures().live == Total(0)
    TaskFactory()
    with django_assert_num_queries(0):
        assert dashboard.figures().live == Total(0)
    monkeypatch.setattr("django.core.cache.backends.locmem.time.time", lambda: timezone.now().timestamp() + 61)
    assert dashboard.figures().live == Total(1)


def plan_in_parallel():
    """As PostgreSQL does of tables that are large enough."""
    with connection.cursor() as cursor:
        for cost in ("min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"):
            cursor.execute(f"SET LOCAL {cost} = 0")


@ON_POSTGRESQL
@pytest.mark.parametrize("parallel", [False, True])
def test_many_tasks_are_estimated_by_one_statement(parallel, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(dashboard, "COUNTED", 100)
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
        taken = take_figures()
    assert (str(taken.live), str(taken.completed), taken.exact) == ("about 4,000", "about 1,000", False)
    assert days_of(taken) == {midnight(1).date(): (4000, 1000)}


@ON_SQLITE
def test_many_tasks_are_more_than_were_counted(monkeypatch):
    monkeypatch.setattr(dashboard, "COUNTED", 2)
    TaskFactory.create_batch(3)
    taken = take_figures()
    assert (str(taken.live), str(taken.completed), str(taken.trashed)) == ("more than 3", "more than 0", "more than 0")
    assert days_of(taken) == {midnight().date(): (3, None)}


# The chart.


def test_bars_stand_side_by_side_on_the_ground():
    days = [Day(midnight(1).date(), 10, 5), Day(midnight().date(), 0, None)]
    assert [tuple(bar) for bar in Chart(days).bars()] == [
        ("created", 2, 0, 178, 200, f"{days[0].date}: 10 created"),
        ("completed", 180, 100, 178, 100, f"{days[0].date}: 5 completed"),
        ("created", 362, 200, 178, 0, f"{days[1].date}: 0 created"),
    ]


def test_a_chart_of_nothing_is_flat():
    assert {bar.height for bar in Chart([Day(midnight().date(), 0, 0)]).bars()} == {0}
