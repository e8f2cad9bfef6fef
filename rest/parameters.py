"""Read query parameters strictly, and name each unknown, repeated, empty or malformed parameter."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from django.http import HttpRequest

from rest.problems.types import Fault, InvalidRequest
from rest.timestamps import parse_timestamp


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


def one_of(choices: Iterable[str], example: str) -> ParameterType:
    """Return the type of a parameter whose value is one of ``choices``."""
    allowed = list(choices)

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return ParameterType(parse, {"type": "string", "enum": allowed}, example)


def _parse_boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


BOOLEAN = ParameterType(_parse_boolean, {"type": "boolean"}, "true")
TIMESTAMP = ParameterType(parse_timestamp, {"type": "string", "format": "date-time"}, "2026-01-11T09:30:00Z")


def query_parameters(request: HttpRequest) -> dict[str, list[str]]:
    """Return the texts of each query parameter by name; WSGI passes the query as Latin-1."""
    query = request.META["QUERY_STRING"].encode("latin-1").decode(errors="replace")
    return parse_qs(query, keep_blank_values=True)


def read_parameters(parameters: Mapping[str, list[str]], types: Mapping[str, ParameterType]) -> dict[str, Any]:
    """Return the values of ``parameters`` by name.

    Raises:
        InvalidRequest: a parameter is not among ``types``, is repeated or empty, or breaks its rule.
    """
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, texts in parameters.items():
        if name not in types:
            faults.append(unknown_parameter(name))
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
    return texts[0]


def unknown_parameter(name: str) -> Fault:
    """Return the fault of a parameter that the endpoint does not have."""
    return Fault(parameter=name, code="unknown_parameter", detail="This parameter is unknown here")


def invalid_parameter(name: str, rule: str) -> Fault:
    """Return the fault of a parameter that breaks a rule."""
    return Fault(parameter=name, code="invalid_parameter", detail=f"Parameter {name} {rule}")
