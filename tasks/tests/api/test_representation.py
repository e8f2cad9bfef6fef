"""A task as JSON: the same text at every endpoint, from the serializer and in the OpenAPI document."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.db import connection
from drf_spectacular.generators import SchemaGenerator

from tasks.api.representation import representation
from tasks.api.serializers import TaskSerializer
from tasks.due import DUE_EXAMPLES
from tasks.models import Task
from tasks.rules import EARLIEST, LATEST
from tasks.tests.api.contract import (
    EXAMPLE,
    FIELDS,
    JSON,
    NULLABLE,
    READ_ONLY,
    ROUTES,
    TASK_REQUESTS,
    send,
    task_body,
    task_path,
    task_values,
    validator_of,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

TEXTS = [
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
TIMES = {
    "2026-01-11T09:30:00.000000Z": datetime(2026, 1, 11, 9, 30, tzinfo=UTC),
    "2026-01-11T09:30:00.000001Z": datetime(2026, 1, 11, 9, 30, 0, 1, tzinfo=UTC),
    "2026-01-11T09:30:00.120000Z": datetime(2026, 1, 11, 9, 30, 0, 120_000, tzinfo=UTC),
    "2026-01-11T03:45:00.000000Z": datetime(2026, 1, 11, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    "1970-01-01T00:00:00.000000Z": datetime(1970, 1, 1, tzinfo=UTC),
    "2016-12-31T23:59:59.999999Z": datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "1883-11-18T17:00:00.000000Z": datetime(1883, 11, 18, 17, tzinfo=UTC),
    "0001-01-01T00:00:00.000000Z": EARLIEST,
    "9999-12-31T23:59:59.999999Z": LATEST,
}
#: Labels that look like JSON, or whose order in bytes is not the order of code points.
LABELS = [
    [],
    ["home"],
    ["work", "home", "a", "Z"],
    [": true", ": true}", ":true", "}", "{}", "true", "null"],
    ["ä", "zz", "\N{PILE OF POO}", "\uffff", "abc", "ab"],
    ["it's", "a / b", "%s", "$1", "?", "\u202eab", "e\N{COMBINING ACUTE ACCENT}", "toString", "constructor"],
    [f"{number:050}" for number in range(20)],
    ["\N{PILE OF POO}" * 50, "x" * 50],
]
#: Values of each field that two renderers could show in two ways.
VALUES = {
    "id": [UUID("00000000-0000-7000-8000-000000000000"), UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")],
    "title": [*TEXTS, "\N{PILE OF POO}" * 200],
    "description": [
        *TEXTS,
        *("", "  kept  ", "a\tb\nc\rd\r\n", "a\u2028b\u2029c", "[1,2]", "\N{PILE OF POO}" * 2000),
        *('\t"\\\n\\"\r', "\\u0041", "\u00a0\u200b\ufeff", "x" * 2000),
    ],
    "completed": [True, False],
    "due": [None, *DUE_EXAMPLES, "0001-01-01", "9999-12-31T23:59:59Z", "2026-12-24T18:00:00[Etc/GMT+5]"],
    "priority": [0, 1, 2, 3],
    "labels": [frozenset(names) for names in LABELS],
    "user_id": ["default", 'a"b\\c', "a\u2028b", "\N{PILE OF POO}" * 255, "x" * 255],
    "created_at": list(TIMES.values()),
    "updated_at": list(TIMES.values()),
    "completed_at": [None, *TIMES.values()],
    "version": [1, 2**31, 2**53 + 1, 2**63 - 1],
}


each_value = pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field in FIELDS for value in VALUES[field]],
    ids=lambda value: ascii(sorted(value) if isinstance(value, frozenset) else value)[:40],
)


@pytest.fixture
def task_with():
    """Return a function that makes a task with one given value, and with times that no constraint refuses."""

    def make(field, value):
        completed = field == "completed_at" and value is not None
        TaskFactory(**{"created_at": EARLIEST, "updated_at": LATEST, "completed": completed, field: value})
        return Task.objects.get()

    return make


def render(task):
    """Return the JSON that the database renders, which is the same text for one row and for many."""
    expressions = representation(), representation(many_rows=True)
    [(text, of_many)] = Task.objects.filter(id=task.id).values_list(*expressions)
    assert of_many == text
    return text


def compact(body):
    """Return JSON that escapes only what RFC 8259 requires, without white space."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


