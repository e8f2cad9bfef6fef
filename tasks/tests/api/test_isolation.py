"""A caller cannot tell another user's task from none at all: not by a byte, and not by a query."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api.contract import JSON, headers, problem, problem_headers
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

ENDPOINTS = [
    ("GET", "{}"),
    ("HEAD", "{}"),
    ("PATCH", "{}"),
    ("DELETE", "{}"),
    ("POST", "{}/toggle"),
    ("POST", "{}/restore"),
    ("GET", "trash/{}"),
    ("HEAD", "trash/{}"),
    ("DELETE", "trash/{}"),
]
BODIES = {"change": b'{"title": "Mine"}', "empty": b"{}"}
REQUEST_ID = "the-same-for-both"

every_endpoint = pytest.mark.parametrize(("method", "route"), ENDPOINTS)
every_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
every_precondition = pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"', 'W/"1"'])


def at(route, id):
    return f"/api/tasks/{route.format(id)}"


@pytest.fixture
def answer(as_user):
    """What stands in an answer, but for the path that was asked for, and the number of queries that it took."""

    def ask(method, where, body, tags):
        request_headers = {"X-Request-ID": REQUEST_ID, **({"If-Match": tags, "If-None-Match": tags} if tags else {})}
        with CaptureQueriesContext(connection) as queries:
            response = as_user.generic(method, where, body, content_type=JSON, headers=request_headers)
        content = response.content.replace(where.encode(), b"")
        return response.status_code, response.reason_phrase, list(response.headers.items()), content, len(queries)

    return ask


@every_endpoint
@every_body
@every_precondition
def test_another_users_task_is_as_good_as_none(answer, stored, method, route, body, tags):
    foreign = at(route, TaskFactory(foreign=True).id)
    before = stored()
    assert answer(method, foreign, body, tags) == answer(method, at(route, uuid7()), body, tags)
    assert stored() == before


@every_endpoint
@every_body
@every_precondition
def test_another_users_trash_is_as_good_as_none(answer, stored, method, route, body, tags):
    foreign = at(route, TaskFactory(foreign=True, trashed=True).id)
    before = stored()
    assert answer(method, foreign, body, tags) == answer(method, at(route, uuid7()), body, tags)
    assert stored() == before


@every_endpoint
def test_another_users_task_is_not_found(as_user, method, route):
    where = at(route, TaskFactory(foreign=True).id)
    response = as_user.generic(method, where, b'{"title": "Mine"}', content_type=JSON)
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    if method != "HEAD":
        assert response.json() == problem("not_found", where)


@every_endpoint
def test_what_is_wrong_with_a_request_is_told_of_no_task_either(answer, method, route):
    """A refusal that comes before the look at the task must not tell whether there is one."""
    foreign, nowhere = at(route, TaskFactory(foreign=True).id), at(route, uuid7())
    for body, tags in ((b'{"title": ""}', None), (b"{", None), (b"x" * 70_000, None), (b"{}", "malformed")):
        assert answer(method, foreign, body, tags) == answer(method, nowhere, body, tags)


def test_the_same_request_would_reach_a_task_of_ones_own(answer):
    """The control: what is equal above is not equal because every task is out of reach."""
    for method, route in ENDPOINTS:
        mine = at(route, TaskFactory(trashed="trash" in route or "restore" in route).id)
        nowhere = at(route, uuid7())
        assert answer(method, mine, b"{}", None)[0] == 200
        assert answer(method, nowhere, b"{}", None)[0] == 404


def test_the_list_shows_only_ones_own(as_user):
    TaskFactory(foreign=True, title="A secret")
    TaskFactory(user_id="Default", title="A secret")
    TaskFactory(user_id="default2", title="A secret")
    assert as_user.get("/api/tasks").getvalue() == b"[]"
    mine = TaskFactory()
    assert [task["id"] for task in json.loads(as_user.get("/api/tasks").getvalue())] == [str(mine.id)]


def test_the_trash_shows_only_ones_own(as_user):
    TaskFactory(foreign=True, trashed=True)
    assert as_user.get("/api/tasks/trash").getvalue() == b"[]"
    mine = TaskFactory(trashed=True)
    assert [task["id"] for task in json.loads(as_user.get("/api/tasks/trash").getvalue())] == [str(mine.id)]


def test_a_task_cannot_be_made_for_or_given_to_another_user(as_user):
    created = as_user.post("/api/tasks", {"title": "x", "user_id": SOMEBODY_ELSE}, content_type=JSON)
    as_user.patch(created["Location"], {"title": "y", "user_id": SOMEBODY_ELSE}, content_type=JSON)
    assert [(task.title, task.user_id) for task in Task.objects.all()] == [("y", "default")]


def test_a_task_cannot_be_taken_by_its_id(as_user, stored):
    foreign = TaskFactory(foreign=True)
    [before] = stored()
    created = as_user.post("/api/tasks", {"title": "Mine", "id": str(foreign.id)}, content_type=JSON)
    assert created.json()["id"] != str(foreign.id)
    assert before in stored()
