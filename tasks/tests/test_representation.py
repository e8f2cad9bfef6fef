"""How a task looks in JSON, whichever endpoint shows it."""

import json
import re
from datetime import UTC, datetime

import pytest

from tasks.models import EARLIEST, LATEST, Task
from tasks.serializers import TaskSerializer
from tasks.tests.contract import JSON, path, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

FIELDS = ["id", "title", "description", "completed", "user_id", "created_at", "updated_at", "version"]

TITLES = [
    "Buy milk",
    'say "yes"',
    r"back\slash / solidus",
    "</script><!-- & -->",
    "Grüße, 世界, \N{PILE OF POO}",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
    "e\N{COMBINING ACUTE ACCENT}",
    "a\N{RIGHT-TO-LEFT OVERRIDE}b\N{BYTE ORDER MARK}c",
    "\ue000\uffff\U0010ffff",
    "%s {} $1 '; --",
    "null",
]
DESCRIPTIONS = [*TITLES, "", "  kept  ", "a\tb\nc\rd\r\n", "a\u2028b\u2029c", "[1,2]", "\N{PILE OF POO}" * 2000]

MOMENTS = [
    (datetime(2026, 1, 11, 9, 30, tzinfo=UTC), "2026-01-11T09:30:00.000000Z"),
    (datetime(2026, 1, 11, 9, 30, 0, 1, tzinfo=UTC), "2026-01-11T09:30:00.000001Z"),
    (datetime(2026, 1, 11, 9, 30, 0, 120_000, tzinfo=UTC), "2026-01-11T09:30:00.120000Z"),
    (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000000Z"),
    (datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2016-12-31T23:59:59.999999Z"),
    (datetime(1883, 11, 18, 17, tzinfo=UTC), "1883-11-18T17:00:00.000000Z"),
    (EARLIEST, "0001-01-01T00:00:00.000000Z"),
    (LATEST, "9999-12-31T23:59:59.999999Z"),
]


@pytest.fixture
def shown(as_user):
    """The bytes of a task, which are the same in the list and alone."""

    def show(task):
        alone = as_user.get(path(task)).content
        assert as_user.get("/api/tasks").getvalue() == b"[" + alone + b"]"
        return alone

    return show


def test_a_task_has_eight_fields_in_their_order(shown):
    assert list(json.loads(shown(TaskFactory()))) == FIELDS


def test_each_field_has_its_type(shown):
    body = json.loads(shown(TaskFactory()))
    assert {field: type(value) for field, value in body.items()} == {
        **dict.fromkeys(FIELDS, str),
        "completed": bool,
        "version": int,
    }


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_the_same_text_alone_and_in_the_list(shown, title):
    assert json.loads(shown(TaskFactory(title=title)))["title"] == title


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_description_is_the_same_text_alone_and_in_the_list(shown, description):
    assert json.loads(shown(TaskFactory(description=description)))["description"] == description


@pytest.mark.parametrize(("moment", "text"), MOMENTS)
def test_a_time_has_six_digits_and_a_z(shown, moment, text):
    body = json.loads(shown(TaskFactory(created_at=moment)))
    assert (body["created_at"], body["updated_at"]) == (text, text)


def test_a_time_of_another_zone_is_shown_in_utc(shown):
    moment = datetime.fromisoformat("2026-01-11T09:30:00+05:45")
    assert json.loads(shown(TaskFactory(created_at=moment)))["created_at"] == "2026-01-11T03:45:00.000000Z"


@pytest.mark.parametrize("completed", [True, False])
def test_completed_is_a_boolean(shown, completed):
    assert f'"completed":{str(completed).lower()},'.encode() in shown(TaskFactory(completed=completed))


def test_a_large_version_is_shown_to_the_last_digit(shown):
    task = TaskFactory(version=2**63 - 1)
    assert re.search(rb'"version":(\d+)\}$', shown(task))[1] == b"9223372036854775807"


def test_each_element_of_the_list_is_what_get_answers(as_user):
    tasks = [TaskFactory(title=title, description=text) for title, text in zip(TITLES, DESCRIPTIONS[5:], strict=False)]
    alone = [as_user.get(path(task)).content for task in reversed(tasks)]
    assert as_user.get("/api/tasks").getvalue() == b"[" + b",".join(alone) + b"]"


def test_every_write_answers_what_get_then_answers(as_user):
    body = {"title": TITLES[4], "description": DESCRIPTIONS[-2]}
    created = as_user.post("/api/tasks", body, content_type=JSON)
    where = created["Location"]
    assert as_user.get(where).content == created.content
    for write in (
        lambda: as_user.patch(where, {"description": DESCRIPTIONS[-3]}, content_type=JSON),
        lambda: as_user.patch(where, {}, content_type=JSON),
        lambda: as_user.generic("POST", f"{where}/toggle"),
    ):
        written = write()
        shown = as_user.get(where)
        assert shown.content == written.content
        assert shown["ETag"] == written["ETag"] == f'"{written.json()["version"]}"'


def test_a_deletion_answers_the_same_fields(as_user):
    response = as_user.delete(path(TaskFactory()))
    assert list(response.json()) == FIELDS
    assert response.json() == task_body(Task.objects.get())


def test_the_representation_is_what_the_declared_fields_make():
    """It is written out for speed; a field that is declared otherwise must not be forgotten there."""
    task = TaskFactory(
        description="Two\nlitres", completed=True, created_at=datetime(2026, 1, 11, 9, 30, 0, 123_456, tzinfo=UTC)
    )
    serializer = TaskSerializer(task)
    by_field = {name: field.to_representation(field.get_attribute(task)) for name, field in serializer.fields.items()}
    assert list(serializer.data.items()) == list(by_field.items())


def test_a_task_just_made_looks_like_a_task_that_was_read():
    made = TaskFactory(title=TITLES[4])
    assert TaskSerializer(made).data == TaskSerializer(Task.objects.get()).data
