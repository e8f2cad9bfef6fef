"""Refuse a request before its operation begins."""

import re
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import DisallowedHost
from rest_framework.request import Request

from rest.parameters import query_parameters, unknown_parameter
from rest.problems.types import HOST_FAULT, Fault, InvalidRequest, PayloadTooLarge, UnreadableBody

T = TypeVar("T")


def refuse_large_body(request: Request) -> None:
    """Refuse a body that is too large, even if the operation ignores bodies."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not re.fullmatch("0{0,99}[0-9]{1,9}", length) or int(length) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge


class HeaderReader:
    """Reads a request's headers, and collects the faults of all of them, so that one problem names them."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.faults: list[Fault] = []

    def check_host(self) -> None:
        """Note a ``Host`` that is not served."""
        try:
            self.request.get_host()
        except DisallowedHost:
            self.faults.append(HOST_FAULT)

    def read(self, header: str, parse: Callable[[str | None], T]) -> T | None:
        """Return what ``parse`` makes of a header, or ``None`` after noting the ``ValueError`` that it raised."""
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
    """Tell whether a body was sent; REST framework would also believe a header ``Content_Length``."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def refuse_media_type(request: Request) -> None:
    """Refuse a body that no parser takes, or without a body a ``Content-Type`` that none would take."""
    if has_body(request) or request.META.get("CONTENT_TYPE"):
        request.negotiator.select_parser(request, request.parsers)  # type: ignore[union-attr,arg-type]


def refuse_empty_body(request: Request) -> None:
    """Refuse a request without the body that its operation needs."""
    if not has_body(request):
        raise UnreadableBody("The body is empty, and a JSON object is needed")


def refuse_parameters(request: Request) -> None:
    """Refuse every parameter, because none is ever silently ignored."""
    if parameters := query_parameters(request):
        raise InvalidRequest(faults=map(unknown_parameter, parameters))
