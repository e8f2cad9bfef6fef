"""Vikunja's export of a user's data: a ZIP with ``data.json``, or that file.

``data.json`` is one array of projects, each with its tasks. ijson reads it event by event.
"""

import json
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from html import unescape
from itertools import takewhile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import ijson
from ijson.backends import python as json_parser

from rest.timestamps import parse_timestamp
from tasks.transfer.file_formats import SAVE_AS_UTF_8, FormatError, Line
from tasks.transfer.foreign_tasks import ForeignTask, Origin

#: The most bytes between two events of the parser; no text of a task is longer.
MAX_TEXT_BYTES = 4 * 1024 * 1024

#: The most values and characters of a task that are kept.
MAX_TASK_SIZE = 256 * 1024

#: The deepest nesting; the exports of Vikunja have about ten levels.
MAX_DEPTH = 64

#: The paths of projects and of their tasks. Versions before 0.21 have namespaces around the projects.
PROJECT = re.compile(r"item(?:\.(?:projects|lists|child_projects)\.item)*")
TASK = re.compile(PROJECT.pattern + r"\.tasks\.item")

#: The beginning of a description that the editor of Vikunja wrote.
HTML = re.compile(r"\s*<(?:p|h[1-6]|ul|ol|div|blockquote|pre|table|hr|figure|img|a)[ />]", re.IGNORECASE)
#: A tag. An atomic group takes the name, because without it the time for a text without > grows with its square.
TAG = re.compile(r"<(?P<slash>/?)(?P<name>[a-z][a-z0-9]*+)(?P<attributes>[^<>]*+)>", re.IGNORECASE)
TARGET = re.compile('href="([^"]*)"')
CHECKED = re.compile('data-checked="(true|false)"')
BLOCKS = {
    "li",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "div",
    "blockquote",
    "pre",
    "table",
    "tr",
    "hr",
    "br",
}

#: Vikunja's time for no time.
NO_TIME = "0001-01-01T00:00:00Z"

#: The messages about members that do not fit, by their names.
LEFT_OUT = {
    "reminders": "A reminder is left out",
    "reminder_dates": "A reminder is left out",
    "repeat_after": "A recurrence is left out",
    "repeat_mode": "A recurrence is left out",
    "start_date": "A start date is left out",
    "end_date": "An end date is left out",
    "assignees": "An assignee is left out",
    "related_tasks": "A relation to another task is left out",
    "attachments": "An attached file is left out",
    "is_favorite": "A favorite is left out",
}


#: The errors that zipfile raises for a damaged or encrypted file.
UNREADABLE = (BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError)

DEPTH_CHANGES = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}

#: An event of ijson: the path of the value, the name of the event, and the value.
Event = tuple[str, str, Any]


@dataclass
class Vikunja:
    """A reader of Vikunja's export."""

    origin: Origin
    unit = "Task"

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield the tasks.

        Raises:
            FormatError: the file is no export of Vikunja.
        """
        number, document = 0, open_document(file)
        try:
            for number, (project, values) in enumerate(read_tasks(document), 1):
                yield self._read(number, project, values)
        except (FormatError, ijson.JSONError, json.JSONDecodeError) as error:
            malformed = str(error) if isinstance(error, FormatError) else f"The JSON is malformed: {str(error)[:100]}"
            reason = document.fault or malformed
            if not number:
                raise FormatError(reason) from error
            yield Line.unreadable(number + 1, "malformed", f"{reason}; the rest of the file is not read")

    def _read(self, number: int, project: str, values: dict[str, Any] | None) -> Line:
        if values is None:
            return Line.unreadable(number, "too_long", f"The task has more than {MAX_TASK_SIZE} values and characters")
        id_ = values.get("id")
        if type(id_) is not int:  # a boolean is an int in Python
            return Line.unreadable(number, "invalid", "The id of the task must be a number")
        task = read_task(number, values)
        if project:
            task.add_labels("project", [project])
        return task.line(self.origin, self.origin.task_id(task.created, str(id_)))


def open_document(file: IO[bytes]) -> "Document":
    """Return the JSON of the file, or of ``data.json`` in a ZIP file.

    Raises:
        FormatError: the ZIP file cannot be read, or has no ``data.json``.
    """
    start = file.read(4)
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise FormatError(f"The file is UTF-16; {SAVE_AS_UTF_8}")
    if start != b"PK\3\4":
        return Document(start.removeprefix(BOM_UTF8), file)
    if not file.seekable():
        raise FormatError("A ZIP file cannot come from standard input; name the file, or send its data.json")
    try:
        archive = ZipFile(file)
        if archive.getinfo("data.json").compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise FormatError("The ZIP file cannot be read: it has another compression than DEFLATE")
        return Document(b"", archive.open("data.json"))
    except KeyError:
        raise FormatError("The ZIP file has no data.json; export the data from Vikunja") from None
    except UNREADABLE as error:
        raise FormatError(f"The ZIP file cannot be read: {error}") from error


@dataclass
class Document:
    """A file that ends at damage, and at a text without end.

    An error within ``read`` would leave coroutines of ijson behind, whose own errors Python prints.

    Attributes:
        start: bytes that were read before.
        silence: the bytes that were read since the parser found something.
        fault: the reason why the file ends early.
    """

    start: bytes
    file: IO[bytes]
    silence: int = 0
    fault: str = ""

    def read(self, size: int) -> bytes:
        """Return the next bytes, or nothing at the end."""
        if not size:  # ijson asks whether the file has bytes or text
            return b""
        try:
            data = self.start or self.file.read(size)
        except UNREADABLE as error:
            self.fault = f"The ZIP file is damaged: {error}"
            return b""
        self.start = b""
        self.silence += len(data)
        if self.silence > MAX_TEXT_BYTES:
            self.fault = f"A text is longer than {MAX_TEXT_BYTES} bytes"
            return b""
        return data


def read_tasks(document: Document) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the title of a project and a task of it, or ``None`` for a task that is too large.

    Raises:
        FormatError: the document is no array of projects.
    """
    project = ""
    events = read_events(document)
    for path, event, value in events:
        if event == "start_map" and TASK.fullmatch(path):
            yield project, build_task(path, events)
        elif event == "string" and path.endswith(".title") and PROJECT.fullmatch(path.removesuffix(".title")):
            project = value


