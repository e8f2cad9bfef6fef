"""Numbers of tasks, in total and per day: counted up to a limit, and estimated above."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.db import connections
from django.db.models import CharField, Count, Func, IntegerField, Min, Q
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from tasks.models import Task
from tasks.querysets import LIVE, TRASHED, TaskQuerySet

#: The precision of a number of tasks.
EXACT = ""
ABOUT = "about "
MORE_THAN = "more than "
AT_LEAST = "at least "

#: Count this many tasks exactly, because counting more takes too long for a page.
EXACT_LIMIT = 100_000

DATABASE_SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}


class TaskCount(NamedTuple):
    """A number of tasks and its precision; as text, “about 1,000 tasks”."""

    number: int
    precision: str = EXACT

    @property
    def amount(self) -> str:
        """Return the number without the noun: “about 1,000”."""
        return f"{self.precision}{self.number:,}"

    def __str__(self) -> str:
        return f"{self.amount} task{'' if self.number == 1 else 's'}"


class TaskTotals(NamedTuple):
    """The numbers of live tasks, of completed live tasks, and of tasks in the trash."""

    live: TaskCount
    completed: TaskCount
    trashed: TaskCount

    @property
    def all(self) -> int:
        """Return the number of live and trashed tasks."""
        return self.live.number + self.trashed.number


class DailyCounts(NamedTuple):
    """The numbers of tasks of one day in UTC; ``None`` is a number that was not counted.

    Attributes:
        created: tasks created on the day, including tasks that are now in the trash.
        completed: completed live tasks that were completed on the day.
        trashed: tasks in the trash that were moved there on the day.
    """

    date: date
    created: int
    completed: int | None = None
    trashed: int | None = None


class DailyNumber(NamedTuple):
    """The definition of a number in ``DailyCounts``: the tasks to count, and the column with their date."""

    select: Callable[[TaskQuerySet], TaskQuerySet]
    column: str


def completed_tasks(tasks: TaskQuerySet) -> TaskQuerySet:
    """Return the completed tasks that are not in the trash."""
    return tasks.live().filter(completed=True)


# The completed tasks are those with completed_at. With a filter by completed too, PostgreSQL would multiply the two
# shares, and estimate too few.
DAILY_NUMBERS = {
    "created": DailyNumber(TaskQuerySet.all, "created_at"),
    "completed": DailyNumber(TaskQuerySet.live, "completed_at"),
    "trashed": DailyNumber(TaskQuerySet.in_trash, "deleted_at"),
}


@dataclass(frozen=True)
class TaskStatistics:
    """The statistics of everybody's tasks at one time; the size is in bytes."""

    totals: TaskTotals
    days: list[DailyCounts]
    oldest_in_trash: datetime | None
    database_size: int
    collected_at: datetime

    @property
    def is_estimated(self) -> bool:
        """Return whether the numbers are estimates."""
        return self.totals.live.precision == ABOUT


def collect_statistics(number_of_days: int) -> TaskStatistics:
    """Collect the statistics of everybody's tasks, with the last days up to today."""
    tasks = Task.objects.all()
    dates = last_dates(number_of_days)
    totals = count_totals(tasks, EXACT_LIMIT)
    if totals.live.precision == EXACT:
        days = count_daily(tasks, dates, ("created", "completed"))
    elif can_estimate(tasks):
        totals, days = estimate_totals_and_days(tasks, dates)
    else:
        # Counting the completed tasks would read every task, because completed_at has no index.
        days = count_daily(tasks, dates, ("created",))
    oldest_in_trash = tasks.in_trash().aggregate(oldest=Min("deleted_at"))["oldest"]
    return TaskStatistics(totals, days, oldest_in_trash, read_database_size(tasks), timezone.now())


def last_dates(number: int) -> list[date]:
    """Return the last dates in UTC up to today, oldest first."""
    today = timezone.now().astimezone(UTC).date()
    return [today - timedelta(days=days) for days in reversed(range(number))]


def count_totals(tasks: TaskQuerySet, limit: int | None = None) -> TaskTotals:
    """Count the tasks by state; with a ``limit``, count at most ``limit + 1`` tasks."""
    rows = tasks.order_by().values("pk", "completed", "deleted_at")
    rows = rows if limit is None else rows[: limit + 1]
    live, completed, trashed = rows.aggregate(
        live=Count("pk", filter=LIVE),
        completed=Count("pk", filter=LIVE & Q(completed=True)),
        trashed=Count("pk", filter=TRASHED),
    ).values()
    precision = EXACT if limit is None or live + trashed <= limit else AT_LEAST
    return TaskTotals(*(TaskCount(number, precision) for number in (live, completed, trashed)))


