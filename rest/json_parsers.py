"""Parse JSON strictly by RFC 8259, because Python's ``json`` also accepts NaN and repeated keys."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count, islice
from math import isfinite
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from rest.problems.types import Fault, UnreadableBody, body_fault

MAX_DEPTH = 32

#: The most repeated keys that a problem names, because each pointer can be as long as the body.
MAX_REPEATED_KEYS = 10


class JSONParser(BaseParser):
    """A strict parser of ``application/json``.

    Raises:
        UnreadableBody: the body is incomplete (RFC 9112, section 8), is not JSON in UTF-8, has a number outside double
            precision, repeats a key (RFC 8259, section 4), or nests deeper than ``MAX_DEPTH``.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        if parser_context and len(body) < int(parser_context["request"].META["CONTENT_LENGTH"]):
            raise UnreadableBody("The body ended before its Content-Length")
        value = _decode(body)
        if faults := list(islice(_repeated_keys(value), MAX_REPEATED_KEYS)):
            raise UnreadableBody(faults=faults)
        return value


class MergePatchParser(JSONParser):
    """A strict parser of ``application/merge-patch+json`` (RFC 7396)."""

    media_type = "application/merge-patch+json"


class RepeatingObject(dict[str, Any]):
    """An object whose text repeats keys."""

    repeated: list[str]


def _decode(body: bytes) -> Any:
    if body.startswith(BOM_UTF8):
        raise UnreadableBody("The body begins with a byte order mark; send it without one")
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise UnreadableBody("The body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UnreadableBody(f"The body is not valid JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise UnreadableBody(TOO_DEEP) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeating = RepeatingObject(members)
    repeating.repeated = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    return repeating


def _number(text: str) -> float:
    """Return a double; refuse a number outside its range."""
    value = float(text)
    if not isfinite(value):
        raise UnreadableBody("The body has a number that is out of range")
    return value


def _integer(text: str) -> int:
    """Return an exact integer within the range of a double."""
    _number(text)
    return int(text)


def _constant(_: str) -> NoReturn:
    raise UnreadableBody("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_constant
)

TOO_DEEP = f"The body nests deeper than {MAX_DEPTH} levels"


def _repeated_keys(value: Any, path: tuple[str, ...] = ()) -> Iterator[Fault]:
    """Yield a fault for every repeated key of every object in ``value``.

    Raises:
        UnreadableBody: ``value`` nests deeper than ``MAX_DEPTH``.
    """
    if not isinstance(value, dict | list):
        return
    if len(path) == MAX_DEPTH:
        raise UnreadableBody(TOO_DEEP)
    if isinstance(value, RepeatingObject):
        for key in value.repeated:
            yield body_fault((*path, key), "repeated_key", "This key is repeated")
    for token, member in value.items() if isinstance(value, dict) else zip(map(str, count()), value, strict=False):
        yield from _repeated_keys(member, (*path, token))
