"""The trace context of a caller, in the log lines of its request."""

import itertools
from unittest.mock import ANY

import pytest

from observability.request_id import current_request
from observability.trace_context import NO_TRACE, trace_context

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
VALID = f"00-{TRACE_ID}-{PARENT_ID}-01"

VALID_HEADERS = {
    "sampled": VALID,
    "not sampled": f"00-{TRACE_ID}-{PARENT_ID}-00",
    "unknown flags": f"00-{TRACE_ID}-{PARENT_ID}-ff",
    "later version": f"01-{TRACE_ID}-{PARENT_ID}-01",
    "later version with more": f"cc-{TRACE_ID}-{PARENT_ID}-01-what-the-future-will-be-like",
    "later version with dash": f"fe-{TRACE_ID}-{PARENT_ID}-01-",
}
INVALID_HEADERS = {
    "empty": "",
    "no header": None,
    "version ff": f"ff-{TRACE_ID}-{PARENT_ID}-01",
    "version 00 with more": f"{VALID}-more",
    "version 00 with dash": f"{VALID}-",
    "later version with more digits": f"01-{TRACE_ID}-{PARENT_ID}-0100",
    "later version with other separator": f"01-{TRACE_ID}-{PARENT_ID}-01.what",
    "trace id of zeros": f"00-{'0' * 32}-{PARENT_ID}-01",
    "parent id of zeros": f"00-{TRACE_ID}-{'0' * 16}-01",
    "upper case": VALID.upper(),
    "upper case version": f"0A-{TRACE_ID}-{PARENT_ID}-01",
    "short trace id": f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01",
    "long trace id": f"00-{TRACE_ID}0-{PARENT_ID}-01",
    "short parent id": f"00-{TRACE_ID}-{PARENT_ID[:-1]}-01",
    "no hexadecimal digit": f"00-{TRACE_ID[:-1]}g-{PARENT_ID}-01",
    "digit of another script": f"00-{TRACE_ID[:-1]}٣-{PARENT_ID}-01",
    "short flags": f"00-{TRACE_ID}-{PARENT_ID}-1",
    "no flags": f"00-{TRACE_ID}-{PARENT_ID}",
    "two headers": f"{VALID},{VALID}",
    "line break": f"{VALID}\n",
}


def read(rf, header):
    return trace_context(rf.get("/", headers={} if header is None else {"traceparent": header}))


@pytest.mark.once
@pytest.mark.parametrize("header", VALID_HEADERS.values(), ids=VALID_HEADERS)
def test_valid_traceparent_names_the_trace(rf, header):
    assert read(rf, header) == (TRACE_ID, PARENT_ID, None)


@pytest.mark.once
@pytest.mark.parametrize("header", INVALID_HEADERS.values(), ids=INVALID_HEADERS)
def test_invalid_traceparent_is_ignored(rf, header):
    assert read(rf, header) == NO_TRACE


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_each_line_of_the_request_names_the_trace(client, events, settings):
    settings.ROOT_URLCONF = "rest.tests.urls"
    client.get("/api/log", headers={"X-Request-ID": "a-1", "traceparent": VALID})
    one = {
        "time": ANY,
        "level": "INFO",
        "logger": "todo_project.tests",
        "request_id": "a-1",
        "trace_id": TRACE_ID,
        "parent_id": PARENT_ID,
        "method": "GET",
        "path": "/api/log",
        "duration_ms": ANY,
    }
    user = {"user_hash": ANY, "address": "127.0.0.1"}
    access = {"logger": "todo_project.access", "status": 200, "bytes": 0, **user}
    assert events() == [
        {**one, "message": "one"},
        {**one, "level": "WARNING", "message": "two"},
        {**one, **access, "message": "GET /api/log 200"},
    ]


@pytest.mark.django_db
def test_request_without_log_line_reads_no_traceparent(client, monkeypatch):
    """So the header costs nothing."""
    calls = itertools.count()
    monkeypatch.setattr("observability.log.trace_context", lambda request: (next(calls), None, None))
    assert client.get("/api/tasks", headers={"traceparent": VALID}).status_code == 200
    assert current_request.get().request.META["HTTP_TRACEPARENT"] == VALID
    assert next(calls) == 0
