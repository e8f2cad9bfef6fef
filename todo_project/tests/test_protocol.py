"""The running server and malformed HTTP, sent over a socket."""

import json

import pytest

from rest.problems.types import PROBLEMS
from testing.raw_http import exchange, parse_response
from todo_project.tests.bad_protocol import (
    BAD_PROTOCOL,
    BODY,
    BODY_IN_CHUNKS,
    CHUNKED,
    CLOSE,
    GET,
    HOST_HEADER,
    JSON,
    LENGTH,
    POST,
    UNUSUAL_PROTOCOL,
    message,
)

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code"}


@pytest.mark.parametrize("row", BAD_PROTOCOL, ids=lambda row: row.name)
def test_malformed_request_is_refused(server, row):
    tasks = server.get("/api/tasks")
    received = exchange(server, row.request, half_close=row.half_close)
    if row.status is None:
        assert received == b""
        return
    response, body = parse_response(received)
    assert response.status == row.status
    if row.code is None:
        assert body == b""
    else:
        problem = json.loads(body)
        assert response.getheader("Content-Type") == "application/problem+json"
        assert set(problem) - {"errors"} == PROBLEM_MEMBERS
        assert (problem["code"], problem["status"]) == (row.code, row.status)
        assert problem["title"] == PROBLEMS[row.code].title
    assert server.get("/api/tasks") == tasks


@pytest.mark.parametrize("row", UNUSUAL_PROTOCOL, ids=lambda row: row.name)
def test_unusual_request_is_accepted(server, row):
    response, body = parse_response(exchange(server, row.request))
    assert response.status == row.status
    assert response.getheader("Content-Type") == "application/json"
    assert isinstance(json.loads(body), dict if row.status == 201 else list)


@pytest.mark.parametrize(
    ("first", "responses"),
    [
        (message(POST, HOST_HEADER, JSON, LENGTH, body=BODY), 2),
        (message(POST, HOST_HEADER, JSON, CHUNKED, body=BODY_IN_CHUNKS), 2),
        (message(GET, HOST_HEADER), 2),
        (message(POST, HOST_HEADER, JSON, LENGTH, "Content-Length: 5", body=BODY), 1),
        (message(POST, HOST_HEADER, JSON, "Transfer-Encoding: x", LENGTH, body=BODY), 1),
    ],
    ids=["a length", "chunks", "no body", "two lengths", "an unknown coding"],
)
def test_second_request_follows_an_unambiguous_body_only(server, first, responses):
    """An ambiguous end of a request closes the connection, which prevents request smuggling."""
    received = exchange(server, first + message("GET /healthz HTTP/1.1", HOST_HEADER, CLOSE))
    assert received.count(b"HTTP/1.1 ") == responses
    assert (b'{"status": "ok", "build": "' in received) is (responses == 2)


def test_rows_are_unique():
    assert len({row.name for row in (*BAD_PROTOCOL, *UNUSUAL_PROTOCOL)}) == len(BAD_PROTOCOL) + len(UNUSUAL_PROTOCOL)
    assert len({row.request for row in (*BAD_PROTOCOL, *UNUSUAL_PROTOCOL)}) == len(BAD_PROTOCOL) + len(UNUSUAL_PROTOCOL)
