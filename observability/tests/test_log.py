"""The log: its form, what stands in a line, and what never does."""

import json
import logging
import re
from datetime import UTC, datetime
from io import StringIO
from unittest.mock import ANY

import pytest
from django.db import IntegrityError, connection, transaction

from observability.log import JSONFormatter, LineFormatter
from tasks.models import Task
from tasks.tests.api.contract import JSON
from tasks.tests.factories import TaskFactory
from testing.python_processes import SOUND, run
from testing.servers import served

SECRET = "a-secret-that-nobody-should-read"
FORGED = '\n{"level":"ERROR","message":"forged"}\r\x00\x1b[2J\x7f\x85\u2028\ud800'

ACCESS_LOG = "observability.access_log.access_log_middleware"

logger = logging.getLogger("todo_project.tests")


@pytest.fixture
def log():
    """The lines that the server writes to its log, until now."""
    (console,) = (handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    written = StringIO()
    before = console.setStream(written)
    yield lambda: written.getvalue().splitlines()
    console.setStream(before)


@pytest.fixture
def events(log):
    return lambda: [json.loads(line) for line in log()]


@pytest.fixture
def views(settings):
    settings.ROOT_URLCONF = "rest.tests.urls"


def record(message="happened", *args, **attributes):
    return logging.makeLogRecord(
        {"name": "a.b", "levelname": "INFO", "created": 1768123800.5, "msg": message, "args": args, **attributes}
    )


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return (type(caught), caught, caught.__traceback__)


def test_an_event_is_one_line_of_json():
    assert JSONFormatter().format(record("%s of %d", "one", 2)) == (
        '{"time":"2026-01-11T09:30:00.500Z","level":"INFO","logger":"a.b","message":"one of 2"}'
    )


def test_a_traceback_is_one_field():
    event = json.loads(JSONFormatter().format(record(exc_info=raised(RuntimeError("went wrong")))))
    assert event == {
        "time": "2026-01-11T09:30:00.500Z",
        "level": "INFO",
        "logger": "a.b",
        "message": "happened",
        "traceback": ANY,
    }
    assert re.fullmatch(
        r"Traceback \(most recent call last\):\n.*\nRuntimeError: went wrong", event["traceback"], re.DOTALL
    )


@pytest.mark.parametrize(
    "text", ["".join(map(chr, range(256))), "\n", "\u2028", "\u2029", "\u202e", "\U0001f4a9", "\ud800", FORGED]
)
def test_nothing_that_is_logged_leaves_its_line(text):
    """Nor does anything but printable ASCII stand in it."""
    line = JSONFormatter().format(record("%s", text, path=text, exc_info=raised(RuntimeError(text))))
    assert re.fullmatch("[ -~]+", line)
    event = json.loads(line)
    assert (event["message"], event["path"]) == (text, text)
    assert event["traceback"].rstrip("\n").endswith(f"RuntimeError: {text}".rstrip("\n"))


@pytest.mark.parametrize("text", ["\n", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_line_for_a_person_is_one_too(text):
    line = LineFormatter().format(record("one %s two", text, request_id="-"))
    escaped = "".join(f"\\u{ord(character):04x}" for character in text[:1]) + text[1:]
    assert line == f"{line[:23]} INFO a.b [-] one {escaped} two"


def test_a_traceback_for_a_person_stands_below():
    error = RuntimeError("\x1b[2Jwent wrong")
    first, *traceback = LineFormatter().format(record(request_id="-", exc_info=raised(error))).splitlines()
    assert first.endswith(" INFO a.b [-] happened")
    assert (traceback[0], traceback[-1]) == (
        "Traceback (most recent call last):",
        "RuntimeError: \\u001b[2Jwent wrong",
    )


def test_outside_of_a_request_there_is_none():
    lines = run("-c", "import django, logging; django.setup(); logging.getLogger('a').warning('b')", **NO_DEBUG)
    assert json.loads(lines.stderr) == {
        "time": ANY,
        "level": "WARNING",
        "logger": "a",
        "request_id": "-",
        "message": "b",
    }
    assert lines.stdout == ""


NO_DEBUG = {"DJANGO_SETTINGS_MODULE": "todo_project.settings", **SOUND}


def test_with_debug_the_lines_are_for_people():
    code = "import django, logging; django.setup(); logging.getLogger('a').warning('b')"
    lines = run("-c", code, DEBUG="on", **NO_DEBUG)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING a \[-\] b\n", lines.stderr)


# Of a request


@pytest.mark.django_db
def test_every_line_of_a_request_says_which_it_is(client, views, events):
    for request_id in ("a-1", "b-2"):
        client.get("/api/log?q=not+this", headers={"X-Request-ID": request_id})
    one = {"time": ANY, "logger": "todo_project.tests", "method": "GET", "path": "/api/log", "duration_ms": ANY}
    assert events() == [
        {**one, "level": "INFO", "request_id": "a-1", "message": "one"},
        {**one, "level": "WARNING", "request_id": "a-1", "message": "two"},
        {**one, "level": "INFO", "request_id": "b-2", "message": "one"},
        {**one, "level": "WARNING", "request_id": "b-2", "message": "two"},
    ]
    assert all(0 < event["duration_ms"] < 10_000 for event in events())
    assert abs(datetime.fromisoformat(events()[-1]["time"]) - datetime.now(UTC)).total_seconds() < 10


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/rest-framework", "/api/django", "/django"])
def test_a_failure_is_one_event_with_its_traceback(client, fail_with, events, path):
    fail_with(RuntimeError("what went wrong"))
    problem = client.get(path).json()
    [event] = events()
    assert event == {
        "time": ANY,
        "level": "ERROR",
        "logger": "django.request",
        "request_id": problem["request_id"],
        "method": "GET",
        "path": path,
        "status": 500,
        "duration_ms": ANY,
        "message": f"Internal Server Error: {path}",
        "traceback": ANY,
    }
    assert event["traceback"].endswith("\nRuntimeError: what went wrong")


@pytest.mark.django_db
def test_a_path_cannot_forge_a_line(client, fail_with, log, events):
    fail_with(RuntimeError(f"went wrong{FORGED}"))
    client.get('/api/forged/%0A{"level":"ERROR","message":"forged"}%0D%00%1B%7F%C2%85%E2%80%A8')
    assert len(log()) == 1
    assert [event["logger"] for event in events()] == ["django.request"]
    assert events()[0]["path"] == '/api/forged/\n{"level":"ERROR","message":"forged"}\r\x00\x1b\x7f\x85\u2028'


# What never stands in it


@pytest.mark.django_db
def test_no_tasks_text_and_no_secret_is_logged(as_user, log, settings):
    """With a line a request, which is as much as there is at INFO."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:1],
        "observability.access_log.access_log_middleware",
        *settings.MIDDLEWARE[1:],
    ]
    credentials = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "Idempotency-Key": SECRET}
    body = {"title": SECRET, "description": SECRET}
    created = as_user.post("/api/tasks", body, content_type=JSON, headers=credentials)
    as_user.patch(created["Location"], {"title": SECRET * 20}, content_type=JSON, headers=credentials)
    as_user.patch(created["Location"], {SECRET: 1}, content_type=JSON)
    assert SECRET in as_user.get(f"/api/tasks?q={SECRET}").getvalue().decode()
    as_user.get("/api/tasks", headers={"Host": f"{SECRET}.example"})
    as_user.get(f"/api/tasks?cursor={SECRET}&limit=1")
    assert len(log()) == 6
    assert SECRET not in "\n".join(log())


@pytest.mark.django_db
@pytest.mark.parametrize("formatter", [JSONFormatter(), LineFormatter()], ids=["json", "line"])
def test_a_row_that_the_database_quotes_is_left_out(formatter):
    text = f"{SECRET}\n\n{SECRET}\nDETAIL: {SECRET}"
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Task.objects.filter(id=TaskFactory(description=text).id).update(version=0)
    shown = formatter.format(record(request_id="-", exc_info=(refused.type, refused.value, refused.tb)))
    if connection.vendor == "postgresql":
        assert SECRET in str(refused.value), "the control: were it not left out, it would be there"
    assert SECRET not in shown
    assert shown.count("The above exception was the direct cause") == 1
    assert shown.count("task_version_positive") == 2


# A line a request


def access_log_of(client, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:1],
        "observability.access_log.access_log_middleware",
        *settings.MIDDLEWARE[1:],
    ]
    return client


@pytest.mark.django_db
def test_an_access_line_has_all_that_is_asked_of_one(client, settings, events):
    access_log_of(client, settings)
    for method, path, status in (("GET", "/api/tasks", 200), ("PUT", "/api/tasks", 405), ("GET", "/api/nowhere", 404)):
        response = client.generic(method, f"{path}?x=1" if status == 405 else path)
        assert events()[-1] == {
            "time": ANY,
            "level": "INFO",
            "logger": "todo_project.access",
            "request_id": response["X-Request-ID"],
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": ANY,
            "message": f"{method} {path} {status}",
        }


@pytest.mark.parametrize(
    ("variables", "on"), [({}, False), ({"ACCESS_LOG": "on"}, True), ({"ACCESS_LOG": "off"}, False)]
)
def test_an_access_line_is_a_setting(variables, on):
    code = "from django.conf import settings; print('" + ACCESS_LOG + "' in settings.MIDDLEWARE)"
    assert run("-c", code, **NO_DEBUG, **variables).stdout == f"{on}\n"


# Of the server


def test_whatever_the_server_writes_is_a_line_of_json(database_url, tmp_path):
    """granian's own events, those of its workers, and one line a request."""
    variables = {"LOG_LEVEL": "INFO", "ACCESS_LOG": "on"}
    with (tmp_path / "log").open("wb") as log, served(database_url, log=log, **variables) as server:
        assert server.get("/api/tasks")[0] == 200
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {event["logger"] for event in events} == {"_granian", "_granian.serve", "todo_project.access"}
    assert [event["status"] for event in events if event.get("path") == "/api/tasks"] == [200]
    assert all(event.keys() >= {"time", "level", "message"} for event in events)


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/?next=/admin/"])
def test_a_host_that_is_not_served_is_the_client_s_affair(client, log, path):
    assert client.get(path, headers={"Host": "evil"}).status_code == 400
    assert log() == []
