"""Tasks as an iCalendar file."""

import json
import re
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from rest.timestamps import format_timestamp
from tasks.due import canonical_due, time_zone, time_zone_names, wall_clock
from tasks.rules import DESCRIPTION_FORBIDDEN, INVISIBLE, LABEL_FORBIDDEN, RESERVED_LABEL, TITLE_FORBIDDEN
from tasks.tests.transfer.exported import origin, read_all, reports
from tasks.transfer import icalendar_writer
from tasks.transfer.file_formats import ExportedTask
from tasks.transfer.icalendar_reader import ICalendar
from tasks.transfer.icalendar_writer import ICalendarFile

pytestmark = pytest.mark.once

TASK = {
    "id": "01900000-0000-7000-8000-000000000001",
    "title": "Buy milk",
    "description": "",
    "completed": False,
    "due": None,
    "priority": None,
    "labels": {},
    "user_id": "alice",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-12T09:30:00.999999Z",
    "completed_at": None,
    "version": 3,
}


def write(*tasks):
    file = ICalendarFile()
    return file.header + "".join(file.write([ExportedTask(json.dumps(task), {})]) for task in tasks) + file.footer


def lines_of(**values):
    """Return the content lines of a task between BEGIN and END, without those that each task has."""
    lines = re.sub("BEGIN:VTIMEZONE.*END:VTIMEZONE\r\n", "", write({**TASK, **values}), flags=re.DOTALL).split("\r\n")
    return [line for line in lines[4:-3] if not line.startswith(("UID", "SEQUENCE", "DTSTAMP", "LAST", "CREATED"))]


def without_fraction(timestamp):
    return timestamp and re.sub(r"\.\d+", ".000000", timestamp)


def test_file_has_a_component_per_task():
    completed = {
        "title": "Pay, then; call",
        "description": "a\nb\r\nc\\n",
        "completed": True,
        "due": "2026-12-24T17:00:00Z",
        "priority": "high",
        "labels": {"home": True, "work; office": True},
        "completed_at": "2026-01-12T09:30:00.500000Z",
    }
    assert write(TASK, {**TASK, **completed}) == "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//todo-rest//export_tasks//EN",
            "BEGIN:VTODO",
            "UID:01900000-0000-7000-8000-000000000001",
            "SEQUENCE:3",
            "DTSTAMP:20260112T093000Z",
            "LAST-MODIFIED:20260112T093000Z",
            "CREATED:20260111T093000Z",
            "SUMMARY:Buy milk",
            "STATUS:NEEDS-ACTION",
            "END:VTODO",
            "BEGIN:VTODO",
            "UID:01900000-0000-7000-8000-000000000001",
            "SEQUENCE:3",
            "DTSTAMP:20260112T093000Z",
            "LAST-MODIFIED:20260112T093000Z",
            "CREATED:20260111T093000Z",
            "SUMMARY:Pay\\, then\\; call",
            "DESCRIPTION:a\\nb\\nc\\\\n",
            "DUE:20261224T170000Z",
            "PRIORITY:1",
            "CATEGORIES:home,work\\; office",
            "STATUS:COMPLETED",
            "COMPLETED:20260112T093000Z",
            "PERCENT-COMPLETE:100",
            "END:VTODO",
            "END:VCALENDAR",
            "",
        ]
    )


def test_file_without_tasks_is_a_calendar():
    assert Calendar.from_ical(write()).todos == []


@pytest.mark.parametrize(
    ("due", "lines"),
    [
        ("2026-12-24", ["DUE;VALUE=DATE:20261225"]),
        ("2026-12-31", ["DUE;VALUE=DATE:20270101"]),
        ("0001-01-01", ["DUE;VALUE=DATE:00010102"]),
        ("9999-12-30", ["DUE;VALUE=DATE:99991231"]),
        ("9999-12-31", []),
        ("2026-12-24T18:00:00", ["DUE:20261224T180000"]),
        ("0999-12-24T18:00:00", ["DUE:09991224T180000"]),
        ("2026-12-24T17:00:00Z", ["DUE:20261224T170000Z"]),
        ("2026-12-24T18:00:00[UTC]", ["DUE;TZID=UTC:20261224T180000"]),
        (None, []),
    ],
)
def test_due_is_written_by_its_form(due, lines):
    assert lines_of(due=due)[1:-1] == lines


