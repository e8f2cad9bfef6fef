"""Tasks as lines of JSON Lines and CSV, both ways."""

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models import Task
from tasks.tests.api.contract import moment, task_body
from tasks.tests.factories import TaskFactory
from tasks.transfer.file_formats import COLUMNS, FORMATS, MAX_LINE_BYTES, FormatError, guarded, shown, unguarded

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


def read(format, text):
    return list(FORMATS[format].read(BytesIO(text if isinstance(text, bytes) else text.encode())))


def written(format):
    return FORMATS[format].header + FORMATS[format].text(shown(Task.objects.order_by("id")))


@pytest.fixture
def tasks(db):
    for number, description in enumerate(DESCRIPTIONS):
        title = TEXTS[number % len(TEXTS)].translate({9: " ", 0x2028: " "})
        TaskFactory(title=title, description=description, completed=number % 2, trashed=number % 3 == 0, user_id="=me")
    return list(Task.objects.order_by("id"))


def body(task):
    return {**task_body(task), "deleted_at": task.deleted_at and moment(task.deleted_at)}


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_read_again(tasks, format):
    values = [{"deleted_at": None, **line.values} for line in read(format, written(format))]
    assert values == [body(task) for task in tasks]


def test_a_line_of_json_is_what_the_api_shows(as_user, db):
    task = TaskFactory(title="Zähler")
    assert written("jsonl").encode() == as_user.get(f"/api/tasks/{task.id}").content + b"\n"


def test_a_line_of_a_trashed_task_says_since_when(as_user, db):
    task = TaskFactory(trashed=True)
    shown = as_user.get(f"/api/tasks/trash/{task.id}").content.decode()
    assert written("jsonl") == f'{shown[:-1]},"deleted_at":"{moment(task.deleted_at)}"}}\n'


def test_a_row_of_csv(db):
    task = TaskFactory(title='=a,"b"', description="c\nd", trashed=True)
    live = TaskFactory(title="e")
    made, deleted, made_live = (moment(time) for time in (task.created_at, task.deleted_at, live.created_at))
    assert written("csv") == (
        "id,title,description,completed,user_id,created_at,updated_at,version,deleted_at\r\n"
        f'{task.id},"\'=a,""b""","c\nd",false,default,{made},{made},1,{deleted}\r\n'
        f"{live.id},e,,false,default,{made_live},{made_live},1,\r\n"
    )


def test_no_cell_is_a_formula(tasks):
    cells = [cell for row in csv.reader(StringIO(written("csv"), newline="")) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []


@given(st.text())
def test_a_guarded_text_comes_back(text):
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["'tis", "x", "", "'"])
def test_a_text_that_nobody_guarded_stays(text):
    assert unguarded(text) == text


def faulty(format, text):
    return [(line.number, [dict(fault) for fault in line.faults]) for line in read(format, text) if line.faults]


def fault(code, detail, pointer="#"):
    return {"pointer": pointer, "code": code, "detail": detail}


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        (b"{", [fault("parse_error", "The line is not valid JSON: column 2")]),
        (b"\xff", [fault("parse_error", "The line is not UTF-8")]),
        (b'{"a": NaN}', [fault("parse_error", "NaN and Infinity are not JSON")]),
        (b'{"version": 1e400}', [fault("parse_error", "The line has a number that is out of range")]),
        (b'{"version": 1' + b"0" * 5000 + b"}", [fault("parse_error", "The line has a number that is out of range")]),
        (b'{"a": 1, "a": 2}', [fault("repeated_key", "A key stands more than once", "#/a")]),
        (b"[" * 40 + b"]" * 40, [fault("parse_error", "The line nests deeper than 32 levels")]),
    ],
)
def test_a_line_that_is_no_json_is_told_and_the_next_one_read(line, faults):
    text = b'{"id": "1"}\n\n' + line + b'\n{"id": "2"}'
    assert faulty("jsonl", text) == [(3, faults)]
    assert [(number, values) for number, values, bad in read("jsonl", text) if not bad] == [
        (1, {"id": "1"}),
        (4, {"id": "2"}),
    ]


