"""Sets of tasks by their due date: what is over, and what is due on some days."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")

#: The clocks show 18:30 in Berlin, 09:30 in Los Angeles, and 02:30 of the next day in Tokyo.
NOW = datetime(2026, 12, 24, 17, 30, tzinfo=UTC)

OVER = [
    "0001-01-01",
    "2026-12-23",
    "2026-12-23T23:59:59",
    "2026-12-24T00:00:00",
    "2026-12-24T18:29:59",
    "2026-12-24T17:29:59Z",
    "2026-12-24T18:29:59[Europe/Berlin]",
    "2026-12-25T02:29:59[Asia/Tokyo]",
    "2026-12-24T09:29:59[America/Los_Angeles]",
    "2026-12-24T17:29:59[UTC]",
]
NOT_OVER = [
    None,
    "2026-12-24",
    "2026-12-24T18:30:00",
    "2026-12-24T17:30:00Z",
    "2026-12-24T18:30:00[Europe/Berlin]",
    "2026-12-25T02:30:00[Asia/Tokyo]",
    "2026-12-24T09:30:00[America/Los_Angeles]",
    "2026-12-24T17:30:00[UTC]",
    "2026-12-25",
    "9999-12-31T23:59:59Z",
]


def dues(tasks):
    return [task.due for task in tasks.order_by("id")]


def test_overdue_compares_each_form_with_its_clock():
    for due in OVER + NOT_OVER:
        TaskFactory(due=due)
    assert dues(Task.objects.overdue(NOW, BERLIN)) == OVER


def test_completed_task_is_not_overdue():
    TaskFactory(due="2026-12-23", completed=True)
    assert dues(Task.objects.overdue(NOW, BERLIN)) == []


def test_day_of_another_time_zone_is_over_earlier():
    TaskFactory(due="2026-12-24")
    TaskFactory(due="2026-12-25T02:00:00")
    assert dues(Task.objects.overdue(NOW, ZoneInfo("Asia/Tokyo"))) == ["2026-12-24", "2026-12-25T02:00:00"]


ON_THE_DAY = [
    "2026-12-24",
    "2026-12-24T00:00:00",
    "2026-12-24T23:59:59",
    "2026-12-23T23:00:00Z",
    "2026-12-24T22:59:59Z",
    "2026-12-24T00:00:00[Europe/Berlin]",
    "2026-12-24T08:00:00[Asia/Tokyo]",
    "2026-12-25T07:59:59[Asia/Tokyo]",
]
ANOTHER_DAY = [
    None,
    "2026-12-23",
    "2026-12-23T23:59:59",
    "2026-12-23T22:59:59Z",
    "2026-12-24T23:00:00Z",
    "2026-12-25",
    "2026-12-25T00:00:00",
    "2026-12-24T07:59:59[Asia/Tokyo]",
    "2026-12-25T08:00:00[Asia/Tokyo]",
]


def test_day_begins_and_ends_by_the_given_time_zone():
    for due in ON_THE_DAY + ANOTHER_DAY:
        TaskFactory(due=due)
    assert dues(Task.objects.due_on(date(2026, 12, 24), 1, BERLIN)) == ON_THE_DAY


def test_number_of_days_includes_the_first_and_the_last():
    for day in range(23, 32):
        TaskFactory(due=f"2026-12-{day}")
    week = Task.objects.due_on(date(2026, 12, 24), 7, BERLIN)
    assert dues(week) == [f"2026-12-{day}" for day in range(24, 31)]
