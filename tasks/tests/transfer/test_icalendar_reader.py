"""The tasks of iCalendar files."""

from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tests.transfer.exported import DEFAULTS, EXPORTS, origin, read_all, reports, without_ids
from tasks.transfer.file_formats import MAX_LINE_BYTES, FormatError
from tasks.transfer.icalendar_reader import ICalendar
from tasks.transfer.icalendar_writer import PRODUCT

pytestmark = pytest.mark.once

OWN_UID = "01900000-0000-7000-8000-00000000000a"


def read(text):
    return read_all(ICalendar(origin("ics")), text)


def calendar(*components, product="-//Example//EN"):
    body = "".join(f"BEGIN:VTODO\r\n{component}END:VTODO\r\n" for component in components)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{product}\r\n{body}END:VCALENDAR\r\n"


def properties(**values):
    """Return content lines; an underscore stands for a dash."""
    return "".join(f"{name.replace('_', '-')}{value}\r\n" for name, value in values.items())


def read_task(product="-//Example//EN", **values):
    [line] = read(calendar(properties(**{"UID": ":1", "SUMMARY": ":a", **values}), product=product))
    return line


def task(title, created, updated=None, **values):
    return {"title": title, **DEFAULTS, "created_at": created, "updated_at": updated or created, **values}


@pytest.mark.parametrize(
    ("name", "tasks", "left_out"),
    [
        (
            "nextcloud.ics",
            [
                task(
                    "Test title",
                    "2018-04-17T16:32:03.000000Z",
                    "2018-04-17T16:36:52.000000Z",
                    description="Test description",
                    due="2018-04-17T17:00:00",
                ),
                task(
                    "a test task",
                    "2025-04-04T14:30:18.000000Z",
                    "2025-04-05T05:46:13.000000Z",
                    due="2025-04-07",
                    labels={"tag1": True, "tag2": True},
                ),
                task("Child", "2021-01-28T15:03:33.000000Z", "2021-01-28T15:03:38.000000Z"),
            ],
            {25: ["#/RELATED-TO A relation to another task is left out"]},
        ),
        (
            "apple.ics",
            [
                task(
                    "Test daily",
                    "2018-04-17T18:51:49.000000Z",
                    "2018-04-17T18:52:03.000000Z",
                    due="2018-04-17T14:00:00[America/Chicago]",
                )
            ],
            {5: ["#/RRULE A recurrence is left out", "#/VALARM An alarm is left out"]},
        ),
        (
            "tasks_org.ics",
            [
                task(
                    "Test with tasks.org",
                    "2023-04-02T06:04:51.000000Z",
                    "2023-04-02T07:41:54.000000Z",
                    due="2023-04-02T17:00:01[Europe/Berlin]",
                    priority="low",
                    labels={"Vikunja": True},
                )
            ],
            {4: ["#/VALARM An alarm is left out", "#/DTSTART A start date is left out"]},
        ),
        (
            "thunderbird.ics",
            [
                task(
                    "New Task",
                    "2018-04-17T18:11:09.000000Z",
                    "2018-04-17T18:11:12.000000Z",
                    due="2018-04-17T14:00:00[America/Chicago]",
                )
            ],
            {},
        ),
        (
            "synology.ics",
            [
                task(
                    "Date",
                    "2019-01-11T08:55:01.000000Z",
                    due="2019-01-12",
                    completed=True,
                    completed_at="2019-01-11T08:55:01.000000Z",
                )
            ],
            {},
        ),
    ],
)
def test_real_export_becomes_tasks(name, tasks, left_out):
    lines = read((EXPORTS / name).read_bytes())
    assert (without_ids(lines), reports(lines)) == (tasks, left_out)


