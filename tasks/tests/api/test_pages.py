"""A walk through pages, while other clients add, change and delete tasks at random."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.models import Task
from tasks.tests.api.contract import ORDERINGS, sort_key, task_body

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
NEXT = re.compile('<([^>]+)>; rel="next"')

#: Few times and few titles, so that most tasks differ from another only in their id.
times = st.integers(0, 2).map(lambda second: START + timedelta(seconds=second))
titles = st.sampled_from(["a", "b", "B", "ä", "a a"])
dues = st.sampled_from([None, None, "2026-12-24", "2026-12-24T18:00:00", "2026-12-24T18:00:00[Europe/Berlin]"])
priorities = st.integers(0, 3)
ids = st.integers(0, 2**32 - 1).map(lambda number: UUID(f"{number:08x}-0000-7000-8000-000000000000"))


@st.composite
def tasks(draw):
    created, updated = sorted([draw(times), draw(times)])
    at = {"created_at": created, "updated_at": updated}
    return Task(id=draw(ids), user_id="default", title=draw(titles), due=draw(dues), priority=draw(priorities), **at)


def add(task):
    if not Task.objects.filter(id=task.id).exists():
        task.save(force_insert=True)


def one_of(number):
    """Return a set of one of the live tasks, or an empty one."""
    live = list(Task.objects.live())
    return Task.objects.filter(id__in=[task.id for task in live[number % len(live) :][:1]] if live else [])


numbers = st.integers(0, 30)
writes = st.one_of(
    st.tuples(st.just(add), tasks()),
    st.tuples(st.just(lambda number: one_of(number).toggle()), numbers),
    st.tuples(st.just(lambda number: one_of(number).change(title="aa")), numbers),
    st.tuples(st.just(lambda number: one_of(number).change(title="b")), numbers),
    st.tuples(st.just(lambda number: one_of(number).change(due="2026-12-24", priority=0)), numbers),
    st.tuples(st.just(lambda number: one_of(number).change(due=None, priority=3)), numbers),
    st.tuples(st.just(lambda number: one_of(number).move_to_trash()), numbers),
    st.tuples(st.just(lambda number: one_of(number).delete()), numbers),
)
stored_tasks = st.lists(tasks(), max_size=12, unique_by=lambda task: task.id)
#: The size of each page, and the writes after it.
walks = st.lists(st.tuples(st.integers(1, 4), st.lists(writes, max_size=3)), min_size=1, max_size=8)


def examples(number):
    """Return the settings for ``number`` examples, each of which deletes the tasks of the example before."""
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def sort_keys(ordering, shown):
    return [sort_key(ordering, task) for task in shown]


def live_tasks(ordering):
    return [task_body(task) for task in Task.objects.live().in_order(ordering)]


def walk(client, ordering, pages):
    """Follow the links, and return the tasks of all pages, and the lists before and after each page."""
    shown, lists = [], [live_tasks(ordering)]
    target, number = f"/api/tasks?ordering={ordering}&limit=1", 0
    while target:
        size, writes = pages[number % len(pages)] if number < 50 else (1000, [])
        response = client.get(re.sub("limit=[0-9]+", f"limit={size}", target))
        assert response.status_code == 200
        page = response.json()
        assert len(page) == size or "next" not in response.headers["Link"]
        shown += page
        if number < len(pages):
            for write, value in writes:
                write(value)
        lists.append(live_tasks(ordering))
        target, number = (NEXT.findall(response.headers["Link"]) or [None])[0], number + 1
    return shown, lists


@pytest.mark.parametrize("ordering", ORDERINGS)
@examples(40)
@given(stored_tasks, walks)
def test_walk_during_writes_shows_each_unmoved_task_once(as_user, ordering, stored, pages):
    Task.objects.all().delete()
    Task.objects.bulk_create(stored)
    shown, lists = walk(as_user, ordering, pages)
    unmoved = set(sort_keys(ordering, lists[0])).intersection(*(sort_keys(ordering, each) for each in lists))
    expected = [key for key in sort_keys(ordering, lists[0]) if key in unmoved]
    assert [key for key in sort_keys(ordering, shown) if key in unmoved] == expected
    # Tasks that were moved or added are in order too, and were live.
    in_order = sorted(set(sort_keys(ordering, shown)), reverse=ordering.startswith("-"))
    assert sort_keys(ordering, shown) == in_order
    assert all(any(task in each for each in lists) for task in shown)


@pytest.mark.parametrize("ordering", ORDERINGS)
@examples(15)
@given(stored_tasks, st.lists(st.integers(1, 4), min_size=1))
def test_walk_without_writes_shows_list(as_user, ordering, stored, sizes):
    Task.objects.all().delete()
    Task.objects.bulk_create(stored)
    shown, lists = walk(as_user, ordering, [(size, []) for size in sizes])
    assert shown == lists[0]
