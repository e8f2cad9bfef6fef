"""Render every error as a problem (RFC 9457).

REST framework calls ``exception_handler`` for an exception of a view. Django calls ``bad_request`` to ``server_error``,
which ``todo_project/urls.py`` names. Each exception becomes a ``Problem``, which drf-problems renders. This module then
builds the body again, for the reasons in docs/decisions/0003-problems.md.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core import exceptions as django_exceptions
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.log import log_response
from django.views import defaults
from drf_problems import PROBLEM_CODE_CHOICES, PROBLEM_EXCEPTION_MAP
from drf_problems.exceptions import exception_handler as render_with_drf_problems
from drf_problems.utils import register_exception
from drf_problems.views import ErrorDocumentationView
from rest_framework import exceptions as drf_exceptions

from database.connections import find_cause
from database.errors import is_moving, is_unavailable
from observability.request_id import current_request_id
from observability.security_events import log_event
from rest.problems.types import (
    HOST_FAULT,
    PROBLEMS,
    Busy,
    InvalidRequest,
    Moving,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    Problem,
    ServerError,
    ServiceUnavailable,
    Throttled,
    body_faults,
)

CONTENT_TYPE = "application/problem+json"

#: A host name has at most 253 characters (RFC 1035).
MAX_LOGGED_HOST = 255

#: Characters that need no escape in a path (RFC 3986, section 3.3).
PATH_CHARACTERS = "!$&'()*+,;=:@/"
NOT_UTF8 = re.compile("%25([89A-F][0-9A-F])")


def register_problems() -> None:
    """Replace drf-problems' catalogue, because it has types that this service never sends."""
    PROBLEM_EXCEPTION_MAP.clear()
    PROBLEM_CODE_CHOICES.clear()
    for problem in PROBLEMS.values():
        register_exception(problem)


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer an exception of a view; REST framework's ``EXCEPTION_HANDLER``."""
    request: HttpRequest = context["request"]._request
    response = respond(request, error)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(as_problem(error), Busy | Moving):
        got_request_exception.send(sender=None, request=request)
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path,
            response=response,
            request=request,
            exception=error,
        )
    return response


def respond(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    """Return the response to ``error``."""
    log_refusal(request, error)
    problem = as_problem(error)
    # Without a request, drf-problems builds `type` as a path and not from the Host header.
    rendered = render_with_drf_problems(problem, {"request": None})
    body = {
        "type": rendered.data["type"],
        "title": rendered.data["title"],
        "status": rendered.data["status"],
        "detail": rendered.data["detail"],
        "instance": instance(request),
        "code": problem.default_code,
    }
    if problem.faults:
        body["errors"] = problem.faults
    if rendered.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        body["request_id"] = current_request_id()
    response = HttpResponse(
        json.dumps(body, separators=(",", ":")),
        status=rendered.status_code,
        headers={**rendered.headers, **problem.headers, "Content-Type": CONTENT_TYPE},
    )
    response.problem = problem  # type: ignore[attr-defined]  # observability/metrics.py counts its cause
    return response


def instance(request: HttpRequest) -> str:
    """Return the path of the request, percent-encoded again, because the server has decoded its UTF-8."""
    return NOT_UTF8.sub(r"%\1", quote(request.META["PATH_INFO"], safe=PATH_CHARACTERS))


def as_problem(error: BaseException | None) -> Problem:
    """Translate an exception of REST framework, Django or the database; any other is a ``ServerError``."""
    match error:
        case Problem():
            return error
        case drf_exceptions.ValidationError():
            return InvalidRequest(faults=body_faults(error.detail))
        case drf_exceptions.Throttled():
            return Throttled(ceil(getattr(error, "wait", None) or 1))
        case drf_exceptions.APIException():
            return PROBLEMS.get(error.default_code, ServerError)()
        case Exception() if is_moving(error):
            return Moving()
        case Exception() if is_unavailable(error):
            return ServiceUnavailable(cause=find_cause(error))
        case _:
            return _translate_django_error(error)


def _translate_django_error(error: BaseException | None) -> Problem:
    match error:
        case Http404():
            return NotFound()
        case django_exceptions.PermissionDenied():
            return PermissionDenied()
        case django_exceptions.RequestDataTooBig():
            return PayloadTooLarge()
        case django_exceptions.DisallowedHost():
            return InvalidRequest(faults=[HOST_FAULT])
        case django_exceptions.SuspiciousOperation() | django_exceptions.BadRequest():
            return InvalidRequest()
        case _:
            return ServerError()


def problem_of_status(status: int) -> Problem:
    """Return a problem with this status."""
    return next((problem for problem in PROBLEMS.values() if problem.status_code == status), ServerError)()


def django_handler(page: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return an error handler for Django that calls ``page`` in the admin and sends a problem elsewhere."""

    def handle(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        error = exception or sys.exc_info()[1]
        if not (settings.ADMIN and request.path_info.startswith(settings.ADMIN_PREFIX)):
            return respond(request, error)
        log_refusal(request, error)
        if is_unavailable(error):
            return unavailable_page(error)
        return page(request, exception) if exception else page(request)

    return handle


def log_refusal(request: HttpRequest, error: BaseException | None) -> None:
    """Log a Host that is not allowed, and a permission that a caller or an operator lacks."""
    if isinstance(error, django_exceptions.DisallowedHost) or HOST_FAULT in getattr(error, "faults", ()):
        host = request.META.get("HTTP_HOST", "")[:MAX_LOGGED_HOST]
        log_event(logging.WARNING, "host_refused", f"Host is not in ALLOWED_HOSTS: {host}", request)
    elif isinstance(error, django_exceptions.PermissionDenied | PermissionDenied):
        user = getattr(getattr(request, "user", None), "username", None)  # only the admin's users have one
        log_event(logging.WARNING, "permission_refused", "Permission refused", request, user or None)


def unavailable_page(error: BaseException | None) -> HttpResponse:
    """Answer in the admin while the database is unavailable, no slot is free, or a user's data moves."""
    problem = as_problem(error)
    page = render_to_string("503.html", {"is_moving": isinstance(problem, Moving)})
    wait = Moving.wait if isinstance(problem, Moving) else ServiceUnavailable.wait
    response = HttpResponse(page, status=ServiceUnavailable.status_code, headers={"Retry-After": str(wait)})
    response.problem = problem  # type: ignore[attr-defined]
    return response


bad_request = django_handler(defaults.bad_request)
permission_denied = django_handler(defaults.permission_denied)
not_found = django_handler(defaults.page_not_found)
server_error = django_handler(defaults.server_error)


def unknown_path(request: HttpRequest) -> HttpResponse:
    """Answer a path under ``/api/`` that does not exist."""
    return respond(request, NotFound())


#: Explains a problem's ``type`` without authentication, so that a client can look up the problem of a missing token.
documentation = ErrorDocumentationView.as_view(
    authentication_classes=[], permission_classes=[], throttle_classes=[], schema=None
)
