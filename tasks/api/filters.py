"""The parameters that narrow a list of tasks. A filter is one line of ``FILTERS``."""

from typing import NamedTuple

from django.core.exceptions import ValidationError

from rest.openapi import text_pattern
from rest.parameters import BOOLEAN, TIMESTAMP, ParameterType, one_of
from tasks.api.serializers import LABEL_SCHEMA
from tasks.due import WALL_CLOCK_FORMS, parse_wall_clock
from tasks.rules import NUL, WHITE_SPACE, Priority, clean_label

MAX_SEARCH_LENGTH = 200


class Filter(NamedTuple):
    """A parameter that keeps the tasks for which a lookup of Django's ORM holds."""

    lookup: str
    type: ParameterType
    description: str


def _parse_label(text: str) -> str:
    try:
        return clean_label(text)
    except ValidationError as error:
        raise ValueError(f"must be a label: {error.message}") from None


#: The value is whether the due date is missing.
WITHOUT_DUE = one_of({"any": False, "none": True}, example="any")
WALL_CLOCK = ParameterType(parse_wall_clock, {"type": "string", "pattern": WALL_CLOCK_FORMS}, "2026-12-24")
PRIORITY = one_of({priority.label: priority.value for priority in Priority}, example="high")
LABEL = ParameterType(_parse_label, LABEL_SCHEMA, "home")

FILTERS = {
    "completed": Filter("completed", BOOLEAN, "Only tasks that are done (`true`), or only open ones (`false`)."),
    "created_after": Filter("created_at__gte", TIMESTAMP, "Only tasks created at this instant or later."),
    "created_before": Filter("created_at__lt", TIMESTAMP, "Only tasks created before this instant."),
    "updated_after": Filter(
        "updated_at__gte",
        TIMESTAMP,
        "Only tasks last written at this instant or later. No way to synchronise, because it skips a write that "
        "commits late: use `/api/tasks/changes`.",
    ),
    "updated_before": Filter("updated_at__lt", TIMESTAMP, "Only tasks last written before this instant."),
    "due": Filter(
        "due__is_missing", WITHOUT_DUE, "Only tasks with a due date (`any`), or only tasks without one (`none`)."
    ),
    "due_after": Filter(
        "due__wall_clock__gte",
        WALL_CLOCK,
        "Only tasks due at this date or local time, or later. Dates and times compare as they are written, so a day "
        "comes before its times, and an instant counts by UTC.",
    ),
    "due_before": Filter("due__wall_clock__lt", WALL_CLOCK, "Only tasks due before this date or local time."),
    "priority": Filter("priority", PRIORITY, "Only tasks with this priority, or without one (`none`)."),
    "label": Filter("labels__has_label", LABEL, "Only tasks that have this label."),
    "completed_after": Filter("completed_at__gte", TIMESTAMP, "Only tasks completed at this instant or later."),
    "completed_before": Filter("completed_at__lt", TIMESTAMP, "Only tasks completed before this instant."),
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
