"""The OpenAPI document and the pages that show it."""

from http import HTTPStatus
from itertools import groupby
from typing import Any

from rest.problems.types import PROBLEMS, Fault, InvalidRequest, Problem

#: Where an operation's documentation lists the codes of the problems that it can answer.
PROBLEM_CODES = "x-problem-codes"

FAULT_SCHEMA = {
    "type": "object",
    "description": "One thing wrong with the request; exactly one of `pointer`, `parameter` and `header` says where.",
    "properties": {
        "pointer": {"type": "string", "description": "In the body: a JSON Pointer as a URI fragment (RFC 6901)."},
        "parameter": {"type": "string", "description": "In the query."},
        "header": {"type": "string", "description": "In the header."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["code", "detail"],
}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to an explanation of the problem."},
        "title": {"type": "string", "description": "Constant for a type."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "This occurrence, as a sentence for a person."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path of the request, as sent."},
        "code": {"type": "string", "enum": sorted(PROBLEMS), "description": "Constant for a type."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        "request_id": {"type": "string", "description": "With every 5xx: what the server's log has it under."},
    },
    "required": ["type", "title", "status", "detail", "instance", "code"],
}

HEADERS = {
    "X-Request-ID": {"schema": {"type": "string"}, "description": "The caller's own id for the request, or a new one."},
    "ETag": {"schema": {"type": "string"}, "description": "The task's current version, quoted."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."},
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "Where rates are limited: how many requests remain (`r`) for so many seconds (`t`).",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "Where rates are limited: the requests (`q`) that a window of seconds (`w`) lets through.",
    },
    "WWW-Authenticate": {
        "schema": {"type": "string"},
        "description": "`Bearer`, and why a token was refused (RFC 6750).",
    },
}
HEADERS_OF_STATUS = {
    HTTPStatus.UNAUTHORIZED: ["WWW-Authenticate"],
    HTTPStatus.PRECONDITION_FAILED: ["ETag"],
    HTTPStatus.TOO_MANY_REQUESTS: ["Retry-After", "RateLimit", "RateLimit-Policy"],
    HTTPStatus.SERVICE_UNAVAILABLE: ["Retry-After"],
}


def document_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular knows no errors: give each operation those that it names, and every response its request id."""
    result["components"]["schemas"] |= {"Fault": FAULT_SCHEMA, "Problem": PROBLEM_SCHEMA}
    result["components"]["headers"] = HEADERS
    for path, operations in result["paths"].items():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
            operation["responses"] |= _problem_responses(operation.pop(PROBLEM_CODES, ()), path)
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_headers("X-Request-ID"))
    return result


def _problem_responses(codes: tuple[str, ...], path: str) -> dict[str, Any]:
    problems = sorted((PROBLEMS[code] for code in codes), key=lambda problem: problem.status_code)
    return {
        str(status): problem_response(status, list(alike), path)
        for status, alike in groupby(problems, key=lambda problem: problem.status_code)
    }


def problem_response(status: int, problems: list[type[Problem]], path: str) -> dict[str, Any]:
    return {
        "description": " ".join(problem.description for problem in problems),
        "headers": _headers(*HEADERS_OF_STATUS.get(HTTPStatus(status), ()), "X-Request-ID"),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {problem.default_code: {"value": _example(problem, path)} for problem in problems},
            }
        },
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _example(problem: type[Problem], path: str) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"/problems/{problem.default_code}",
        "title": problem.title,
        "status": problem.status_code,
        "detail": problem.default_detail,
        "instance": path.replace("{id}", "019bac10-5b00-7000-8000-000000000000"),
        "code": problem.default_code,
    }
    if problem is InvalidRequest:
        fault = Fault(parameter="colour", code="unknown_parameter", detail="This parameter is unknown here")
        example |= {"detail": fault["detail"], "errors": [fault]}
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        example["request_id"] = "019bac10-5b00-7001-8000-000000000000"
    return example
