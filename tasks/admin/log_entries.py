"""Find what the log of the admin keeps of a user's tasks."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from tasks.admin.selected_tasks import parse_uuid
from tasks.models import Task


class FoundEntries(NamedTuple):
    """The ids of log entries.

    Attributes:
        of_user: entries of one of the user's tasks, or of a list that was filtered by the user.
        of_removed_tasks: entries with the title of a task that no longer exists, so that its owner is unknown.
    """

    of_user: list[int]
    of_removed_tasks: list[int]


def find_entries(user_id: str, batch_size: int) -> Iterator[FoundEntries]:
    """Search all log entries of tasks in batches, and yield what each batch has."""
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Task)).order_by("id")
    batch = list(entries[:batch_size])
    while batch:
        yield _find_in_batch(batch, user_id)
        batch = list(entries.filter(id__gt=batch[-1].pk)[:batch_size])


def _find_in_batch(batch: list[LogEntry], user_id: str) -> FoundEntries:
    task_ids = {entry.pk: parse_uuid(entry.object_id or "") for entry in batch}
    found = Task.objects.filter(id__in=[*filter(None, task_ids.values())]).values_list("id", "user_id")
    owners: dict[UUID | None, str] = dict(found)
    of_user = [entry.pk for entry in batch if owners.get(task_ids[entry.pk]) == user_id or _names_user(entry, user_id)]
    removed = [entry.pk for entry in batch if entry.object_repr and task_ids[entry.pk] not in {None, *owners}]
    return FoundEntries(of_user, removed)


def _names_user(entry: LogEntry, user_id: str) -> bool:
    """Return whether the entry's action ran on all tasks of a list that was filtered by the user."""
    _, _, address = entry.change_message.rpartition(". All of ")
    return user_id in dict(parse_qsl(urlsplit(address).query)).values()
