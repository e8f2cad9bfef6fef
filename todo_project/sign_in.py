"""Limit and log the attempts to sign in: the handler of django-axes, and the page of a lock."""

import logging
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessFailureLog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from observability.security_events import client_address, forwarded_address, log_event

IPV6_CLIENT_BITS = 64  # a client can choose the other half of an IPv6 address freely


class Limit(NamedTuple):
    """The failures in a period after which further attempts with the same ``fields`` are refused."""

    scope: str
    fields: tuple[str, ...]
    failures: int
    period: timedelta


#: A name alone has a high limit, because strangers could otherwise lock out its owner.
PAIR = Limit("the user name and the address", ("username", "ip_address"), 5, timedelta(minutes=15))
ADDRESS = Limit("the address", ("ip_address",), 50, timedelta(minutes=15))
NAME = Limit("the user name", ("username",), 200, timedelta(hours=1))


class SignInHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes is untyped
    """A handler that has one row for each failure, so that it counts exactly for several limits."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return find_lock(request, get_client_username(request, credentials)) is not None

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **options: Any) -> None:
        username = get_client_username(request, credentials)
        if request.axes_locked_out:  # a refused attempt does not prolong the lock
            log_event(logging.WARNING, "sign_in_refused", "Attempt to sign in during a lock", request, username)
            return
        log_event(logging.WARNING, "sign_in_failed", "Failed attempt to sign in", request, username)
        AccessFailureLog.objects.filter(attempt_time__lt=timezone.now() - NAME.period).delete()
        AccessFailureLog.objects.create(
            username=username, ip_address=counted_address(request), user_agent=request.axes_user_agent
        )
        if lock := find_lock(request, username):
            request.axes_locked_out = True
            message = f"Locked {lock.scope} after {lock.failures} failed attempts"
            log_event(logging.WARNING, "sign_in_locked", message, request, username)

    def user_logged_in(self, sender: Any, request: HttpRequest, user: AbstractBaseUser, **options: Any) -> None:
        """Reset only the user's failures at this address; failures at other addresses may be an attacker's."""
        log_event(logging.INFO, "sign_in", "Signed in", request, user.get_username())
        AccessFailureLog.objects.filter(username=user.get_username(), ip_address=counted_address(request)).delete()

    def user_logged_out(self, sender: Any, request: HttpRequest, user: AbstractBaseUser | None, **options: Any) -> None:
        if user is not None:
            log_event(logging.INFO, "sign_out", "Signed out", request, user.get_username())

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        """Delete the failures of an address and a name, for the commands of django-axes."""
        conditions = {"ip_address": ip_address and network_of(ip_address), "username": username}
        given = {field: value for field, value in conditions.items() if value}
        failures = AccessFailureLog.objects.filter(Q(**given, _connector=Q.OR if ip_or_username else Q.AND))
        return int(failures.delete()[0])


def find_lock(request: Any, username: str | None) -> Limit | None:
    """Return the limit that refuses attempts for this name and client, and keep it for ``locked_page``."""
    values = {"username": username, "ip_address": counted_address(request)}
    for limit in (PAIR, ADDRESS, NAME) if is_address_of_one_client(request) else (PAIR,):
        same = {field: values[field] for field in limit.fields}
        failures = AccessFailureLog.objects.filter(**same, attempt_time__gt=timezone.now() - limit.period)
        if failures.count() >= limit.failures:
            request.sign_in_limit = limit
            return limit
    return None


def is_address_of_one_client(request: HttpRequest) -> bool:
    """Return whether the address belongs to one client, and not to a proxy that many clients share."""
    if settings.HTTPS:
        return forwarded_address(request) is not None
    with suppress(ValueError):
        return ip_address(client_address(request)).is_loopback and "HTTP_X_FORWARDED_FOR" not in request.META
    return False


def counted_address(request: HttpRequest) -> str | None:
    """Return the address that failures are counted by."""
    return network_of(client_address(request))


def network_of(address: str) -> str | None:
    """Return an IPv4 address or the first address of an IPv6 network, or ``None`` for a bad address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> IPV6_CLIENT_BITS << IPV6_CLIENT_BITS))
    return str(parsed)


def locked_page(request: Any, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Return the page that says how long the lock lasts."""
    minutes = int(request.sign_in_limit.period.total_seconds() // 60)
    return render(request, "admin/locked_out.html", {"limit": request.sign_in_limit, "minutes": minutes}, status=429)
