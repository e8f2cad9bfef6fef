"""The problems with which a proxy itself rejects a request."""

import json
import re

from rest.problems.types import PROBLEMS
from testing.raw_http import exchange, parse_response
from testing.servers import Server
from todo_project.security_headers import NO_CONTENT_POLICY, RESOURCE_POLICY
from todo_project.tests.bad_protocol import CLOSE, HOST_HEADER, message

REQUEST_ID = "X-Request-ID: a-1"

HEADERS = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
    "X-Content-Type-Options": "nosniff",
    **RESOURCE_POLICY,
    **NO_CONTENT_POLICY,
}


def get(path: str, *headers: str) -> bytes:
    """Return a GET with the request id of ``REQUEST_ID``."""
    return message(f"GET {path} HTTP/1.1", HOST_HEADER, REQUEST_ID, CLOSE, *headers)


def check_rejection(proxy: Server, request_bytes: bytes, code: str, instance: str, detail: str | None) -> None:
    """Check the status, the headers and the whole problem with which the proxy rejects a request."""
    rejection, body = parse_response(exchange(proxy, request_bytes))
    expected = PROBLEMS[code]
    problem = {
        "type": f"/problems/{code}",
        "title": expected.title,
        "status": expected.status_code,
        "detail": detail or expected.default_detail,
        "instance": instance,
        "code": code,
    }
    request_id = rejection.getheader("X-Request-ID")
    assert re.fullmatch("a-1|[0-9a-f]{32}|[0-9a-f-]{36}", request_id)
    if expected.status_code >= 500:
        problem["request_id"] = request_id
    assert (rejection.status, json.loads(body)) == (expected.status_code, problem)
    headers = {**HEADERS, "Retry-After": "1" if expected.status_code == 503 else None}
    assert {name: rejection.getheader(name) for name in headers} == headers
