"""What every request passes through. Written out in the order of ``MIDDLEWARE``."""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin
from uuid_utils.compat import uuid7

from observability.log import CurrentRequest, current
from rest.problems import responses

GetResponse = Callable[[HttpRequest], HttpResponseBase]

access = logging.getLogger("todo_project.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Give the request an id, the caller's own if it is a sound one, and the response the same ``X-Request-ID``."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        own = sent if REQUEST_ID.fullmatch(sent) else str(uuid7())
        current.set(CurrentRequest(own, request, time.perf_counter()))
        response = get_response(request)
        response.headers["X-Request-ID"] = own
        return response

    return middleware


def access_log(get_response: GetResponse) -> GetResponse:
    """A line a request, with ``ACCESS_LOG``; of a list that is streamed, when its first byte goes out."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        status = response.status_code
        access.info("%s %s %s", request.method, request.path, status, extra={"status_code": status})
        return response

    return middleware


def api(get_response: GetResponse) -> GetResponse:
    """What holds for every path under ``/api/``: the slash at its end is optional, and no answer is anybody else's."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path_info}/".startswith(settings.API_PREFIX):
            return get_response(request)
        request.path_info = request.path_info.removesuffix("/")
        response = get_response(request)
        if response.status_code >= HTTPStatus.BAD_REQUEST and response["Content-Type"] != responses.CONTENT_TYPE:
            # Django's own page, which it shows where DEBUG is on.
            response = responses.respond(request, responses.of_status(response.status_code))
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        patch_vary_headers(response, ["Accept", "Authorization"])
        return response

    return middleware


class AdminOnly(MiddlewareMixin):
    """Mixin: a middleware that only the admin needs, and no other request pays for."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith(settings.ADMIN_PREFIX):
            return super().__call__(request)
        # Or CsrfViewMiddleware, whose process_view Django calls for every path, would ask for its token.
        request.csrf_processing_done = True  # type: ignore[attr-defined]
        return self.get_response(request)


class AdminSessionMiddleware(AdminOnly, SessionMiddleware):
    pass


class AdminCommonMiddleware(AdminOnly, CommonMiddleware):
    pass


class AdminCsrfViewMiddleware(AdminOnly, CsrfViewMiddleware):
    pass


class AdminAuthenticationMiddleware(AdminOnly, AuthenticationMiddleware):
    pass


class AdminMessageMiddleware(AdminOnly, MessageMiddleware):
    pass


class AdminCSPMiddleware(AdminOnly, CSPMiddleware):
    pass


class AdminAxesMiddleware(AxesMiddleware):  # type: ignore[misc]  # is untyped, and no MiddlewareMixin
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        in_admin = request.path_info.startswith(settings.ADMIN_PREFIX)
        response: HttpResponseBase = super().__call__(request) if in_admin else self.get_response(request)
        return response
