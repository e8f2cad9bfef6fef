"""The file formats of tasks: JSON Lines and CSV.

A line of JSON Lines (https://jsonlines.org) is byte for byte the task's JSON in the API. Internal fields that are not
null, such as ``deleted_at``, follow. CSV (RFC 4180) has a column for each field, under a header.
"""

import csv
import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO, StringIO
from typing import IO, Any, ClassVar, NamedTuple, Protocol, Self, TypeVar, cast

from django.db import models

from rest.json_parsers import JSONParser
from rest.problems.types import Fault, Problem, body_fault
from tasks.fields import LabelsField, PriorityField
from tasks.models import Task

T = TypeVar("T")

_BY_NAME = {field.name: field for field in Task._meta.concrete_fields}

#: The fields of a file, in the order of the columns of CSV.
FIELDS = {name: _BY_NAME[name] for name in (*Task.PUBLIC_FIELDS, *Task.INTERNAL_FIELDS)}

#: Fields whose cells are the text itself, protected from spreadsheets.
TEXT_FIELDS = (models.CharField, models.TextField, LabelsField)
#: Fields whose cells are a JSON string without its quotes. The cells of all other fields are JSON.
STRING_FIELDS = (models.UUIDField, models.DateField, PriorityField)

#: More than the longest task takes if every character is escaped.
MAX_LINE_BYTES = 64 * 1024

#: The characters that separate the cells of CSV, and their names in messages.
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

#: The characters that ``surrogateescape`` makes of bytes that are not UTF-8.
SURROGATES = re.compile("[\ud800-\udfff]")
SAVE_AS_UTF_8 = "save the file in UTF-8 (Excel: “CSV UTF-8”)"

#: Characters, also in full width, that start a formula in a spreadsheet; and the mark that protects them.
FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'")


class ExportedTask(NamedTuple):
    """A task's JSON in the API, and the JSON of each internal field; ``None`` means null."""

    public: str
    internal: dict[str, str | None]


class Line(NamedTuple):
    """A line of a file: the number of the task's first line, from 1, and its values or its faults.

    Attributes:
        left_out: what another system's task has and a task cannot have; the import reports this, and stores the task.
    """

    number: int
    values: dict[str, Any]
    faults: Sequence[Fault] = ()
    left_out: Sequence[Fault] = ()

    @classmethod
    def unreadable(cls, number: int, code: str, detail: str) -> Self:
        """Return a line with one fault."""
        return cls(number, {}, [body_fault([], code, detail)])


class FormatError(Exception):
    """The reason why a file, or the rest of a file, cannot be read."""


class FileWriter(Protocol):
    """A way to write tasks to a file."""

    @property
    def header(self) -> str:
        """Return the beginning of the file."""

    @property
    def footer(self) -> str:
        """Return the end of the file."""

    @property
    def has_trash(self) -> bool:
        """Tell whether the format can say which tasks are in the trash."""

    def write(self, tasks: Iterable[ExportedTask]) -> str:
        """Return the lines of ``tasks``."""


class FileReader(Protocol):
    """A way to read lines from a file."""

    @property
    def unit(self) -> str:
        """Return what the numbers of lines count, for messages."""

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        """Yield each line that is not empty.

        Raises:
            FormatError: the file as a whole does not have this format.
        """


class FileFormat(FileWriter, FileReader, Protocol):
    """A way to write tasks to a file, and to read the same tasks from it."""


class JSONLines:
    """A JSON object per line."""

    header = footer = ""
    has_trash = True
    unit = "Line"

    def write(self, tasks: Iterable[ExportedTask]) -> str:
        return "".join(map(self._write, tasks))

    def _write(self, task: ExportedTask) -> str:
        internal = (f',"{name}":{value}' for name, value in task.internal.items() if value is not None)
        return f"{task.public[:-1]}{''.join(internal)}}}\n"

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        lines = LineReader(file)
        for number, line in rows_or_errors(lines, lines):
            if isinstance(line, Exception):
                yield Line.unreadable(number, "too_long", str(line))
            elif line.strip():
                yield self._read(number, line)

    def _read(self, number: int, line: bytes) -> Line:
        try:
            return Line(number, cast("dict[str, Any]", parse_json(line.rstrip(b"\r\n"))))
        except Problem as problem:
            return Line(number, {}, line_faults(problem))


@dataclass(frozen=True)
class CSV:
    """A row per task; a text that a spreadsheet would evaluate as a formula begins with ``'``.

    Attributes:
        delimiter: what separates the cells of a file that is read.
    """

    delimiter: str = ","
    header: ClassVar = ",".join(FIELDS) + "\r\n"
    footer: ClassVar = ""
    has_trash: ClassVar = True
    unit: ClassVar = "Line"

    def write(self, tasks: Iterable[ExportedTask]) -> str:
        rows = StringIO()
        csv.writer(rows).writerows(map(self._write, tasks))
        return rows.getvalue()

    def _write(self, task: ExportedTask) -> list[str]:
        internal = {name: json.loads(value or "null") for name, value in task.internal.items()}
        values = {**json.loads(task.public), **internal}
        return [write_cell(field, values[name]) for name, field in FIELDS.items()]

    def read(self, file: IO[bytes]) -> Iterator[Line]:
        rows = CSVRows(file, self.delimiter)
        if not set(rows.header) <= set(FIELDS) or "id" not in rows.header:
            raise FormatError(f"The first line must name columns, each once, of {', '.join(FIELDS)}{rows.hint}")
        for row in rows:
            yield row._replace(values={name: read_cell(FIELDS[name], cell) for name, cell in row.values.items()})


