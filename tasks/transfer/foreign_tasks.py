"""Tasks of other systems: a task gets all that fits, and the rest is reported.

The other systems have no UUID of version 7. ``Origin.task_id`` derives one from what identifies the task there, so that
a second import of the same file finds the tasks of the first.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from rest.problems.types import Fault, body_fault
from rest.timestamps import format_timestamp
from tasks.due import canonical_due
from tasks.rules import DESCRIPTION_MAX_LENGTH, LABELS_MAX_NUMBER, clean_label
from tasks.transfer.file_formats import Line

#: The most faults that are reported of one task.
MAX_REPORTED = 20

#: The most characters of a value in a message.
MAX_QUOTED = 50

#: The bits of a UUID that are not its version and variant, and the version and variant 7 (RFC 9562, section 5.7).
_UUID_BITS = (1 << 128) - 1 - (0xF << 76) - (0x3 << 62)
_UUID_7 = (0x7 << 76) + (0x2 << 62)


def quote(text: str) -> str:
    """Return the beginning of a text for a message, without what could confuse a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in f"“{text[:MAX_QUOTED]}”")


@dataclass(frozen=True)
class Origin:
    """The system and the file that tasks come from, and the user who will own the tasks.

    Attributes:
        read_at: the time of the import, which replaces an unknown time of creation.
    """

    system: str
    user_id: str
    file_name: str
    read_at: datetime

    def task_id(self, created: datetime | None, *key: str) -> str:
        """Return a UUID of version 7, which is the same for the same owner, system, time and key.

        The first 48 bits are the time of creation, or 0 if that time is unknown. The other bits are a hash.
        """
        text = json.dumps([self.system, self.user_id, *key])
        digest = int.from_bytes(blake2b(text.encode(), digest_size=10).digest())
        milliseconds = max(0, int(created.timestamp() * 1000)) if created else 0
        return str(UUID(int=((milliseconds << 80 | digest) & _UUID_BITS) | _UUID_7))


@dataclass
class ForeignTask:
    """A task of another system, in the values of the API.

    Attributes:
        number: the number of the task in messages.
        created: the time of creation, if the other system tells it. The same holds for ``modified`` and ``done_at``.
        left_out: what does not fit into a task.
    """

    number: int
    title: Any = None
    description: Any = ""
    completed: Any = False
    due: str | None = None
    priority: str | None = None
    labels: dict[str, bool] = field(default_factory=dict)
    created: datetime | None = None
    modified: datetime | None = None
    done_at: datetime | None = None
    version: int = 1
    left_out: list[Fault] = field(default_factory=list)

    def leave_out(self, name: str, detail: str) -> None:
        """Report that something of the other system does not fit; ``name`` is its name there."""
        fault = body_fault([name], "left_out", detail)
        if fault not in self.left_out and len(self.left_out) < MAX_REPORTED:
            self.left_out.append(fault)

    def set_due(self, name: str, text: str) -> None:
        """Set the due date, or report that ``text`` is none."""
        try:
            self.due = canonical_due(text)
        except ValidationError as error:
            self.leave_out(name, f"{error.message}; the task has no due date")

    def add_labels(self, name: str, labels: Iterable[str]) -> None:
        """Add labels, and report labels that no task can have."""
        for label in labels:
            self._add_label(name, label)

    def add_text(self, name: str, text: str) -> None:
        """Append a comment or a note to the description."""
        if isinstance(self.description, str) and len(self.description) < DESCRIPTION_MAX_LENGTH:
            self.description = f"{self.description}\n\n{text}".strip()
        else:
            self.leave_out(name, f"The description is full: {DESCRIPTION_MAX_LENGTH} characters")

    def line(self, origin: Origin, id_: str) -> Line:
        """Return the task as a line of an import."""
        if isinstance(self.description, str) and len(self.description) > DESCRIPTION_MAX_LENGTH:
            self.description = self.description[:DESCRIPTION_MAX_LENGTH]
            self.leave_out("description", f"Only the first {DESCRIPTION_MAX_LENGTH} characters are imported")
        values = {
            "id": id_,
            "title": self.title,
            "description": self.description,
            "completed": self.completed,
            "due": self.due,
            "priority": self.priority,
            "labels": self.labels,
            "user_id": origin.user_id,
            "version": self.version,
            **self._times(origin),
        }
        if self.title is None:
            del values["title"]
        return Line(self.number, values, left_out=self.left_out)

    def _add_label(self, name: str, label: str) -> None:
        try:
            label = clean_label(label)
        except ValidationError as error:
            return self.leave_out(name, f"{error.message}: {quote(label)}")
        if label not in self.labels and len(self.labels) == LABELS_MAX_NUMBER:
            return self.leave_out(name, f"A task has at most {LABELS_MAX_NUMBER} labels")
        self.labels[label] = True
        return None

    def _times(self, origin: Origin) -> dict[str, str | None]:
        """Return the times as the API writes them; none is later than the import."""
        # An earlier line is newer, because a list begins with the newest task. So the list has the file's order.
        unknown = origin.read_at - timedelta(microseconds=self.number)
        created = min(self.created or unknown, origin.read_at)
        modified = max(created, min(self.modified or created, origin.read_at))
        done_at = min(self.done_at or modified, origin.read_at) if self.completed is True else None
        return {
            "created_at": format_timestamp(created.astimezone(UTC)),
            "updated_at": format_timestamp(max(modified, done_at or modified).astimezone(UTC)),
            "completed_at": format_timestamp(done_at.astimezone(UTC)) if done_at else None,
        }
