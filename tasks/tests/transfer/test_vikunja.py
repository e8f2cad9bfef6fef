"""Vikunja's export."""

import json
import os
import tracemalloc
from contextlib import suppress
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tests.transfer.exported import DEFAULTS, EXPORTS, origin, read_all, reports, without_ids
from tasks.transfer import vikunja
from tasks.transfer.file_formats import FormatError
from tasks.transfer.vikunja import MAX_DEPTH, MAX_TASK_SIZE, MAX_TEXT_BYTES, Vikunja, to_text

pytestmark = pytest.mark.once

EXPORT = (EXPORTS / "vikunja.json").read_bytes()

TIMES = {"created_at": "2023-01-13T14:59:49.000000Z", "updated_at": "2023-01-13T15:10:00.000000Z"}


def read(text):
    return read_all(Vikunja(origin("vikunja")), text)


def read_tasks(*tasks, title="P"):
    return read(json.dumps([{"id": 1, "title": title, "tasks": list(tasks)}]))


def read_task(**values):
    [line] = read_tasks({"id": 1, "title": "a", **values})
    return line


def zipped(compression=ZIP_DEFLATED, **files):
    file = BytesIO()
    with ZipFile(file, "w", compression) as archive:
        for name, text in {"VERSION": "0.21.0", **files}.items():
            archive.writestr(name, text)
    return file.getvalue()


def refusal(text):
    with pytest.raises(FormatError) as error:
        read(text)
    return str(error.value)


def test_export_becomes_tasks():
    lines = read(EXPORT)
    assert without_ids(lines) == [
        {
            **DEFAULTS,
            **TIMES,
            "title": "Buy milk",
            "description": (
                "Two litres, see here (https://shop.example/milk)\n- [x] oat\n- [ ] soy & rice\n\nThis is a comment"
            ),
            "due": "2023-02-01T17:00:00Z",
            "priority": "high",
            "labels": {"home": True, "Inbox": True},
        },
        {
            **DEFAULTS,
            **TIMES,
            "title": "Pay",
            "completed": True,
            "completed_at": "2023-01-14T08:00:00.000000Z",
            "updated_at": "2023-01-14T08:00:00.000000Z",
            "priority": "low",
            "labels": {"Inbox": True},
        },
        {
            **DEFAULTS,
            **TIMES,
            "title": "Write",
            "due": "2023-02-01T17:00:00Z",
            "priority": "medium",
            "labels": {"Work": True},
        },
    ]
    [(number, report)] = reports(lines).items()
    assert number == 1
    assert [each for each in report if not each.startswith("#/labels")] == [
        "#/reminders A reminder is left out",
        "#/repeat_after A recurrence is left out",
        "#/start_date A start date is left out",
        "#/assignees An assignee is left out",
        "#/related_tasks A relation to another task is left out",
        "#/attachments An attached file is left out",
        "#/is_favorite A favorite is left out",
        "#/percent_done A task is done or not; the percentage is left out",
    ]
    assert len(report) == 9


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
def test_zip_gives_same_tasks_as_its_data(compression):
    assert read(zipped(compression, **{"data.json": EXPORT})) == read(EXPORT)


def test_byte_order_mark_is_accepted():
    assert read(b"\xef\xbb\xbf" + EXPORT) == read(EXPORT)


def test_second_read_gives_same_ids():
    assert [line.values["id"] for line in read(EXPORT)] == [line.values["id"] for line in read(EXPORT)]


def test_namespaces_of_old_versions_are_read():
    namespace = {"id": 1, "title": "N", "lists": [{"title": "L", "tasks": [{"id": 1, "title": "a"}]}]}
    [line] = read(json.dumps([namespace]))
    assert (line.values["title"], line.values["labels"]) == ("a", {"L": True})


def test_tasks_of_buckets_are_not_read():
    project = {"title": "P", "buckets": [{"title": "B", "tasks": [{"id": 1, "title": "a"}]}]}
    assert read(json.dumps([project])) == []


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        (None, None),
        (-1, None),
        (0, None),
        (1, "low"),
        (2, "medium"),
        (3, "high"),
        (4, "high"),
        (5, "high"),
        (100, "high"),
    ],
)
def test_priorities_above_medium_are_high(priority, expected):
    line = read_task(priority=priority)
    assert (line.values["priority"], reports([line])) == (expected, {})


@pytest.mark.parametrize(
    ("values", "report"),
    [
        ({"priority": "high"}, "#/priority The priority must be a number"),
        ({"priority": True}, "#/priority The priority must be a number"),
        ({"due_date": "soon"}, "#/due_date Due must be a date, a local time, an instant or a local time with a zone; "),
        ({"due_date": 5}, "#/due_date Due must be a date, a local time, an instant or a local time with a zone; "),
        ({"repeat_mode": 1}, "#/repeat_mode A recurrence is left out"),
        ({"end_date": "2023-02-01T18:00:00Z"}, "#/end_date An end date is left out"),
        ({"reminder_dates": ["2023-02-01T18:00:00Z"]}, "#/reminder_dates A reminder is left out"),
    ],
)
def test_values_that_do_not_fit_are_reported(values, report):
    [details] = reports([read_task(**values)]).values()
    assert [detail[: len(report)] for detail in details] == [report]


