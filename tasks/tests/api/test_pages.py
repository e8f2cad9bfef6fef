"""A walk through pages, while other clients add, change and delete tasks in ways that nobody thought of."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.models import ORDERINGS, Task
from tasks.tests.api.contract import task_body

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
NEXT = re.compile('<([^>]+)>; rel="next"')

#: Few instants and few titles, so that most tasks are equal to another but for their id.
moments = st.integers(0, 2).map(lambda second: MOMENT + timedelta(seconds=second))
titles = st.sampled_from(["a", "b", "B", "ä", "a a"])
ids = st.integers(0, 2**32 - 1).map(lambda number: UUID(f"{number:08x}-0000-7000-8000-000000000000"))


@st.composite
def tasks(draw):
    created, updated = sorted([draw(moments), draw(moments)])
    return Task(id=draw(ids), user_id="default", title=draw(titles), created_at=created, updated_at=updated)


def add(task):
    if not Task.objects.filter(id=task.id).exists():
        task.save(force_insert=True)


def one(number):
    """One of the live tasks."""
    live = list(Task.objects.live())
    return Task.objects.filter(id__in=[task.id for task in live[number % len(live) :][:1]] if live else [])


numbers = st.integers(0, 30)
happenings = st.one_of(
    st.tuples(st.just(add), tasks()),
    st.tuples(st.just(lambda number: one(number).toggle()), numbers),
    st.tuples(st.just(lambda number: one(number).change(title="aa")), numbers),
    st.tuples(st.just(lambda number: one(number).change(title="b")), numbers),
    st.tuples(st.just(lambda number: one(number).move_to_trash()), numbers),
    st.tuples(st.just(lambda number: one(number).delete()), numbers),
)
#: How large each page is, and what happens after it.
walks = st.lists(st.tuples(st.integers(1, 4), st.lists(happenings, max_size=3)), min_size=1, max_size=8)


def examples(number):
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        # Each example begins with no tasks.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def keys(ordering, shown):
    """What each task is sorted by, as it was shown."""
    return [(task[ordering.removeprefix("-")], task["id"]) for task in shown]


def live(ordering):
    return [task_body(task) for task in Task.objects.live().in_order(ordering)]


def walk(client, ordering, pages):
    """All tasks that a client sees who follows the links, and what there was before each page and after the last."""
    shown, states = [], [live(ordering)]
    target, number = f"/api/tasks?ordering={ordering}&limit=1", 0
    while target:
        size, happening = pages[number % len(pages)] if number < 50 else (1000, [])
        response = client.get(re.sub("limit=[0-9]+", f"limit={size}", target))
        assert response.status_code == 200
        page = response.json()
        assert len(page) == size or "next" not in response.headers["Link"]
        shown += page
        if number < len(pages):
            for happen, what in happening:
                happen(what)
        states.append(live(ordering))
        target, number = (NEXT.findall(response.headers["Link"]) or [None])[0], number + 1
    return shown, states


@pytest.mark.parametrize("ordering", ORDERINGS)
@examples(40)
@given(st.lists(tasks(), max_size=12, unique_by=lambda task: task.id), walks)
def test_what_was_there_all_along_is_shown_once_and_in_order(as_user, ordering, stored, pages):
    Task.objects.all().delete()
    Task.objects.bulk_create(stored)
    shown, states = walk(as_user, ordering, pages)
    there_all_along = set(keys(ordering, states[0])).intersection(*(keys(ordering, state) for state in states))
    expected = [key for key in keys(ordering, states[0]) if key in there_all_along]
    assert [key for key in keys(ordering, shown) if key in there_all_along] == expected
    # Whatever else is shown has its place in the order, too, and was there.
    in_order = sorted(set(keys(ordering, shown)), reverse=ordering.startswith("-"))
    assert keys(ordering, shown) == in_order
    assert all(any(task in state for state in states) for task in shown)


@pytest.mark.parametrize("ordering", ORDERINGS)
@examples(15)
@given(st.lists(tasks(), max_size=12, unique_by=lambda task: task.id), st.lists(st.integers(1, 4), min_size=1))
def test_while_nothing_happens_the_pages_are_the_list(as_user, ordering, stored, sizes):
    Task.objects.all().delete()
    Task.objects.bulk_create(stored)
    shown, states = walk(as_user, ordering, [(size, []) for size in sizes])
    assert shown == states[0]
