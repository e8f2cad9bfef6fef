"""Todoist's CSV."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tests.transfer.exported import DEFAULTS, EXPORTS, origin, read_all, reports, without_ids
from tasks.transfer.file_formats import FormatError
from tasks.transfer.todoist import Ordinals, Todoist, read_date

pytestmark = pytest.mark.once

COLUMNS = [
    *("TYPE", "CONTENT", "DESCRIPTION", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE", "DATE_LANG"),
    *("TIMEZONE", "DURATION", "DURATION_UNIT", "DEADLINE", "DEADLINE_LANG"),
]


def read(text, file_name="Home.csv", **options):
    return read_all(Todoist(origin("todoist", file_name), **options), text)


def row(content, kind="task", **cells):
    values = {"TYPE": kind, "CONTENT": content, **cells}
    return ",".join(f'"{values.get(name, "")}"' for name in COLUMNS) + "\n"


def read_rows(*rows):
    return read(",".join(COLUMNS) + "\n" + "".join(rows))


def task(number, title, **values):
    time = f"2026-11-26T11:59:59.{1_000_000 - number:06}Z"
    return {"title": title, **DEFAULTS, "created_at": time, "updated_at": time, **values}


def test_real_export_becomes_tasks_with_notes():
    lines = read((EXPORTS / "todoist.csv").read_bytes())
    assert without_ids(lines) == [
        task(2, "* unclickable task"),
        task(4, "clickable subtask, scheduled", priority="medium", labels={"30min": True, "/munich": True}),
        task(
            6,
            "another subtask with a note",
            description="one note for the subtask\n\nanother comment for the same sub task",
        ),
        task(11, "task level one", description="note for level one task\n\nwith a few linebreaks, \nof course"),
        task(17, "task with various attachments", description="first a text note with two files"),
        task(21, "😎🍉↗︎↴⥺", description="⇱⤴︎↗︎⤵︎↻"),
        task(24, 'actually, what happens to a “comma"?'),
    ]
    subtask = "#/INDENT A subtask becomes a task of its own"
    assert reports(lines) == {
        4: ["#/DATE “4 Jan” is not a date with a year; the task has no due date", subtask],
        6: [subtask],
        17: ["#/note An attached file is left out"],
        21: [subtask],
    }


@pytest.mark.parametrize(
    ("priority", "expected"), [("1", "high"), ("2", "medium"), ("3", "low"), ("4", None), ("", None)]
)
def test_priority_1_is_the_highest(priority, expected):
    [line] = read_rows(row("a", PRIORITY=priority))
    assert (line.values["priority"], line.left_out) == (expected, [])


def test_section_becomes_label_of_its_tasks():
    lines = read_rows(row("a"), row("S 1", "section"), row("b @home"), row("c,d", "section"), row("c"))
    assert [line.values["labels"] for line in lines] == [{}, {"home": True, "S 1": True}, {}]
    assert list(reports(lines)) == [6]


@pytest.mark.parametrize(
    ("content", "title", "labels"),
    [
        ("a @b", "a", ["b"]),
        ("@b a  @c   d", "a d", ["b", "c"]),
        ("@b @c", "@b @c", ["b", "c"]),
        ("mail a@example.org", "mail a@example.org", []),
        ("meet @ noon", "meet @ noon", []),
    ],
)
def test_words_with_at_become_labels(content, title, labels):
    [line] = read_rows(row(content))
    assert (line.values["title"], list(line.values["labels"])) == (title, labels)


@pytest.mark.parametrize(
    ("cells", "report"),
    [
        ({"PRIORITY": "5"}, "#/PRIORITY The priority must be 1 to 4"),
        ({"RESPONSIBLE": "Bo (2)"}, "#/RESPONSIBLE An assignee is left out"),
        ({"DURATION": "15", "DURATION_UNIT": "minute"}, "#/DURATION A duration is left out"),
        ({"INDENT": "2"}, "#/INDENT A subtask becomes a task of its own"),
        ({"DATE": "every day"}, "#/DATE “every day” is not a date with a year; the task has no due date"),
        ({"DEADLINE": "tomorrow"}, "#/DEADLINE “tomorrow” is not a date with a year; the task has no due date"),
        ({"DATE": "2026-12-24", "DEADLINE": "2026-12-25"}, "#/DEADLINE A deadline besides the date is left out"),
        (
            {"DATE": "2026-12-24 18:00", "TIMEZONE": "Europe/Bonn"},
            "#/TIMEZONE The time zone “Europe/Bonn” is unknown; the due date is a local time",
        ),
        (
            {"DATE": "2026-02-30"},
            "#/DATE Due must be a date, a local time, an instant or a local time with a zone; the task has no due date",
        ),
    ],
)
def test_values_that_do_not_fit_are_reported(cells, report):
    [line] = read_rows(row("a", **cells))
    assert (line.values["title"], reports([line])) == ("a", {2: [report]})


@pytest.mark.parametrize("cells", [{"DURATION": "None"}, {"INDENT": "1"}, {"INDENT": "x"}, {"AUTHOR": "Bo (2)"}])
def test_values_without_meaning_are_not_reported(cells):
    assert reports(read_rows(row("a", **cells))) == {}


@pytest.mark.parametrize(
    ("cells", "due"),
    [
        ({"DATE": "2026-12-24"}, "2026-12-24"),
        ({"DATE": "2026-12-24", "TIMEZONE": "Europe/Berlin"}, "2026-12-24"),
        ({"DATE": "24 Dec 2026 18:00"}, "2026-12-24T18:00:00"),
        ({"DATE": "24 Dec 2026 18:00", "TIMEZONE": "Europe/Berlin"}, "2026-12-24T18:00:00[Europe/Berlin]"),
        ({"DATE": "2026-12-24 18:00", "TIMEZONE": "Europe/Bonn"}, "2026-12-24T18:00:00"),
        ({"DEADLINE": "Dec 24 2026"}, "2026-12-24"),
        ({"DATE": "2026-12-23", "DEADLINE": "2026-12-24"}, "2026-12-23"),
    ],
)
def test_due_date_comes_from_date_or_deadline(cells, due):
    [line] = read_rows(row("a", **cells))
    assert line.values["due"] == due


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("24 December 2026", "2026-12-24"),
        ("24. dec. 2026", "2026-12-24"),
        ("1st May, 2026", "2026-05-01"),
        ("Sept 3, 2026", "2026-09-03"),
        ("Dec 24 2026 6pm", "2026-12-24T18:00:00"),
        ("Dec 24 2026 12 am", "2026-12-24T00:00:00"),
        ("Dec 24 2026 12:30 PM", "2026-12-24T12:30:00"),
        ("2025-03-31 at 11:00", "2025-03-31T11:00:00"),
        ("2025-03-31 @ 9:05", "2025-03-31T09:05:00"),
        ("2026-12-24T18:00:05.000000", "2026-12-24T18:00:05"),
        ("2026-12-24 18", None),
        ("2026-12-24 13pm", None),
        ("2026-12-24 0am", None),
        ("24 Dez 2026", None),
        ("24/12/2026", None),
        ("12 Dec", None),
        ("today at 11:00", None),
        ("every 24 Dec 2026", None),
    ],
)
def test_only_dates_with_a_year_are_read(text, date):
    assert read_date(text) == date


@given(st.text())
def test_any_date_is_read_or_reported(text):
    date = read_date(text)
    assert date is None or date[4] == date[7] == "-"


def test_row_of_unknown_type_is_refused():
    lines = read_rows(row("a"), row("b", "project"), row("c"))
    assert reports(lines) == {3: ["# TYPE must be task, section, note or meta"]}
    assert [each["title"] for each in without_ids(lines)] == ["a", "c"]


@pytest.mark.parametrize("text", ["[[file {", "@", "@a ", "1 ", "24 Dec 2026 ", " "])
def test_cells_of_any_text_take_little_time(text):
    cell = (text * 60_000)[:60_000]
    assert len(read_rows(row("a", DATE=cell[:2000]), row(cell, "note"), row("b"))) == 2
    assert len(read_rows(row(cell))) == 1


def test_settings_of_project_are_no_task():
    assert read_rows(row("view_style=list", "meta")) == []


def test_note_without_task_is_refused():
    assert reports(read_rows(row("a", "note"))) == {2: ["# The note belongs to no task"]}


def test_malformed_row_is_refused_and_notes_reach_their_task():
    lines = read_rows(row("a"), "task,b\n", row("c", "note"))
    assert reports(lines) == {3: ["# The line has 2 cells and the header has 14"]}
    assert [(each["title"], each["description"]) for each in without_ids(lines)] == [("a", "c")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("id,title\n", ""),
        ("TYPE,CONTENT,TYPE\n", ""),
        ("TYPE;CONTENT\n", "; if semicolons separate the columns, use --delimiter"),
        ("TYPE\tCONTENT\n", "; if tabs separate the columns, use --delimiter"),
    ],
)
def test_other_file_is_refused(text, hint):
    reason = "The first line must name Todoist's columns, each once, such as TYPE, CONTENT, PRIORITY and DATE"
    with pytest.raises(FormatError, match=f"^{reason}{hint}$"):
        read(text)


def test_delimiter_splits_cells():
    [line] = read("TYPE;CONTENT;PRIORITY\ntask;a, b;1\n", delimiter=";")
    assert (line.values["title"], line.values["priority"]) == ("a, b", "high")


def ids(*rows, file_name="Home.csv"):
    return [line.values["id"] for line in read("TYPE,CONTENT,INDENT,DATE\n" + "".join(rows), file_name)]


def test_same_file_gives_same_ids():
    rows = ["task,a,1,\n", "task,a,1,\n", "section,S,,\n", "task,a,1,\n", "task,b,1,\n", "task,a,2,\n"]
    assert ids(*rows) == ids(*rows)
    assert len(set(ids(*rows))) == 5


def test_changed_date_and_added_task_keep_ids_of_others():
    first, second = ids("task,a,1,\n", "task,b,1,\n")
    assert ids("task,new,1,\n", "task,a,1,2026-12-24\n", "task,b,1,\n")[1:] == [first, second]


def test_same_task_of_another_file_has_another_id():
    assert ids("task,a,1,\n") != ids("task,a,1,\n", file_name="Work.csv")


def test_ordinals_count_each_key():
    ordinals = Ordinals()
    assert [ordinals.next(key) for key in "aabab"] == [1, 2, 1, 3, 2]
