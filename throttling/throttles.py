"""Limit the rate of requests by ``THROTTLE_READ`` and ``THROTTLE_WRITE``, across workers and servers.

docs/decisions/0009-rate-limits.md explains why a table of the database holds the counts.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from math import ceil
from time import monotonic, time
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from rest.problems.types import Throttled
from throttling.models import Window, hash_client

if TYPE_CHECKING:  # rest_framework.views imports this module by DEFAULT_THROTTLE_CLASSES
    from rest_framework.views import APIView

#: The least time between two purges by one worker.
PURGE_INTERVAL_SECONDS = 600


class Throttle(BaseThrottle):
    """A throttle that counts reads and writes of each user, or of each address in single-user mode.

    A window begins with the client's first request, and allows as many requests as the quota.
    """

    last_purge = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self.count(request)

    def count(self, request: Request, number: int = 1) -> bool:
        """Count a request as ``number`` requests, and return whether the quota allows them."""
        scope = "read" if request.method in SAFE_METHODS else "write"
        if scope not in settings.THROTTLES:
            return True
        quota, seconds = settings.THROTTLES[scope]
        window = Window.objects.count_request(hash_client(scope, self.identify_client(request)), seconds, number)
        self.seconds_left = max(1, ceil(window.ends - time()))
        request._request.rate_limit = {  # type: ignore[attr-defined]
            "RateLimit-Policy": f'"{scope}";q={quota};w={seconds}',
            "RateLimit": f'"{scope}";r={max(0, quota - window.used)};t={self.seconds_left}',
        }
        if window.used == number:
            self.purge_if_due()
        return window.used <= quota

    def wait(self) -> float:
        return self.seconds_left

    def identify_client(self, request: Request) -> str:
        """Return the user of the token, or the address or network of the client if there is no token."""
        if request.auth is not None:
            return f"user {request.user.pk}"
        return f"address {address_or_network(self.get_ident(request))}"

    def get_ident(self, request: Request) -> str:
        """Return the address of the client, which REST framework would look for in a copy of all headers."""
        meta = request._request.META
        forwarded = meta.get("HTTP_X_FORWARDED_FOR") if settings.THROTTLE_PROXIES else None
        if not forwarded:
            return str(meta.get("REMOTE_ADDR"))
        addresses = forwarded.split(",")
        return str(addresses[-min(settings.THROTTLE_PROXIES, len(addresses))].strip())

    def purge_if_due(self) -> None:
        """Delete ended windows if this worker's last purge was more than ``PURGE_INTERVAL_SECONDS`` ago."""
        if monotonic() - Throttle.last_purge > PURGE_INTERVAL_SECONDS:
            Throttle.last_purge = monotonic()
            Window.objects.purge()


def count_writes(request: Request, number: int) -> None:
    """Count further writes of a request that ``Throttle`` has counted as one write.

    Raises:
        Throttled: the quota does not allow them.
    """
    throttle = Throttle()
    if number and not throttle.count(request, number):
        raise Throttled(throttle.seconds_left)


def max_writes() -> int | None:
    """Return how many writes the quota allows in a window; ``None`` means any number."""
    quota: tuple[int, int] | None = settings.THROTTLES.get("write")
    return quota and quota[0]


def address_or_network(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address, which one client usually owns."""
    if ":" not in address:
        return address
    try:
        ip = IPv6Address(address)
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    except ValueError:
        return address


def rate_limit_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Add ``RateLimit`` and ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers-10."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return response

    return middleware
