"""A field that somebody forgot to declare is reported by name, with the remedy."""

import pytest
from django.core import checks
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from database import json_expressions
from rest.parameters import BOOLEAN
from tasks import querysets, rules
from tasks.api.checks import check_task_fields
from tasks.api.filters import FILTERS, Filter
from tasks.models import Task


def reports():
    return [(message.id, message.msg, message.hint) for message in check_task_fields()]


def test_declarations_of_this_project_are_complete():
    assert reports() == []
    assert [message for message in checks.run_checks() if message.id.startswith("tasks.")] == []


def test_field_in_no_tuple_is_reported(monkeypatch):
    monkeypatch.setattr(Task, "INTERNAL_FIELDS", ())
    assert reports() == [
        (
            "tasks.E001",
            "Task.deleted_at must be in one of PUBLIC_FIELDS and INTERNAL_FIELDS.",
            "Add it in tasks/models.py: PUBLIC_FIELDS shows it at every endpoint.",
        )
    ]


def test_writable_field_that_is_not_public_is_reported(monkeypatch):
    monkeypatch.setattr(Task, "WRITABLE_FIELDS", ("deleted_at",))
    monkeypatch.setitem(rules.MESSAGES, "deleted_at", {})
    assert reports() == [
        (
            "tasks.E002",
            "Task.deleted_at is in WRITABLE_FIELDS but not in PUBLIC_FIELDS.",
            "Add it to PUBLIC_FIELDS in tasks/models.py.",
        )
    ]


def test_field_without_json_form_is_reported(monkeypatch):
    monkeypatch.delitem(json_expressions.JSON_VALUES, models.BooleanField)
    assert reports() == [
        (
            "tasks.E003",
            "Task.completed has no JSON form.",
            "Add BooleanField to JSON_VALUES in database/json_expressions.py.",
        )
    ]


def test_writable_field_missing_in_changes_is_reported(monkeypatch):
    monkeypatch.delitem(querysets.Changes.__annotations__, "title")
    assert reports() == [
        (
            "tasks.E008",
            "Task.title is writable and missing in Changes.",
            "Add its type to Changes in tasks/querysets.py.",
        )
    ]


def test_writable_field_without_messages_is_reported(monkeypatch):
    monkeypatch.delitem(rules.MESSAGES, "title")
    assert reports() == [
        ("tasks.E004", "Task.title is writable and has no messages.", "Add them to MESSAGES in tasks/rules.py.")
    ]


def test_filter_by_unknown_field_is_reported(monkeypatch):
    monkeypatch.setitem(FILTERS, "done", Filter("done", BOOLEAN, "Only tasks that are done."))
    assert reports() == [
        (
            "tasks.E005",
            "The filter done uses Task.done, which does not exist.",
            "Correct the lookup in tasks/api/filters.py.",
        )
    ]


def test_ordering_by_unknown_field_is_reported(monkeypatch):
    monkeypatch.setitem(querysets.SORT_KEYS, "done", F("done"))
    assert reports() == [
        (
            "tasks.E006",
            "The ordering done uses Task.done, which does not exist.",
            "Correct the expression in SORT_KEYS of tasks/querysets.py.",
        )
    ]


@pytest.mark.parametrize("expression", [F("deleted_at"), models.Func(F("deleted_at"), function="DATE")])
def test_ordering_by_nullable_field_is_reported(monkeypatch, expression):
    monkeypatch.setitem(querysets.SORT_KEYS, "deleted_at", expression)
    assert reports() == [
        (
            "tasks.E007",
            "The ordering deleted_at uses Task.deleted_at, which may be NULL: a page could omit tasks.",
            'Use Coalesce("deleted_at", …) with a stand-in for NULL in SORT_KEYS of tasks/querysets.py.',
        )
    ]


def test_ordering_with_stand_in_is_not_reported(monkeypatch):
    monkeypatch.setitem(querysets.SORT_KEYS, "deleted_at", Coalesce("deleted_at", Value(rules.EARLIEST)))
    assert reports() == []