def read_events(document: Document) -> Iterator[Event]:
    """Yield the events of an array.

    Raises:
        FormatError: the document is no array, or nests deeper than ``MAX_DEPTH``.
    """
    depth = 0
    # The parser in C ends the whole process at an integer of 5,000 digits.
    for path, event, value in json_parser.parse(document, use_float=True):
        document.silence = 0
        depth += DEPTH_CHANGES.get(event, 0)
        if depth > MAX_DEPTH or (not path and event not in ("start_array", "end_array")):
            raise FormatError("The file is no export of Vikunja, which is an array of projects")
        yield path, event, value


def build_task(path: str, events: Iterator[Event]) -> dict[str, Any] | None:
    """Return the task at ``path``, or ``None`` if the task is larger than ``MAX_TASK_SIZE``."""
    builder, size = ijson.ObjectBuilder(), 0
    builder.event("start_map", None)
    for _, event, value in takewhile(lambda each: each[:2] != (path, "end_map"), events):
        size += 1 + (len(value) if isinstance(value, str) else 0)
        if size <= MAX_TASK_SIZE:
            builder.event(event, value)
    return builder.value if size <= MAX_TASK_SIZE else None


def read_task(number: int, values: dict[str, Any]) -> ForeignTask:
    """Return a task of Vikunja, with its comments in the description."""
    task = ForeignTask(number, values.get("title"), to_text(values.get("description") or ""), values.get("done", False))
    task.priority = read_priority(task, values.get("priority"))
    task.created, task.modified, task.done_at = (
        read_time(values.get(name)) for name in ("created", "updated", "done_at")
    )
    due = values.get("due_date")
    if due not in (None, NO_TIME):
        task.set_due("due_date", due if isinstance(due, str) else json.dumps(due))
    task.add_labels("labels", texts(values.get("labels"), "title"))
    for comment in texts(values.get("comments"), "comment"):
        task.add_text("comments", to_text(comment))
    for name, detail in LEFT_OUT.items():
        if values.get(name) not in (None, NO_TIME) and values[name]:
            task.leave_out(name, detail)
    if values.get("percent_done") and task.completed is False:
        task.leave_out("percent_done", "A task is done or not; the percentage is left out")
    return task


def read_priority(task: ForeignTask, priority: Any) -> str | None:
    """Return a priority: Vikunja's 0 is none, 1 low, 2 medium, and 3 to 5 are high and above."""
    if type(priority) not in (int, type(None)):
        task.leave_out("priority", "The priority must be a number")
        return None
    return (None, "low", "medium", "high")[min(max(priority or 0, 0), 3)]


def read_time(text: Any) -> datetime | None:
    """Return a time, or ``None`` if there is none."""
    if not isinstance(text, str) or text == NO_TIME:
        return None
    with suppress(ValueError):
        return parse_timestamp(text)
    return None


def texts(objects: Any, name: str) -> list[str]:
    """Return the member ``name`` of each object of an array; Vikunja writes an empty array as ``null``."""
    members = [each.get(name) for each in objects if isinstance(each, dict)] if isinstance(objects, list) else []
    return [member for member in members if isinstance(member, str)]


def to_text(html: Any) -> Any:
    """Return HTML as plain text. Versions before 0.22 have Markdown, which stays."""
    if not isinstance(html, str) or not HTML.match(html):
        return html
    text, end = _Text(), 0
    for tag in TAG.finditer(html):
        text.add(decode(html[end : tag.start()]))
        text.add_tag(tag["name"].lower(), tag["attributes"], closes=bool(tag["slash"]))
        end = tag.end()
    text.add(decode(html[end:]))
    return "".join(text.parts).strip()


@dataclass
class _Text:
    """The text of HTML: a line for each block, a dash before an item of a list, and the target of a link."""

    parts: list[str] = field(default_factory=list)
    link: str = ""

    def add(self, text: str) -> None:
        """Add a text, unless it is empty."""
        self.parts += [text] if text else []

    def add_tag(self, name: str, attributes: str, *, closes: bool) -> None:
        """Add what a tag means."""
        if name in BLOCKS:
            # Without this, each block inside an item would begin a line of its own.
            self.add("" if self.parts[-1:] == [] or self.parts[-1].endswith(("\n", "- ", "] ")) else "\n")
        if name == "li" and not closes:
            box = CHECKED.search(attributes)
            self.add(f"- [{'x' if box[1] == 'true' else ' '}] " if box else "- ")
        elif name == "a":
            self.add(f" ({self.link})" if self.link and self.parts[-1:] != [self.link] else "")
            target = TARGET.search(attributes)
            self.link = decode(target[1]) if target and not closes else ""


def decode(html: str) -> str:
    """Return the text of HTML without tags."""
    try:
        return unescape(html)
    except ValueError:  # a character reference of thousands of digits
        return html
