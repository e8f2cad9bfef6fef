"""Give every request an id, and keep the request at hand for the log."""

import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from uuid_utils.compat import uuid7

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class CurrentRequest(NamedTuple):
    """The request that this thread answers, and when it began by ``time.perf_counter``."""

    id: str
    request: "HttpRequest | None" = None
    started: float = 0.0


NO_REQUEST = CurrentRequest("-")
current: ContextVar[CurrentRequest] = ContextVar("current", default=NO_REQUEST)


def current_request_id() -> str:
    """Return the id of the current request, or ``-``."""
    return current.get().id


def request_id_middleware(
    get_response: "Callable[[HttpRequest], HttpResponseBase]",
) -> "Callable[[HttpRequest], HttpResponseBase]":
    """Use the caller's ``X-Request-ID`` if it is valid, else a new one; the response repeats it."""

    def middleware(request: "HttpRequest") -> "HttpResponseBase":
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if REQUEST_ID.fullmatch(sent) else str(uuid7())
        current.set(CurrentRequest(request_id, request, time.perf_counter()))
        response = get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response

    return middleware
