"""Give every request an id, and make the current request available to the log."""

import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from uuid_utils import uuid7

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class CurrentRequest(NamedTuple):
    """The request that this thread answers.

    Attributes:
        id: the request id, or ``-`` outside of requests.
        request: the request, or ``None`` outside of requests.
        started: its start, in seconds of ``time.perf_counter``.
    """

    id: str
    request: "HttpRequest | None" = None
    started: float = 0.0


NO_REQUEST = CurrentRequest("-")
current_request: ContextVar[CurrentRequest] = ContextVar("current_request", default=NO_REQUEST)


def current_request_id() -> str:
    """Return the id of the current request, or ``-``."""
    return current_request.get().id


def request_id_middleware(
    get_response: "Callable[[HttpRequest], HttpResponseBase]",
) -> "Callable[[HttpRequest], HttpResponseBase]":
    """Take the id from ``X-Request-ID`` if it is valid, or make a new id; send the id in the response."""

    def middleware(request: "HttpRequest") -> "HttpResponseBase":
        requested_id = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = requested_id if REQUEST_ID.fullmatch(requested_id) else str(uuid7())
        current_request.set(CurrentRequest(request_id, request, time.perf_counter()))
        response = get_response(request)
        # Django would encode and check the id again.
        response.headers._store["x-request-id"] = ("X-Request-ID", request_id)  # noqa: SLF001
        return response

    return middleware
