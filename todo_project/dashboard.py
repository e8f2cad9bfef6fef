"""The front page of the admin: the cached statistics of the tasks, and the geometry of the chart."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple, cast

from django.core.cache import cache

from tasks.statistics import DailyCounts, TaskStatistics, collect_statistics

#: The days of the chart, up to today.
DAYS = 30

CACHE_SECONDS = 60


def build_context() -> dict[str, Any]:
    """Return the ``statistics``, which are at most a minute old, and the ``chart`` for the template."""
    cached = cache.get_or_set("todo_project.dashboard", lambda: collect_statistics(DAYS), CACHE_SECONDS)
    statistics = cast("TaskStatistics", cached)
    return {"statistics": statistics, "chart": Chart(statistics.days)}


class Bar(NamedTuple):
    """A rectangle of the chart, and its tooltip."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    tooltip: str


class Chart:
    """The bars of the days in a picture of ``width`` by ``height`` units."""

    width = 720
    height = 200
    gap = 4

    def __init__(self, days: list[DailyCounts]) -> None:
        self.days = days
        self.maximum = max(1, *(max(day.created, day.completed or 0) for day in days))

    def bars(self) -> Iterator[Bar]:
        """Yield two bars for each day, side by side; a number that was not counted has no bar."""
        step = self.width / len(self.days)
        width = (step - self.gap) / 2
        for position, day in enumerate(self.days):
            left = position * step + self.gap / 2
            yield self._bar("created", left, width, day.created, day.date)
            if day.completed is not None:
                yield self._bar("completed", left + width, width, day.completed, day.date)

    def _bar(self, kind: str, x: float, width: float, number: int, day: date) -> Bar:
        height = round(self.height * number / self.maximum, 1)
        tooltip = f"{day}: {number:,} {kind}"
        return Bar(kind, round(x, 1), round(self.height - height, 1), round(width, 1), height, tooltip)
