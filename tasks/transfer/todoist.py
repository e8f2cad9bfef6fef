"""Todoist's CSV export of a project: “Export as a template”, or a file of the backup."""

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import IO

from tasks.due import time_zone
from tasks.transfer.file_formats import CSVRows, FormatError, Line
from tasks.transfer.foreign_tasks import ForeignTask, Origin, quote

#: Priorities by Todoist's numbers in CSV, where 1 is the highest. 4 is the default.
PRIORITIES = {"1": "high", "2": "medium", "3": "low", "4": None, "": None}

#: Columns that are reported if a task has a value there.
LEFT_OUT = {"RESPONSIBLE": "An assignee is left out", "DURATION": "A duration is left out"}

#: A label is a word of the title after an @.
LABEL = re.compile(r"(?<!\S)@(\S+)")

#: A file in a note; its description is JSON. A beginning ends the search for the end of the one before.
ATTACHMENT = re.compile(r"\[\[file \{(?:(?!\[\[file ).)*?\}\]\]", re.DOTALL)

_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august"]
_MONTHS += ["september", "october", "november", "december"]

#: The numbers of the months by their names and the usual abbreviations.
MONTHS = {name[:length]: number for number, name in enumerate(_MONTHS, 1) for length in (3, 4, len(name))}

_TIME = (
    r"(?:[ T,]\s*(?:at |@ ?)?(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?::(?P<second>\d\d)(?:\.0+)?)? ?(?P<half>[ap]m)?)?"
)

