"""How the service is doing, in figures for its operators' front page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, cast

from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Min, Q
from django.utils import timezone

from tasks.models import LIVE, TRASHED, Task, TaskQuerySet
from tasks.statistics import by_day
from tasks.totals import ABOUT, EXACTLY, MORE_THAN, Total, can_estimate, estimates

#: Days of the chart, the last of which is today.
DAYS = 30

#: Up to so many tasks everything is counted.
COUNTED = 100_000

KEPT_SECONDS = 60

SIZE = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}


class Day(NamedTuple):
    """Tasks made on a day, and those that are completed and were last written on it; ``None`` where not counted."""

    date: date
    created: int
    completed: int | None


@dataclass(frozen=True)
class Figures:
    live: Total
    completed: Total
    trashed: Total
    days: list[Day]
    #: Whether the days are counted, or estimated from the database's statistics.
    exact: bool
    oldest_trash: datetime | None
    #: In bytes.
    size: int
    taken_at: datetime

    @property
    def chart(self) -> "Chart":
        return Chart(self.days)


def figures() -> Figures:
    """The figures, a minute old at most."""
    return cast("Figures", cache.get_or_set("todo_project.dashboard", take_figures, KEPT_SECONDS))


def take_figures() -> Figures:
    first = Task.objects.order_by().values("pk", "completed", "deleted_at")[: COUNTED + 1]
    live, completed, trashed = first.aggregate(
        live=Count("pk", filter=LIVE),
        completed=Count("pk", filter=LIVE & Q(completed=True)),
        trashed=Count("pk", filter=TRASHED),
    ).values()
    everything = live + trashed <= COUNTED
    if not everything and can_estimate(Task.objects.all()):
        return _figures(*_estimated(), exact=False)
    totals = [Total(number, EXACTLY if everything else MORE_THAN) for number in (live, completed, trashed)]
    return _figures(totals, list(_counted_days(with_completed=everything)), exact=True)


def _figures(totals: list[Total], days: list[Day], *, exact: bool) -> Figures:
    oldest = Task.objects.in_trash().aggregate(oldest=Min("deleted_at"))["oldest"]
    with connection.cursor() as cursor:
        cursor.execute(SIZE[connection.vendor])
        [(size,)] = cursor.fetchall()
    live, completed, trashed = totals
    return Figures(live, completed, trashed, days, exact, oldest, size, timezone.now())


def _estimated() -> tuple[list[Total], list[Day]]:
    """All of them by one statement, which reads no task."""
    made = [Task.objects.filter(created_at__gte=day, created_at__lt=day + timedelta(days=1)) for day in _days()]
    done = [_completed().filter(updated_at__gte=day, updated_at__lt=day + timedelta(days=1)) for day in _days()]
    live, completed, trashed, *numbers = estimates(
        Task.objects.live(), _completed(), Task.objects.in_trash(), *made, *done
    )
    # The planner expects one task where there is none.
    numbers = [number if number > 1 else 0 for number in numbers]
    days = [Day(day.date(), *pair) for day, *pair in zip(_days(), numbers[:DAYS], numbers[DAYS:], strict=True)]
    return [Total(number, ABOUT) for number in (live, completed, trashed)], days


def _counted_days(*, with_completed: bool) -> Iterator[Day]:
    """Without an index on the last write of everybody's tasks, the completed ones take a look at each task."""
    [first, *_] = days = [day.date() for day in _days()]
    created = by_day(Task.objects.all(), "created_at", first)
    completed = by_day(_completed(), "updated_at", first) if with_completed else None
    for day in days:
        yield Day(day, created.get(day, 0), None if completed is None else completed.get(day, 0))


def _completed() -> TaskQuerySet:
    return Task.objects.live().filter(completed=True)


def _days() -> list[datetime]:
    """The beginnings of the last days, in UTC."""
    today = datetime.combine(timezone.now().astimezone(UTC), time(), tzinfo=UTC)
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


class Bar(NamedTuple):
    """A rectangle of the chart, and what it says."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    says: str


class Chart:
    """Where the bars of the days stand in a picture of ``width`` by ``height`` units."""

    width = 720
    height = 200
    gap = 4

    def __init__(self, days: list[Day]) -> None:
        self.days = days
        self.most = max(1, *(max(day.created, day.completed or 0) for day in days))

    def bars(self) -> Iterator[Bar]:
        step = self.width / len(self.days)
        for number, day in enumerate(self.days):
            left, width = number * step + self.gap / 2, (step - self.gap) / 2
            yield self._bar("created", left, width, day.created, day.date)
            if day.completed is not None:
                yield self._bar("completed", left + width, width, day.completed, day.date)

    def _bar(self, kind: str, x: float, width: float, number: int, day: date) -> Bar:
        height = round(self.height * number / self.most, 1)
        says = f"{day}: {number:,} {kind}"
        return Bar(kind, round(x, 1), round(self.height - height, 1), round(width, 1), height, says)
