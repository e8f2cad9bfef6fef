"""The lines of JSON Lines and CSV, written and read."""

import csv
from io import BytesIO, StringIO

import pytest
from django.db import models
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tasks.fields import LabelsField, PriorityField
from tasks.models import Task
from tasks.tests.api.contract import task_body
from tasks.tests.factories import TaskFactory
from tasks.tests.transfer.exported import exported_body
from tasks.transfer.exporting import export
from tasks.transfer.file_formats import (
    FIELDS,
    FILE_FORMATS,
    MAX_LINE_BYTES,
    FormatError,
    protect_from_formula,
    read_cell,
    unprotect_from_formula,
    write_cell,
)

TEXTS = [
    "Buy milk",
    'a "quoted", text; with\ttabs',
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'=1",
    "'tis",
    "''",
    "\u200bx",
    "Zähler 买菜 \N{PILE OF POO}",
    "\\n \\u0041 /",
    "a\u2028b",
]
DESCRIPTIONS = [*TEXTS, "", "\n", "\r\na\r", "\t=1", " a\nb\r\nc "]


def write(format):
    file_format = FILE_FORMATS[format]
    texts = export(Task.objects.all(), file_format, batch_size=1000)
    return file_format.header + "".join(text for text, _ in texts)


def read(format, text):
    return list(FILE_FORMATS[format].read(BytesIO(text if isinstance(text, bytes) else text.encode())))


def read_values(format, text):
    return [(line.number, line.values) for line in read(format, text) if not line.faults]


def read_faults(format, text):
    return [(line.number, [*map(dict, line.faults)]) for line in read(format, text) if line.faults]


def fault(code, detail, pointer="#"):
    return {"pointer": pointer, "code": code, "detail": detail}


@pytest.fixture
def tasks(db):
    states = [
        {},
        {"completed": True, "completed_at": timezone.now(), "due": "2026-12-24T18:00:00[Europe/Berlin]", "priority": 1},
        {"due": "2026-12-24", "priority": 3},
    ]
    for number, description in enumerate(DESCRIPTIONS):
        title = TEXTS[number % len(TEXTS)].translate({9: " ", 0x2028: " "})
        labels = frozenset({"=1", "zu Hause", title[:50].translate({34: "", 44: "", 92: ""})})
        TaskFactory(
            title=title,
            description=description,
            trashed=number % 3 == 0,
            user_id="=me",
            labels=labels,
            **states[number % 3],
        )
    return list(Task.objects.order_by("id"))


@pytest.mark.parametrize("format", FILE_FORMATS)
def test_written_tasks_are_read_back(tasks, format):
    values = [{"deleted_at": None, **line.values} for line in read(format, write(format))]
    for each in values:  # CSV has labels as names between commas
        each["labels"] = dict.fromkeys(each["labels"], True)
    assert values == [{"deleted_at": None, **exported_body(task)} for task in tasks]


def test_json_line_equals_response_of_api(as_user, db):
    task = TaskFactory(title="Zähler")
    assert write("jsonl").encode() == as_user.get(f"/api/tasks/{task.id}").content + b"\n"


def test_json_line_of_trashed_task_ends_with_deleted_at(as_user, db):
    task = TaskFactory(trashed=True)
    body = as_user.get(f"/api/tasks/trash/{task.id}").content.decode()
    deleted_at = exported_body(task)["deleted_at"]
    assert write("jsonl") == f'{body[:-1]},"deleted_at":"{deleted_at}"}}\n'


def test_csv_has_a_row_per_task(db):
    task = TaskFactory(title='=a,"b"', description="c\nd", trashed=True)
    live = TaskFactory(title="e", due="2026-12-24", priority=3, labels=frozenset({"work", "home"}))
    created, deleted = exported_body(task)["created_at"], exported_body(task)["deleted_at"]
    created_live = task_body(live)["created_at"]
    assert write("csv") == (
        "id,title,description,completed,due,priority,labels,user_id,created_at,updated_at,completed_at,version,deleted_at\r\n"
        f'{task.id},"\'=a,""b""","c\nd",false,,,,default,{created},{created},,1,{deleted}\r\n'
        f'{live.id},e,,false,2026-12-24,high,"home,work",default,{created_live},{created_live},,1,\r\n'
    )


