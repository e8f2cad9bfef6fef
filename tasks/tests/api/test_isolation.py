"""Users with tokens: no user can read, change or detect a task of another."""

import json
from urllib.parse import urlencode

import pytest
from django.db import connection
from drf_spectacular.generators import SchemaGenerator

from tasks.models import Task
from tasks.tests import factories
from tasks.tests.api.contract import (
    LIST_PARAMETERS,
    LISTS,
    ORDERINGS,
    ROUTES,
    SELECTED,
    TASK_REQUESTS,
    common_headers,
    headers,
    invalid_parameter,
    json_headers,
    problem,
    problem_headers,
    send,
    task_body,
    task_path,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

HEADS = {f"head-of-{name}": route._replace(method="HEAD") for name, route in ROUTES.items() if not route.writes}
OPTIONS = {f"options-of-{name}": route._replace(method="OPTIONS", body=b"") for name, route in ROUTES.items()}
TASK_HEADS = {name: route for name, route in HEADS.items() if route.has_id}

QUERIES = [
    "",
    *(urlencode([parameter]) for parameter in LIST_PARAMETERS.items()),
    *(f"ordering={ordering}" for ordering in ORDERINGS),
    urlencode(LIST_PARAMETERS),
]


def every(routes):
    return pytest.mark.parametrize("route", routes.values(), ids=routes)


def make_task(route, user_id):
    return factories.make_task(route, user_id=user_id, **SELECTED)


@pytest.fixture
def answer():
    """Send a request, and return the response without the task's id, and the statements that it took."""

    def ask(client, route, task, **sent_headers):
        statements = []

        def note(execute, sql, params, many, context):
            statements.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            response = send(client, route, task, **{"X-Request-ID": "same", **sent_headers})
        content = response.content.replace(str(task.id).encode(), b"")
        return response.status_code, response.reason_phrase, list(response.headers.items()), content, statements

    return ask


@pytest.mark.parametrize("trashed", [False, True], ids=["live", "trashed"])
@every(TASK_REQUESTS | TASK_HEADS)
def test_task_of_other_user_answers_as_no_task(client_of, answer, stored, route, trashed):
    """The responses are equal byte for byte, and so are the statements, because a client can measure time."""
    alice = client_of("alice")
    bobs = TaskFactory(user_id="bob", title="A secret", trashed=trashed)
    before = stored()
    for tags in (None, "*", '"1"', '"9"', 'W/"1"'):
        sent = {"If-Match": tags, "If-None-Match": tags} if tags else {}
        of_bob = answer(alice, route, bobs, **sent)
        assert of_bob == answer(alice, route, TaskFactory.build(), **sent)
        assert of_bob[0] == 404
        assert of_bob[-1] != []
    assert stored() == before


@every(TASK_REQUESTS | TASK_HEADS)
def test_control_own_task_answers_otherwise(client_of, answer, route):
    alice, mine = client_of("alice"), make_task(route, "alice")
    assert answer(alice, route, mine)[0] == 200
    assert answer(alice, route, TaskFactory.build())[0] == 404


@every(TASK_REQUESTS)
def test_task_of_own_stays_with_its_user(client_of, stored, route):
    mine, bobs = make_task(route, "alice"), make_task(route, "bob")
    response = send(client_of("alice"), route, mine)
    assert (response.status_code, response.json()["user_id"]) == (200, "alice")
    assert set(Task.objects.exclude(id=mine.id)) == {bobs}
    assert task_body(Task.objects.get(id=bobs.id)) == task_body(bobs)


@every(ROUTES | HEADS | OPTIONS)
def test_request_without_token_is_refused(client_of, stored, route):
    task = make_task(route, "alice")
    before = stored()
    response = send(client_of(), route, task)
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": "Bearer"})
    if route.method != "HEAD":
        assert response.json() == problem("not_authenticated", route.path.format(id=task.id))
    assert stored() == before


@every(ROUTES | HEADS | OPTIONS)
def test_request_with_bad_token_is_refused(client_of, provider, stored, route):
    task = make_task(route, "alice")
    before = stored()
    token = provider.token("alice", aud="https://elsewhere.example.org")
    response = send(client_of(), route, task, Authorization=f"Bearer {token}")
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if route.method != "HEAD":
        assert response.json() == problem("authentication_failed", route.path.format(id=task.id))
    assert stored() == before


@every(HEADS | OPTIONS)
def test_head_and_options_with_token_succeed(client_of, route):
    response = send(client_of("alice"), route, make_task(route, "alice"))
    assert response.status_code == 200
    tag = {"ETag": '"1"'} if route.method == "HEAD" and route.has_id else {}
    assert headers(response).items() >= common_headers(**tag).items()


def test_queries_have_every_parameter():
    document = SchemaGenerator().get_schema(public=True)
    parameters = document["paths"]["/api/tasks"]["get"]["parameters"]
    assert {each["name"] for each in parameters if each["in"] == "query"} == {*LIST_PARAMETERS, "cursor"}


@every(LISTS)
def test_list_shows_only_own_tasks(client_of, route):
    tasks = [make_task(route, "alice"), make_task(route, "bob")]
    carol = client_of("carol")
    for query in QUERIES:
        path = f"{route.path}?{query}"
        link = {"Link": f'<{path}>; rel="first"'} if "limit" in query else {}
        for task in tasks:
            response = send(client_of(task.user_id), route, path=path)
            assert headers(response) == json_headers(**link)
            assert json.loads(response.getvalue()) == [task_body(task)]
        assert send(carol, route, path=path).getvalue() == b"[]"


@every(LISTS)
def test_list_in_pages_shows_only_own_tasks(client_of, route):
    for user_id in ("alice", "bob") * 3:
        make_task(route, user_id)
    alice, seen, path = client_of("alice"), [], f"{route.path}?limit=1"
    while path:
        response = send(alice, route, path=path)
        seen += response.json()
        link = response.headers["Link"]
        path = link.partition('>; rel="next"')[0][1:] if "next" in link else ""
    assert [task["user_id"] for task in seen] == ["alice"] * 3


@every(LISTS)
def test_cursor_of_other_user_is_refused_as_broken(client_of, route):
    for user_id in ("alice", "bob") * 2:
        make_task(route, user_id)
    link = send(client_of("alice"), route, path=f"{route.path}?limit=1").headers["Link"]
    path = link.partition('>; rel="next"')[0][1:]
    assert send(client_of("alice"), route, path=path).status_code == 200
    response = send(client_of("bob"), route, path=path)
    error = invalid_parameter("cursor", "is broken, or belongs to another list; take it from a Link of this list")
    assert response.status_code == 400
    assert response.json() == problem("validation_error", route.path, errors=[error])
    assert response.content == send(client_of("bob"), route, path=f"{route.path}?limit=1&cursor=broken").content


CREATION = ROUTES["create"]._replace(body=b'{"title": "Buy milk", "user_id": "bob"}')


def test_creation_makes_task_of_caller(client_of):
    response = send(client_of("alice"), CREATION)
    task = Task.objects.get()
    assert (response.status_code, task.user_id) == (201, "alice")
    assert response.json() == task_body(task)
    assert client_of("bob").get(task_path(task)).status_code == 404


def test_creation_with_id_of_other_user_makes_new_task(client_of):
    bobs = make_task(CREATION, "bob")
    route = CREATION._replace(body=json.dumps({"title": "Mine", "id": str(bobs.id)}).encode())
    created = send(client_of("alice"), route).json()
    assert created["id"] != str(bobs.id)
    assert task_body(Task.objects.get(id=bobs.id)) == task_body(bobs)


def test_idempotency_key_of_other_user_is_another_key(client_of):
    answers = [send(client_of(user), CREATION, **{"Idempotency-Key": "one"}) for user in ("alice", "bob")]
    assert [(each.status_code, each.json()["user_id"]) for each in answers] == [(201, "alice"), (201, "bob")]
    assert ["Idempotency-Replayed" in each.headers for each in answers] == [False, False]
    assert sorted(Task.objects.values_list("user_id", flat=True)) == ["alice", "bob"]


@every(TASK_REQUESTS)
def test_idempotency_key_of_other_user_replays_nothing(client_of, stored, route):
    """Alice's response is kept when Bob sends the same request with the same key."""
    mine = make_task(route, "alice")
    key = {"Idempotency-Key": "one"}
    assert send(client_of("alice"), route, mine, **key).status_code == 200
    before = stored()
    response = send(client_of("bob"), route, mine, **key)
    assert (response.status_code, headers(response)) == (404, problem_headers())
    assert response.json() == problem("not_found", route.path.format(id=mine.id))
    assert stored() == before


@every(LISTS)
def test_single_user_list_shows_only_own_tasks(as_user, route):
    for user_id in ("alice", "Default", "default2"):
        make_task(route, user_id)
    mine = make_task(route, "default")
    assert json.loads(send(as_user, route).getvalue()) == [task_body(mine)]


def test_token_of_default_shows_single_users_tasks(client_of):
    make_task(ROUTES["list"], "alice")
    mine = make_task(ROUTES["list"], "default")
    assert json.loads(client_of("default").get("/api/tasks").getvalue()) == [task_body(mine)]
