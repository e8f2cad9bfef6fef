"""The WSGI application as the server calls it: request bodies before Django, and responses after it."""

import json
from collections.abc import Iterable
from io import BytesIO
from uuid import UUID

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tasks.models import Task
from tasks.tests.factories import TaskFactory
from todo_project.wsgi import TolerantRequest, application

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keep_test_connection():
    """Keep requests on the connection that the test rolls back, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


class Body(BytesIO):
    """A request body that refuses to be read without a limit."""

    def read(self, size=-1):
        assert size >= 0, "an endless body would be read forever"
        return super().read(size)


class Answer:
    """A call of the application, and the response."""

    def __init__(self, environ):
        self.result = application(environ, self.start_response)

    def start_response(self, status, headers, exc_info=None):
        self.status = int(status.partition(" ")[0])
        self.headers = dict(headers)

    @property
    def body(self):
        return b"".join(self.result)

    def json(self):
        return json.loads(self.body)


def environ(method="GET", path="/api/tasks", body=b"", query="", **others):
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": Body(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    } | others


def chunked(body, **others):
    """Return a chunked request as servers pass it on: decoded, without a length."""
    return environ(
        "POST",
        body=body,
        **{
            "CONTENT_TYPE": "application/json",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            **others,
        },
    )


def padded(size):
    """Return a valid body of exactly ``size`` bytes."""
    return b'{"title": "Buy milk"}'.ljust(size)


def test_body_with_a_length_is_read():
    body = padded(30)
    answer = Answer(environ("POST", body=body, CONTENT_TYPE="application/json", CONTENT_LENGTH="30"))
    assert (answer.status, answer.json()["title"]) == (201, "Buy milk")


def test_body_shorter_than_its_length_is_refused():
    answer = Answer(environ("POST", body=padded(30), CONTENT_TYPE="application/json", CONTENT_LENGTH="31"))
    assert (answer.status, answer.json()["detail"]) == (400, "The body ended before its Content-Length")
    assert not Task.objects.exists()


def test_chunked_body_is_read():
    answer = Answer(chunked(padded(30)))
    task = Task.objects.get()
    assert (answer.status, answer.headers["Location"]) == (201, f"/api/tasks/{task.id}")
    assert (answer.json()["title"], task.title) == ("Buy milk", "Buy milk")


def test_chunked_body_of_64_kib_is_accepted():
    assert Answer(chunked(padded(65_536))).status == 201


def too_large(instance="/api/tasks"):
    return {
        "type": "/problems/payload_too_large",
        "title": "Payload Too Large",
        "status": 413,
        "detail": "The body is larger than 64 KiB",
        "instance": instance,
        "code": "payload_too_large",
    }


@pytest.mark.parametrize("size", [65_537, 1_000_000])
def test_chunked_body_over_64_kib_is_read_up_to_the_limit(size):
    request = chunked(padded(size))
    body = request["wsgi.input"]
    answer = Answer(request)
    assert (answer.status, answer.json()) == (413, too_large())
    assert body.tell() == 65_537
    assert not Task.objects.exists()


@pytest.mark.parametrize("path", ["/api/tasks/bulk", "/api/tasks/bulk/"])
def test_chunked_bulk_is_read_up_to_512_kib(path):
    bulk = b'[{"op": "create", "task": {"title": "Buy milk"}}]'
    assert Answer(chunked(bulk.ljust(524_288), PATH_INFO=path)).json()[0]["title"] == "Buy milk"
    request = chunked(bulk.ljust(1_000_000), PATH_INFO=path)
    body = request["wsgi.input"]
    answer = Answer(request)
    assert (answer.status, answer.json()["detail"]) == (413, "The body is larger than 512 KiB")
    assert body.tell() == 524_289


def test_body_with_a_length_over_64_kib_is_not_read():
    request = environ("POST", body=padded(65_537), CONTENT_TYPE="application/json", CONTENT_LENGTH="65537")
    answer = Answer(request)
    assert (answer.status, answer.json()) == (413, too_large())
    assert request["wsgi.input"].tell() == 0


def test_ignored_chunked_body_has_the_same_limit():
    path = f"/api/tasks/{TaskFactory().id}/toggle"
    answer = Answer(chunked(b"a" * 65_537, PATH_INFO=path))
    assert (answer.status, answer.json()) == (413, too_large(path))
    assert Answer(chunked(b"a" * 65_536, PATH_INFO=path)).json()["completed"] is True


@pytest.mark.parametrize(("size", "status"), [(65_537, 200), (1_048_576, 200), (1_048_577, 413)])
def test_chunked_admin_form_over_1_mib_is_refused(size, status):
    token = "t" * 32
    form = f"csrfmiddlewaretoken={token}&username=".encode().ljust(size, b"u")
    headers = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "HTTP_COOKIE": f"csrftoken={token}"}
    request = chunked(form, PATH_INFO="/admin/login/", **headers)
    body = request["wsgi.input"]
    assert Answer(request).status == status
    assert body.tell() == size


def test_empty_chunked_body_is_a_parse_error():
    answer = Answer(chunked(b""))
    assert (answer.status, answer.json()["code"]) == (400, "parse_error")


def test_body_of_an_unterminated_input_is_not_read():
    """Without ``wsgi.input_terminated`` a read to the end could wait forever."""
    request = chunked(padded(30), **{"wsgi.input_terminated": False})
    answer = Answer(request)
    assert (answer.status, answer.json()["code"]) == (400, "parse_error")
    assert request["wsgi.input"].tell() == 0


@pytest.fixture
def finished():
    """Record each ``request_finished`` signal, which releases the database connection."""
    signals = []

    def receive(**_):
        signals.append(request_finished)

    request_finished.connect(receive)
    yield signals
    request_finished.disconnect(receive)


@pytest.mark.parametrize("path", ["/healthz", "/api/nowhere", "/problems/conflict", "/api/schema"])
def test_complete_response_is_a_closed_list_of_bytes(finished, path):
    answer = Answer(environ(path=path))
    assert isinstance(answer.result, list)
    assert [type(part) for part in answer.result] == [bytes]
    assert len(finished) == 1


def test_task_is_sent_in_one_part(finished):
    task = TaskFactory()
    answer = Answer(environ(path=f"/api/tasks/{task.id}"))
    assert (len(answer.result), answer.json()["id"]) == (1, str(task.id))
    assert len(finished) == 1


def test_streamed_response_stays_an_open_stream(finished):
    tasks = TaskFactory.create_batch(3)
    answer = Answer(environ())
    assert isinstance(answer.result, Iterable)
    assert not isinstance(answer.result, list)
    assert "Content-Length" not in answer.headers
    assert finished == []
    assert {task["id"] for task in answer.json()} == {str(task.id) for task in tasks}
    answer.result.close()
    assert len(finished) == 1


def test_http_1_0_request_without_host_is_served():
    request = environ(path="/api/tasks/1", SERVER_PROTOCOL="HTTP/1.0")
    del request["HTTP_HOST"]
    assert Answer(request).status == 404


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset*=bogus''x",
        "application/json; x*=bogus''x",
        "application/json; charset=rot13",
        "application/json; charset=undefined",
        "application/json; charset=idna",
        "application/json; charset=zlib",
        "application/json; charset*=utf-8''%00",
    ],
)
@pytest.mark.parametrize("query", ["", "nope=%41"])
def test_malformed_content_type_is_unsupported(content_type, query):
    body = padded(30)
    answer = Answer(environ("POST", body=body, query=query, CONTENT_TYPE=content_type, CONTENT_LENGTH="30"))
    assert answer.status == 415
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"]
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize("charset", ["rot13", "undefined", "idna", "utf-16", "utf-16-le", "utf-7"])
def test_charset_does_not_change_the_query(charset):
    answer = Answer(environ(query="nope=%41&other=1", CONTENT_TYPE=f"text/plain; charset={charset}"))
    assert answer.status == 400
    assert [fault["parameter"] for fault in answer.json()["errors"]] == ["nope", "other"]


@pytest.mark.parametrize(
    "path", ["/api/B\u00c3\u00a4ume", "/api/\u00f0\u009f\u008c\u00b3", "/api/\u00ff", "/api/\0", "/api/\n"]
)
def test_unknown_path_with_any_bytes_is_a_problem(path):
    answer = Answer(environ(path=path))
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize("length", ["", "0", "abc", "-1", "\u00b2", "9" * 5000])
def test_unusable_content_length_is_refused(length):
    answer = Answer(environ("POST", CONTENT_TYPE="application/json", CONTENT_LENGTH=length))
    assert answer.status in {400, 413}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_head_request_gets_the_headers_of_get():
    task = TaskFactory()
    answer = Answer(environ("HEAD", f"/api/tasks/{task.id}"))
    assert (answer.status, answer.headers["ETag"]) == (200, '"1"')


def test_request_id_is_repeated_or_made():
    answer = Answer(environ(path="/healthz", HTTP_X_REQUEST_ID="a-1"))
    assert answer.headers["X-Request-ID"] == "a-1"
    assert UUID(Answer(environ(path="/healthz")).headers["X-Request-ID"]).version == 7


def test_content_type_over_256_bytes_is_not_parsed():
    request = TolerantRequest(environ("POST", CONTENT_TYPE="application/json; charset=" + "x" * 256))
    assert (request.content_type, request.content_params) == ("", {})


def test_cookie_with_many_backslashes_is_ignored():
    assert TolerantRequest(environ("GET", HTTP_COOKIE='a="' + "\\" * 129)).COOKIES == {}
    assert TolerantRequest(environ("GET", HTTP_COOKIE="a=b")).COOKIES == {"a": "b"}
