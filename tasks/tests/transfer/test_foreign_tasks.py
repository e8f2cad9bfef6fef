"""What all tasks of other systems have in common: ids, times, labels and reports."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tasks.tests.transfer.exported import READ_AT, details, origin
from tasks.transfer.foreign_tasks import ForeignTask, quote
from tasks.transfer.importing import UUID_7

pytestmark = pytest.mark.once

CREATED = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)


def line_of(task, system="ics"):
    return task.line(origin(system), origin(system).task_id(task.created, "1"))


def values_of(**values):
    return line_of(ForeignTask(3, **values)).values


@pytest.mark.parametrize("created", [None, CREATED, datetime(1960, 1, 1, tzinfo=UTC), READ_AT])
def test_id_is_uuid_7_of_creation_time(created):
    id_ = origin("ics").task_id(created, "a")
    assert UUID_7.fullmatch(id_)
    milliseconds = max(0, created.timestamp() * 1000) if created else 0
    assert UUID(id_).int >> 80 == milliseconds


def test_id_is_same_for_same_origin_and_key():
    """The literal value keeps ids stable from one version of this service to the next."""
    assert origin("ics").task_id(CREATED, "a", "b") == "019bac64-19c0-753d-9b20-1f678334c0d5"
    assert origin("ics", file_name="other", read_at=CREATED).task_id(CREATED, "a", "b") == origin("ics").task_id(
        CREATED, "a", "b"
    )


def test_id_differs_by_each_part_of_origin_and_key():
    ids = [
        origin("ics").task_id(CREATED, "a", "b"),
        origin("vikunja").task_id(CREATED, "a", "b"),
        origin("ics", user_id="bob").task_id(CREATED, "a", "b"),
        origin("ics").task_id(CREATED + timedelta(milliseconds=1), "a", "b"),
        origin("ics").task_id(None, "a", "b"),
        origin("ics").task_id(CREATED, "ab"),
        origin("ics").task_id(CREATED, "a", "b", ""),
        origin("ics").task_id(CREATED, '["a", "b"]'),
    ]
    assert len(set(ids)) == len(ids)


def test_unknown_times_keep_order_of_file():
    values = values_of(title="x")
    assert values["created_at"] == values["updated_at"] == "2026-11-26T11:59:59.999997Z"
    assert values["completed_at"] is None


def test_known_times_are_kept_in_utc():
    hour = timedelta(hours=1)
    values = values_of(created=CREATED, modified=CREATED + 2 * hour, done_at=CREATED + hour, completed=True)
    assert values["created_at"] == "2026-01-11T09:30:00.000000Z"
    assert values["completed_at"] == "2026-01-11T10:30:00.000000Z"
    assert values["updated_at"] == "2026-01-11T11:30:00.000000Z"


def test_completed_task_without_time_is_completed_at_last_change():
    values = values_of(created=CREATED, modified=CREATED + timedelta(hours=1), completed=True)
    assert values["completed_at"] == values["updated_at"] == "2026-01-11T10:30:00.000000Z"


def test_completion_after_last_change_moves_last_change():
    values = values_of(created=CREATED, done_at=CREATED + timedelta(hours=1), completed=True)
    assert values["completed_at"] == values["updated_at"] == "2026-01-11T10:30:00.000000Z"


def test_future_times_become_time_of_import():
    future = READ_AT + timedelta(hours=2)
    values = values_of(created=future, modified=future, done_at=future, completed=True)
    now = "2026-11-26T12:00:00.000000Z"
    assert [values["created_at"], values["updated_at"], values["completed_at"]] == [now, now, now]


def test_change_before_creation_is_moved():
    values = values_of(created=CREATED, modified=CREATED - timedelta(hours=1))
    assert values["updated_at"] == values["created_at"]


def test_time_of_completion_of_open_task_is_ignored():
    assert values_of(done_at=CREATED)["completed_at"] is None


def test_missing_title_is_left_to_validation():
    assert "title" not in values_of()


def test_labels_are_trimmed_and_repeated_labels_are_one():
    task = ForeignTask(1)
    task.add_labels("labels", [" home ", "home", "work"])
    assert (task.labels, task.left_out) == ({"home": True, "work": True}, [])


def test_labels_that_no_task_can_have_are_reported():
    task = ForeignTask(1)
    task.add_labels("labels", ["a,b", "x" * 51, " "])
    assert task.labels == {}
    assert len(task.left_out) == 3
    assert all("“" in detail for detail in details(task.left_out))


def test_labels_after_the_twentieth_are_reported():
    task = ForeignTask(1)
    task.add_labels("labels", [str(number) for number in range(22)] + ["3"])
    assert list(task.labels) == [str(number) for number in range(20)]
    assert details(task.left_out) == ["#/labels A task has at most 20 labels"]


@pytest.mark.parametrize(
    ("description", "result", "left_out"),
    [
        ("x" * 2000, "x" * 2000, []),
        ("x" * 2001, "x" * 2000, ["#/description Only the first 2000 characters are imported"]),
        (5, 5, []),
    ],
    ids=["2000", "2001", "no text"],
)
def test_description_is_cut_to_what_fits(description, result, left_out):
    line = line_of(ForeignTask(1, description=description))
    assert (line.values["description"], details(line.left_out)) == (result, left_out)


def test_notes_after_a_full_description_are_reported():
    task = ForeignTask(1, description="x" * 1990)
    for text in ("a" * 20, "b", "c"):
        task.add_text("note", text)
    assert details(task.left_out) == ["#/note The description is full: 2000 characters"]
    assert line_of(task).values["description"] == "x" * 1990 + "\n\n" + "a" * 8


def test_reports_of_one_task_are_limited():
    task = ForeignTask(1)
    for number in range(100):
        task.leave_out("a", str(number))
    assert details(task.left_out) == [f"#/a {number}" for number in range(20)]


def test_invalid_due_date_is_reported():
    task = ForeignTask(1)
    task.set_due("DUE", "2026-02-30")
    assert task.due is None
    assert details(task.left_out) == [
        "#/DUE Due must be a date, a local time, an instant or a local time with a zone; the task has no due date"
    ]


def test_quoted_text_is_short_and_printable():
    assert quote("a\n\x1b[31m\ud800é") == r"“a\n\x1b[31m\ud800é”"
    assert quote("x" * 100) == f"“{'x' * 50}”"