@pytest.mark.parametrize("name", ["nextcloud.ics", "apple.ics"])
def test_same_file_gives_same_ids(name):
    lines = [line.values["id"] for line in read((EXPORTS / name).read_bytes())]
    assert lines == [line.values["id"] for line in read((EXPORTS / name).read_bytes())]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(
    ("values", "due"),
    [
        ({"DUE": ";VALUE=DATE:20261225"}, "2026-12-24"),
        ({"DUE": ":20261225"}, "2026-12-24"),
        ({"DUE": ";VALUE=DATE:20260301"}, "2026-02-28"),
        ({"DUE": ";VALUE=DATE:00010101"}, "0001-01-01"),
        ({"DUE": ";VALUE=DATE:20261224", "DTSTART": ";VALUE=DATE:20261224"}, "2026-12-24"),
        ({"DUE": ":20261224T180000"}, "2026-12-24T18:00:00"),
        ({"DUE": ":20261224T180000Z"}, "2026-12-24T18:00:00Z"),
        ({"DUE": ";TZID=Europe/Berlin:20261224T180000"}, "2026-12-24T18:00:00[Europe/Berlin]"),
        ({"DUE": ';TZID="Europe/Berlin":20261224T180000'}, "2026-12-24T18:00:00[Europe/Berlin]"),
        ({"DUE": ";TZID=UTC:20261224T180000"}, "2026-12-24T18:00:00[UTC]"),
        ({"DUE": ";TZID=Europe/Berlin:20261224T180000Z"}, "2026-12-24T18:00:00Z"),
        ({"DUE": ";TZID=/example.org/Europe/Berlin:20261224T180000"}, "2026-12-24T18:00:00[Europe/Berlin]"),
        (
            {"DUE": ";TZID=/example.org/America/Indiana/Knox:20261224T180000"},
            "2026-12-24T18:00:00[America/Indiana/Knox]",
        ),
        ({"DUE": ";TZID=W. Europe Standard Time:20261224T180000"}, "2026-12-24T18:00:00[Europe/Berlin]"),
        ({}, None),
    ],
)
def test_due_has_one_of_four_forms(values, due):
    assert read_task(**values).values["due"] == due


@pytest.mark.parametrize("product", ["+//IDN tasks.org//android-150204//EN", "-//Nextcloud Tasks v0.16.1"])
def test_date_of_programs_that_write_the_last_day_is_kept(product):
    assert read_task(product, DUE=";VALUE=DATE:20261224").values["due"] == "2026-12-24"


@pytest.mark.parametrize(
    ("due", "value", "report"),
    [
        (":20260230", None, "Due must be a date, a local time, an instant or a local time with a zone; "),
        (":20261224T186000", None, "Due must be a date, a local time, an instant or a local time with a zone; "),
        (":2026-12-24", None, "“2026-12-24” is not a date or a time; the task has no due date"),
        (":20261224T1800", None, "“20261224T1800” is not a date or a time; the task has no due date"),
        (":20261224T180060Z", None, "Due must be a date, a local time, an instant or a local time with a zone; "),
        (
            ";TZID=Customized Time Zone:20261224T180000",
            "2026-12-24T18:00:00",
            "The time zone “Customized Time Zone” is unknown; the due date is a local time",
        ),
        (
            ";TZID=../../etc/passwd:20261224T180000",
            "2026-12-24T18:00:00",
            "The time zone “../../etc/passwd” is unknown; the due date is a local time",
        ),
        (
            ";TZID=Europe/Berlin,UTC:20261224T180000",
            "2026-12-24T18:00:00",
            "The time zone “['Europe/Berlin', 'UTC']” is unknown; the due date is a local time",
        ),
    ],
)
def test_due_that_does_not_fit_is_reported(due, value, report):
    line = read_task(DUE=due)
    [[detail]] = reports([line]).values()
    assert (line.values["due"], detail.startswith(f"#/DUE {report}")) == (value, True)


@pytest.mark.parametrize(
    ("raw", "priority"),
    [*zip("0123456789", [None, *["high"] * 4, "medium", *["low"] * 4], strict=True), ("00", None)],
)
def test_nine_priorities_become_three(raw, priority):
    line = read_task(PRIORITY=f":{raw}")
    assert (line.values["priority"], line.left_out) == (priority, [])


