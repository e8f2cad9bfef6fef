"""``/api/tasks/trash``: the list, and the removal of a task in it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tasks.tests.api.contract import (
    ORDERINGS,
    ROUTES,
    fault,
    headers,
    json_headers,
    problem,
    problem_headers,
    send,
    task_body,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

TRASH = "/api/tasks/trash"
CREATED = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)


def make_deleted(minutes, **values):
    """Make a task that was deleted ``minutes`` after ``CREATED``."""
    deleted = CREATED + timedelta(minutes=minutes)
    return TaskFactory(created_at=CREATED, updated_at=deleted, deleted_at=deleted, version=2, **values)


def test_trash_without_tasks_is_empty_array(as_user):
    response = as_user.get(TRASH)
    assert headers(response) == json_headers()
    assert response.getvalue() == b"[]"


def test_trash_lists_newest_deletion_first(as_user):
    tasks = [make_deleted(minutes) for minutes in (2, 3, 1)]
    TaskFactory()
    assert json.loads(as_user.get(TRASH).getvalue()) == [task_body(tasks[number]) for number in (1, 0, 2)]


def test_trash_shows_same_json_as_deletion_response(as_user):
    deletion = send(as_user, ROUTES["delete"], TaskFactory())
    assert as_user.get(TRASH).getvalue() == b"[" + deletion.content + b"]"


def test_trash_in_pages_lists_each_task_once(as_user):
    tasks = [make_deleted(minutes) for minutes in range(5)]
    shown, target = [], f"{TRASH}?limit=2"
    while target:
        response = as_user.get(target)
        assert headers(response) == json_headers(Link=response["Link"])
        shown += response.json()
        *following, first = response["Link"].split(", ")
        assert first == f'<{TRASH}?limit=2>; rel="first"'
        target = following[0].removeprefix("<").removesuffix('>; rel="next"') if following else None
    assert shown == [task_body(task) for task in reversed(tasks)]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("completed=true", ["c"]),
        ("q=a", ["a"]),
        ("ordering=title", ["a", "b", "c"]),
        ("ordering=-title&limit=2", ["c", "b"]),
        ("ordering=-created_at", ["a", "b", "c"]),
        ("updated_after=2026-01-11T09:32:00Z", ["c", "a"]),
        ("created_before=2026-01-11T09:30:00Z", []),
    ],
)
def test_trash_takes_parameters_of_list(as_user, query, titles):
    make_deleted(2, title="a", id="019bac10-5b00-7000-8000-000000000003")
    make_deleted(1, title="b", id="019bac10-5b00-7000-8000-000000000002")
    make_deleted(3, title="c", id="019bac10-5b00-7000-8000-000000000001", completed=True)
    assert [task["title"] for task in json.loads(as_user.get(f"{TRASH}?{query}").getvalue())] == titles


@pytest.mark.parametrize(("query", "rule"), [("limit=0", "a number from 1 to 1000"), ("ordering=-deleted_at", None)])
def test_trash_refuses_what_list_refuses(as_user, query, rule):
    rule = rule or f"one of {', '.join(ORDERINGS)}"
    name = query.partition("=")[0]
    error = fault("invalid_parameter", f"Parameter {name} must be {rule}", parameter=name)
    response = as_user.get(f"{TRASH}?{query}")
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", TRASH, errors=[error])


def test_trash_cursor_is_refused_by_list(as_user):
    TaskFactory.create_batch(2, trashed=True)
    query = as_user.get(f"{TRASH}?limit=1&ordering=title")["Link"].partition("?")[2].partition(">")[0]
    assert as_user.get(f"{TRASH}?{query}").status_code == 200
    response = as_user.get(f"/api/tasks?{query}")
    detail = "Parameter cursor is broken, or belongs to another list; take it from a Link of this list"
    error = fault("invalid_parameter", detail, parameter="cursor")
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", "/api/tasks", errors=[error])


def test_second_removal_of_task_answers_404(as_user):
    task = TaskFactory(trashed=True)
    first, second = (send(as_user, ROUTES["remove"], task) for _ in range(2))
    assert (first.status_code, first.json()) == (200, task_body(task))
    assert (second.status_code, headers(second)) == (404, problem_headers())
    assert second.json() == problem("not_found", f"{TRASH}/{task.id}")