def test_percentage_of_completed_task_is_not_reported():
    assert reports([read_task(done=True, percent_done=1)]) == {}


@pytest.mark.parametrize("value", [None, [], {}, 5, "x", [5, None, {"title": 5}, {}]], ids=repr)
@pytest.mark.parametrize("name", ["labels", "comments", "created", "updated", "done_at", "description"])
def test_values_of_other_types_fail_no_import(name, value):
    line = read_task(**{name: value})
    assert (line.faults, line.left_out) == ((), [])
    assert line.values["labels"] == {"P": True}


@pytest.mark.parametrize("id_", [None, "1", 1.5, [1], True])
def test_task_without_numeric_id_is_refused(id_):
    lines = read_tasks({"id": id_, "title": "a"}, {"id": 2, "title": "b"})
    assert reports(lines) == {1: ["# The id of the task must be a number"]}
    assert [line.number for line in lines] == [1, 2]


def test_values_that_are_no_task_are_ignored():
    assert [line.values["title"] for line in read_tasks(5, None, [{"id": 1}], {"id": 2, "title": "b"})] == ["b"]


def test_task_without_project_title_has_no_label():
    [line] = read_tasks({"id": 1, "title": "a"}, title="")
    assert line.values["labels"] == {}


@pytest.mark.parametrize(
    "values", [{"description": "x" * MAX_TASK_SIZE}, {"index": [1] * MAX_TASK_SIZE}], ids=["text", "list"]
)
def test_task_that_is_too_large_is_refused(values):
    lines = read_tasks({"id": 1, "title": "a", **values}, {"id": 2, "title": "b"})
    assert reports(lines) == {1: ["# The task has more than 262144 values and characters"]}
    assert [line.number for line in lines] == [1, 2]


@pytest.mark.parametrize(
    "rest",
    ['{"id": 2, "tit', '{"id": 2, "title": NaN}]}]', '{"id": 2, "title": "\\u12"}]}]', '{"id": ' + "9" * 5000 + "}]}]"],
    ids=["end", "NaN", "escape", "number"],
)
def test_damage_is_reported_after_tasks_before_it(rest):
    lines = read(f'[{{"tasks": [{{"id": 1, "title": "a"}}, {rest}')
    assert [line.values.get("title") for line in lines] == ["a", None]
    [detail] = reports(lines)[2]
    assert detail.startswith("# The JSON is malformed: ")
    assert detail.endswith("; the rest of the file is not read")


def test_deep_nesting_is_reported_after_tasks_before_it():
    lines = read('[{"tasks": [{"id": 1, "title": "a"}, ' + "[" * MAX_DEPTH)
    reason = "# The file is no export of Vikunja, which is an array of projects; the rest of the file is not read"
    assert reports(lines) == {2: [reason]}


