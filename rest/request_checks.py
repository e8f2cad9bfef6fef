"""What a request to ``/api/tasks`` is refused for before its operation begins."""

import re
from collections.abc import Callable, Container
from typing import TypeVar
from urllib.parse import parse_qs

from django.conf import settings
from django.core.exceptions import DisallowedHost
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from idempotency.replay import KEY_RULE, is_key
from rest import entity_tags
from rest.problems.types import HOST_FAULT, Fault, InvalidRequest, PayloadTooLarge, UnreadableBody

T = TypeVar("T")


def refuse_large_body(request: Request) -> None:
    """Whether the operation reads the body or ignores it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not re.fullmatch("0{0,99}[0-9]{1,9}", length) or int(length) > settings.API_MAX_BODY_BYTES:
        raise PayloadTooLarge


def read_headers(request: Request) -> tuple[frozenset[int] | None, Container[int], str | None]:
    """What ``If-Match`` and ``If-None-Match`` admit, as ``rest.entity_tags`` has it, and the ``Idempotency-Key``.

    Raises:
        InvalidRequest: one of them is malformed, or the ``Host`` is not served; each is named.
    """
    faults: list[Fault] = []

    def read(header: str, parse: Callable[[str | None], T]) -> T | None:
        try:
            return parse(request.META.get(f"HTTP_{header.upper().replace('-', '_')}"))
        except ValueError as error:
            faults.append(Fault(header=header, code="malformed", detail=f"{header} {error}"))
            return None

    try:
        request.get_host()
    except DisallowedHost:
        faults.append(HOST_FAULT)
    if_match = read("If-Match", entity_tags.if_match)
    if_none_match = read("If-None-Match", entity_tags.if_none_match)
    key = None if request.method in SAFE_METHODS else request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not is_key(key):
        faults.append(Fault(header="Idempotency-Key", code="malformed", detail=f"Idempotency-Key must be {KEY_RULE}"))
    if faults:
        raise InvalidRequest(faults=faults)
    return if_match, if_none_match or (), key


def has_body(request: Request) -> bool:
    """By the length that ``refuse_large_body`` has looked at; REST framework takes a header ``Content_Length`` too."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > 0


def refuse_media_type(request: Request) -> None:
    """Of a body that no parser takes; where there is none, of what would have been one."""
    if has_body(request) or request.META.get("CONTENT_TYPE"):
        request.negotiator.select_parser(request, request.parsers)  # type: ignore[union-attr,arg-type]


def refuse_empty_body(request: Request) -> None:
    """Where the operation needs one."""
    if not has_body(request):
        raise UnreadableBody("The body is empty, and a JSON object is needed")


def parameters(request: Request) -> dict[str, list[str]]:
    """The query's parameters, each with all that it is given; WSGI hands the query over in the guise of Latin-1."""
    query = request.META["QUERY_STRING"].encode("latin-1").decode(errors="replace")
    return parse_qs(query, keep_blank_values=True)


def refuse_parameters(request: Request) -> None:
    """No parameter is ever silently ignored."""
    if unknown := parameters(request):
        raise InvalidRequest(faults=map(unknown_parameter, unknown))


def unknown_parameter(name: str) -> Fault:
    return Fault(parameter=name, code="unknown_parameter", detail="This parameter is unknown here")
