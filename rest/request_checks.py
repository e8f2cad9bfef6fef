"""Refuse a request before its operation begins."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from rest_framework.request import Request

from rest.negotiation import admits_json
from rest.parameters import query_parameters, unknown_parameter
from rest.problems.types import HOST_FAULT, Fault, InvalidRequest, NotAcceptable, PayloadTooLarge, UnreadableBody

T = TypeVar("T")


def is_body_larger(request: HttpRequest, limit: int) -> bool:
    """Tell whether ``Content-Length`` exceeds ``limit``, or is not a number of at most nine digits."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not re.fullmatch("0{0,99}[0-9]{1,9}", length) or int(length) > limit


def refuse_response_type(request: HttpRequest) -> None:
    """Refuse a request whose ``Accept`` excludes JSON."""
    if not admits_json(request.META.get("HTTP_ACCEPT", "")):
        raise NotAcceptable


def refuse_large_body(request: HttpRequest, limit: int) -> None:
    """Refuse a body that is too large, even if the operation ignores bodies."""
    if is_body_larger(request, limit):
        raise PayloadTooLarge(f"The body is larger than {limit // 1024} KiB")


@lru_cache(maxsize=256)
def is_allowed_host(host: str, allowed_hosts: tuple[str, ...]) -> bool:
    """Tell whether ``HttpRequest.get_host`` accepts a host."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed_hosts)


class HeaderReader:
    """A reader of a request's headers, which collects all faults for one problem."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.faults: list[Fault] = []

    def check_host(self) -> None:
        """Add a fault if the ``Host`` is not allowed."""
        if not is_allowed_host(self.request._get_raw_host(), (*settings.ALLOWED_HOSTS,)):  # type: ignore[attr-defined]  # noqa: SLF001
            self.faults.append(HOST_FAULT)

    def read(self, header: str, parse: Callable[[str | None], T]) -> T | None:
        """Return the parsed header; if ``parse`` raises ``ValueError``, add a fault and return ``None``."""
        try:
            return parse(self._value(header))
        except ValueError as error:
            self._add(header, "malformed", str(error))
            return None

    def refuse(self, header: str, reason: str) -> None:
        """Add a fault if the request has the header."""
        if self._value(header) is not None:
            self._add(header, "not_allowed", reason)

    def require(self, header: str, value: str) -> None:
        """Add a fault if the request has no such header, or another value in the header."""
        sent = self._value(header)
        if sent is None:
            self._add(header, "required", f"is required; send {header}: {value}")
        elif sent.strip(" \t") != value:
            self._add(header, "invalid", f"must be {value}")

    def _value(self, header: str) -> str | None:
        value: str | None = self.request.META.get(f"HTTP_{header.upper().replace('-', '_')}")
        return value

    def _add(self, header: str, code: str, reason: str) -> None:
        """Add a fault, unless the header has one."""
        if all(fault["header"] != header for fault in self.faults):
            self.faults.append(Fault(header=header, code=code, detail=f"{header} {reason}"))

    def refuse_faults(self) -> None:
        """Raise ``InvalidRequest`` if a header has a fault."""
        if self.faults:
            raise InvalidRequest(faults=self.faults)


def has_body(request: HttpRequest) -> bool:
    """Tell whether the client sent a body; REST framework would also accept a header ``Content_Length``."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def refuse_media_type(request: Request) -> None:
    """Refuse a body, or a ``Content-Type`` without a body, that no parser accepts."""
    if has_body(request._request) or request.META.get("CONTENT_TYPE"):
        request.negotiator.select_parser(request, request.parsers)  # type: ignore[union-attr,arg-type]


def refuse_empty_body(request: HttpRequest, needed: str) -> None:
    """Refuse a request without the body that its operation needs."""
    if not has_body(request):
        raise UnreadableBody(f"The body is empty, and {needed} is needed")


def refuse_parameters(request: HttpRequest) -> None:
    """Refuse every query parameter, because the service ignores none silently."""
    if parameters := query_parameters(request):
        raise InvalidRequest(faults=map(unknown_parameter, parameters))