def test_bytes_that_are_not_utf_8_are_reported():
    lines = read(b'[{"tasks": [{"id": 1, "title": "a"}]}, ' + b" " * 100_000 + b"\xff]")
    assert [line.number for line in lines] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The JSON is malformed: Incomplete JSON content"),
        ("[", "The JSON is malformed: Incomplete JSON content"),
        ("TYPE,CONTENT", "The JSON is malformed: Unexpected symbol 'T' at 0"),
        ("{}", "The file is no export of Vikunja, which is an array of projects"),
        ('"x"', "The file is no export of Vikunja, which is an array of projects"),
        ("[" * (MAX_DEPTH + 1), "The file is no export of Vikunja, which is an array of projects"),
        (b"\xff\xfe[\x00]\x00", "The file is UTF-16; save the file in UTF-8 (Excel: “CSV UTF-8”)"),
        ('["' + "x" * (MAX_TEXT_BYTES + 2**16), f"A text is longer than {MAX_TEXT_BYTES} bytes"),
        (b"PK\3\4 and no more", "The ZIP file cannot be read: File is not a zip file"),
        (zipped(), "The ZIP file has no data.json; export the data from Vikunja"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_other_file_is_refused(text, reason):
    assert refusal(text) == reason


def test_file_longer_than_any_text_is_read():
    text = "x" * (MAX_TASK_SIZE // 2)
    number = 2 * MAX_TEXT_BYTES // len(text)
    assert len(read_tasks(*({"id": id_, "title": "a", "index": text} for id_ in range(number)))) == number


def test_zip_with_password_is_refused():
    text = bytearray(zipped(**{"data.json": EXPORT}))
    for marker in (b"PK\3\4", b"PK\1\2"):
        header = text.rindex(marker)
        text[header + (6 if marker == b"PK\3\4" else 8)] |= 1
    assert "password" in refusal(bytes(text))


def test_damaged_zip_is_reported():
    text = bytearray(zipped(ZIP_STORED, **{"data.json": EXPORT}))
    at = text.index(b"This is a comment")
    text[at : at + 4] = b"That"
    assert refusal(bytes(text)) == "The ZIP file is damaged: Bad CRC-32 for file 'data.json'"


def test_zip_with_other_compression_is_refused():
    reason = "The ZIP file cannot be read: it has another compression than DEFLATE"
    assert refusal(zipped(ZIP_BZIP2, **{"data.json": EXPORT})) == reason


def test_zip_from_a_pipe_is_refused():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        os.write(writer, zipped())
        os.close(writer)
        with pytest.raises(FormatError, match="A ZIP file cannot come from standard input"):
            list(Vikunja(origin("vikunja")).read(pipe))


def test_json_from_a_pipe_is_read():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        os.write(writer, EXPORT)
        os.close(writer)
        assert list(Vikunja(origin("vikunja")).read(pipe)) == read(EXPORT)


#: A small ZIP file with a text of 32 MiB.
BOMB_BYTES = 32 * 1024 * 1024
BOMB = zipped(**{"data.json": b'["' + b"x" * BOMB_BYTES})


def refusal_and_peak_of_bomb():
    tracemalloc.start()
    try:
        return refusal(BOMB), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_zip_bomb_is_refused_in_little_memory():
    reason, peak = refusal_and_peak_of_bomb()
    assert reason == f"A text is longer than {MAX_TEXT_BYTES} bytes"
    assert peak < BOMB_BYTES / 2


def test_control_without_limit_zip_bomb_takes_memory(monkeypatch):
    monkeypatch.setattr(vikunja, "MAX_TEXT_BYTES", 2 * BOMB_BYTES)
    _, peak = refusal_and_peak_of_bomb()
    assert peak > BOMB_BYTES


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain & simple", "plain & simple"),
        ("a < b\n\n**bold**", "a < b\n\n**bold**"),
        ("<p></p>", ""),
        ("<p>a</p><p>b<br>c</p>", "a\nb\nc"),
        ("<h1>A</h1><p>x <strong>y</strong> &lt;z&gt;</p>", "A\nx y <z>"),
        ("<ul><li><p>a</p></li><li><p>b</p></li></ul><p>c</p>", "- a\n- b\nc"),
        ('<p><a href="https://a.example">https://a.example</a></p>', "https://a.example"),
        ('<p><a href="https://a.example">b</a></p>', "b (https://a.example)"),
        ("<p>a<a>b</a></p>", "ab"),
        ("<p>never closed &amp", "never closed &"),
        ('<p><a href="https://a.example?b&amp;c">d</a> e</a></p>', "d (https://a.example?b&c) e"),
        ("<p><![foo[ <!-- <a", "<![foo[ <!-- <a"),
        ("<p>&#99999;" + "&#" + "9" * 5000, "&#99999;" + "&#" + "9" * 5000),
    ],
)
def test_html_becomes_text(html, text):
    assert to_text(html) == text


@settings(deadline=None)
@given(
    st.text()
    | st.lists(
        st.sampled_from(["<", ">", "/", "!", "[", "]", "-", "&", "#", ";", '"', "=", "p", "li", "a", 'href="'])
    ).map("".join)
)
def test_any_html_becomes_text(text):
    assert isinstance(to_text(f"<p>{text}"), str)


@pytest.mark.parametrize("part", ["<", "</", "<a ", "<a", "<p>", "<li>", "<a>", "</a>", '<a href="', "&", "<!--", "a"])
@pytest.mark.parametrize("start", ["<p>", "<p ", "<p <"])
def test_html_of_any_length_takes_little_time(start, part):
    """The parser of Python took minutes for some of these."""
    to_text(start + part * (MAX_TASK_SIZE // len(part)))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(json.loads(EXPORT)[0]["tasks"][0], values)))
def test_any_task_is_read_or_reported(task):
    lines = read_tasks(task)
    assert len(lines) == 1


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, len(EXPORT)))
def test_any_damage_is_reported(damage, at):
    with suppress(FormatError):
        read(EXPORT[:at] + damage + EXPORT[at + len(damage) :])


ZIPPED = zipped(**{"data.json": EXPORT})


@settings(deadline=None)
@given(st.binary(max_size=20), st.integers(0, len(ZIPPED)))
def test_any_damage_of_a_zip_is_reported(damage, at):
    with suppress(FormatError):
        read(ZIPPED[:at] + damage + ZIPPED[at + len(damage) :])
