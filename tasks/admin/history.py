"""The history of a task: the admin's writes with their values, and the versions of other writers.

A log entry has a sentence, and after it a line of JSON for each written task. Writes of the API are not logged, because
a log would cost each write. The task's row tells only when its first and its last version were written.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.utils import display_for_field
from django.db.models import Field, Q, QuerySet

from tasks.admin.form_fields import label_names
from tasks.models import Task

#: The fields whose old and new values the log keeps.
LOGGED_FIELDS = (*Task.WRITABLE_FIELDS, "deleted_at")

ALL_OF = ". All of "

OWNER, OWNER_OR_LIST = "its owner", "its owner or an action on a whole list"


class Values(NamedTuple):
    """The old and the new text of a field."""

    name: str
    old: str
    new: str


class Write(NamedTuple):
    """One or more writes of a task, as the history shows them."""

    time: datetime | None
    user: str
    sentence: str
    values: list[Values] = []


def get_field(name: str) -> "Field[Any, Any]":
    """Return a column of a task."""
    return cast("Field[Any, Any]", Task._meta.get_field(name))


def value_text(task: Task, name: str) -> str:
    """Return a field's value as text for operators, and an empty text for an empty value."""
    field, value = get_field(name), getattr(task, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return label_names(value)
    return display_for_field(value or None, field, empty_value_display="")


def describe_writes(before: Iterable[Task]) -> str:
    """Return a line of JSON for each of these tasks whose row has another version by now."""
    old = {task.pk: task for task in before}
    written = (task for task in Task.objects.filter(pk__in=old) if task.version != old[task.pk].version)
    return "".join(f"\n{_describe_write(old[task.pk], task)}" for task in written)


def _describe_write(old: Task, new: Task) -> str:
    names = (name for name in LOGGED_FIELDS if getattr(old, name) != getattr(new, name))
    values = [Values(name, value_text(old, name), value_text(new, name)) for name in names]
    return json.dumps({"id": str(new.pk), "version": new.version, "values": values}, ensure_ascii=False)


def sentence_of(entry: LogEntry) -> str:
    """Return an entry's message without the values."""
    return entry.get_change_message().partition("\n")[0]


def writes_in(entry: LogEntry) -> dict[str, dict[str, Any]]:
    """Return the writes that an entry describes, by the id of the task.

    Other programs may have written other lines, which do not count.
    """
    lines = (line for line in entry.change_message.split("\n")[1:] if line.startswith('{"id": '))
    return {write["id"]: write for write in map(json.loads, lines)}


def entries_about_tasks() -> QuerySet[LogEntry]:
    """Return the log entries of tasks, oldest first."""
    return LogEntry.objects.filter(content_type=get_content_type_for_model(Task)).order_by("action_time", "pk")


def read_history(task: Task) -> Iterator[Write]:
    """Yield the writes of a task, the oldest first."""
    about_task = Q(object_id=str(task.pk)) | Q(object_id=None, change_message__contains=str(task.pk))
    since, known = task.created_at, 0
    for entry in entries_about_tasks().filter(about_task).select_related("user"):
        version, values = _version_and_values(entry, task.pk)
        if version:
            yield from _unlogged(task, known + 1, version - 1, since, entry.action_time)
            since, known = entry.action_time, version
        if version or not writes_in(entry):  # else the action has skipped this task
            prefix = f"Version {version}: " if version else ""
            yield Write(entry.action_time, entry.user.get_username(), prefix + sentence_of(entry), values)
    yield from _unlogged(task, known + 1, task.version, since, task.updated_at)


def _version_and_values(entry: LogEntry, id: UUID) -> tuple[int, list[Values]]:
    """Return the version that an entry's action wrote, or 0 if the entry does not tell, and the values."""
    if entry.is_addition():
        return 1, []
    write = writes_in(entry).get(str(id), {"version": 0, "values": []})
    return write["version"], [Values(str(get_field(name).verbose_name), old, new) for name, old, new in write["values"]]


def _unlogged(task: Task, first: int, last: int, since: datetime, until: datetime) -> Iterator[Write]:
    """Yield the versions from ``first`` to ``last``, which the log does not know."""
    if first == 1 <= last:
        yield _unlogged_version(1, OWNER, task.created_at)
        first = 2
    lists = entries_about_tasks().filter(change_message__contains=ALL_OF, action_time__range=(since, until))
    writer = OWNER_OR_LIST if first <= last and lists.exists() else OWNER
    newest = [task.version] if first <= last == task.version else []
    last -= len(newest)
    if first == last:
        yield Write(None, writer, f"Version {first}, by {writer}")
    elif first < last:
        yield Write(None, writer, f"Versions {first} to {last}, by {writer}")
    for version in newest:
        yield _unlogged_version(version, writer, task.updated_at)


def _unlogged_version(version: int, writer: str, time: datetime) -> Write:
    return Write(time, writer, f"Version {version}, by {writer}, at {time:%Y-%m-%d %H:%M:%S} UTC")
