"""The running server, asked by raw sockets: every row of ``bad_protocol.py``, and two requests on one connection."""

import json

import pytest

from rest.problems.types import PROBLEMS
from testing.raw_http import exchange, response
from todo_project.tests.bad_protocol import (
    BAD_PROTOCOL,
    BODY,
    CHUNKED,
    CLOSE,
    GET,
    IN_CHUNKS,
    JSON,
    LENGTH,
    POST,
    TAKEN,
    message,
)
from todo_project.tests.bad_protocol import HOST as HOST_HEADER

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code"}


@pytest.mark.parametrize("row", BAD_PROTOCOL, ids=lambda row: row.name)
def test_a_broken_request_is_refused(server, row):
    before = server.get("/api/tasks")
    said = exchange(server, row.sent, gone=row.gone)
    if row.status is None:
        assert said == b""
        return
    answer, body = response(said)
    assert answer.status == row.status
    if row.code is None:
        assert body == b""
    else:
        problem = json.loads(body)
        assert answer.getheader("Content-Type") == "application/problem+json"
        assert set(problem) - {"errors"} == PROBLEM_MEMBERS
        assert (problem["code"], problem["status"]) == (row.code, row.status)
        assert problem["title"] == PROBLEMS[row.code].title
    assert server.get("/api/tasks") == before


@pytest.mark.parametrize("row", TAKEN, ids=lambda row: row.name)
def test_an_odd_request_is_taken(server, row):
    answer, body = response(exchange(server, row.sent))
    assert answer.status == row.status
    assert answer.getheader("Content-Type") == "application/json"
    assert isinstance(json.loads(body), dict if row.status == 201 else list)


@pytest.mark.parametrize(
    ("first", "answers"),
    [
        (message(POST, HOST_HEADER, JSON, LENGTH, body=BODY), 2),
        (message(POST, HOST_HEADER, JSON, CHUNKED, body=IN_CHUNKS), 2),
        (message(GET, HOST_HEADER), 2),
        (message(POST, HOST_HEADER, JSON, LENGTH, "Content-Length: 5", body=BODY), 1),
        (message(POST, HOST_HEADER, JSON, "Transfer-Encoding: x", LENGTH, body=BODY), 1),
    ],
    ids=["a length", "chunks", "no body", "two lengths", "an unknown coding"],
)
def test_what_follows_a_body_is_the_next_request_and_nothing_else_is(server, first, answers):
    """Where a request's end is in doubt the connection ends, or a second one could be smuggled in its body."""
    said = exchange(server, first + message("GET /healthz HTTP/1.1", HOST_HEADER, CLOSE))
    assert said.count(b"HTTP/1.1 ") == answers
    assert said.endswith(b'{"status": "ok"}') is (answers == 2)


def test_no_row_stands_twice():
    assert len({row.name for row in (*BAD_PROTOCOL, *TAKEN)}) == len(BAD_PROTOCOL) + len(TAKEN)
    assert len({row.sent for row in (*BAD_PROTOCOL, *TAKEN)}) == len(BAD_PROTOCOL) + len(TAKEN)