@pytest.mark.parametrize(
    ("values", "completed_at"),
    [
        ({"STATUS": ":COMPLETED", "COMPLETED": ":20260111T093000Z"}, "2026-01-11T09:30:00.000000Z"),
        ({"STATUS": ":completed", "CREATED": ":20260111T093000Z"}, "2026-01-11T09:30:00.000000Z"),
        ({"COMPLETED": ";VALUE=DATE:20260111"}, "2026-01-11T00:00:00.000000Z"),
        ({"PERCENT_COMPLETE": ":100", "CREATED": ":20260111T093000Z"}, "2026-01-11T09:30:00.000000Z"),
        ({"STATUS": ":NEEDS-ACTION", "COMPLETED": ":20260111T093000Z"}, None),
        ({"STATUS": ":IN-PROCESS"}, None),
        ({}, None),
    ],
)
def test_status_or_completion_tells_what_is_done(values, completed_at):
    line = read_task(**values)
    assert (line.values["completed"], line.values["completed_at"]) == (completed_at is not None, completed_at)
    assert line.left_out == []


def test_cancelled_task_is_refused():
    lines = read(calendar(properties(SUMMARY=":a", STATUS=":CANCELLED"), properties(SUMMARY=":b")))
    assert reports(lines) == {4: ["# The task is cancelled, and is not imported"]}
    assert [each["title"] for each in without_ids(lines)] == ["b"]


@pytest.mark.parametrize(
    ("values", "report"),
    [
        ({"RRULE": ":FREQ=DAILY;INTERVAL=0"}, "#/RRULE A recurrence is left out"),
        ({"RDATE": ":20261224"}, "#/RDATE A recurrence is left out"),
        ({"RECURRENCE_ID": ":20261224"}, "#/RECURRENCE-ID An occurrence of a series becomes a task of its own"),
        ({"RELATED_TO": ":2"}, "#/RELATED-TO A relation to another task is left out"),
        ({"ATTACH": ":https://files.example/a"}, "#/ATTACH An attached file is left out"),
        ({"ATTENDEE": ":mailto:a@example.org"}, "#/ATTENDEE An assignee is left out"),
        ({"LOCATION": ":Berlin"}, "#/LOCATION A location is left out"),
        ({"GEO": ":52.5;13.4"}, "#/GEO A location is left out"),
        ({"URL": ":https://example.org"}, "#/URL A URL is left out"),
        ({"COMMENT": ":b"}, "#/COMMENT A comment is left out"),
        ({"DURATION": ":PT1H"}, "#/DURATION A duration is left out"),
        ({"DTSTART": ":20261224"}, "#/DTSTART A start date is left out"),
        ({"PERCENT_COMPLETE": ":40"}, "#/PERCENT-COMPLETE A task is done or not; the percentage is left out"),
        ({"PERCENT_COMPLETE": ":much"}, "#/PERCENT-COMPLETE “much” is not a number"),
        ({"PRIORITY": ":10"}, "#/PRIORITY The priority must be 0 to 9"),
        ({"PRIORITY": ":-1"}, "#/PRIORITY “-1” is not a number"),
        ({"STATUS": ":DRAFT"}, "#/STATUS The status “DRAFT” is unknown; the task is open"),
        ({"CREATED": ":yesterday"}, "#/CREATED “yesterday” is not a time"),
        ({"LAST_MODIFIED": ":20260230T000000Z"}, "#/LAST-MODIFIED “20260230T000000Z” is not a time"),
        ({"CATEGORIES": ':a"b'}, "#/CATEGORIES"),
        ({"DUE;=": ":20261224"}, "#/DUE The property is malformed"),
        ({"X-A": ":b"}, None),
        ({"CLASS": ":PRIVATE"}, None),
        ({"LOCATION": ":"}, None),
        ({"DTSTART": ":20261224", "DUE": ":20261224"}, None),
    ],
)
def test_properties_that_do_not_fit_are_reported(values, report):
    line = read_task(**values)
    assert line.values["title"] == "a"
    found = [detail[: len(report or "")] for detail in reports([line]).get(4, [])]
    assert found == ([report] if report else [])


