"""Write tasks as an iCalendar file (RFC 5545), a VTODO for each task."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from icalendar import Timezone, Todo, vCategory, vDate, vDatetime, vInt, vText

from tasks.due import time_zone, wall_clock
from tasks.transfer.file_formats import ExportedTask

#: The program that wrote a file, by which the import finds the files of this service.
PRODUCT = "-//todo-rest//export_tasks//EN"

#: The largest integer of RFC 5545 (section 3.3.8).
MAX_INTEGER = 2**31 - 1

#: The numbers that RFC 5545 names for three levels (section 3.8.1.9).
PRIORITIES = {"high": 1, "medium": 5, "low": 9}


class Text(vText):
    r"""A text. ``vText`` of icalendar writes ``\N``, as in ``C:\New``, as a line break."""

    def to_ical(self) -> bytes:
        text = self.replace("\\", "\\\\").replace(";", r"\;").replace(",", r"\,")
        return text.replace("\r\n", r"\n").replace("\n", r"\n").replace("\r", r"\n").encode()


class ICalendarFile:
    """The file of one export. The definition of a time zone precedes its first task."""

    header = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODUCT}\r\n"
    footer = "END:VCALENDAR\r\n"
    has_trash = False  # iCalendar knows cancelled tasks, and no trash

    def __init__(self) -> None:
        self._zones: set[str] = set()

    def write(self, tasks: Iterable[ExportedTask]) -> str:
        """Return the components of ``tasks``."""
        return "".join(part for task in tasks for part in self._write(json.loads(task.public)))

    def _write(self, task: dict[str, Any]) -> Iterator[str]:
        zone = zone_of(task["due"])
        if zone and zone not in self._zones:
            self._zones.add(zone)
            yield time_zone_component(zone)
        yield component(task).to_ical(sorted=False).decode()


def zone_of(due: str | None) -> str:
    """Return the name of a due date's time zone, or nothing."""
    return (due or "").partition("[")[2].rstrip("]")


def time_zone_component(name: str) -> str:
    """Return the VTIMEZONE of a name, or nothing if the name is no longer known."""
    rules = time_zone(name)
    return Timezone.from_tzinfo(rules, name).to_ical(sorted=False).decode() if rules else ""


def component(task: dict[str, Any]) -> Todo:
    """Return the component of a task, in the values of the API."""
    todo = Todo()
    todo["UID"] = Text(task["id"])
    todo["SEQUENCE"] = vInt(min(task["version"], MAX_INTEGER))
    todo["DTSTAMP"] = todo["LAST-MODIFIED"] = instant(task["updated_at"])
    todo["CREATED"] = instant(task["created_at"])
    todo["SUMMARY"] = Text(task["title"])
    if task["description"]:
        todo["DESCRIPTION"] = Text(task["description"])
    if due := due_property(task["due"]):
        todo["DUE"] = due
    if task["priority"]:
        todo["PRIORITY"] = vInt(PRIORITIES[task["priority"]])
    if task["labels"]:
        todo["CATEGORIES"] = vCategory([Text(label) for label in task["labels"]])
    todo["STATUS"] = Text("COMPLETED" if task["completed"] else "NEEDS-ACTION")
    if task["completed"]:
        todo["COMPLETED"] = instant(task["completed_at"])
        todo["PERCENT-COMPLETE"] = vInt(100)
    return todo


def instant(timestamp: str) -> vDatetime:
    """Return a time in UTC, without its fraction of a second, which iCalendar cannot write."""
    return vDatetime(datetime.fromisoformat(timestamp))


def due_property(due: str | None) -> vDate | vDatetime | vText | None:
    """Return the DUE of a due date.

    A date in iCalendar is the day after, at whose beginning a task is overdue (RFC 5545, section 3.8.2.3). The last
    day of the calendar has no day after, so a task that is due on 9999-12-31 has no DUE.
    """
    if due is None or due == date.max.isoformat():
        return None
    if "T" not in due:
        day = vDate(date.fromisoformat(due) + timedelta(days=1))
        day.params["VALUE"] = "DATE"
        return day
    zone = zone_of(due)
    if not zone:
        return vDatetime(datetime.fromisoformat(due))
    # For the zone UTC vDatetime would write an instant, which is another due date.
    local = vText(re.sub("[:-]", "", wall_clock(due)))
    local.params["TZID"] = [zone]  # without the list, icalendar would leave out UTC
    return local
