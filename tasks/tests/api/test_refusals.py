"""Every refusal of ``refusals.py``, and the order in which the API checks a request."""

import json
from io import BytesIO
from urllib.parse import unquote_to_bytes
from uuid import UUID, uuid4

import pytest
from django.test import RequestFactory
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from uuid_utils.compat import uuid7

from idempotency.tests.factories import KeptResponseFactory
from tasks.tests.api.contract import (
    PROBLEM_JSON,
    PROBLEMS,
    ROUTES,
    headers,
    problem_headers,
    rfc_3339,
    task_body,
)
from tasks.tests.api.refusals import DJANGO_FAILS, LIVE_ID, REFUSALS, TRASHED_ID, USED_KEY, Fault, two_faults
from tasks.tests.factories import TaskFactory
from testing.python_processes import python_output
from testing.raw_http import exchange, parse_response
from todo_project.tests.bad_protocol import message
from todo_project.wsgi import application

pytestmark = pytest.mark.django_db

OWN_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    412: {"ETag": '"1"'},
    429: {"Retry-After": "7"},
}


def tasks_of(user_id):
    return {
        "live": TaskFactory.build(id=UUID(LIVE_ID), user_id=user_id),
        "trashed": TaskFactory.build(id=UUID(TRASHED_ID), user_id=user_id, trashed=True),
        "foreign": TaskFactory.build(foreign=True),
    }


@pytest.fixture
def make_ids():
    """Store the tasks that the paths name, and the used key."""

    def make(user_id):
        tasks = tasks_of(user_id)
        for task in tasks.values():
            task.save()
        KeptResponseFactory(user_id=user_id, key=USED_KEY)
        return {**{name: task.id for name, task in tasks.items()}, "absent": uuid7(), "uuid_4": uuid4()}

    return make


def environ(row, path):
    """Return the WSGI environment of a request that sends nothing but what the row names."""
    path, _, query = path.partition("?")
    request = {
        "REQUEST_METHOD": row.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(row.body),
    }
    if row.body:
        request["CONTENT_LENGTH"] = str(len(row.body))
    for name, value in row.headers.items():
        variable = name.upper().replace("-", "_")
        request[variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}"] = value
    return request


def expected(row, path):
    """Return the status, the headers, the ``Allow`` of a 405 and the body of a refusal."""
    status, *_ = PROBLEMS[row.code]
    allow = row.allow if status == 405 else None
    body = None if row.method == "HEAD" else row.problem(path)
    return status, problem_headers(**OWN_HEADERS.get(status, {})), allow, body


def received(status, response, content):
    """Return the same parts of a response."""
    allow = response.headers["Allow"] if status == 405 else None
    return status, headers(response), allow, json.loads(content) if content else None


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.name)
def test_bad_request_is_refused(as_user, stored, make_ids, row):
    path = row.path.format(**make_ids("default"))
    before = stored()
    response = as_user.request(**environ(row, path))
    assert received(response.status_code, response, response.content) == expected(row, path)
    assert UUID(response.headers["X-Request-ID"]).version == 7
    assert stored() == before


NO_TOKEN = Fault("token", "not_authenticated", {"headers": {"Authorization": ""}})
OVER_LIMIT = Fault("rate limit", "throttled", {"headers": {"X-Over-Limit": "1"}})


class LimitedByHeader(BaseThrottle):
    """A rate limit that every request with the header ``X-Over-Limit`` exceeds."""

    def allow_request(self, request, view):
        return "X-Over-Limit" not in request.headers

    def wait(self):
        return 7


@pytest.mark.parametrize("name", ROUTES)
def test_request_with_two_faults_is_refused_for_first(client_of, stored, make_ids, monkeypatch, name):
    monkeypatch.setattr(APIView, "throttle_classes", [LimitedByHeader])
    client, ids = client_of("alice"), make_ids("alice")
    before = stored()
    answers, refusals = {}, {}
    for row in two_faults(name, [[NO_TOKEN], [OVER_LIMIT]]):
        path = row.path.format(**ids)
        response = client.request(**environ(row, path))
        answers[row.name] = received(response.status_code, response, response.content)
        refusals[row.name] = expected(row, path)
    assert answers == refusals
    assert stored() == before


# The application closes the database connection, and with it the transaction of an ordinary test.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", DJANGO_FAILS, ids=lambda row: row.name)
def test_bad_request_that_django_cannot_parse_is_refused(stored, make_ids, row):
    path = row.path.format(**make_ids("default"))
    before = stored()
    answer = {}

    def start_response(status, response_headers, exc_info=None):
        answer.update(status=int(status.split()[0]), headers=dict(response_headers))

    body = b"".join(application(RequestFactory()._base_environ(**environ(row, path)), start_response))
    assert (answer["status"], answer["headers"]["Content-Type"]) == (PROBLEMS[row.code][0], PROBLEM_JSON)
    assert json.loads(body) == row.problem(path)
    assert stored() == before


#: granian itself answers CONNECT, and a response to HEAD has no body to compare.
SENT_TO_SERVER = [
    row for row in (*REFUSALS, *two_faults("update"), *DJANGO_FAILS) if row.method not in {"CONNECT", "HEAD"}
]


@pytest.fixture
def ids_on_server(server, database_url, tmp_path):
    """Store the same as ``make_ids`` in the database of the running server."""
    tasks = tasks_of("default")
    trashed = {"deleted_at": rfc_3339(tasks["trashed"].deleted_at)}
    lines = [task_body(tasks["live"]), task_body(tasks["trashed"]) | trashed, task_body(tasks["foreign"])]
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    python_output("manage.py", "import_tasks", str(file), DATABASE_URL=database_url)
    toggled = message(
        f"POST /api/tasks/{tasks['live'].id}/toggle HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        'If-Match: "9"',
        f"Idempotency-Key: {USED_KEY}",
    )
    assert parse_response(exchange(server, toggled))[0].status == 412
    return {**{name: task.id for name, task in tasks.items()}, "absent": uuid7(), "uuid_4": uuid4()}


def test_running_server_refuses_every_bad_request(server, ids_on_server):
    before = server.get("/api/tasks"), server.get("/api/tasks/trash")
    answers, refusals = {}, {}
    for row in SENT_TO_SERVER:
        path = row.path.format(**ids_on_server)
        response, body = parse_response(exchange(server, as_message(row, path)))
        answers[row.name] = received(response.status, response, body)
        refusals[row.name] = expected(row, path)
    assert answers == refusals
    assert (server.get("/api/tasks"), server.get("/api/tasks/trash")) == before


def as_message(row, path):
    """Return the bytes of a request with the row's headers and those that HTTP requires."""
    head = {"Host": "localhost", "Connection": "close", **row.headers}
    if row.body:
        head["Content-Length"] = len(row.body)
    return message(
        f"{row.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), body=row.body
    )


def test_refusals_have_distinct_names():
    assert len({row.name for row in REFUSALS}) == len(REFUSALS)


def test_refusals_have_every_problem_of_client():
    of_client = {code for code, (status, *_) in PROBLEMS.items() if 400 <= status < 500}
    assert {row.code for row in REFUSALS} == of_client - {
        "not_authenticated",
        "authentication_failed",
        "throttled",
    }
