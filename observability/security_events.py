"""Log the events that matter for security, each under a name of its own: docs/operations.md."""

import logging
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger("todo_project.security")


def log_event(level: int, event: str, message: str, request: HttpRequest, user: str | None = None) -> None:
    """Log ``message`` under the name ``event``, with the client's address and the user's name."""
    logger.log(level, message, extra={"event": event, "user": user, "address": client_address(request)})


def client_address(request: HttpRequest) -> str:
    """Return the client's address: with ``HTTPS``, the last address in ``X-Forwarded-For`` if it is valid."""
    return str(forwarded_address(request) or request.META.get("REMOTE_ADDR", ""))


def forwarded_address(request: HttpRequest) -> IPv4Address | IPv6Address | None:
    """Return the client's address from the proxy, or ``None`` without a trusted proxy or a valid address."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    client = forwarded.rpartition(",")[2].strip()
    with suppress(ValueError):
        return ip_address(client)
    with suppress(ValueError):  # some proxies add the port
        return ip_address(urlsplit(f"//{client}").hostname or "")
    return None
