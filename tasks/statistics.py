"""How many tasks there are, and how many come, are completed and go, a day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.db.models import CharField, Count, Q
from django.db.models.functions import Cast, Substr

from tasks.models import LIVE, TRASHED, TaskQuerySet


class Totals(NamedTuple):
    tasks: int
    live: int
    completed: int
    trashed: int


class Day(NamedTuple):
    """A day in UTC.

    Attributes:
        created: tasks made on it, those in the trash too.
        completed: live tasks that are completed and were last written on it; when a task was completed is not kept.
        trashed: tasks in the trash since that day.
    """

    date: date
    created: int
    completed: int
    trashed: int


def totals(tasks: TaskQuerySet) -> Totals:
    """All, the live ones, of these the completed ones, and those in the trash."""
    return Totals(
        **tasks.order_by().aggregate(
            tasks=Count("*"),
            live=Count("pk", filter=LIVE),
            completed=Count("pk", filter=LIVE & Q(completed=True)),
            trashed=Count("pk", filter=TRASHED),
        )
    )


def days_up_to(tasks: TaskQuerySet, number: int, last: date) -> Iterator[Day]:
    """The ``number`` days up to ``last``, oldest first, those without a task too."""
    first = last - timedelta(days=number - 1)
    created = by_day(tasks, "created_at", first)
    completed = by_day(tasks.live().filter(completed=True), "updated_at", first)
    trashed = by_day(tasks, "deleted_at", first)
    for offset in range(number):
        day = first + timedelta(days=offset)
        yield Day(day, created.get(day, 0), completed.get(day, 0), trashed.get(day, 0))


def by_day(tasks: TaskQuerySet, column: str, first: date) -> dict[date, int]:
    """How many of the tasks have their ``column`` on each day since ``first``.

    Both databases write a time with its day, in UTC, in front; to truncate it costs SQLite a call of Python a task.
    """
    since = tasks.filter(**{f"{column}__gte": datetime.combine(first, time(), UTC)})
    day = Substr(Cast(column, CharField()), 1, len("2026-01-11"))
    counted = since.order_by().annotate(day=day).values_list("day").annotate(number=Count("pk"))
    return {date.fromisoformat(day): number for day, number in counted}
