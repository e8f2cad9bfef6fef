"""Tasks of an iCalendar file (RFC 5545): the components VTODO.

The file is read line by line, and a task property by property, with the parser of icalendar for a property. No
recurrence is ever computed, because some never end: not those of tasks, and not those of time zones.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import IO, Any, NamedTuple

from icalendar.parser import Contentline, split_on_unescaped_comma, unescape_backslash
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from tasks.due import time_zone
from tasks.transfer.file_formats import (
    MAX_LINE_BYTES,
    FormatError,
    Line,
    LineReader,
    rows_or_errors,
)
from tasks.transfer.foreign_tasks import ForeignTask, Origin, quote
from tasks.transfer.icalendar_writer import PRODUCT
from tasks.transfer.importing import UUID_7

#: The most bytes of the properties of a task that are read.
MAX_TASK_BYTES = 4 * MAX_LINE_BYTES

#: The name at the beginning of a content line.
NAME = re.compile(rb"[A-Za-z0-9-]*")

DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(Z?)", re.ASCII)

#: The numbers of each priority.
PRIORITIES = {"high": range(1, 5), "medium": range(5, 6), "low": range(6, 10)}

#: Programs that write the last day of a task, and not the day after.
INCLUSIVE = re.compile(r"tasks\.org|Nextcloud Tasks", re.IGNORECASE)

#: The messages about properties that do not fit, by their names.
LEFT_OUT = {
    "RRULE": "A recurrence is left out",
    "RDATE": "A recurrence is left out",
    "RECURRENCE-ID": "An occurrence of a series becomes a task of its own",
    "RELATED-TO": "A relation to another task is left out",
    "ATTACH": "An attached file is left out",
    "ATTENDEE": "An assignee is left out",
    "LOCATION": "A location is left out",
    "GEO": "A location is left out",
    "URL": "A URL is left out",
    "COMMENT": "A comment is left out",
    "DURATION": "A duration is left out",
}

#: The properties that are read. Each appears once in a task, except CATEGORIES.
READ = {
    *("UID", "SUMMARY", "DESCRIPTION", "DUE", "PRIORITY", "CATEGORIES", "STATUS", "COMPLETED", "PERCENT-COMPLETE"),
    *("CREATED", "LAST-MODIFIED", "SEQUENCE", "RECURRENCE-ID", "DTSTART"),
}


@dataclass
class ICalendar:
    """A reader of iCalendar."""

    origin: Origin
    product: str = ""
    unit = "Line"

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the tasks.

        Raises:
            FormatError: the file is no iCalendar file.
        """
        lines = content_lines(file)
        first = next(lines, None)
        if first is None or not first.is_("BEGIN", "VCALENDAR"):
            raise FormatError("The first line must be BEGIN:VCALENDAR")
        component: Component | None = None
        for line in lines:
            if component is None:
                if line.is_("BEGIN", "VTODO"):
                    component = Component(line.number)
                elif line.name == "PRODID":
                    self.product = line.text.decode(errors="replace").partition(":")[2]
            elif not component.add(line):
                yield self._read(component) if line.is_("END", "VTODO") else unfinished(component)
                component = Component(line.number) if line.is_("BEGIN", "VTODO") else None
        if component:
            yield unfinished(component)

    def _read(self, component: "Component") -> Line:
        if component.size > MAX_TASK_BYTES:
            return Line.unreadable(component.number, "too_long", f"The task is longer than {MAX_TASK_BYTES} bytes")
        task = ForeignTask(component.number)
        properties = read_properties(task, component)
        if raw_of(properties, "STATUS").upper() == "CANCELLED":
            return Line.unreadable(component.number, "cancelled", "The task is cancelled, and is not imported")
        read_task(task, properties)
        read_due(task, properties, exclusive=not INCLUSIVE.search(self.product))
        return task.line(self.origin, self._id(task, component, properties))

    def _id(self, task: ForeignTask, component: "Component", properties: "Properties") -> str:
        """Return the UID of an own export, or an id that is derived from the UID."""
        uid = text_of(properties, "UID")
        if self.product == PRODUCT and UUID_7.fullmatch(uid):
            task.version = read_number(task, properties, "SEQUENCE") or 1
            return uid
        key = uid or sha256(b"\n".join(text for _, text in component.lines)).hexdigest()
        return self.origin.task_id(task.created, key, text_of(properties, "RECURRENCE-ID"))


