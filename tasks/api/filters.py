"""The parameters that narrow a list of tasks. A filter is one line of ``FILTERS``."""

from typing import NamedTuple

from rest.openapi import text_pattern
from rest.parameters import BOOLEAN, TIMESTAMP, ParameterType
from tasks.rules import NUL, WHITE_SPACE

MAX_SEARCH_LENGTH = 200


class Filter(NamedTuple):
    """A parameter that keeps the tasks for which a lookup of Django's ORM holds."""

    lookup: str
    type: ParameterType
    description: str


FILTERS = {
    "completed": Filter("completed", BOOLEAN, "Only tasks that are done (`true`), or only open ones (`false`)."),
    "created_after": Filter("created_at__gte", TIMESTAMP, "Only tasks created at this instant or later."),
    "created_before": Filter("created_at__lt", TIMESTAMP, "Only tasks created before this instant."),
    "updated_after": Filter("updated_at__gte", TIMESTAMP, "Only tasks last written at this instant or later."),
    "updated_before": Filter("updated_at__lt", TIMESTAMP, "Only tasks last written before this instant."),
}


def _parse_words(text: str) -> list[str]:
    if len(text) > MAX_SEARCH_LENGTH:
        raise ValueError(f"must not exceed {MAX_SEARCH_LENGTH} characters")
    if not text.split() or NUL in text:
        raise ValueError("must be text to search for")
    return text.split()


SEARCH = ParameterType(
    _parse_words,
    {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_SEARCH_LENGTH,
        "pattern": text_pattern(forbidden=NUL, invisible=NUL + WHITE_SPACE),
    },
    "milk",
)