class CSVRows:
    """The rows of a CSV file, as lines whose values are the cells by the name of their column.

    A row without any text is left out, because spreadsheets save such rows.

    Attributes:
        header: the names of the columns, or nothing if the first line does not name each column once.
        hint: the end of a message about the header.
    """

    def __init__(self, file: IO[bytes], delimiter: str) -> None:
        self._lines = LineReader(file)
        # A map continues after an error, and a generator would not.
        lines = map(partial(bytes.decode, errors="surrogateescape"), self._lines)
        self._rows = csv.reader(lines, strict=True, delimiter=delimiter)
        self.header = self._read_header()
        other = next((each for each in DELIMITERS if each != delimiter and each in "".join(self.header)), None)
        self.hint = f"; if {DELIMITERS[other]} separate the columns, use --delimiter" if other else ""

    def _read_header(self) -> list[str]:
        try:
            header = next(self._rows, [])
        except (csv.Error, OverlongLineError):
            return []
        return header if len(set(header)) == len(header) else []

    def __iter__(self) -> Iterator[Line]:
        for number, row in rows_or_errors(self._rows, self._lines):
            # A row of more than one line may be the result of a quote that is not closed.
            extent = f"; the row ends on line {self._lines.number}" if self._lines.number > number else ""
            if not isinstance(row, list) or any(row):
                yield self._read(number, row, extent)

    def _read(self, number: int, row: "list[str] | OverlongLineError | csv.Error", extent: str) -> Line:
        if isinstance(row, OverlongLineError):
            return Line.unreadable(number, "too_long", f"{row}{extent}")
        if isinstance(row, csv.Error):
            return Line.unreadable(number, "malformed", f"The line is not valid CSV: {row}{extent}")
        if len(row) != len(self.header):
            detail = f"The line has {len(row)} cells and the header has {len(self.header)}{extent}"
            return Line.unreadable(number, "malformed", detail)
        if SURROGATES.search("".join(row)):
            return Line.unreadable(number, "not_utf_8", f"The line is not UTF-8{extent}; {SAVE_AS_UTF_8}")
        return Line(number, dict(zip(self.header, row, strict=True)))


def write_cell(field: "models.Field[Any, Any]", value: Any) -> str:
    """Return the cell of a JSON value; null is an empty cell."""
    if value is None:
        return ""
    if isinstance(field, LabelsField):
        value = ",".join(sorted(value))
    if isinstance(field, TEXT_FIELDS):
        return protect_from_formula(value)
    return value if isinstance(field, STRING_FIELDS) else json.dumps(value, ensure_ascii=False)


def read_cell(field: "models.Field[Any, Any]", cell: str) -> Any:
    """Return the JSON value of a cell; an empty cell of a nullable field is null.

    A cell that is no value of its field stays text, so that the serializer refuses it.
    """
    if not cell and (field.null or isinstance(field, PriorityField)):
        return None
    if isinstance(field, LabelsField):
        return unprotect_from_formula(cell).split(",") if cell else []
    if isinstance(field, TEXT_FIELDS):
        return unprotect_from_formula(cell)
    if isinstance(field, STRING_FIELDS):
        return cell
    try:
        # Spreadsheets write TRUE and FALSE.
        return parse_json(
            (cell.lower() if isinstance(field, models.BooleanField) else cell).encode(errors="surrogateescape")
        )
    except Problem:
        return cell


def protect_from_formula(text: str) -> str:
    """Return text that no spreadsheet evaluates."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def unprotect_from_formula(text: str) -> str:
    """Return the text that ``protect_from_formula`` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def parse_json(text: bytes) -> Any:
    """Parse JSON as strictly as the API.

    Raises:
        Problem: the text is not such JSON.
    """
    return JSONParser().parse(BytesIO(text))


class OverlongLineError(Exception):
    """A line that is longer than any task; the message has the limit."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__(f"The line is longer than {MAX_LINE_BYTES} bytes")
        self.beginning = beginning


@dataclass
class LineReader(Iterator[bytes]):
    """The lines of a file and the number of the last line, in constant memory.

    Raises:
        OverlongLineError: the line is longer than ``MAX_LINE_BYTES``; reading continues with the next line.
        FormatError: the file is UTF-16.
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
            raise OverlongLineError(beginning[:100])
        return self._without_mark(beginning) if self.number == 1 else beginning

    def _without_mark(self, line: bytes) -> bytes:
        if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise FormatError(f"The file is UTF-16; {SAVE_AS_UTF_8}")
        return line.removeprefix(BOM_UTF8)


def rows_or_errors(rows: Iterator[T], lines: LineReader) -> Iterator[tuple[int, T | OverlongLineError | csv.Error]]:
    """Yield the number of each row's first line, and the row or the error that reading it raised."""
    while True:
        number = lines.number + 1
        row: T | OverlongLineError | csv.Error
        try:
            row = next(rows)
        except StopIteration:
            return
        except (OverlongLineError, csv.Error) as error:
            row = error
        yield number, row


def line_faults(problem: Problem) -> list[Fault]:
    """Return the faults of a request's body as faults of a line."""
    faults = problem.faults or [body_fault([], problem.default_code, str(problem.detail))]
    return [
        {**fault, "detail": fault["detail"].replace("The body", "The line").replace("line 1, ", "")} for fault in faults
    ]


FILE_FORMATS: dict[str, FileFormat] = {"jsonl": JSONLines(), "csv": CSV()}