@dataclass
class ContentLine:
    """A line of the file, with the lines that continue it.

    Attributes:
        text: the line without the line breaks of folding (RFC 5545, section 3.1).
        too_long: whether ``text`` is only the beginning, because the line is longer than ``MAX_LINE_BYTES``.
    """

    number: int
    text: bytes
    too_long: bool

    @property
    def name(self) -> str:
        """Return the name of the property, in upper case."""
        match = NAME.match(self.text)
        return match[0].decode().upper() if match else ""

    def is_(self, name: str, value: str) -> bool:
        """Tell whether the line is ``name:value``."""
        return self.text.strip().upper() == f"{name}:{value}".encode()

    def extend(self, text: bytes, *, too_long: bool) -> None:
        """Add a line that continues this line."""
        self.too_long = self.too_long or too_long or len(self.text) + len(text) > MAX_LINE_BYTES
        self.text += b"" if self.too_long else text


def content_lines(file: IO[bytes]) -> Iterator[ContentLine]:
    """Yield each content line."""
    lines = LineReader(file)
    last: ContentLine | None = None
    for number, line in rows_or_errors(lines, lines):
        too_long = not isinstance(line, bytes)
        text = line.rstrip(b"\r\n") if isinstance(line, bytes) else getattr(line, "beginning", b"")
        if last and text[:1] in (b" ", b"\t"):
            last.extend(text[1:], too_long=too_long)
        elif text:
            if last:
                yield last
            last = ContentLine(number, text, too_long)
    if last:
        yield last