def test_backslash_before_n_is_no_line_break():
    r"""The text type of icalendar writes ``\N`` as a line break."""
    assert lines_of(title=r"C:\New", labels={r"a;b": True})[:2] == [r"SUMMARY:C:\\New", r"CATEGORIES:a\;b"]


@pytest.mark.parametrize(("priority", "lines"), [("high", ["1"]), ("medium", ["5"]), ("low", ["9"]), (None, [])])
def test_priorities_are_those_of_rfc_5545(priority, lines):
    assert lines_of(priority=priority)[1:-1] == [f"PRIORITY:{line}" for line in lines]


def test_version_beyond_integers_of_rfc_5545_is_the_largest():
    assert "SEQUENCE:2147483647\r\n" in write({**TASK, "version": 2**53})


def test_time_zone_stands_once_before_its_first_task():
    berlin, chicago = "2026-12-24T18:00:00[Europe/Berlin]", "2026-12-24T18:00:00[America/Chicago]"
    text = write(*({**TASK, "due": due} for due in (None, berlin, berlin, chicago, berlin)))
    found = re.findall(r"^(?:TZID|DUE;TZID|BEGIN).*$", text.replace("\r", ""), re.MULTILINE)
    assert [line for line in found if "STANDARD" not in line and "DAYLIGHT" not in line] == [
        "BEGIN:VCALENDAR",
        "BEGIN:VTODO",
        "BEGIN:VTIMEZONE",
        "TZID:Europe/Berlin",
        "BEGIN:VTODO",
        "DUE;TZID=Europe/Berlin:20261224T180000",
        "BEGIN:VTODO",
        "DUE;TZID=Europe/Berlin:20261224T180000",
        "BEGIN:VTIMEZONE",
        "TZID:America/Chicago",
        "BEGIN:VTODO",
        "DUE;TZID=America/Chicago:20261224T180000",
        "BEGIN:VTODO",
        "DUE;TZID=Europe/Berlin:20261224T180000",
    ]


def test_each_file_has_its_own_time_zones():
    task = {**TASK, "due": "2026-12-24T18:00:00[Europe/Berlin]"}
    assert write(task) == write(task)


def test_time_zone_that_is_no_longer_known_has_no_definition(monkeypatch):
    monkeypatch.setattr(icalendar_writer, "time_zone", lambda name: None)
    assert "VTIMEZONE" not in write({**TASK, "due": "2026-12-24T18:00:00[Europe/Berlin]"})


def test_no_line_is_longer_than_75_octets():
    text = write({**TASK, "title": "ä" * 200, "description": "買" * 2000, "labels": {"😎" * 50: True}})
    assert max(len(line.encode()) for line in text.split("\r\n")) == 75
    assert "\n" not in text.replace("\r\n", "")


def texts(forbidden, **sizes):
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters=forbidden), **sizes)


times = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat())
dues = st.none() | st.one_of(
    st.dates(max_value=date.max - timedelta(days=1)).map(date.isoformat),
    times,
    times.map("{}Z".format),
    st.builds("{}[{}]".format, times, st.sampled_from(sorted(time_zone_names()))),
)
titles = texts(TITLE_FORBIDDEN, min_size=1, max_size=200).map(str.strip).filter(lambda text: text.strip(INVISIBLE))
names = (
    texts(LABEL_FORBIDDEN, min_size=1, max_size=50)
    .map(str.strip)
    .filter(lambda text: text.strip(INVISIBLE) and text != RESERVED_LABEL)
)
timestamps = st.datetimes(timezones=st.just(UTC)).map(format_timestamp).filter(lambda text: text < "2026-11")


