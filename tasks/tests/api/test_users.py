"""Many users, each with a token: what an endpoint answers to whose task it is, to another user, and to nobody.

A route that is added to the URLconf fails here until it has a row in ``ON_A_TASK`` or ``ON_A_LIST``.
"""

import json
from typing import NamedTuple

import pytest
from django.db import connection
from django.urls import URLResolver, get_resolver
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api.contract import EVERYWHERE, JSON, headers, json_headers, problem, problem_headers, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

ONE, TOGGLE, RESTORE, TRASHED = (
    f"api/tasks/{end}" for end in ("<uuid:id>", "<uuid:id>/toggle", "<uuid:id>/restore", "trash/<uuid:id>")
)
LIVE_LIST, TRASH_LIST = "api/tasks", "api/tasks/trash"


class OnATask(NamedTuple):
    """A request for one task, which is in the trash or not; ``writes`` are the versions that it adds."""

    method: str
    route: str
    trashed: bool = False
    body: bytes = b""
    writes: int = 0
    removes: bool = False


ON_A_TASK = [
    OnATask("GET", ONE),
    OnATask("PATCH", ONE, body=b'{"title": "Mine", "user_id": "bob"}', writes=1),
    OnATask("PATCH", ONE, body=b"{}"),
    OnATask("PATCH", ONE, body=b'{"user_id": "bob"}'),
    OnATask("DELETE", ONE, writes=1),
    OnATask("POST", TOGGLE, writes=1),
    OnATask("POST", RESTORE, trashed=True, writes=1),
    OnATask("GET", TRASHED, trashed=True),
    OnATask("DELETE", TRASHED, trashed=True, removes=True),
]

LISTS = [("GET", LIVE_LIST), ("GET", TRASH_LIST)]
ON_A_LIST = [*LISTS, ("POST", LIVE_LIST)]

PARAMETERS = [
    "",
    "limit=5",
    "completed=false",
    "q=milk",
    "created_after=2000-01-01T00:00:00Z",
    "created_before=9999-01-01T00:00:00Z",
    "updated_after=2000-01-01T00:00:00Z",
    "updated_before=9999-01-01T00:00:00Z",
    "ordering=created_at",
    "ordering=-created_at",
    "ordering=updated_at",
    "ordering=-updated_at",
    "ordering=title",
    "ordering=-title",
    "limit=1000&q=buy+milk&completed=false&ordering=title",
]

#: Nobody's data: the OpenAPI document and its pages, and what leads nowhere.
OPEN = {("GET", "api/schema"), ("GET", "api/docs"), ("GET", "api/redoc"), ("ANY", "^api(?:/|$)")}

METHODS = ("get", "post", "put", "patch", "delete")

every_task_endpoint = pytest.mark.parametrize(
    "row", ON_A_TASK, ids=lambda row: f"{row.method} {row.route} {row.body.decode()}"
)
every_list = pytest.mark.parametrize(("method", "route"), LISTS)


