"""What a client accepts (RFC 9110, section 12.5.1), and what it may send (section 8.3)."""

from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter

from django.http.request import MediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from rest.problems.types import NotAcceptable, UnsupportedMediaType

ANSWERED = ("application/json", "application/problem+json")
UTF8 = {"utf-8", "utf8"}


class JSONNegotiation(BaseContentNegotiation):
    """JSON for whoever accepts JSON or problem details; bodies as UTF-8 JSON only."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        if not admits_json(request.META.get("HTTP_ACCEPT", "")):
            raise NotAcceptable
        renderer = next(iter(renderers))
        return renderer, renderer.media_type

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        media_type = utf8_media_type(request.META.get("CONTENT_TYPE", ""))
        for parser in parsers:
            if parser.media_type == media_type and "HTTP_CONTENT_ENCODING" not in request.META:
                return parser
        raise UnsupportedMediaType


@lru_cache(maxsize=256)
def admits_json(accept: str) -> bool:
    """Whether an ``Accept`` header gives JSON or problem details a weight above 0."""
    ranges = [_without_parameters(_parse(token)) for token in accept.split(",") if token.strip()]
    return not ranges or any(_weight(media_type, ranges) > 0 for media_type in ANSWERED)


def _weight(media_type: str, ranges: list[MediaType]) -> float:
    """The weight of the most specific range that ``media_type`` falls into, 0 if there is none."""
    matching = [accepted for accepted in ranges if MediaType(media_type).match(str(accepted))]
    return max(matching, key=attrgetter("specificity")).quality if matching else 0


def _without_parameters(accepted: MediaType) -> MediaType:
    """But for its weight: there is one JSON to choose from, whatever ``indent`` or ``version`` a client would like.

    A charset other than UTF-8 is no JSON (RFC 8259, section 8.1).
    """
    if "charset" in accepted.params:
        return MediaType("")
    accepted.params = {name: value for name, value in accepted.params.items() if name == "q"}
    return accepted


@lru_cache(maxsize=256)
def utf8_media_type(content_type: str) -> str:
    """``type/subtype`` of a ``Content-Type``, and nothing for a charset other than UTF-8."""
    declared = _parse(content_type)
    return "" if "charset" in declared.params else f"{declared.main_type}/{declared.sub_type}"


def _parse(text: str) -> MediaType:
    """A media type without its charset if that is UTF-8; one that matches nothing if it is malformed."""
    try:
        media_type = MediaType(text)
    except (ValueError, LookupError):
        return MediaType("")
    if media_type.params.get("charset", "").lower() in UTF8:
        del media_type.params["charset"]
    return media_type
