"""Match a client's ``Accept`` (RFC 9110, section 12.5.1) and ``Content-Type`` (section 8.3) with JSON."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import attrgetter

from django.http.request import MediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from rest.problems.types import NotAcceptable, UnsupportedMediaType

RESPONSE_TYPES = ("application/json", "application/problem+json")
UTF8 = {"utf-8", "utf8"}


class JSONNegotiation(BaseContentNegotiation):
    """JSON responses for clients that accept JSON or problem details, and JSON bodies in UTF-8."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        if not admits_json(request.META.get("HTTP_ACCEPT", "")):
            raise NotAcceptable
        renderer = next(iter(renderers))
        return renderer, renderer.media_type

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        meta = request.META
        media_type = utf8_media_type(meta.get("CONTENT_TYPE", ""))
        for parser in parsers:
            if parser.media_type == media_type and "HTTP_CONTENT_ENCODING" not in meta:
                return parser
        types = [parser.media_type for parser in parsers]
        raise UnsupportedMediaType(f"{_fault_of_body(meta, types)}. Send Content-Type: {' or '.join(types)}")


def _fault_of_body(meta: Mapping[str, str], types: Iterable[str]) -> str:
    """Return why the parsers of ``types`` refuse a body with these headers."""
    if "HTTP_CONTENT_ENCODING" in meta:
        return "The body has a Content-Encoding: leave the header out, and do not compress the body"
    if not meta.get("CONTENT_TYPE", "").strip():
        return "The body has no Content-Type"
    declared = _parse(meta["CONTENT_TYPE"])
    if f"{declared.main_type}/{declared.sub_type}" in types:
        return "The Content-Type has a charset other than UTF-8"
    return "The Content-Type is not accepted here"


@lru_cache(maxsize=256)
def admits_json(accept: str) -> bool:
    """Tell whether ``Accept`` gives JSON or problem details a weight above 0."""
    ranges = [_without_parameters(_parse(token)) for token in accept.split(",") if token.strip()]
    return not ranges or any(_weight(media_type, ranges) > 0 for media_type in RESPONSE_TYPES)


def _weight(media_type: str, ranges: list[MediaType]) -> float:
    """Return the weight of the most specific range that matches, or 0."""
    matching = [accepted for accepted in ranges if MediaType(media_type).match(str(accepted))]
    return max(matching, key=attrgetter("specificity")).quality if matching else 0


def _without_parameters(accepted: MediaType) -> MediaType:
    """Drop all parameters but the weight, because none of them, such as ``indent``, changes the response.

    A charset other than UTF-8 matches nothing (RFC 8259, section 8.1).
    """
    if "charset" in accepted.params:
        return MediaType("")
    accepted.params = {name: value for name, value in accepted.params.items() if name == "q"}
    return accepted


@lru_cache(maxsize=256)
def utf8_media_type(content_type: str) -> str:
    """Return ``type/subtype`` of a ``Content-Type``, or an empty text for a charset other than UTF-8."""
    declared = _parse(content_type)
    return "" if "charset" in declared.params else f"{declared.main_type}/{declared.sub_type}"


def _parse(text: str) -> MediaType:
    """Parse a media type and drop the charset UTF-8; a malformed media type matches nothing."""
    try:
        media_type = MediaType(text)
    except (ValueError, LookupError):
        return MediaType("")
    if media_type.params.get("charset", "").lower() in UTF8:
        del media_type.params["charset"]
    return media_type
