"""Requests that succeed, over all routes: what the endpoints do alike.

A route that is added to the URLconf fails here until ``contract.ROUTES`` has it.
"""

import json

import pytest
from django.urls import URLResolver, get_resolver

from tasks.models import Task
from tasks.tests.api.contract import (
    ALLOW,
    EVERYWHERE,
    JSON,
    LISTS,
    MAX_BODY_BYTES,
    ROUTES,
    TASK_REQUESTS,
    TASK_WRITES,
    common_headers,
    headers,
    json_headers,
    send,
    task_body,
    task_path,
)
from tasks.tests.api.refusals import NOT_JSON, OTHER_VERSIONS
from tasks.tests.factories import TaskFactory, make_task

pytestmark = pytest.mark.django_db

#: The OpenAPI document and its pages, and the views that answer paths without a route.
OTHER_ROUTES = {("GET", "api/schema"), ("GET", "api/docs"), ("GET", "api/redoc")}
OTHER_ROUTES |= {("ANY", "api/tasks/<str:id>"), ("ANY", "^api(?:/|$)")}

READS = {name: route for name, route in ROUTES.items() if not route.writes}
RETRIEVALS = {name: route for name, route in READS.items() if route.has_id}
BODILESS_WRITES = {name: route for name, route in TASK_WRITES.items() if not route.body}

with_and_without_slash = pytest.mark.parametrize("slash", ["", "/"], ids=["no-slash", "slash"])


def every(routes):
    return pytest.mark.parametrize("route", routes.values(), ids=routes)


def routes_of(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes_of(pattern, route)
        else:
            yield from ((method, route) for method in methods_of(pattern.callback))


def methods_of(view):
    view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if view_class is None:
        return ["ANY"]
    handlers = getattr(view, "actions", None) or dir(view_class)
    return [method.upper() for method in ("get", "post", "put", "patch", "delete") if method in handlers]


def test_urlconf_has_no_other_route():
    contract = {(route.method, route.path[1:].replace("{id}", "<uuid:id>")) for route in ROUTES.values()}
    urlconf = {(method, route) for method, route in routes_of(get_resolver()) if route.lstrip("^").startswith("api")}
    assert urlconf == contract | OTHER_ROUTES


@with_and_without_slash
@every(TASK_REQUESTS)
def test_request_for_task_answers_task(as_user, stored, route, slash):
    """No request changes another task, and only writes that add a version change the addressed one."""
    for traits in ({}, {"foreign": True}, {"trashed": True}, {"foreign": True, "trashed": True}):
        TaskFactory(**traits)
    others = stored()
    task = make_task(route, title="Buy milk", description="Two litres")
    response = send(as_user, route, task, path=f"{route.path}{slash}")
    after = Task.objects.filter(id=task.id).first() or task
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag=f'"{1 + route.versions}"')
    assert response.json() == task_body(after)
    assert (after.version, after.updated_at > task.updated_at) == (1 + route.versions, route.versions > 0)
    assert [row for row in stored() if row["id"] != task.id] == others
    assert Task.objects.filter(id=task.id).exists() is (route != ROUTES["remove"])


@with_and_without_slash
@every(LISTS)
def test_list_answers_array_of_tasks(as_user, route, slash):
    tasks = [make_task(route), make_task(route)]
    make_task(route, foreign=True)
    TaskFactory(trashed=not route.trashed)
    response = send(as_user, route, path=f"{route.path}{slash}")
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert json.loads(response.getvalue()) == [task_body(task) for task in reversed(tasks)]


@with_and_without_slash
def test_creation_answers_task_and_location(as_user, slash):
    response = send(as_user, ROUTES["create"], path=f"/api/tasks{slash}")
    task = Task.objects.get()
    assert response.status_code == 201
    assert headers(response) == json_headers(ETag='"1"', Location=task_path(task))
    assert response.json() == task_body(task)


@every(READS)
def test_head_answers_headers_of_get(as_user, route):
    task = make_task(route)
    got, head = send(as_user, route, task), send(as_user, route._replace(method="HEAD"), task)
    assert (head.status_code, head.getvalue()) == (200, b"")
    assert headers(head) == headers(got)


@pytest.mark.parametrize("path", ALLOW)
def test_options_answers_allow(as_user, path):
    response = as_user.options(path.format(id=TaskFactory(trashed="trash/" in path).id))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Allow"] == ALLOW[path]
    assert headers(response) == EVERYWHERE


@every(ROUTES)
def test_response_has_allow(as_user, route):
    assert send(as_user, route, make_task(route)).headers["Allow"] == ALLOW[route.path]


@pytest.mark.parametrize("content_type", [JSON, *NOT_JSON])
@every(BODILESS_WRITES)
def test_bodiless_write_ignores_body_and_type(as_user, route, content_type):
    body = b'\xff{"completed": false}'.ljust(MAX_BODY_BYTES)
    sent = {"Content-Type": content_type, "Content-Encoding": "gzip"}
    response = send(as_user, route._replace(body=body), make_task(route), **sent)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag=f'"{1 + route.versions}"')
    assert response.json()["completed"] is (route == ROUTES["toggle"])


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*", ' ,"1",, ', 'W/"7", "1"', 'W/"1", "1"'])
@every(TASK_WRITES)
def test_if_match_with_current_version_lets_write_through(as_user, route, tags):
    response = send(as_user, route, make_task(route), **{"If-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag=f'"{1 + route.versions}"')


def test_if_match_with_previous_version_stops_second_write(as_user):
    task = TaskFactory()
    first, second = (send(as_user, ROUTES["toggle"], task, **{"If-Match": '"1"'}) for _ in range(2))
    assert (first.status_code, second.status_code, second.headers["ETag"]) == (200, 412, '"2"')
    assert as_user.get(task_path(task)).content == first.content


@every(TASK_WRITES)
def test_if_none_match_with_current_version_stops_no_write(as_user, route):
    assert send(as_user, route, make_task(route), **{"If-None-Match": '"1"'}).status_code == 200


def test_if_match_with_any_version_stops_no_creation(as_user):
    assert send(as_user, ROUTES["create"], **{"If-Match": "*"}).status_code == 201


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"9", "1"', "*", ', "1",', '"a,b" , "1"'])
@every(RETRIEVALS)
def test_if_none_match_with_current_version_answers_304(as_user, route, tags, method):
    response = send(as_user, route._replace(method=method), make_task(route), **{"If-None-Match": tags})
    assert (response.status_code, response.content) == (304, b"")
    assert headers(response) == common_headers(ETag='"1"')


@pytest.mark.parametrize("tags", [tags for tags in OTHER_VERSIONS if "W/" not in tags] + ['W/"2"', f'"{"1" * 5000}"'])
@every(RETRIEVALS)
def test_if_none_match_with_other_version_answers_task(as_user, route, tags):
    task = make_task(route)
    response = send(as_user, route, task, **{"If-None-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
