"""The statistics of the front page: their cache and their chart."""

from datetime import date

import pytest
from django.core.cache import cache
from django.utils import timezone

from tasks.statistics import DailyCounts, TaskCount
from tasks.tests.factories import TaskFactory
from todo_project import dashboard
from todo_project.dashboard import Chart

FIRST, SECOND = date(2026, 1, 10), date(2026, 1, 11)


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.mark.django_db
def test_statistics_are_cached_for_a_minute(django_assert_num_queries, monkeypatch):
    def live():
        return dashboard.build_context()["statistics"].totals.live

    assert live() == TaskCount(0)
    TaskFactory()
    with django_assert_num_queries(0):
        assert live() == TaskCount(0)
    monkeypatch.setattr("django.core.cache.backends.locmem.time.time", lambda: timezone.now().timestamp() + 61)
    assert live() == TaskCount(1)


def test_chart_has_two_bars_per_day_side_by_side():
    chart = Chart([DailyCounts(FIRST, 10, 5), DailyCounts(SECOND, 0)])
    assert [tuple(bar) for bar in chart.bars()] == [
        ("created", 2, 0, 178, 200, "2026-01-10: 10 created"),
        ("completed", 180, 100, 178, 100, "2026-01-10: 5 completed"),
        ("created", 362, 200, 178, 0, "2026-01-11: 0 created"),
    ]


def test_chart_without_tasks_is_flat():
    assert {bar.height for bar in Chart([DailyCounts(FIRST, 0, 0)]).bars()} == {0}
