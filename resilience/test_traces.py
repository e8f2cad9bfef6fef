"""A trace leads through nginx, the service and its statements, and no receiver of spans delays a stop."""

import json
import time

import pytest

from observability.tests.test_trace_context import PARENT_ID, TRACE_ID, VALID
from resilience.nginx import run_nginx
from testing.api_clients import RecordingClient
from testing.otlp import running_receiver
from testing.servers import running_service

SECRET = "a-secret-that-nobody-should-read"

#: How much longer a stop may take because of spans that cannot be sent.
MOST_SECONDS = 2.5


@pytest.fixture
def receiver():
    with running_receiver() as receiver:
        yield receiver


def test_trace_through_nginx_has_the_ids_of_the_log(database_url, receiver, tmp_path, report_result):
    variables = {"LOG_LEVEL": "INFO", "ACCESS_LOG": "on", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with (
        (tmp_path / "log").open("wb") as log,
        running_service(database_url, log=log, WORKERS="1", **variables) as server,
        run_nginx(server.port) as port,
        RecordingClient(port) as client,
    ):
        path = client.send("POST", "/api/tasks", {"title": SECRET}).headers["location"]
        assert client.send("GET", path, traceparent=VALID).body["title"] == SECRET
    # The stop of the service has sent the last spans.
    spans = [span for span in receiver.spans if span.trace_id == TRACE_ID]
    [request] = [span for span in spans if span.parent_id == PARENT_ID]
    [statement] = [span for span in spans if span.parent_id == request.span_id]
    assert (request.name, statement.name) == ("GET /api/tasks/<uuid:id>", "SELECT")
    assert len(spans) == 2
    assert len(receiver.spans) > 3, "the POST has a trace of its own"
    assert SECRET.encode() not in b"".join(receiver.bodies)
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [access] = [event for event in events if event.get("method") == "GET" and event.get("path") == path]
    assert (access["trace_id"], access["parent_id"], access["span_id"]) == (TRACE_ID, PARENT_ID, request.span_id)
    report_result(f"{len(receiver.spans)} spans of two requests; the log has the ids of the trace")


def seconds_of_stop(database_url, **variables):
    """Return how long a service takes to stop after a request."""
    with running_service(database_url, WORKERS="1", **variables) as server:
        assert server.get("/api/tasks")[0] == 200
        began = time.monotonic()
    return time.monotonic() - began


@pytest.mark.parametrize("state", ["silent", "absent"])
def test_stop_without_answer_from_the_receiver_is_quick(database_url, receiver, report_result, state):
    url = receiver.url
    if state == "silent":
        receiver.answering.clear()
    else:
        receiver.server.server_close()
    usual = seconds_of_stop(database_url)
    slow = seconds_of_stop(database_url, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    report_result(f"stop after {slow:.1f} s, without traces {usual:.1f} s")
    assert slow - usual < MOST_SECONDS
