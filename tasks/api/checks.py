"""Check that every field of a task is declared wherever it must be."""

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Expression, F, Field
from django.db.models.functions import Coalesce

from database.json_expressions import json_value
from tasks.api.filters import FILTERS
from tasks.models import Task
from tasks.querysets import SORT_KEYS, Changes
from tasks.rules import MESSAGES


@checks.register
def check_task_fields(**_: Any) -> list[checks.CheckMessage]:
    """Report each missing or wrong declaration of a field; the steps are in ``docs/architecture.md``."""
    return [*_check_declarations(), *_check_json(), *_check_writable(), *_check_filters(), *_check_sort_keys()]


def _field(name: str) -> "Field[Any, Any] | None":
    try:
        return Task._meta.get_field(name)  # type: ignore[return-value]
    except FieldDoesNotExist:
        return None


def _check_declarations() -> Iterator[checks.CheckMessage]:
    declared = (*Task.PUBLIC_FIELDS, *Task.INTERNAL_FIELDS, *Task.TRIGGER_FIELDS)
    for field in Task._meta.concrete_fields:
        if declared.count(field.name) != 1:
            yield checks.Error(
                f"Task.{field.name} must be in one of PUBLIC_FIELDS and INTERNAL_FIELDS.",
                hint="Add it in tasks/models.py: PUBLIC_FIELDS shows it at every endpoint.",
                id="tasks.E001",
            )
    for name in Task.WRITABLE_FIELDS:
        if name not in Task.PUBLIC_FIELDS:
            yield checks.Error(
                f"Task.{name} is in WRITABLE_FIELDS but not in PUBLIC_FIELDS.",
                hint="Add it to PUBLIC_FIELDS in tasks/models.py.",
                id="tasks.E002",
            )


def _check_json() -> Iterator[checks.CheckMessage]:
    for field in filter(None, map(_field, Task.PUBLIC_FIELDS)):
        try:
            json_value(field)
        except LookupError:
            class_ = type(field).__name__
            yield checks.Error(
                f"Task.{field.name} has no JSON form.",
                hint=f"Add {class_} to JSON_VALUES in database/json_expressions.py.",
                id="tasks.E003",
            )


def _check_writable() -> Iterator[checks.CheckMessage]:
    for name in Task.WRITABLE_FIELDS:
        if name not in MESSAGES:
            yield checks.Error(
                f"Task.{name} is writable and has no messages.",
                hint="Add them to MESSAGES in tasks/rules.py.",
                id="tasks.E004",
            )
        if name not in Changes.__annotations__:
            yield checks.Error(
                f"Task.{name} is writable and missing in Changes.",
                hint="Add its type to Changes in tasks/querysets.py.",
                id="tasks.E008",
            )


def _check_filters() -> Iterator[checks.CheckMessage]:
    for parameter, each in FILTERS.items():
        name = each.lookup.partition("__")[0]
        if _field(name) is None:
            yield checks.Error(
                f"The filter {parameter} uses Task.{name}, which does not exist.",
                hint="Correct the lookup in tasks/api/filters.py.",
                id="tasks.E005",
            )


def _check_sort_keys() -> Iterator[checks.CheckMessage]:
    for key, expression in SORT_KEYS.items():
        for name in _columns(expression):
            field = _field(name)
            if field is None:
                yield checks.Error(
                    f"The ordering {key} uses Task.{name}, which does not exist.",
                    hint="Correct the expression in SORT_KEYS of tasks/querysets.py.",
                    id="tasks.E006",
                )
            elif field.null and not isinstance(expression, Coalesce):
                yield checks.Error(
                    f"The ordering {key} uses Task.{name}, which may be NULL: a page could omit tasks.",
                    hint=f'Use Coalesce("{name}", …) with a stand-in for NULL in SORT_KEYS of tasks/querysets.py.',
                    id="tasks.E007",
                )


def _columns(expression: F | Expression) -> Iterator[str]:
    if isinstance(expression, F):
        yield expression.name  # type: ignore[attr-defined]  # missing in the stubs
        return
    for source in expression.get_source_expressions():
        yield from _columns(source)