def routes(resolver, prefix=""):
    """Each method and route of the URLconf."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        else:
            yield from ((method, route) for method in methods(pattern.callback))


def methods(view):
    view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if view_class is None:
        return ["ANY"]
    handlers = getattr(view, "actions", None) or dir(view_class)
    return [method.upper() for method in METHODS if method in handlers]


def under_api():
    return {(method, route) for method, route in routes(get_resolver()) if route.lstrip("^").startswith("api")}


def test_every_route_has_a_row():
    rows = {(row.method, row.route) for row in ON_A_TASK} | set(ON_A_LIST)
    assert under_api() == rows | OPEN


def test_every_parameter_of_a_list_has_a_row():
    from tasks.api.listing import READ

    assert {pair.partition("=")[0] for row in PARAMETERS for pair in row.split("&") if pair} | {"cursor"} == set(READ)


@pytest.fixture
def tasks():
    """Makes a task of Alice's and one of Bob's, alike."""

    def make(*, trashed=False):
        alike = {"title": "Buy milk", "description": "Two litres", "trashed": trashed}
        return TaskFactory(user_id="alice", **alike), TaskFactory(user_id="bob", **alike)

    return make


def at(route, id=None):
    return "/" + route.replace("<uuid:id>", str(id))


def send(client, method, path, body=b"", **request_headers):
    return client.generic(method, path, body, content_type=JSON if body else "", headers=request_headers)


def assert_not_found(response, path):
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", path)


def assert_no_token(response, path):
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": "Bearer"})
    assert response.json() == problem("not_authenticated", path)


def assert_bad_token(response, path):
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert response.json() == problem("authentication_failed", path)


@pytest.fixture
def bad_token(client_of, provider):
    client = client_of()
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {provider.token('alice', aud='https://elsewhere.example.org')}"
    return client


# One task.


@every_task_endpoint
def test_ones_own_task(client_of, tasks, stored, row):
    mine, others = tasks(trashed=row.trashed)
    [untouched] = [task for task in stored() if task["id"] == others.id]
    response = send(client_of("alice"), row.method, at(row.route, mine.id), row.body)
    after = mine if row.removes else Task.objects.get(id=mine.id)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag=f'"{1 + row.writes}"')
    assert response.json() == task_body(after)
    assert (after.user_id, after.version) == ("alice", 1 + row.writes)
    assert Task.objects.filter(id=mine.id).exists() is not row.removes
    assert [task for task in stored() if task["id"] != mine.id] == [untouched]


@every_task_endpoint
@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
def test_anothers_task(client_of, tasks, stored, row, tags):
    _, others = tasks(trashed=row.trashed)
    before = stored()
    preconditions = {"If-Match": tags, "If-None-Match": tags} if tags else {}
    path = at(row.route, others.id)
    assert_not_found(send(client_of("alice"), row.method, path, row.body, **preconditions), path)
    assert stored() == before


@every_task_endpoint
def test_a_task_without_a_token(client_of, tasks, stored, row):
    mine, _ = tasks(trashed=row.trashed)
    before = stored()
    assert_no_token(send(client_of(), row.method, at(row.route, mine.id), row.body), at(row.route, mine.id))
    assert stored() == before


@every_task_endpoint
def test_a_task_with_a_bad_token(bad_token, tasks, stored, row):
    mine, _ = tasks(trashed=row.trashed)
    before = stored()
    assert_bad_token(send(bad_token, row.method, at(row.route, mine.id), row.body), at(row.route, mine.id))
    assert stored() == before


# Lists.


@every_list
@pytest.mark.parametrize("query", PARAMETERS)
def test_a_list_is_ones_own(client_of, tasks, method, route, query):
    both = tasks(trashed=route == TRASH_LIST)
    link = {"Link": f'<{at(route)}?{query}>; rel="first"'} if "limit" in query else {}
    for task in both:
        response = send(client_of(task.user_id), method, f"{at(route)}?{query}")
        assert response.status_code == 200
        assert headers(response) == json_headers(**link)
        assert json.loads(response.getvalue()) == [task_body(task)]


@every_list
@pytest.mark.parametrize("query", PARAMETERS)
def test_a_list_of_which_all_is_anothers_is_empty(client_of, tasks, method, route, query):
    tasks(trashed=route == TRASH_LIST)
    assert send(client_of("carol"), method, f"{at(route)}?{query}").getvalue() == b"[]"


@every_list
def test_a_list_without_a_token(client_of, method, route):
    assert_no_token(send(client_of(), method, at(route)), at(route))


@every_list
def test_a_list_with_a_bad_token(bad_token, method, route):
    assert_bad_token(send(bad_token, method, at(route)), at(route))


@every_list
def test_pages_go_on_within_ones_own(client_of, method, route):
    for user_id in ("alice", "bob") * 3:
        TaskFactory(user_id=user_id, trashed=route == TRASH_LIST)
    seen, path = [], f"{at(route)}?limit=1"
    while path:
        response = send(client_of("alice"), method, path)
        seen += response.json()
        path = response.headers["Link"].partition('>; rel="next"')[0][1:] if "next" in response.headers["Link"] else ""
    assert [task["user_id"] for task in seen] == ["alice"] * 3


@every_list
def test_a_cursor_of_anothers_is_as_good_as_a_broken_one(client_of, method, route):
    for user_id in ("alice", "bob") * 2:
        TaskFactory(user_id=user_id, trashed=route == TRASH_LIST)
    link = send(client_of("alice"), method, f"{at(route)}?limit=1").headers["Link"]
    path = link.partition('>; rel="next"')[0][1:]
    assert send(client_of("alice"), method, path).status_code == 200
    response = send(client_of("bob"), method, path)
    fault = {
        "parameter": "cursor",
        "code": "invalid_parameter",
        "detail": "Parameter cursor is broken, or belongs to another list",
    }
    assert response.status_code == 400
    assert response.json() == problem("validation_error", at(route), errors=[fault])
    assert response.content == send(client_of("bob"), method, f"{at(route)}?limit=1&cursor=broken").content


NEW = b'{"title": "Buy milk", "user_id": "bob", "id": "019bac10-5b00-7000-8000-000000000000"}'


def test_a_new_task_is_ones_own(client_of):
    response = send(client_of("alice"), "POST", "/api/tasks", NEW)
    task = Task.objects.get()
    assert response.status_code == 201
    assert headers(response) == json_headers(ETag='"1"', Location=f"/api/tasks/{task.id}")
    assert response.json() == task_body(task)
    assert task.user_id == "alice"
    assert_not_found(send(client_of("bob"), "GET", response.headers["Location"]), response.headers["Location"])


def test_no_task_is_made_without_a_token(client_of, bad_token, stored):
    assert_no_token(send(client_of(), "POST", "/api/tasks", NEW), "/api/tasks")
    assert_bad_token(send(bad_token, "POST", "/api/tasks", NEW), "/api/tasks")
    assert stored() == []


def test_an_idempotency_key_is_its_users_own(client_of):
    """The same key and the same request, of two users: neither is answered with what the other's came to."""
    made = [send(client_of(user), "POST", "/api/tasks", NEW, **{"Idempotency-Key": "one"}) for user in ("alice", "bob")]
    assert [(response.status_code, response.json()["user_id"]) for response in made] == [(201, "alice"), (201, "bob")]
    assert ["Idempotency-Replayed" in response.headers for response in made] == [False, False]
    assert sorted(Task.objects.values_list("user_id", flat=True)) == ["alice", "bob"]