#: The dates that mean the same day whenever and wherever somebody reads them.
DATES = [
    re.compile(date + _TIME, re.ASCII | re.IGNORECASE)
    for date in (
        r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.? (?P<month>[a-z]{3,9})\.?,? (?P<year>\d{4})",
        r"(?P<month>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    )
]


@dataclass
class Todoist:
    """A reader of Todoist's CSV."""

    origin: Origin
    delimiter: str = ","
    unit = "Line"

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the tasks, and the lines that are no part of any task.

        Raises:
            FormatError: the file is no CSV export of Todoist.
        """
        rows = CSVRows(file, self.delimiter)
        if not {"TYPE", "CONTENT"} <= set(rows.header):
            reason = "The first line must name Todoist's columns, each once, such as TYPE, CONTENT, PRIORITY and DATE"
            raise FormatError(f"{reason}{rows.hint}")
        project = _Project(self.origin)
        for row in rows:
            yield from [row] if row.faults else project.add(row)
        yield from project.finish_task()


class Ordinals:
    """The number of earlier tasks with the same key. Memory does not grow with the number of keys.

    Each key has one of 2^20 counters. Two keys may share a counter, which counts both then. The same file has the same
    ordinals again, and no two tasks with the same key have the same ordinal.
    """

    def __init__(self) -> None:
        self._counts = array("I", bytes(array("I").itemsize << 20))

    def next(self, key: str) -> int:
        """Return the ordinal of a task."""
        index = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) % len(self._counts)
        self._counts[index] += 1
        return self._counts[index]


@dataclass
class _Project:
    """The rows of a file up to now.

    Attributes:
        task: the task whose notes may follow.
        parents: the titles of the tasks that ``task`` is a part of.
    """

    origin: Origin
    section: str = ""
    task: ForeignTask | None = None
    task_id: str = ""
    parents: list[str] = field(default_factory=list)
    ordinals: Ordinals = field(default_factory=Ordinals)

    def add(self, row: Line) -> Iterator[Line]:
        """Add a row, and yield the task that ends before the row, or the row if Todoist has no such row."""
        kind = row.values["TYPE"].strip().lower()
        if kind == "note":
            yield from self._add_note(row)
        elif kind == "task":
            yield from self.finish_task()
            self._begin_task(row)
        elif kind == "section":
            yield from self.finish_task()
            self.section = row.values["CONTENT"]
        elif kind != "meta":
            yield Line.unreadable(row.number, "invalid", "TYPE must be task, section, note or meta")

    def finish_task(self) -> Iterator[Line]:
        """Yield the last task, with its notes."""
        if self.task:
            yield self.task.line(self.origin, self.task_id)
        self.task = None

    def _begin_task(self, row: Line) -> None:
        cells = {name: cell.strip() for name, cell in row.values.items()}
        self.task = read_task(row.number, cells)
        if self.section:
            self.task.add_labels("section", [self.section])
        depth = indent(cells)
        self.parents[max(0, depth - 1) :] = [cells["CONTENT"]]
        if depth > 1:
            self.task.leave_out("INDENT", "A subtask becomes a task of its own")
        key = json.dumps([self.origin.file_name, self.section, self.parents])
        self.task_id = self.origin.task_id(None, key, str(self.ordinals.next(key)))

    def _add_note(self, row: Line) -> Iterator[Line]:
        if self.task is None:
            yield Line.unreadable(row.number, "invalid", "The note belongs to no task")
            return
        text, number = ATTACHMENT.subn("", row.values["CONTENT"])
        if number:
            self.task.leave_out("note", "An attached file is left out")
        if text.strip():
            self.task.add_text("note", text.strip())


def indent(cells: dict[str, str]) -> int:
    """Return the level of a task, from 1; Todoist has four levels."""
    text = cells.get("INDENT", "")
    return int(text) if re.fullmatch("[1-9]", text) else 1


def read_task(number: int, cells: dict[str, str]) -> ForeignTask:
    """Return the task of a row."""
    task = ForeignTask(number, title=cells["CONTENT"], description=cells.get("DESCRIPTION", ""))
    priority = cells.get("PRIORITY", "")
    task.priority = PRIORITIES.get(priority)
    if priority not in PRIORITIES:
        task.leave_out("PRIORITY", "The priority must be 1 to 4")
    for name, detail in LEFT_OUT.items():
        if cells.get(name, "") not in ("", "None"):
            task.leave_out(name, detail)
    move_labels(task)
    set_due(task, cells)
    return task


def move_labels(task: ForeignTask) -> None:
    """Make labels of the words of the title that begin with @. A title of such words alone stays."""
    title = " ".join(LABEL.sub("", task.title).split(" ")).strip()
    task.add_labels("CONTENT", LABEL.findall(task.title))
    task.title = re.sub(" {2,}", " ", title) or task.title


def set_due(task: ForeignTask, cells: dict[str, str]) -> None:
    """Set the due date from the date, or else from the deadline."""
    name = "DATE" if cells.get("DATE") else "DEADLINE"
    text = cells.get(name, "")
    if name == "DATE" and cells.get("DEADLINE"):
        task.leave_out("DEADLINE", "A deadline besides the date is left out")
    if not text:
        return
    due = read_date(text)
    if due is None:
        task.leave_out(name, f"{quote(text)} is not a date with a year; the task has no due date")
        return
    zone = cells.get("TIMEZONE", "")
    if "T" in due and zone and time_zone(zone) is None:
        task.leave_out("TIMEZONE", f"The time zone {quote(zone)} is unknown; the due date is a local time")
        zone = ""
    task.set_due(name, f"{due}[{zone}]" if "T" in due and zone else due)


def read_date(text: str) -> str | None:
    """Return a date or a local time as RFC 3339 writes it, or ``None`` for any other text.

    The result may be no day of the calendar, such as February 30.
    """
    match = next(filter(None, (pattern.fullmatch(text) for pattern in DATES)), None)
    if match is None:
        return None
    year, month_name, day = match.group("year", "month", "day")
    month = int(month_name) if month_name.isdecimal() else MONTHS.get(month_name.lower())
    if month is None:
        return None
    date = f"{year}-{month:02}-{int(day):02}"
    return read_time(date, match) if match["hour"] else date


def read_time(date: str, match: re.Match[str]) -> str | None:
    """Return the date with the time of a match, or ``None`` for a lone number, which may be anything."""
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif match["minute"] is None:
        return None
    return f"{date}T{hour:02}:{match['minute'] or '00'}:{match['second'] or '00'}"