@st.composite
def tasks(draw):
    created, done, updated = sorted(draw(st.lists(timestamps, min_size=3, max_size=3)))
    completed = draw(st.booleans())
    return {
        **TASK,
        "title": draw(titles),
        "description": draw(texts(DESCRIPTION_FORBIDDEN, max_size=2000)),
        "completed": completed,
        "due": draw(dues),
        "priority": draw(st.sampled_from([None, "low", "medium", "high"])),
        "labels": dict.fromkeys(draw(st.sets(names, max_size=20)), True),
        "created_at": created,
        "updated_at": updated,
        "completed_at": done if completed else None,
        "version": draw(st.integers(1, 2**31 - 1)),
    }


@settings(deadline=None)
@given(tasks())
def test_import_of_export_gives_same_task(task):
    lines = read_all(ICalendar(origin("ics")), write(task))
    assert reports(lines) == {}
    assert [line.values for line in lines] == [
        {
            **task,
            "description": re.sub("\r\n?", "\n", task["description"]),
            **{name: without_fraction(task[name]) for name in ("created_at", "updated_at", "completed_at")},
        }
    ]


def due_of(todo):
    """Return the due date that the library has read, in canonical form."""
    if "DUE" not in todo:
        return None
    due = todo["DUE"].dt
    if not isinstance(due, datetime):
        return (due - timedelta(days=1)).isoformat()
    zone = todo["DUE"].params.get("TZID")
    suffix = f"[{zone}]" if zone else "Z" if due.tzinfo else ""
    assert zone is None or due.tzinfo is None or due.tzinfo.key == zone
    return canonical_due(f"{due.replace(tzinfo=None).isoformat()}{suffix}")


@settings(deadline=None)
@given(tasks())
def test_library_reads_same_task(task):
    [todo] = Calendar.from_ical(write(task)).todos
    assert todo.errors == []
    assert {
        "id": str(todo["UID"]),
        "title": str(todo["SUMMARY"]),
        "description": str(todo.get("DESCRIPTION", "")),
        "completed": str(todo["STATUS"]) == "COMPLETED",
        "due": due_of(todo),
        "priority": {1: "high", 5: "medium", 9: "low", None: None}[todo.get("PRIORITY")],
        "labels": dict.fromkeys(map(str, todo["CATEGORIES"].cats), True) if "CATEGORIES" in todo else {},
        "created_at": todo["CREATED"].dt,
        "updated_at": todo["LAST-MODIFIED"].dt,
        "completed_at": todo["COMPLETED"].dt if "COMPLETED" in todo else None,
        "version": todo["SEQUENCE"],
    } == {
        **{name: task[name] for name in ("id", "title", "completed", "due", "priority", "labels", "version")},
        "description": re.sub("\r\n?", "\n", task["description"]),
        **{
            name: datetime.fromisoformat(without_fraction(task[name])) if task[name] else None
            for name in ("created_at", "updated_at", "completed_at")
        },
    }


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Etc/GMT+5", "UTC"])
def test_definition_of_time_zone_agrees_with_tzdata(zone):
    """Compare each month at noon, because icalendar is an hour off where summer time begins."""
    calendar = Calendar.from_ical(write({**TASK, "due": f"2026-12-24T18:00:00[{zone}]"}))
    defined = calendar.timezones[0].to_tz(lookup_tzid=False)
    for month in range(12 * 30):
        noon = datetime.combine(date(1998 + month // 12, month % 12 + 1, 15), time(12))
        assert noon.replace(tzinfo=defined).utcoffset() == noon.replace(tzinfo=time_zone(zone)).utcoffset()


def test_wall_clock_of_due_is_kept():
    due = "2026-12-24T18:00:00[Europe/Berlin]"
    [todo] = Calendar.from_ical(write({**TASK, "due": due})).todos
    assert todo["DUE"].dt.astimezone(UTC) == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert todo["DUE"].dt.replace(tzinfo=None).isoformat() == wall_clock(due)