def test_alarm_inside_is_reported_and_changes_nothing():
    alarm = "BEGIN:VALARM\r\nBEGIN:X\r\nSUMMARY:b\r\nEND:X\r\nSUMMARY:c\r\nBEGIN:VTODO\r\nEND:VTODO\r\nEND:VALARM\r\n"
    [line] = read(calendar(f"SUMMARY:a\r\n{alarm}PRIORITY:1\r\n"))
    assert (line.values["title"], line.values["priority"]) == ("a", "high")
    assert reports([line]) == {4: ["#/VALARM An alarm is left out"]}


def test_other_components_are_not_read():
    event = "BEGIN:VEVENT\r\nSUMMARY:a\r\nEND:VEVENT\r\n"
    assert read(f"BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n") == []


def test_endless_rule_of_time_zone_is_not_computed():
    rule = "BEGIN:STANDARD\r\nDTSTART:20260101T000000\r\nRRULE:FREQ=YEARLY;INTERVAL=0\r\nEND:STANDARD\r\n"
    zone = f"BEGIN:VTIMEZONE\r\nTZID:Endless\r\n{rule}END:VTIMEZONE\r\n"
    task = "BEGIN:VTODO\r\nSUMMARY:a\r\nDUE;TZID=Endless:20261224T180000\r\nEND:VTODO\r\n"
    [line] = read(f"BEGIN:VCALENDAR\r\n{zone}{task}END:VCALENDAR\r\n")
    assert line.values["due"] == "2026-12-24T18:00:00"


def test_texts_are_unescaped_and_unfolded():
    folded = "SUMM\r\n ARY:B\\, c\\; \\\\n d\r\n\t\xc3\r\n".encode("latin-1") + b" \xa4\r\n"
    text = (
        calendar("@")
        .encode()
        .replace(b"@", folded + b"DESCRIPTION:a\\nb\\Nc\r\nCATEGORIES:a,b\\;c\r\nCATEGORIES:d\r\n")
    )
    [line] = read(text)
    assert line.values["title"] == "B, c; \\n dä"
    assert line.values["description"] == "a\nb\nc"
    assert list(line.values["labels"]) == ["a", "b;c", "d"]


def test_white_space_around_a_description_is_kept():
    [line] = read(calendar("SUMMARY:a\r\nDESCRIPTION: \tb \t\r\nSTATUS: COMPLETED \r\n"))
    assert (line.values["description"], line.values["completed"]) == (" \tb \t", True)


def test_lower_case_names_and_line_feeds_are_read():
    [line] = read("begin:vcalendar\nbegin:vtodo\nsummary:a\npriority:1\nend:vtodo\nend:vcalendar\n")
    assert (line.values["title"], line.values["priority"]) == ("a", "high")


def test_first_of_repeated_properties_counts():
    [line] = read(calendar("SUMMARY:a\r\nSUMMARY:b\r\n"))
    assert line.values["title"] == "a"


def test_files_one_after_the_other_are_read():
    text = calendar("UID:1\r\nSUMMARY:a\r\n") + calendar("UID:2\r\nSUMMARY:b\r\n")
    assert [each["title"] for each in without_ids(read(text))] == ["a", "b"]


def test_byte_order_mark_is_accepted():
    assert [each["title"] for each in without_ids(read("\ufeff" + calendar("SUMMARY:a\r\n")))] == ["a"]


def test_property_that_is_not_utf_8_is_reported():
    [line] = read(calendar("SUMMARY:a\r\nDESCRIPTION:@\r\n").encode().replace(b"@", b"\xff"))
    assert (line.values["title"], reports([line])) == ("a", {4: ["#/DESCRIPTION The property is not UTF-8"]})


@pytest.mark.parametrize(
    "description",
    [
        "x" * MAX_LINE_BYTES,
        "\r\n ".join(["x" * 70] * 1000),
        "x\r\n " + "x" * MAX_LINE_BYTES,
    ],
    ids=["one line", "folded", "second line"],
)
def test_overlong_property_is_reported(description):
    [line] = read(calendar(f"SUMMARY:a\r\nDESCRIPTION:{description}\r\nPRIORITY:1\r\n"))
    assert (line.values["title"], line.values["priority"]) == ("a", "high")
    assert reports([line]) == {4: ["#/DESCRIPTION The property is longer than 65536 bytes"]}


