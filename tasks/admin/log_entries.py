"""Find what the log of the admin keeps of a user's tasks."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from django.contrib.admin.models import LogEntry

from tasks.admin.history import ALL_OF, entries_about_tasks, sentence_of, writes_in
from tasks.admin.selected_tasks import parse_uuid
from tasks.models import Task


class FoundEntries(NamedTuple):
    """The ids of log entries.

    Attributes:
        of_user: entries of one of the user's tasks, or of a list that was filtered by the user.
        with_texts: other entries with texts of the user's tasks, or of removed tasks, whose owner is unknown.
    """

    of_user: list[int]
    with_texts: list[int]


def find_entries(user_id: str, batch_size: int) -> Iterator[FoundEntries]:
    """Search all log entries of tasks in batches, and yield what each batch has."""
    entries = entries_about_tasks().order_by("id")
    batch = list(entries[:batch_size])
    while batch:
        yield _find_in_batch(batch, user_id)
        batch = list(entries.filter(id__gt=batch[-1].pk)[:batch_size])


def _find_in_batch(batch: list[LogEntry], user_id: str) -> FoundEntries:
    subjects = {entry.pk: parse_uuid(entry.object_id or "") for entry in batch}
    quoted = {entry.pk: _quoted_tasks(entry) for entry in batch}
    ids = {*filter(None, subjects.values())}.union(*quoted.values())
    owners: dict[UUID | None, str] = dict(Task.objects.filter(id__in=ids).values_list("id", "user_id"))
    of_user = [entry.pk for entry in batch if owners.get(subjects[entry.pk]) == user_id or _names_user(entry, user_id)]
    with_texts = [pk for pk, tasks in quoted.items() if any(owners.get(id_, user_id) == user_id for id_ in tasks)]
    return FoundEntries(of_user, [pk for pk in with_texts if pk not in of_user])


def _quoted_tasks(entry: LogEntry) -> set[UUID]:
    """Return the tasks whose title or values an entry has."""
    titled = [entry.object_id] if entry.object_id and entry.object_repr else []
    return {id_ for text in (*titled, *writes_in(entry)) if (id_ := parse_uuid(text))}


def clear_texts(ids: list[int]) -> None:
    """Remove titles and other values from log entries."""
    entries = list(LogEntry.objects.filter(id__in=ids))
    for entry in entries:
        entry.change_message = entry.change_message.partition("\n")[0]
        # The title of a task, and not the number of tasks that an action on many tasks has.
        entry.object_repr = "" if entry.object_id else entry.object_repr
    LogEntry.objects.bulk_update(entries, ["change_message", "object_repr"])


def _names_user(entry: LogEntry, user_id: str) -> bool:
    """Return whether the entry's action ran on all tasks of a list that was filtered by the user."""
    # Without the values, because a text of a task can look like an address.
    _, _, address = sentence_of(entry).rpartition(ALL_OF)
    return user_id in dict(parse_qsl(urlsplit(address).query)).values()
