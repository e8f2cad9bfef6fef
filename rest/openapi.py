"""The OpenAPI document and the pages that show it."""

from functools import cache
from http import HTTPStatus
from itertools import groupby
from typing import Any

from csp.utils import build_policy
from django.http import HttpResponse
from django.views import View
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest.negotiation import PageNegotiation
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


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``AUTH_MODE=jwt``: a token that the identity provider signed."""

    target_class = "identity.authentication.JWTAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the identity provider, whose `sub` is the user. In single-user mode none is "
            "asked for, and every task belongs to `default`.",
        }


class SingleUserScheme(BearerScheme):  # type: ignore[no-untyped-call]
    """``AUTH_MODE=single-user``: the same document, in which a token may be left out."""

    target_class = "identity.authentication.SingleUserAuthentication"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {}]


class Page(APIView):
    """Mixin: open to everybody, and no part of the document."""

    schema = None
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    content_negotiation_class = PageNegotiation
    options = View.options  # type: ignore[assignment]  # answers Allow, and no more

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.get_host()
        super().initial(request, *args, **kwargs)


class SchemaView(Page, SpectacularAPIView):
    """This document, as YAML or JSON."""

    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        headers = {"Content-Disposition": f'inline; filename="openapi.{renderer.format}"'}
        body = document(type(renderer))  # type: ignore[arg-type]  # a class is hashable
        return HttpResponse(body, content_type=renderer.media_type, headers=headers)


@cache
def document(renderer: type[BaseRenderer]) -> str | bytes:
    """The document in one of its forms, which takes a tenth of a second to make, and is the same for everybody."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return renderer().render(schema, renderer_context={})


class SwaggerUIView(Page, SpectacularSwaggerSplitView):
    """The document as a page to try it on."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the policy of the admin's pages; the icons stand in the style sheet."""
        response = super().finalize_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = build_policy(update={"img-src": "data:"})
        return response


class RedocView(Page, SpectacularRedocView):
    """The document as a page to read."""
