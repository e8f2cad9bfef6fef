"""Tasks as lines of a file: what ``export_tasks`` writes and ``import_tasks`` reads.

JSON Lines (https://jsonlines.org): a line is, byte for byte, what the API shows of the task; one in the trash has
``deleted_at`` as its last member. CSV (RFC 4180): the same texts in a column each, under a header.
"""

import csv
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import IO, Any, NamedTuple, Protocol, cast

from rest_framework.parsers import BaseParser
from rest_framework.settings import api_settings

from rest.problems.types import Fault, Problem, pointer
from tasks.api.representation import Representation, Timestamp
from tasks.models import TaskQuerySet

COLUMNS = (*Representation.members, "deleted_at")
TEXTS = ("title", "description", "user_id")

#: More than any task takes, with every character escaped.
MAX_LINE_BYTES = 64 * 1024

#: What a spreadsheet takes for the beginning of a formula, full-width ones too, and the mark itself.
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'")


class Shown(NamedTuple):
    """A task as the API shows it, and when it went to the trash; both are JSON."""

    json: str
    deleted_at: str | None


class Line(NamedTuple):
    """One line that was read, by its number from 1: the members of a task, or what is wrong with it."""

    number: int
    values: dict[str, Any]
    faults: Sequence[Fault] = ()


class FormatError(Exception):
    """No line of it can be read; the message says why."""


class Format(Protocol):
    header: str

    def text(self, tasks: Iterable[Shown]) -> str:
        """The lines of ``tasks``."""

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Each line of ``file``; an empty one is left out.

        Raises:
            FormatError: the file as a whole is not of this format.
        """


def shown(tasks: TaskQuerySet) -> list[Shown]:
    columns = tasks.annotate(json=Representation(), trashed=Timestamp("deleted_at")).values_list("json", "trashed")
    return [Shown(*row) for row in columns]


class JSONLines:
    header = ""

    def text(self, tasks: Iterable[Shown]) -> str:
        return "".join(self._line(*task) for task in tasks)

    def _line(self, task: str, deleted_at: str | None) -> str:
        return f"{task}\n" if deleted_at is None else f'{task[:-1]},"deleted_at":{deleted_at}}}\n'

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        parser = cast("type[BaseParser]", api_settings.DEFAULT_PARSER_CLASSES[0])()
        lines = Lines(file)
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except OverlongLineError as error:
                yield Line(lines.number, {}, [_fault("too_long", str(error))])
            else:
                if line.strip():
                    yield self._read(parser, lines.number, line)

    def _read(self, parser: BaseParser, number: int, line: bytes) -> Line:
        try:
            return Line(number, cast("dict[str, Any]", parser.parse(BytesIO(line.rstrip(b"\r\n")))))
        except Problem as problem:
            return Line(number, {}, faults_of(problem))


class CSV:
    """A text that a spreadsheet would take for a formula has a ``'`` before it, which reading takes off again."""

    header = ",".join(COLUMNS) + "\r\n"

    def text(self, tasks: Iterable[Shown]) -> str:
        rows = StringIO()
        csv.writer(rows).writerows(self._cells(*task) for task in tasks)
        return rows.getvalue()

    def _cells(self, task: str, deleted_at: str | None) -> Iterator[str]:
        values = {**json.loads(task), "deleted_at": json.loads(deleted_at or '""')}
        for name in COLUMNS:
            value = values[name]
            yield guarded(value) if name in TEXTS else value if isinstance(value, str) else json.dumps(value)

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        lines = Lines(file)

        def decoded(line: bytes) -> str:
            without_mark = line.removeprefix(BOM_UTF8) if lines.number == 1 else line
            return without_mark.decode(errors="surrogateescape")

        # A map goes on after an error, which a generator does not.
        rows = csv.reader(map(decoded, lines), strict=True)
        header = self._header(rows)
        while True:
            number = lines.number + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except OverlongLineError as error:
                yield Line(number, {}, [_fault("too_long", str(error) + _extent(number, lines.number))])
            except csv.Error as error:
                detail = f"The line is not valid CSV: {error}" + _extent(number, lines.number)
                yield Line(number, {}, [_fault("malformed", detail)])
            else:
                if cells:
                    yield self._read(number, lines.number, header, cells)

    def _header(self, rows: Iterator[list[str]]) -> list[str]:
        try:
            header = next(rows, [])
        except (csv.Error, OverlongLineError):
            header = []
        if len(set(header)) < len(header) or not set(header) <= set(COLUMNS) or "id" not in header:
            raise FormatError(f"The first line must name columns, each once, of {', '.join(COLUMNS)}")
        return header

    def _read(self, number: int, last: int, header: list[str], cells: list[str]) -> Line:
        if len(cells) != len(header):
            detail = f"The line has {len(cells)} cells where the header has {len(header)}" + _extent(number, last)
            return Line(number, {}, [_fault("malformed", detail)])
        return Line(number, dict(_values(dict(zip(header, cells, strict=True)))))


def _values(cells: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """What JSON would have for the cells; one that stands for nothing of the kind stays a text, to be refused."""
    for name, cell in cells.items():
        if name in TEXTS:
            yield name, unguarded(cell)
        elif name == "completed":
            yield name, {"true": True, "false": False}.get(cell, cell)
        elif name == "version":
            yield name, int(cell) if re.fullmatch("-?[0-9]{1,19}", cell) else cell
        else:
            yield name, None if name == "deleted_at" and not cell else cell


def guarded(text: str) -> str:
    """``text`` as no spreadsheet evaluates it; ``unguarded`` gives it back, whatever it is."""
    return f"'{text}" if text.startswith(FORMULA) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


class OverlongLineError(Exception):
    """A line is longer than any task's; the message says so."""


@dataclass
class Lines(Iterator[bytes]):
    """The lines of a file, and the number from 1 of the last one. Memory does not depend on the file.

    Raises:
        OverlongLineError: instead of a line that is longer than ``MAX_LINE_BYTES``; the next one comes after it.
    """

    file: IO[bytes]
    number: int = 0

    def __next__(self) -> bytes:
        line = beginning = self.file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        while line and not line.endswith(b"\n"):
            line = self.file.readline(MAX_LINE_BYTES)
        if len(beginning) > MAX_LINE_BYTES:
            raise OverlongLineError(f"The line is longer than {MAX_LINE_BYTES} bytes")
        return beginning


def _extent(first: int, last: int) -> str:
    """Of a row that is more than a line, as one whose quote is not closed: how far it goes."""
    return f"; it takes in all up to line {last}" if last > first else ""


def faults_of(problem: Problem) -> list[Fault]:
    """What a problem with a request's body says of a line."""
    faults = problem.faults or [_fault(problem.default_code, str(problem.detail))]
    return [{**fault, "detail": _of_a_line(fault["detail"])} for fault in faults]


def _of_a_line(detail: str) -> str:
    return detail.replace("The body", "The line").replace("line 1, ", "")


def _fault(code: str, detail: str) -> Fault:
    return Fault(pointer=pointer(), code=code, detail=detail)


FORMATS: dict[str, Format] = {"jsonl": JSONLines(), "csv": CSV()}
