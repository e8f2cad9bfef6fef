"""``GET /api/tasks/trash``, and what may be done to one task in it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tasks.models import Task
from tasks.tests.api.contract import headers, json_headers, path, problem, problem_headers, task_body, trash_path
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

TRASH = "/api/tasks/trash"
MOMENT = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description="Two litres", trashed=True)


def deleted(minutes, **values):
    """A task that was made when any other was, and deleted so many minutes later."""
    moment = MOMENT + timedelta(minutes=minutes)
    return TaskFactory(created_at=MOMENT, updated_at=moment, deleted_at=moment, version=2, **values)


# The list


def test_an_empty_trash(as_user):
    response = as_user.get(TRASH)
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert response.getvalue() == b"[]"


def test_what_was_deleted_newest_deletion_first(as_user):
    tasks = [deleted(minutes) for minutes in (2, 3, 1)]
    TaskFactory()
    shown = json.loads(as_user.get(TRASH).getvalue())
    assert shown == [task_body(tasks[number]) for number in (1, 0, 2)]


def test_a_deleted_task_is_shown_as_its_deletion_answered(as_user):
    answered = as_user.delete(path(TaskFactory())).json()
    assert json.loads(as_user.get(TRASH).getvalue()) == [answered]


def test_pages(as_user):
    tasks = [deleted(minutes) for minutes in range(5)]
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
def test_the_parameters_of_a_list(as_user, query, titles):
    deleted(2, title="a", id="019bac10-5b00-7000-8000-000000000003")
    deleted(1, title="b", id="019bac10-5b00-7000-8000-000000000002")
    deleted(3, title="c", id="019bac10-5b00-7000-8000-000000000001", completed=True)
    assert [task["title"] for task in json.loads(as_user.get(f"{TRASH}?{query}").getvalue())] == titles


def test_a_cursor_of_the_trash_is_none_of_the_list(as_user):
    for _ in range(2):
        TaskFactory(trashed=True)
    link = as_user.get(f"{TRASH}?limit=1&ordering=title")["Link"]
    query = link.partition("?")[2].partition(">")[0]
    assert as_user.get(f"{TRASH}?{query}").status_code == 200
    response = as_user.get(f"/api/tasks?{query}")
    detail = "Parameter cursor is broken, or belongs to another list"
    fault = {"parameter": "cursor", "code": "invalid_parameter", "detail": detail}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", "/api/tasks", errors=[fault])


# One task


def test_one_task(as_user, task):
    response = as_user.get(trash_path(task))
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)


def test_one_task_that_the_client_has_already(as_user, task):
    response = as_user.get(trash_path(task), headers={"If-None-Match": '"1"'})
    assert response.status_code == 304
    assert response.headers["ETag"] == '"1"'
    assert response.content == b""


def test_removed_for_good(as_user, task, stored):
    others = [TaskFactory(trashed=True), TaskFactory(), TaskFactory(foreign=True, trashed=True)]
    rows = {row["id"]: row for row in stored()}
    response = as_user.delete(trash_path(task))
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
    assert stored() == [rows[other] for other in sorted(other.id for other in others)]


def test_removed_only_once(as_user, task):
    as_user.delete(trash_path(task))
    response = as_user.delete(trash_path(task))
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", trash_path(task))


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*"])
def test_a_version_that_matches_is_removed(as_user, task, tags):
    response = as_user.delete(trash_path(task), headers={"If-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
    assert not Task.objects.exists()


@pytest.mark.parametrize("tags", ['"2"', 'W/"1"'])
def test_a_version_that_does_not_match_is_not_removed(as_user, task, stored, tags):
    before = stored()
    response = as_user.delete(trash_path(task), headers={"If-Match": tags})
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", trash_path(task))
    assert stored() == before
