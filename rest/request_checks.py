"""Refuse a request before its operation begins."""

import re
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from rest_framework.request import Request

from rest.parameters import query_parameters, unknown_parameter
from rest.problems.types import HOST_FAULT, Fault, InvalidRequest, PayloadTooLarge, UnreadableBody

T = TypeVar("T")


def is_body_larger(request: HttpRequest, limit: int) -> bool:
    """Tell whether ``Content-Length`` exceeds ``limit``, or is not a number of at most nine digits."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return not re.fullmatch("0{0,99}[0-9]{1,9}", length) or int(length) > limit


def refuse_large_body(request: Request) -> None:
    """Refuse a body that is too large, even if the operation ignores bodies."""
    if is_body_larger(request, settings.API_MAX_BODY_BYTES):
        raise PayloadTooLarge


class HeaderReader:
    """A reader of a request's headers, which collects all faults for one problem."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.faults: list[Fault] = []

    def check_host(self) -> None:
        """Add a fault if the ``Host`` is not allowed."""
        try:
            self.request.get_host()
        except DisallowedHost:
            self.faults.append(HOST_FAULT)

    def read(self, header: str, parse: Callable[[str | None], T]) -> T | None:
        """Return the parsed header; if ``parse`` raises ``ValueError``, add a fault and return ``None``."""
        try:
            return parse(self.request.META.get(f"HTTP_{header.upper().replace('-', '_')}"))
        except ValueError as error:
            self.faults.append(Fault(header=header, code="malformed", detail=f"{header} {error}"))
            return None

    def refuse_faults(self) -> None:
        """Raise ``InvalidRequest`` if a header has a fault."""
        if self.faults:
            raise InvalidRequest(faults=self.faults)


def has_body(request: Request) -> bool:
    """Tell whether the client sent a body; REST framework would also accept a header ``Content_Length``."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def refuse_media_type(request: Request) -> None:
    """Refuse a body, or a ``Content-Type`` without a body, that no parser accepts."""
    if has_body(request) or request.META.get("CONTENT_TYPE"):
        request.negotiator.select_parser(request, request.parsers)  # type: ignore[union-attr,arg-type]


def refuse_empty_body(request: Request) -> None:
    """Refuse a request without the body that its operation needs."""
    if not has_body(request):
        raise UnreadableBody("The body is empty, and a JSON object is needed")


def refuse_parameters(request: Request) -> None:
    """Refuse every query parameter, because the service ignores none silently."""
    if parameters := query_parameters(request):
        raise InvalidRequest(faults=map(unknown_parameter, parameters))
