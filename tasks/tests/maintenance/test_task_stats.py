"""``manage.py task_stats``: totals, and what came, was completed and went a day."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection

from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from testing.commands import Ended, done, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = datetime(2026, 1, 11, 0, 0, 1, tzinfo=UTC)
    monkeypatch.setattr("tasks.management.commands.task_stats.timezone.now", lambda: now)


def at(day, hour=12):
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.fixture
def tasks():
    TaskFactory(created_at=at(1))
    TaskFactory(created_at=at(9, 0))
    TaskFactory(created_at=at(9, 23), updated_at=at(10), completed=True)
    TaskFactory(created_at=at(9), updated_at=at(11, 0), deleted_at=at(11, 0), completed=True)
    TaskFactory(created_at=at(11, 0), foreign=True)


def day(date, created, completed, trashed):
    return {"date": date, "created": created, "completed": completed, "trashed": trashed}


def test_for_a_person(tasks):
    assert run("task_stats", "--days=4") == done(
        "5 tasks: 4 live, 1 of them completed, 1 in the trash\n"
        "\n"
        "date          created  completed    trashed\n"
        "2026-01-08          0          0          0\n"
        "2026-01-09          3          0          0\n"
        "2026-01-10          0          1          0\n"
        "2026-01-11          1          0          1\n"
    )


def test_for_a_program(tasks):
    ended = run("task_stats", "--days=2", "--json")
    assert (ended.err, ended.code) == ("", 0)
    assert json.loads(ended.out) == {
        "user_id": None,
        "totals": {"tasks": 5, "live": 4, "completed": 1, "trashed": 1},
        "days": [day("2026-01-10", 0, 1, 0), day("2026-01-11", 1, 0, 1)],
    }


def test_of_one_user(tasks):
    assert json.loads(run("task_stats", "--days=1", "--json", "--user", SOMEBODY_ELSE).out) == {
        "user_id": SOMEBODY_ELSE,
        "totals": {"tasks": 1, "live": 1, "completed": 0, "trashed": 0},
        "days": [day("2026-01-11", 1, 0, 0)],
    }


def test_of_no_task():
    assert json.loads(run("task_stats", "--json").out) == {
        "user_id": None,
        "totals": {"tasks": 0, "live": 0, "completed": 0, "trashed": 0},
        "days": [day(f"2025-12-{date}", 0, 0, 0) for date in range(13, 32)]
        + [day(f"2026-01-{date:02}", 0, 0, 0) for date in range(1, 12)],
    }


def test_it_asks_four_times_however_many_days_there_are(tasks, django_assert_num_queries):
    role = connection.vendor == "postgresql"  # whether it is one that sees all tasks
    for days in (1, 300):
        with django_assert_num_queries(role + 4, connection=connection):
            run("task_stats", f"--days={days}")


@pytest.mark.parametrize("days", ["0", "3661", "x"])
def test_days_that_are_none_are_refused(days):
    refusal = "CommandError: Error: argument --days: must be a whole number from 1 to 3660\n"
    assert run("task_stats", f"--days={days}") == Ended("", refusal, 1)