@dataclass
class Component:
    """The VTODO that is being read.

    Attributes:
        number: the number of its first line.
        lines: the names and the content lines of the properties that are read.
        left_out: messages about other properties and about components inside, by name.
        size: the bytes of ``lines``, also of those that were too many to keep.
        depth: the number of open components inside.
    """

    number: int
    lines: list[tuple[str, bytes]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    size: int = 0
    depth: int = 0

    def add(self, line: ContentLine) -> bool:
        """Add a line, and return ``False`` if the line is no part of the component."""
        name = line.name
        if self.depth:
            self.depth += {"BEGIN": 1, "END": -1}.get(name, 0)
        elif name == "END" or line.is_("BEGIN", "VTODO"):
            return False
        elif name == "BEGIN":
            self.depth = 1
            self.left_out["VALARM"] = "An alarm is left out"
        else:
            self._add_property(name, line)
        return True

    def _add_property(self, name: str, line: ContentLine) -> None:
        if name in LEFT_OUT and not line.text.rstrip().endswith(b":"):
            self.left_out[name] = LEFT_OUT[name]
        if name in READ and line.too_long:
            self.left_out[name] = f"The property is longer than {MAX_LINE_BYTES} bytes"
        elif name in READ:
            self.size += len(line.text)
            self.lines += [(name, line.text)] if self.size <= MAX_TASK_BYTES else []


def unfinished(component: Component) -> Line:
    """Return the fault of a component that does not end."""
    return Line.unreadable(component.number, "malformed", "The task has no END:VTODO")


class Property(NamedTuple):
    """The parameters of a property, and its value as the file has it."""

    parameters: Mapping[str, Any]
    raw: str


#: The properties of a task by name.
Properties = dict[str, list[Property]]


def read_properties(task: ForeignTask, component: Component) -> Properties:
    """Return the properties of a component, and report those that cannot be read."""
    for name, detail in component.left_out.items():
        task.leave_out(name, detail)
    properties: Properties = {}
    for name, text in component.lines:
        try:
            property_ = read_property(text.decode())
        except UnicodeDecodeError:
            task.leave_out(name, "The property is not UTF-8")
        except ValueError:
            task.leave_out(name, "The property is malformed")
        else:
            properties.setdefault(name, []).append(property_)
    return properties


def read_property(line: str) -> Property:
    """Return the property of a content line.

    Raises:
        ValueError: the line is malformed.
    """
    name, _, value = line.partition(":")
    if name.isalpha():  # without this, the parser would look at each character of most lines
        return Property({}, value)
    _, parameters, raw = Contentline(line).raw_parts()  # type: ignore[no-untyped-call]
    return Property(parameters, raw)


def raw_of(properties: Properties, name: str) -> str:
    """Return the value of a property without white space around it, or nothing."""
    return properties[name][0].raw.strip() if name in properties else ""


def text_of(properties: Properties, name: str) -> str:
    """Return the value of a text property, or nothing."""
    return str(unescape_backslash(properties[name][0].raw)) if name in properties else ""


def read_task(task: ForeignTask, properties: Properties) -> None:
    """Set everything but the due date."""
    if "SUMMARY" in properties:
        task.title = text_of(properties, "SUMMARY")
    task.description = text_of(properties, "DESCRIPTION")
    task.priority = read_priority(task, properties)
    for each in properties.get("CATEGORIES", []):
        task.add_labels("CATEGORIES", filter(None, split_on_unescaped_comma(each.raw)))
    task.created = read_instant(task, properties, "CREATED")
    task.modified = read_instant(task, properties, "LAST-MODIFIED")
    task.done_at = read_instant(task, properties, "COMPLETED")
    read_status(task, properties)


def read_status(task: ForeignTask, properties: Properties) -> None:
    """Set whether the task is done. Some programs write a time or 100 percent, and no status."""
    status = raw_of(properties, "STATUS").upper()
    percent = read_number(task, properties, "PERCENT-COMPLETE")
    task.completed = status == "COMPLETED" or (not status and (task.done_at is not None or percent == 100))
    if status not in ("", "COMPLETED", "NEEDS-ACTION", "IN-PROCESS"):
        task.leave_out("STATUS", f"The status {quote(status)} is unknown; the task is open")
    if percent and not task.completed:
        task.leave_out("PERCENT-COMPLETE", "A task is done or not; the percentage is left out")


def read_priority(task: ForeignTask, properties: Properties) -> str | None:
    """Return the priority: 1 to 4 is high, 5 is medium, 6 to 9 is low (RFC 5545, section 3.8.1.9)."""
    number = read_number(task, properties, "PRIORITY") or 0
    if number > 9:
        task.leave_out("PRIORITY", "The priority must be 0 to 9")
    return next((name for name, numbers in PRIORITIES.items() if number in numbers), None)


def read_number(task: ForeignTask, properties: Properties, name: str) -> int | None:
    """Return the value of a property that is a number without a sign."""
    raw = raw_of(properties, name)
    if re.fullmatch(r"\d{1,15}", raw, re.ASCII):
        return int(raw)
    if raw:
        task.leave_out(name, f"{quote(raw)} is not a number")
    return None


def read_instant(task: ForeignTask, properties: Properties, name: str) -> datetime | None:
    """Return a time. A time without a zone counts as UTC, which it must be (RFC 5545, section 3.8.7)."""
    raw = raw_of(properties, name)
    match = DATE_TIME.fullmatch(raw) or DATE.fullmatch(raw)
    with suppress(ValueError):
        if match:
            return datetime(*map(int, match.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    if raw:
        task.leave_out(name, f"{quote(raw)} is not a time")
    return None


def read_due(task: ForeignTask, properties: Properties, *, exclusive: bool) -> None:
    """Set the due date, and report a start date that says more.

    RFC 5545 has the day after the last day, and then ``exclusive`` is true. Some programs write the last day.
    """
    raw, start = raw_of(properties, "DUE"), raw_of(properties, "DTSTART")
    if start not in ("", raw):
        task.leave_out("DTSTART", "A start date is left out")
    day, time = DATE.fullmatch(raw), DATE_TIME.fullmatch(raw)
    if day:
        # A task that begins and ends on one day shows that the program writes the last day.
        set_due_day(task, "-".join(day.groups()), exclusive=exclusive and start != raw)
    elif time:
        year, month, day_, hour, minute, second, utc = time.groups()
        zone = utc or zone_suffix(task, properties["DUE"][0].parameters.get("TZID"))
        task.set_due("DUE", f"{year}-{month}-{day_}T{hour}:{minute}:{second}{zone}")
    elif raw:
        task.leave_out("DUE", f"{quote(raw)} is not a date or a time; the task has no due date")


def set_due_day(task: ForeignTask, text: str, *, exclusive: bool) -> None:
    """Set a date without a time."""
    task.set_due("DUE", text)
    if task.due and exclusive:
        with suppress(OverflowError):
            task.due = (date.fromisoformat(task.due) - timedelta(days=1)).isoformat()


def zone_suffix(task: ForeignTask, zone: object) -> str:
    """Return the end of a due date for a TZID, such as ``[Europe/Berlin]``.

    Windows has names of its own. Some programs write a path before the name, such as ``/example.org/Europe/Berlin``.
    """
    if zone is None:
        return ""
    parts = str(zone).split("/")
    names = str(zone), WINDOWS_TO_OLSON.get(str(zone), ""), "/".join(parts[-2:]), "/".join(parts[-3:])
    known = next(filter(time_zone, names), None)
    if known is None:
        task.leave_out("DUE", f"The time zone {quote(str(zone))} is unknown; the due date is a local time")
    return f"[{known}]" if known else ""
