"""The log: its format, the fields of an event, and the secrets that it never contains."""

import json
import logging
import re
from datetime import UTC, datetime
from unittest.mock import ANY

import pytest
from django.db import IntegrityError, connection, transaction

from observability.log import JSONFormatter, LineFormatter
from tasks.models import Task
from tasks.tests.api.contract import JSON
from tasks.tests.factories import TaskFactory
from testing.python_processes import REQUIRED_SETTINGS, run_python
from testing.servers import running_service
from todo_project import __version__

SECRET = "a-secret-that-nobody-should-read"
FORGED = '\n{"level":"ERROR","message":"forged"}\r\x00\x1b[2J\x7f\x85\u2028\ud800'

logger = logging.getLogger("todo_project.tests")


@pytest.fixture
def test_urls(settings):
    settings.ROOT_URLCONF = "rest.tests.urls"


def record(message="happened", *args, **attributes):
    return logging.makeLogRecord(
        {"name": "a.b", "levelname": "INFO", "created": 1768123800.5, "msg": message, "args": args, **attributes}
    )


def exception_info(error):
    try:
        raise error
    except type(error) as caught:
        return (type(caught), caught, caught.__traceback__)


def test_event_is_one_line_of_json():
    assert JSONFormatter().format(record("%s of %d", "one", 2)) == (
        '{"time":"2026-01-11T09:30:00.500Z","level":"INFO","logger":"a.b","message":"one of 2"}'
    )


def test_traceback_is_one_field():
    event = json.loads(JSONFormatter().format(record(exc_info=exception_info(RuntimeError("went wrong")))))
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
def test_event_with_any_text_is_one_line_of_ascii(text):
    line = JSONFormatter().format(record("%s", text, path=text, exc_info=exception_info(RuntimeError(text))))
    assert re.fullmatch("[ -~]+", line)
    event = json.loads(line)
    assert (event["message"], event["path"]) == (text, text)
    assert event["traceback"].rstrip("\n").endswith(f"RuntimeError: {text}".rstrip("\n"))


@pytest.mark.parametrize("text", ["\n", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029"])
def test_readable_event_with_control_character_is_one_line(text):
    line = LineFormatter().format(record("one %s two", text, request_id="-"))
    escaped = "".join(f"\\u{ord(character):04x}" for character in text[:1]) + text[1:]
    assert line == f"{line[:23]} INFO a.b [-] one {escaped} two"


def test_readable_event_ends_with_the_traceback():
    error = RuntimeError("\x1b[2Jwent wrong")
    first, *traceback = LineFormatter().format(record(request_id="-", exc_info=exception_info(error))).splitlines()
    assert first.endswith(" INFO a.b [-] happened")
    assert (traceback[0], traceback[-1]) == (
        "Traceback (most recent call last):",
        "RuntimeError: \\u001b[2Jwent wrong",
    )


VARIABLES = {"DJANGO_SETTINGS_MODULE": "todo_project.settings", **REQUIRED_SETTINGS}
LOG_AN_EVENT = "import django, logging; django.setup(); logging.getLogger('a').warning('b')"


@pytest.mark.once
def test_event_outside_of_requests_has_no_request_id():
    process = run_python("-c", LOG_AN_EVENT, **VARIABLES)
    assert json.loads(process.stderr) == {
        "time": ANY,
        "level": "WARNING",
        "logger": "a",
        "request_id": "-",
        "message": "b",
    }
    assert process.stdout == ""


@pytest.mark.once
def test_event_with_debug_is_a_readable_line():
    process = run_python("-c", LOG_AN_EVENT, DEBUG="on", **VARIABLES)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING a \[-\] b\n", process.stderr)


# Events of a request


@pytest.mark.django_db
@pytest.mark.usefixtures("test_urls")
def test_event_of_a_request_names_the_request(client, events):
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
def test_failure_is_one_event_with_its_traceback(client, fail_with, events, path):
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
def test_path_with_line_breaks_cannot_forge_an_event(client, fail_with, log, events):
    fail_with(RuntimeError(f"went wrong{FORGED}"))
    client.get('/api/forged/%0A{"level":"ERROR","message":"forged"}%0D%00%1B%7F%C2%85%E2%80%A8')
    assert len(log()) == 1
    assert [event["logger"] for event in events()] == ["django.request"]
    assert events()[0]["path"] == '/api/forged/\n{"level":"ERROR","message":"forged"}\r\x00\x1b\x7f\x85\u2028'


# Secrets


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_log_contains_no_text_of_a_task_and_no_secret(as_user, log):
    credentials = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "Idempotency-Key": SECRET}
    body = {"title": SECRET, "description": SECRET}
    created = as_user.post("/api/tasks", body, content_type=JSON, headers=credentials)
    as_user.patch(created["Location"], {"title": SECRET * 20}, content_type=JSON, headers=credentials)
    as_user.patch(created["Location"], {SECRET: 1}, content_type=JSON)
    assert SECRET in as_user.get(f"/api/tasks?q={SECRET}").getvalue().decode()
    as_user.get("/api/tasks", headers={"Host": "evil.example", **credentials})
    as_user.get(f"/api/tasks?cursor={SECRET}&limit=1")
    assert len(log()) == 7  # the refused host has an event besides its access
    assert SECRET not in "\n".join(log())


@pytest.mark.django_db
@pytest.mark.parametrize("formatter", [JSONFormatter(), LineFormatter()], ids=["json", "line"])
def test_log_omits_rows_that_the_database_quotes(formatter):
    text = f"{SECRET}\n\n{SECRET}\nDETAIL: {SECRET}"
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Task.objects.filter(id=TaskFactory(description=text).id).update(version=0)
    logged = formatter.format(record(request_id="-", exc_info=(refused.type, refused.value, refused.tb)))
    if connection.vendor == "postgresql":
        assert SECRET in str(refused.value), "control: without the formatter the row would be logged"
    assert SECRET not in logged
    assert logged.count("The above exception was the direct cause") == 1
    assert logged.count("task_version_positive") == 2


# The running server


def test_running_server_logs_its_version_first_and_only_json(database_url, tmp_path):
    """The command ``serve``, granian's main process and its workers write to the same log."""
    variables = {"LOG_LEVEL": "INFO", "ACCESS_LOG": "on"}
    with (tmp_path / "log").open("wb") as log, running_service(database_url, log=log, **variables) as server:
        assert server.get("/api/tasks")[0] == 200
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert events[0] == {
        "time": ANY,
        "level": "INFO",
        "logger": "todo_project.server",
        "request_id": "-",
        "message": f"To-do tasks {__version__} starts",
    }
    assert {event["logger"] for event in events[1:]} == {"_granian", "_granian.serve", "todo_project.access"}
    assert [event["status"] for event in events if event.get("path") == "/api/tasks"] == [200]
    assert all(event.keys() >= {"time", "level", "message"} for event in events)


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/?next=/admin/"])
def test_request_to_an_unknown_host_is_one_event(client, events, path):
    assert client.get(path, headers={"Host": "evil", "X-Request-ID": "a-1"}).status_code == 400
    assert events() == [
        {
            "time": ANY,
            "level": "WARNING",
            "logger": "todo_project.security",
            "request_id": "a-1",
            "method": "GET",
            "path": path.partition("?")[0],
            "duration_ms": ANY,
            "event": "host_refused",
            "address": "127.0.0.1",
            "message": "Host is not in ALLOWED_HOSTS: evil",
        }
    ]
