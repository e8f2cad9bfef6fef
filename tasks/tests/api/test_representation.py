"""How a task looks in JSON, whichever endpoint shows it."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from drf_spectacular.generators import SchemaGenerator

from tasks.api.representation import representation
from tasks.api.serializers import TaskSerializer
from tasks.models import Task
from tasks.rules import EARLIEST, LATEST
from tasks.tests.api.contract import JSON, path, task_body
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


# One definition of what a task looks like: the JSON that the database makes, the serializer and the OpenAPI document.


#: Values of each field that are easily shown in two ways.
VALUES = {
    "id": [UUID("00000000-0000-7000-8000-000000000000"), UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")],
    "title": [*TITLES, "\N{PILE OF POO}" * 200],
    "description": [*DESCRIPTIONS, '\t"\\\n\\"\r', "\\u0041", "\u00a0\u200b\ufeff", "x" * 2000],
    "completed": [True, False],
    "user_id": ["default", 'a"b\\c', "a\u2028b", "\N{PILE OF POO}" * 255, "x" * 255],
    "created_at": [moment for moment, _ in MOMENTS],
    "updated_at": [moment for moment, _ in MOMENTS if moment > EARLIEST],
    "version": [1, 2**31, 2**53 + 1, 2**63 - 1],
}
EACH_VALUE = [(field, value) for field, values in VALUES.items() for value in values]


def made_by_the_database(task):
    [(text,)] = Task.objects.filter(id=task.id).values_list(representation())
    return text


@pytest.mark.parametrize(("field", "value"), EACH_VALUE, ids=lambda value: ascii(value)[:40])
def test_the_database_shows_each_value_as_the_serializer_does(field, value):
    if field == "updated_at":
        task = TaskFactory(created_at=EARLIEST, updated_at=value)
    else:
        task = TaskFactory(**{field: value})
    in_json = json.loads(made_by_the_database(task))
    by_serializer = TaskSerializer(Task.objects.get()).data
    assert (field, in_json[field]) == (field, by_serializer[field])
    assert list(in_json.items()) == list(by_serializer.items())
    assert in_json == task_body(task)


@pytest.mark.parametrize(("field", "value"), EACH_VALUE, ids=lambda value: ascii(value)[:40])
def test_both_databases_make_the_same_text(field, value):
    """Escaped where RFC 8259 asks for it, and nowhere else; nothing between the members."""
    task = TaskFactory(**{"created_at": EARLIEST, "updated_at": LATEST, field: value})
    text = json.dumps(task_body(task), ensure_ascii=False, separators=(",", ":"))
    assert made_by_the_database(task) == text


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite's function has always been there")
@pytest.mark.parametrize(("field", "value"), EACH_VALUE, ids=lambda value: ascii(value)[:40])
def test_so_does_a_postgresql_before_17(field, value, monkeypatch):
    task = TaskFactory(**{"created_at": EARLIEST, "updated_at": LATEST, field: value})
    statements = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (statements.append(sql), execute(sql, *rest))[1]):
        text = made_by_the_database(task)
        newer = connection.pg_version >= 170_000
        monkeypatch.setattr(connection, "pg_version", 160_000)
        assert made_by_the_database(task) == text
    assert ["JSON_SCALAR" in sql for sql in statements] == [newer, False]


def test_all_three_name_the_same_fields_in_the_same_order():
    schema = SchemaGenerator().get_schema(public=True)["components"]["schemas"]["Task"]
    in_json = json.loads(made_by_the_database(TaskFactory()))
    assert list(Task.PUBLIC_FIELDS) == FIELDS
    assert list(in_json) == FIELDS
    assert list(TaskSerializer().fields) == FIELDS
    assert list(schema["properties"]) == FIELDS
    assert schema["required"] == FIELDS


def test_the_openapi_document_gives_each_field_the_type_that_is_shown():
    schema = SchemaGenerator().get_schema(public=True)["components"]["schemas"]["Task"]
    in_json = json.loads(made_by_the_database(TaskFactory()))
    names = {str: "string", bool: "boolean", int: "integer"}
    assert {field: shape["type"] for field, shape in schema["properties"].items()} == {
        field: names[type(value)] for field, value in in_json.items()
    }


def test_the_example_of_the_openapi_document_is_a_task_as_it_is_shown():
    document = SchemaGenerator().get_schema(public=True)
    shown = document["paths"]["/api/tasks/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
    [example] = shown["examples"].values()
    moments = {field: datetime.fromisoformat(example["value"][field]) for field in ("created_at", "updated_at")}
    task = TaskFactory(**{**example["value"], **moments})
    in_json = made_by_the_database(task)
    assert list(json.loads(in_json).items()) == list(example["value"].items())


def test_a_task_just_made_looks_like_a_task_that_was_read():
    made = TaskFactory(title=TITLES[4])
    assert TaskSerializer(made).data == TaskSerializer(Task.objects.get()).data