@pytest.mark.parametrize(
    ("format", "header", "line"),
    [
        ("jsonl", "", '{"id": "1"}'),
        ("jsonl", "", '{"title": "' + MAX_LINE_BYTES * "x" + '"}'),
        ("csv", "id,title\n", "1,a"),
        ("csv", "id,title\n", '1,"' + MAX_LINE_BYTES * "x" + '"'),
    ],
)
@pytest.mark.parametrize("rest", [(MAX_LINE_BYTES + 1) * " ", 3 * MAX_LINE_BYTES * " " + "GARBAGE"])
def test_a_line_that_is_too_long_is_told_and_the_next_one_read(format, header, line, rest):
    text = f"{header}{line}{rest}\n{'2,b' if header else '{}'}\n"
    number = 2 if header else 1
    assert faulty(format, text) == [(number, [fault("too_long", "The line is longer than 65536 bytes")])]
    assert [line.number for line in read(format, text)] == [number, number + 1]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_may_be_as_long_as_that(end):
    line = '{"id": "1"}'.ljust(MAX_LINE_BYTES - len(end)) + end
    assert read("jsonl", line)[0].values == {"id": "1"}


def test_an_integer_is_exact():
    assert read("jsonl", '{"version": 9223372036854775807}')[0].values == {"version": 2**63 - 1}


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ("a,b", [fault("malformed", "The line has 2 cells where the header has 3")]),
        ("a,b,c,d", [fault("malformed", "The line has 4 cells where the header has 3")]),
        ('a,"b"x,c', [fault("malformed", "The line is not valid CSV: ',' expected after '\"'")]),
    ],
)
def test_a_row_that_is_no_csv_is_told_and_the_next_one_read(row, faults):
    text = f'id,title,description\r\n1,"a\nb",c\r\n\r\n{row}\r\n2,d,e\r\n'
    assert faulty("csv", text) == [(5, faults)]
    assert [(number, values) for number, values, bad in read("csv", text) if not bad] == [
        (2, {"id": "1", "title": "a\nb", "description": "c"}),
        (6, {"id": "2", "title": "d", "description": "e"}),
    ]


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        ("2,d,e\r\n3,f,g\r\n", "The line is not valid CSV: unexpected end of data; it takes in all up to line 4"),
        (
            '2,d,e\r\n3,f,"g"\r\n',
            "The line is not valid CSV: ',' expected after '\"'; it takes in all up to line 4",
        ),
        (
            '2,d,e\r\n3",f\r\n',
            "The line has 4 cells where the header has 3; it takes in all up to line 4",
        ),
        (
            "2,d,e\r\n" * 30_000,
            "The line is not valid CSV: field larger than field limit (131072); it takes in all up to line 18727",
        ),
    ],
)
def test_a_quote_that_is_never_closed_says_which_lines_it_takes_in(rows, detail):
    text = f'id,title,description\r\n1,a,"b\r\n{rows}'
    assert faulty("csv", text) == [(2, [fault("malformed", detail)])]


def test_cells_that_stand_for_no_value_stay_texts():
    [line] = read("csv", "id,completed,version,deleted_at\n1,TRUE,1.5,\n")
    assert line.values == {"id": "1", "completed": "TRUE", "version": "1.5", "deleted_at": None}


def test_a_byte_order_mark_is_what_a_spreadsheet_writes():
    assert read("csv", "\ufeffid\n1\n")[0].values == {"id": "1"}
    assert read("csv", '\ufeff"id"\n"1"\n')[0].values == {"id": "1"}


@pytest.mark.parametrize("header", ["", "\n", "id,id", "id,due", "title", "1,2", '"id', f'"{"x" * 200_000}"'])
def test_a_header_that_names_other_columns_is_refused(header):
    with pytest.raises(FormatError) as refusal:
        read("csv", header)
    assert str(refusal.value) == f"The first line must name columns, each once, of {', '.join(COLUMNS)}"