@pytest.mark.parametrize("text", [";A=b", ';A="b"', ";A=", '"', "\\", ":", ",", " ", "\\,", ";A=b c,"])
def test_properties_of_any_text_take_little_time(text):
    value = text * (MAX_LINE_BYTES // len(text) - 10)
    [line] = read(calendar(f"SUMMARY:a\r\nDUE{value}:20261225\r\nCATEGORIES:{value}\r\nDESCRIPTION;A=b:{value}\r\n"))
    assert line.values["title"] == "a"


def test_overlong_attachment_is_reported_as_attachment():
    [line] = read(calendar(f"SUMMARY:a\r\nATTACH:{'x' * MAX_LINE_BYTES}\r\n"))
    assert reports([line]) == {4: ["#/ATTACH An attached file is left out"]}


def test_overlong_task_is_refused():
    lines = read(calendar("CATEGORIES:x\r\n" * 30_000, "SUMMARY:b\r\n"))
    assert reports(lines) == {4: ["# The task is longer than 262144 bytes"]}
    assert [each["title"] for each in without_ids(lines)] == ["b"]


@pytest.mark.parametrize("end", ["BEGIN:VTODO\r\nSUMMARY:b\r\nEND:VTODO\r\n", "END:VCALENDAR\r\n", ""])
def test_task_without_end_is_refused(end):
    lines = read(f"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nSUMMARY:a\r\n{end}")
    assert reports(lines) == {2: ["# The task has no END:VTODO"]}
    assert [each["title"] for each in without_ids(lines)] == ["b"] * end.count("SUMMARY")


@pytest.mark.parametrize(
    "text", ["", "BEGIN:VTODO\r\n", "TYPE,CONTENT\n", "x" * 100_000, "[]"], ids=lambda text: text[:9]
)
def test_other_file_is_refused(text):
    with pytest.raises(FormatError, match="The first line must be BEGIN:VCALENDAR"):
        read(text)


def test_task_without_uid_gets_id_of_its_properties():
    texts = [calendar("SUMMARY:a\r\n"), calendar("SUMMARY:a\r\n"), calendar("SUMMARY:b\r\n")]
    first, second, third = (read(text)[0].values["id"] for text in texts)
    assert first == second != third


def test_occurrences_of_a_series_have_ids_of_their_own():
    ids = {
        read_task(**values).values["id"]
        for values in ({}, {"RECURRENCE_ID": ":20261224"}, {"RECURRENCE_ID": ":20261225"})
    }
    assert len(ids) == 3


def test_own_export_keeps_id_and_version():
    values = read_task(PRODUCT, UID=f":{OWN_UID}", SEQUENCE=":7").values
    assert (values["id"], values["version"]) == (OWN_UID, 7)


@pytest.mark.parametrize(("product", "uid"), [("-//Example//EN", OWN_UID), (PRODUCT, OWN_UID.upper()), (PRODUCT, "1")])
def test_other_export_gets_id_from_uid_and_version_1(product, uid):
    values = read_task(product, UID=f":{uid}", SEQUENCE=":7").values
    assert (values["id"] != OWN_UID, values["version"]) == (True, 1)


@given(st.dates(min_value=date(1, 1, 2)))
def test_any_date_is_one_day_earlier(day):
    due = read_task(DUE=f";VALUE=DATE:{day:%Y%m%d}".replace(f":{day:%Y}", f":{day.year:04}")).values["due"]
    assert due == (day - timedelta(days=1)).isoformat()


APPLE = (EXPORTS / "apple.ics").read_bytes()


@settings(deadline=None)
@given(st.binary(max_size=50), st.integers(0, len(APPLE)))
def test_any_damage_is_reported(damage, at):
    with suppress(FormatError):
        assert len(read(APPLE[:at] + damage + APPLE[at + len(damage) :])) <= 2


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"BEGIN:VTODO", b"END:VTODO", b"BEGIN:VALARM", b"END:VALARM", b"DUE;:", b";", b" x", b""])
    )
)
def test_any_order_of_lines_is_read(lines):
    read(b"BEGIN:VCALENDAR\nVERSION:2.0\n" + b"\n".join(lines))
