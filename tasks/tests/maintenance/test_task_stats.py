"""``manage.py task_stats``: totals, and the created, completed and trashed tasks per day."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection

from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from testing.commands import failure, run_command, success

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    now = datetime(2026, 1, 11, 0, 0, 1, tzinfo=UTC)
    monkeypatch.setattr("tasks.statistics.timezone.now", lambda: now)


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


def test_table_has_the_totals_and_each_day(tasks):
    assert run_command("task_stats", "--days=4") == success(
        "5 tasks: 4 live, 1 of them completed, 1 in the trash\n"
        "\n"
        "date          created  completed    trashed\n"
        "2026-01-08          0          0          0\n"
        "2026-01-09          3          0          0\n"
        "2026-01-10          0          1          0\n"
        "2026-01-11          1          0          1\n"
    )


EMPTY_MONTH = [day(f"2025-12-{number}", 0, 0, 0) for number in range(13, 32)] + [
    day(f"2026-01-{number:02}", 0, 0, 0) for number in range(1, 12)
]


@pytest.mark.parametrize(
    ("options", "user", "totals", "days"),
    [
        (
            ["--days=2"],
            None,
            {"tasks": 5, "live": 4, "completed": 1, "trashed": 1},
            [day("2026-01-10", 0, 1, 0), day("2026-01-11", 1, 0, 1)],
        ),
        (
            ["--days=1", "--user", SOMEBODY_ELSE],
            SOMEBODY_ELSE,
            {"tasks": 1, "live": 1, "completed": 0, "trashed": 0},
            [day("2026-01-11", 1, 0, 0)],
        ),
        (["--user=nobody"], "nobody", {"tasks": 0, "live": 0, "completed": 0, "trashed": 0}, EMPTY_MONTH),
    ],
    ids=["all", "one-user", "no-task"],
)
def test_json_has_the_totals_and_each_day(tasks, options, user, totals, days):
    result = run_command("task_stats", "--json", *options)
    assert (result.err, result.code) == ("", 0)
    assert json.loads(result.out) == {"user_id": user, "totals": totals, "days": days}


def test_any_number_of_days_takes_4_queries(tasks, django_assert_num_queries):
    role = connection.vendor == "postgresql"  # one more query, which asks whether the role sees all tasks
    for days in (1, 300):
        with django_assert_num_queries(role + 4, connection=connection):
            run_command("task_stats", f"--days={days}")


@pytest.mark.parametrize("days", ["0", "3661", "x"])
def test_invalid_number_of_days_is_refused(days):
    refusal = failure("Error: argument --days: must be a whole number from 1 to 3660", 1)
    assert run_command("task_stats", f"--days={days}") == refusal