@every_task_endpoint
def test_an_idempotency_key_leads_to_no_task_of_anothers(client_of, tasks, stored, row):
    """What Alice's write came to is kept; Bob sends it again as it was, key and all."""
    mine, _ = tasks(trashed=row.trashed)
    path, key = at(row.route, mine.id), {"Idempotency-Key": "one"}
    assert send(client_of("alice"), row.method, path, row.body, **key).status_code == 200
    before = stored()
    assert_not_found(send(client_of("bob"), row.method, path, row.body, **key), path)
    assert stored() == before


# What every route has besides.


HEAD_AND_OPTIONS = {("HEAD", route) for method, route in under_api() - OPEN if method == "GET"} | {
    ("OPTIONS", route) for _, route in under_api() - OPEN
}


@pytest.mark.parametrize(("method", "route"), sorted(HEAD_AND_OPTIONS))
def test_head_and_options_need_a_token_too(client_of, tasks, method, route):
    mine, _ = tasks(trashed="trash" in route)
    path = at(route, mine.id)
    response = send(client_of(), method, path)
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": "Bearer"})
    alices = send(client_of("alice"), method, path)
    assert alices.status_code == 200
    assert headers(alices).items() >= EVERYWHERE.items()


@every_task_endpoint
@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
def test_anothers_task_and_none_are_the_same_to_the_byte_and_to_the_query(client_of, tasks, row, tags):
    _, others = tasks(trashed=row.trashed)
    preconditions = {"If-Match": tags, "If-None-Match": tags} if tags else {}

    def ask(client, id):
        statements = []

        def note(execute, sql, params, many, context):
            statements.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            response = send(client, row.method, at(row.route, id), row.body, **preconditions, **{"X-Request-ID": "one"})
        content = response.content.replace(str(id).encode(), b"")
        return response.status_code, response.reason_phrase, list(response.headers.items()), content, statements

    alice = client_of("alice")
    assert ask(alice, others.id) == ask(alice, uuid7())
    assert ask(alice, others.id)[-1]  # a query it is, and not the same refusal of everything


# The other mode.


def test_single_user_mode_sees_what_is_its_own_and_nobody_elses(as_user, tasks):
    tasks()
    mine = TaskFactory()
    assert json.loads(as_user.get("/api/tasks").getvalue()) == [task_body(mine)]


def test_default_is_a_user_like_any_other_where_tokens_are_asked_for(client_of, tasks):
    tasks()
    kept = TaskFactory()
    assert json.loads(client_of("default").get("/api/tasks").getvalue()) == [task_body(kept)]
