"""Read query parameters strictly, and name each unknown, repeated, empty or malformed parameter."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from django.http import HttpRequest

from rest.problems.types import Fault, InvalidRequest
from rest.timestamps import is_timestamp, parse_timestamp


class ParameterType(NamedTuple):
    """A type of query parameter: its parser, and its schema in the OpenAPI document.

    Attributes:
        parse: returns the value of a text, or raises ``ValueError`` with the rule that the text breaks.
        schema: the values as JSON Schema.
        example: a value for the document.
        needs: the parameter that must be sent too.
    """

    parse: Callable[[str], Any]
    schema: dict[str, Any]
    example: Any = None
    needs: str | None = None


def whole_number(least: int, most: int, example: int) -> ParameterType:
    """Return the type of a parameter whose value is a number from ``least`` to ``most``, in ASCII digits."""

    def parse(text: str) -> int:
        digits = re.fullmatch(r"0*([1-9][0-9]{0,8})", text)
        if not digits or not least <= int(digits[1]) <= most:
            raise ValueError(f"must be a number from {least} to {most}")
        return int(digits[1])

    return ParameterType(parse, {"type": "integer", "minimum": least, "maximum": most}, example)


def one_of(choices: Mapping[str, Any], example: str) -> ParameterType:
    """Return the type of a parameter whose text is a key of ``choices``, and whose value is the key's."""
    allowed = list(choices)

    def parse(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return choices[text]

    names = [_constant(text) for text in allowed]
    return ParameterType(parse, {"type": "string", "enum": allowed, "x-enum-varnames": names}, example)


def _constant(text: str) -> str:
    """Return the name of a value for generators, because they would name ``-title`` as ``title``."""
    name = text.upper()
    return f"{name[1:]}_DESCENDING" if name.startswith("-") else name


def _parse_boolean(text: str) -> bool:
    if text in {"true", "false"}:
        return text == "true"
    if text.lower() in {"true", "false"}:
        raise ValueError(f"must be true or false; send {text.lower()} instead of {text}")
    raise ValueError("must be true or false")


def _parse_time(text: str) -> datetime:
    """Return an instant; an unescaped ``+`` has become a blank."""
    time, _, offset = text.rpartition(" ")
    if re.fullmatch("[0-9]{2}:?[0-9]{2}", offset) and is_timestamp(f"{time}Z"):
        raise ValueError(f"must have %2B for the + of its offset; send %2B{offset[:2]}:{offset[-2:]}")
    return parse_timestamp(text)


BOOLEAN = ParameterType(_parse_boolean, {"type": "boolean"}, example=True)
TIMESTAMP = ParameterType(_parse_time, {"type": "string", "format": "date-time"}, example="2026-01-11T09:30:00Z")

ENCODING_RULE = "must be percent-encoded UTF-8, such as %C3%BC for ü and %25 for %"

#: A byte of a query that is not percent-encoded UTF-8, as a lone surrogate.
UNDECODED_BYTE = re.compile("[\udc00-\udcff]")
LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def query_parameters(request: HttpRequest) -> dict[str, list[str]]:
    """Return the texts of each query parameter by name.

    WSGI passes the query as Latin-1. A text that is not percent-encoded UTF-8 has an ``UNDECODED_BYTE``, which
    ``read_parameters`` refuses.
    """
    if not request.META["QUERY_STRING"]:
        return {}
    query = request.META["QUERY_STRING"].encode("latin-1").decode(errors="surrogateescape")
    return parse_qs(LONE_PERCENT.sub("\udc25", query), keep_blank_values=True, errors="surrogateescape")


def read_parameters(parameters: Mapping[str, list[str]], types: Mapping[str, ParameterType]) -> dict[str, Any]:
    """Return the values of ``parameters`` by name.

    Raises:
        InvalidRequest: a parameter is not among ``types``, is repeated or empty, or breaks its rule.
    """
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, texts in parameters.items():
        if name not in types:
            faults.append(unknown_parameter(name, types))
            continue
        try:
            values[name] = types[name].parse(_single_text(texts))
        except ValueError as error:
            faults.append(invalid_parameter(name, str(error)))
    needs = {name: types[name].needs for name in parameters.keys() & types.keys()}
    faults += [
        invalid_parameter(name, f"needs a {need}") for name, need in needs.items() if need not in {None, *parameters}
    ]
    if faults:
        raise InvalidRequest(faults=faults)
    return values


def _single_text(texts: list[str]) -> str:
    if len(texts) > 1:
        raise ValueError("must appear only once")
    if not texts[0]:
        raise ValueError("must not be empty")
    if UNDECODED_BYTE.search(texts[0]):
        raise ValueError(ENCODING_RULE)
    return texts[0]


def unknown_parameter(name: str, known: Iterable[str] = ()) -> Fault:
    """Return the fault of a parameter that is not among the endpoint's ``known`` parameters."""
    if UNDECODED_BYTE.search(name):
        return invalid_parameter(name, ENCODING_RULE)
    advice = f"known are {', '.join(sorted(known))}" if known else "this request takes none"
    return Fault(parameter=name, code="unknown_parameter", detail=f"This parameter is unknown here; {advice}")


def invalid_parameter(name: str, rule: str) -> Fault:
    """Return the fault of a parameter that breaks a rule."""
    name = UNDECODED_BYTE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)
    return Fault(parameter=name, code="invalid_parameter", detail=f"Parameter {name} {rule}")