def test_csv_has_no_cell_that_is_a_formula(tasks):
    cells = [cell for row in csv.reader(StringIO(write("csv"), newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []


@given(st.text())
def test_protected_text_is_restored(text):
    assert unprotect_from_formula(protect_from_formula(text)) == text


@pytest.mark.parametrize("text", ["'tis", "x", "", "'"])
def test_unprotected_text_is_kept(text):
    assert unprotect_from_formula(text) == text


@pytest.mark.parametrize(
    ("field", "value", "cell"),
    [
        (models.CharField(), "=1", "'=1"),
        (models.CharField(), "", ""),
        (models.CharField(null=True), None, ""),
        (models.TextField(), "true", "true"),
        (models.BooleanField(), True, "true"),
        (models.BooleanField(null=True), None, ""),
        (PriorityField(), "high", "high"),
        (PriorityField(), None, ""),
        (LabelsField(), [], ""),
        (LabelsField(), ["a b", "c"], "a b,c"),
        (LabelsField(), ["=1", "c"], "'=1,c"),
        (models.BigIntegerField(), 2**63 - 1, "9223372036854775807"),
        (models.FloatField(), 0.5, "0.5"),
        (models.DateField(), "2026-01-11", "2026-01-11"),
        (models.DateTimeField(null=True), "2026-01-11T09:30:00.000000Z", "2026-01-11T09:30:00.000000Z"),
        (models.DateTimeField(null=True), None, ""),
        (models.UUIDField(), "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000001"),
        (models.JSONField(), {"zu Hause": True}, '{"zu Hause": true}'),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, models.Field) else repr(value),
)
def test_cell_of_each_class_of_field_is_read_back(field, value, cell):
    """A new field of one of these classes needs no change in ``tasks/transfer``."""
    assert write_cell(field, value) == cell
    assert read_cell(field, cell) == value


@pytest.mark.parametrize(("cell", "value"), [("TRUE", True), ("True", True), ("FALSE", False)])
def test_truth_values_of_spreadsheets_are_read(cell, value):
    assert read_cell(FIELDS["completed"], cell) is value


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("completed", "YES"),
        ("completed", ""),
        ("version", "1."),
        ("version", "9" * 5000),
        ("version", "\udcff"),
    ],
)
def test_cell_without_value_of_its_field_stays_text(name, cell):
    assert read_cell(FIELDS[name], cell) == cell


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        (b"{", [fault("parse_error", "The line is not valid JSON: column 2")]),
        (b"\xff", [fault("parse_error", "The line is not UTF-8")]),
        (b'{"a": NaN}', [fault("parse_error", "NaN and Infinity are not JSON")]),
        (b'{"version": 1e400}', [fault("parse_error", "The line has a number that is out of range")]),
        (b'{"version": 1' + b"0" * 5000 + b"}", [fault("parse_error", "The line has a number that is out of range")]),
        (b'{"a": 1, "a": 2}', [fault("repeated_key", "This key is repeated", "#/a")]),
        (b"[" * 40 + b"]" * 40, [fault("parse_error", "The line nests deeper than 32 levels")]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed_json_reported_and_next_line_read(line, faults):
    text = b'{"id": "1"}\n\n' + line + b'\n{"id": "2"}'
    assert read_faults("jsonl", text) == [(3, faults)]
    assert read_values("jsonl", text) == [(1, {"id": "1"}), (4, {"id": "2"})]


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ("a,b", [fault("malformed", "The line has 2 cells and the header has 3")]),
        ("a,b,c,d", [fault("malformed", "The line has 4 cells and the header has 3")]),
        ('a,"b"x,c', [fault("malformed", "The line is not valid CSV: ',' expected after '\"'")]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed_csv_reported_and_next_row_read(row, faults):
    text = f'id,title,description\r\n1,"a\nb",c\r\n\r\n{row}\r\n2,d,e\r\n'
    assert read_faults("csv", text) == [(5, faults)]
    assert read_values("csv", text) == [
        (2, {"id": "1", "title": "a\nb", "description": "c"}),
        (6, {"id": "2", "title": "d", "description": "e"}),
    ]


@pytest.mark.parametrize(
    ("format", "header", "line", "next_line"),
    [
        ("jsonl", "", '{"id": "1"}', "{}"),
        ("jsonl", "", '{"title": "' + MAX_LINE_BYTES * "x" + '"}', "{}"),
        ("csv", "id,title\n", "1,a", "2,b"),
        ("csv", "id,title\n", '1,"' + MAX_LINE_BYTES * "x" + '"', "2,b"),
    ],
    ids=["jsonl", "jsonl with a long text", "csv", "csv with a long text"],
)
@pytest.mark.parametrize(
    "rest", [(MAX_LINE_BYTES + 1) * " ", 3 * MAX_LINE_BYTES * " " + "GARBAGE"], ids=["blanks", "garbage"]
)
def test_overlong_line_reported_and_next_line_read(format, header, line, next_line, rest):
    text = f"{header}{line}{rest}\n{next_line}\n"
    number = 2 if header else 1
    assert read_faults(format, text) == [(number, [fault("too_long", "The line is longer than 65536 bytes")])]
    assert [line.number for line in read(format, text)] == [number, number + 1]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_line_of_maximum_length_accepted(end):
    line = '{"id": "1"}'.ljust(MAX_LINE_BYTES - len(end)) + end
    assert read_values("jsonl", line) == [(1, {"id": "1"})]


def test_integer_in_json_is_exact():
    assert read_values("jsonl", '{"version": 9223372036854775807}') == [(1, {"version": 2**63 - 1})]


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        ("2,d,e\r\n3,f,g\r\n", "The line is not valid CSV: unexpected end of data; the row ends on line 4"),
        ('2,d,e\r\n3,f,"g"\r\n', "The line is not valid CSV: ',' expected after '\"'; the row ends on line 4"),
        ('2,d,e\r\n3",f\r\n', "The line has 4 cells and the header has 3; the row ends on line 4"),
        (
            "2,d,e\r\n" * 30_000,
            "The line is not valid CSV: field larger than field limit (131072); the row ends on line 18727",
        ),
    ],
    ids=["end of data", "quote", "cells", "limit"],
)
def test_unclosed_quote_reports_last_line_of_row(rows, detail):
    text = f'id,title,description\r\n1,a,"b\r\n{rows}'
    assert read_faults("csv", text) == [(2, [fault("malformed", detail)])]


@pytest.mark.parametrize("text", ["\ufeffid\n1\n", '\ufeff"id"\n"1"\n'])
def test_byte_order_mark_in_csv_accepted(text):
    assert read_values("csv", text) == [(2, {"id": "1"})]


def test_byte_order_mark_in_json_lines_accepted():
    assert read_values("jsonl", '\ufeff{"id": "1"}\n{"id": "2"}\n') == [(1, {"id": "1"}), (2, {"id": "2"})]


def test_byte_order_mark_in_later_line_refused():
    [(number, _)] = read_faults("jsonl", '{"id": "1"}\n\ufeff{"id": "2"}\n')
    assert number == 2


def test_rows_without_text_are_skipped():
    assert read_values("csv", 'id,title\n,\n1,a\n"",""\n\n,') == [(3, {"id": "1", "title": "a"})]


def test_row_that_is_not_utf_8_reported_and_next_row_read():
    text = b'id,title\n1,"a\n\xe4"\n2,b\n'
    detail = "The line is not UTF-8; the row ends on line 3; save the file in UTF-8 (Excel: “CSV UTF-8”)"
    assert read_faults("csv", text) == [(2, [fault("not_utf_8", detail)])]
    assert read_values("csv", text) == [(4, {"id": "2", "title": "b"})]


@pytest.mark.parametrize(
    "header",
    ["", "\n", "id,id", "id,remind_at", "title", "1,2", '"id', f'"{"x" * 200_000}"'],
    ids=lambda header: repr(header)[:20],
)
def test_header_with_other_columns_refused(header):
    with pytest.raises(FormatError) as refusal:
        read("csv", header)
    assert str(refusal.value) == f"The first line must name columns, each once, of {', '.join(FIELDS)}"
