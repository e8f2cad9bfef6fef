"""Log one line per request if ``ACCESS_LOG`` is on."""

import logging
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from django.utils.functional import SimpleLazyObject

from observability.security_events import client_address
from observability.streams import when_ended

logger = logging.getLogger("todo_project.access")

#: In characters, so that most lines stay below the size that a pipe takes whole.
MAX_USER_AGENT = 256


def access_log_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Log each request, with its client and the size of its response.

    A streamed response is logged when its stream ends.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        when_ended(response, lambda size: log_access(request, response.status_code, size))
        return response

    return middleware


def log_access(request: HttpRequest, status: int, size: int) -> None:
    """Log a request that has been answered with a body of ``size`` bytes."""
    extra = {
        "status_code": status,
        "bytes": 0 if request.method == "HEAD" else size,
        "address": client_address(request),
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT] or None,
        **describe_user(request),
    }
    logger.info("%s %s %s", request.method, request.path, status, extra=extra)


def describe_user(request: HttpRequest) -> dict[str, str]:
    """Return the user of a request in the form that ``ACCESS_LOG_USER`` asks for, or nothing."""
    user = find_user(request)
    if not user or settings.ACCESS_LOG_USER == "none":
        return {}
    return {"user": user} if settings.ACCESS_LOG_USER == "plain" else {"user_hash": hash_user(user)}


def find_user(request: HttpRequest) -> str | None:
    """Return the ``sub`` of the token, or the user name of an operator, or ``None``.

    The admin's ``request.user`` is lazy. If no view has read it, it stays unread, because that would ask the database.
    """
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    return getattr(user, "username", getattr(user, "pk", None))


@lru_cache(maxsize=4096)
def hash_user(user: str) -> str:
    """Return a hash that needs ``SECRET_KEY``, so that nobody can guess the user from it."""
    return salted_hmac("observability.access_log", user, algorithm="sha256").hexdigest()[:16]
