"""Add problems to the OpenAPI document, and build patterns of texts."""

from http import HTTPStatus
from itertools import groupby
from typing import Any

from rest.problems.types import PROBLEMS, Fault, InvalidRequest, Problem

#: The extension that lists the problem codes of an operation until ``document_problems`` replaces it.
PROBLEM_CODES = "x-problem-codes"


def reference(name: str) -> dict[str, Any]:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value or ``null``."""
    return {"oneOf": [schema, {"type": "null"}]}


FAULT_SCHEMA = {
    "type": "object",
    "description": "A fault of the request; exactly one of `pointer`, `parameter` and `header` locates it.",
    "properties": {
        "pointer": {
            "type": "string",
            "description": "The place in the body: a JSON Pointer as a URI fragment (RFC 6901).",
        },
        "parameter": {"type": "string", "description": "The name of the query parameter."},
        "header": {"type": "string", "description": "The name of the header."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["code", "detail"],
}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem (RFC 9457).",
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The path of a page that explains the problem.",
        },
        "title": {"type": "string", "description": "Constant for a `type`."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "A sentence about this occurrence, for a person."},
        "instance": {
            "type": "string",
            "format": "uri-reference",
            "description": "The path of the request. It is decoded and encoded again, so `%41` comes back as `A`.",
        },
        "code": {"type": "string", "enum": sorted(PROBLEMS), "description": "Constant for a `type`."},
        "errors": {"type": "array", "items": reference("ProblemError")},
        "request_id": {
            "type": "string",
            "description": "In each 5xx response: the id of the request in the server's log.",
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "code"],
}

HEADERS = {
    "X-Request-ID": {"schema": {"type": "string"}, "description": "The id that the caller sent, or a new one."},
    "ETag": {"schema": {"type": "string"}, "description": "The task's current version, quoted."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."},
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "If rates are limited: remaining requests (`r`), and seconds until the window ends (`t`).",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "If rates are limited: allowed requests (`q`) in a window, and the window's seconds (`w`).",
    },
    "WWW-Authenticate": {
        "schema": {"type": "string"},
        "description": "`Bearer`, and the reason why a token was refused (RFC 6750).",
    },
}
HEADERS_OF_STATUS = {
    HTTPStatus.UNAUTHORIZED: ["WWW-Authenticate"],
    HTTPStatus.PRECONDITION_FAILED: ["ETag"],
    HTTPStatus.TOO_MANY_REQUESTS: ["Retry-After", "RateLimit", "RateLimit-Policy"],
    HTTPStatus.SERVICE_UNAVAILABLE: ["Retry-After"],
}


def document_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add problems to each operation, and ``X-Request-ID`` to each response."""
    result["components"]["schemas"] |= {"ProblemError": FAULT_SCHEMA, "Problem": PROBLEM_SCHEMA}
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
    """Document the problems of one status."""
    return {
        "description": " ".join(problem.description for problem in problems),
        "headers": _headers(*HEADERS_OF_STATUS.get(HTTPStatus(status), ()), "X-Request-ID"),
        "content": {
            "application/problem+json": {
                "schema": reference("Problem"),
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
        detail = "If-Match must be * or a list of quoted entity tags"
        fault = Fault(header="If-Match", code="malformed", detail=detail)
        example |= {"detail": fault["detail"], "errors": [fault]}
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        example["request_id"] = "019bac10-5b00-7001-8000-000000000000"
    return example


#: Generators write the character of an escape such as U+000D into a regular expression, where these would break it.
SHORT_ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\"}

#: The characters before and after U+2028 and U+2029, which are the ends of this range.
AROUND_LINE_ENDS = range(0x2027, 0x202B)


def character_except(characters: str) -> str:
    r"""Return the pattern of a character that is none of ``characters``.

    For ``"abcx"``, the pattern is ``[^\u0061-\u0063\u0078]``. Omit characters outside the Basic Multilingual Plane,
    because JavaScript needs its Unicode mode for these. Never escape U+2028 or U+2029, which have no short escape.
    """
    points = {ord(character) for character in characters if ord(character) <= 0xFFFF}
    around = {AROUND_LINE_ENDS[0], AROUND_LINE_ENDS[-1]} - points if points & {*AROUND_LINE_ENDS[1:-1]} else set()
    others = f"[^{_ranges(points | around)}]"
    return f"(?:{others}|[{_ranges(around)}])" if around else others


def _ranges(points: set[int]) -> str:
    begins = sorted(point for point in points if point - 1 not in points)
    ends = sorted(point for point in points if point + 1 not in points)
    return "".join(
        _escape(begin) if begin == end else f"{_escape(begin)}-{_escape(end)}"
        for begin, end in zip(begins, ends, strict=True)
    )


def _escape(point: int) -> str:
    return SHORT_ESCAPES.get(chr(point), rf"\u{point:04x}")


def text_pattern(*, forbidden: str, invisible: str = "") -> str:
    """Return the pattern of texts without ``forbidden`` characters, and not only of ``invisible`` ones."""
    allowed = f"{character_except(forbidden)}*"
    return f"^{allowed}{character_except(invisible)}{allowed}$" if invisible else f"^{allowed}$"
