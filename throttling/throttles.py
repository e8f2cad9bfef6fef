"""Rate limits: ``THROTTLE_READ`` and ``THROTTLE_WRITE``, which hold across workers and servers.

docs/decisions/0009-rate-limits.md says why in a table of the database.
"""

from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil
from time import monotonic, time
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from throttling.models import Window

if TYPE_CHECKING:  # it imports what DEFAULT_THROTTLE_CLASSES names
    from rest_framework.views import APIView

#: Seconds between two purges of a worker.
PURGE_EVERY = 600


class Throttle(BaseThrottle):
    """Counts requests by user id, or by address where nobody is asked who they are; reads and writes apart.

    A window begins with a client's first request, and lets through as many as the quota says.
    """

    purged_at = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        scope = "read" if request.method in SAFE_METHODS else "write"
        if scope not in settings.THROTTLES:
            return True
        quota, seconds = settings.THROTTLES[scope]
        window = Window.objects.add(sha256(f"{scope} {self.client(request)}".encode()).hexdigest(), seconds)
        self.seconds_left = max(1, ceil(window.ends - time()))
        request._request.rate_limit = {  # type: ignore[attr-defined]
            "RateLimit-Policy": f'"{scope}";q={quota};w={seconds}',
            "RateLimit": f'"{scope}";r={max(0, quota - window.used)};t={self.seconds_left}',
        }
        if window.used == 1:
            self.purge_now_and_then()
        return window.used <= quota

    def wait(self) -> float:
        return self.seconds_left

    def client(self, request: Request) -> str:
        """The user of a token, or where the request comes from."""
        if request.auth is not None:
            return f"user {request.user.pk}"
        return f"address {network(str(self.get_ident(request)))}"

    def purge_now_and_then(self) -> None:
        if monotonic() - Throttle.purged_at > PURGE_EVERY:
            Throttle.purged_at = monotonic()
            Window.objects.purge()


def network(address: str) -> str:
    """An address, or the network of 64 bits that one of IPv6 is in: whoever has one of its addresses has them all."""
    try:
        ip = ip_address(address)
        if isinstance(ip, IPv4Address):
            return address
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    except ValueError:
        return address


def rate_limit_headers(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Tell the client where it stands: RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return response

    return middleware