@each_value
def test_database_renders_value_as_compact_json(task_with, field, value):
    task = task_with(field, value)
    assert render(task) == compact(task_body(task))


@each_value
def test_serializer_shows_value_as_database_does(task_with, field, value):
    task = task_with(field, value)
    assert list(TaskSerializer(task).data.items()) == list(json.loads(render(task)).items())


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has one function for all versions")
@each_value
def test_postgresql_before_17_renders_same_text(task_with, field, value, monkeypatch):
    task = task_with(field, value)
    statements = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (statements.append(sql), execute(sql, *rest))[1]):
        text = render(task)
        newer = connection.pg_version >= 170_000
        monkeypatch.setattr(connection, "pg_version", 160_000)
        assert render(task) == text
    assert ["JSON_SCALAR" in sql for sql in statements] == [newer, False]


@pytest.mark.parametrize(("text", "time"), TIMES.items())
def test_time_has_six_digits_and_z(as_user, text, time):
    body = as_user.get(task_path(TaskFactory(created_at=time))).json()
    assert (body["created_at"], body["updated_at"]) == (text, text)


# One text at every endpoint


@pytest.mark.parametrize("title", TEXTS, ids=ascii)
def test_element_of_list_equals_response_with_one_task(as_user, title):
    alone = as_user.get(task_path(TaskFactory(title=title, description=title))).content
    assert as_user.get("/api/tasks").getvalue() == b"[" + alone + b"]"
    assert as_user.get("/api/tasks?limit=1").content == b"[" + alone + b"]"


def test_list_is_its_tasks_joined_by_commas(as_user):
    tasks = [TaskFactory(title=title, description=title) for title in TEXTS]
    alone = [as_user.get(task_path(task)).content for task in reversed(tasks)]
    assert as_user.get("/api/tasks").getvalue() == b"[" + b",".join(alone) + b"]"


@pytest.mark.parametrize("name", [name for name in TASK_REQUESTS if name != "remove"])
def test_response_to_request_equals_next_get(as_user, name):
    route = TASK_REQUESTS[name]
    task = TaskFactory(title=TEXTS[4], description=TEXTS[3], trashed=route.trashed)
    response = send(as_user, route, task)
    now_trashed = name in {"delete", "retrieve-trashed"}
    shown = send(as_user, ROUTES["retrieve-trashed" if now_trashed else "retrieve"], task)
    assert shown.content == response.content
    assert shown["ETag"] == response["ETag"] == f'"{response.json()["version"]}"'


def test_response_to_creation_equals_next_get(as_user):
    created = as_user.post("/api/tasks", {"title": TEXTS[4], "description": "a\u2028b\u2029c"}, content_type=JSON)
    shown = as_user.get(created["Location"])
    assert (shown.content, shown["ETag"]) == (created.content, created["ETag"])


# The OpenAPI document


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(public=True)


def test_openapi_document_has_each_field(document):
    schema = document["components"]["schemas"]["Task"]
    assert schema["required"] == list(schema["properties"]) == FIELDS


def refused_fields(document, schema, value):
    """Return the fields that the schema refuses with this value in a task."""
    validator = validator_of(document, {"$ref": f"#/components/schemas/{schema}"})
    return {field for field in FIELDS if not validator.is_valid({**EXAMPLE, field: value})}


def test_openapi_document_has_types_of_fields(document):
    assert refused_fields(document, "Task", 1) == set(FIELDS) - {"version"}
    assert refused_fields(document, "Task", True) == set(FIELDS) - {"completed"}
    assert refused_fields(document, "Task", {}) == set(FIELDS) - {"labels"}
    assert refused_fields(document, "Task", []) == set(FIELDS)
    assert refused_fields(document, "Task", None) == set(FIELDS) - NULLABLE


@pytest.mark.parametrize("schema", ["TaskRequest", "TaskPatch"])
def test_openapi_document_ignores_read_only_fields(document, schema):
    assert refused_fields(document, schema, {"any": 1}) == set(FIELDS) - set(READ_ONLY)
    assert not validator_of(document, {"$ref": f"#/components/schemas/{schema}"}).is_valid({**EXAMPLE, "unknown": 1})


def test_openapi_example_is_task_as_database_renders_it(document):
    shown = document["paths"]["/api/tasks/{id}"]["get"]["responses"]["200"]["content"][JSON]
    [example] = shown["examples"].values()
    assert render(TaskFactory(**task_values(example["value"]))) == compact(example["value"])