def count_daily(
    tasks: TaskQuerySet, dates: list[date], numbers: Iterable[str] = tuple(DAILY_NUMBERS)
) -> list[DailyCounts]:
    """Count the tasks of each date, for the given ``numbers`` of ``DailyCounts``."""
    counts = {name: count_by_date(tasks, DAILY_NUMBERS[name], dates[0]) for name in numbers}
    return [DailyCounts(day, **{name: by_date.get(day, 0) for name, by_date in counts.items()}) for day in dates]


def count_by_date(tasks: TaskQuerySet, daily: DailyNumber, first: date) -> dict[date, int]:
    """Count the tasks of each date from ``first`` on; a date without a task is absent."""
    since = daily.select(tasks).filter(**{f"{daily.column}__gte": midnight(first)})
    # A time as text begins with its UTC date on both databases. On SQLite, TruncDate would call Python for each row.
    day = Substr(Cast(daily.column, CharField()), 1, len("2026-01-11"))
    counts = since.order_by().annotate(day=day).values_list("day").annotate(number=Count("pk"))
    return {date.fromisoformat(day): number for day, number in counts}


def midnight(day: date) -> datetime:
    """Return the beginning of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def count_or_estimate(tasks: TaskQuerySet, limit: int) -> TaskCount:
    """Count up to ``limit`` tasks; estimate a higher number if the database can."""
    number = tasks.order_by()[: limit + 1].count()
    if number <= limit:
        return TaskCount(number)
    [estimated] = estimate(tasks) if can_estimate(tasks) else [0]
    return TaskCount(estimated, ABOUT) if estimated > limit else TaskCount(limit, MORE_THAN)


def can_estimate(tasks: TaskQuerySet) -> bool:
    """Return whether the database can estimate a number of rows."""
    return connections[tasks.db].vendor == "postgresql"


def estimate_totals_and_days(tasks: TaskQuerySet, dates: list[date]) -> tuple[TaskTotals, list[DailyCounts]]:
    """Estimate the totals, and the created and completed tasks of each date, with one statement."""
    sets_of_days = [tasks_of_day(tasks, DAILY_NUMBERS[name], day) for name in ("created", "completed") for day in dates]
    live, completed, trashed, *numbers = estimate(tasks.live(), completed_tasks(tasks), tasks.in_trash(), *sets_of_days)
    # For a day without tasks, PostgreSQL estimates one row.
    numbers = [number if number > 1 else 0 for number in numbers]
    days = zip(dates, numbers[: len(dates)], numbers[len(dates) :], strict=True)
    totals = TaskTotals(*(TaskCount(number, ABOUT) for number in (live, completed, trashed)))
    return totals, [DailyCounts(*day) for day in days]


def tasks_of_day(tasks: TaskQuerySet, daily: DailyNumber, day: date) -> TaskQuerySet:
    """Return the tasks that a daily number counts for one day."""
    bounds = {f"{daily.column}__gte": midnight(day), f"{daily.column}__lt": midnight(day + timedelta(days=1))}
    return daily.select(tasks).filter(**bounds)


def estimate(*querysets: TaskQuerySet) -> list[int]:
    """Return how many rows PostgreSQL's planner expects in each queryset; ``EXPLAIN`` reads no row."""
    # The first queryset appears twice, because the plan of a single queryset has no list of plans. PG_BACKEND_PID
    # prevents a parallel plan, because its list would have the share of one worker instead of one plan per queryset.
    serial = Func(function="PG_BACKEND_PID", output_field=IntegerField())
    first, *others = (tasks.order_by().values_list(serial) for tasks in (querysets[0], *querysets))
    [explained] = json.loads(first.union(*others, all=True).explain(format="json"))
    return [int(plan["Plan Rows"]) for plan in explained["Plan"]["Plans"][1:]]


def read_database_size(tasks: TaskQuerySet) -> int:
    """Return the size in bytes of the database that stores the tasks."""
    connection = connections[tasks.db]
    with connection.cursor() as cursor:
        cursor.execute(DATABASE_SIZE[connection.vendor])
        [(size,)] = cursor.fetchall()
    return int(size)
