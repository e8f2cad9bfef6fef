"""``POST /api/tasks``."""

import unicodedata
from uuid import UUID

import pytest
from django.utils import timezone

from tasks.api.serializers import NEW_TASK
from tasks.models import Task
from tasks.tests.api.contract import DEFAULTS, JSON, MAX_BODY_BYTES, READ_ONLY, rfc_3339, task_body

pytestmark = pytest.mark.django_db


@pytest.fixture
def create(as_user):
    """Create a task, and return the JSON of the response."""

    def post(body):
        response = as_user.post("/api/tasks", body, content_type=JSON)
        assert response.status_code == 201
        return response.json()

    return post


def test_creation_with_title_alone_has_defaults(create):
    before = timezone.now()
    body = create({"title": "Buy milk"})
    task = Task.objects.get()
    assert body == {
        **task_body(task),
        **DEFAULTS,
        "title": "Buy milk",
        "user_id": "default",
        "created_at": rfc_3339(task.created_at),
        "updated_at": rfc_3339(task.created_at),
        "version": 1,
    }
    assert before <= task.created_at <= timezone.now()


def test_creation_with_every_field_stores_all(create):
    sent = {
        "title": "Buy milk",
        "description": "Two litres\n\tor three",
        "completed": True,
        "due": "2026-12-24",
        "priority": "low",
        "labels": {"home": True, "work": True},
    }
    assert sent.keys() == {"title"} | DEFAULTS.keys()
    body = create(sent)
    assert body == {**task_body(Task.objects.get()), **sent}
    assert body["completed_at"] == body["updated_at"] == body["created_at"]


def test_creation_makes_uuid_of_version_7(create):
    task_id = create({"title": "Buy milk"})["id"]
    assert (UUID(task_id).version, str(UUID(task_id))) == (7, task_id)


def test_creation_sent_twice_makes_two_tasks(create):
    ids = {create({"title": "Buy milk"})["id"] for _ in range(2)}
    assert len(ids) == 2
    assert ids == {str(task.id) for task in Task.objects.all()}


def test_creation_with_body_of_other_task_makes_new_one(create):
    first = create({"title": "Buy milk", "completed": True})
    second = create(first)
    assert second["id"] != first["id"]
    assert [task_body(task) for task in Task.objects.all()] == [second, first]


def test_creation_ignores_read_only_fields(create):
    body = create({"title": "Buy milk", **READ_ONLY})
    assert body == task_body(Task.objects.get())
    assert {name for name in READ_ONLY if body[name] == READ_ONLY[name]} == set()
    assert (body["user_id"], body["version"]) == ("default", 1)


def test_serializer_has_no_checks_apart_from_fields():
    """``TaskSerializer.run_validation`` runs none of these."""
    assert NEW_TASK.validators == []
    assert NEW_TASK.validate({}) == {}
    assert [name for name in dir(NEW_TASK) if name.removeprefix("validate_") in NEW_TASK.fields.keys() - {name}] == []
    assert [field.source for field in NEW_TASK.fields.values()] == list(NEW_TASK.fields)


@pytest.mark.parametrize("space", ["  ", "\t", "\r\n", "\x85", "\u00a0", "\u2028", "\u2029", "\u3000"])
def test_title_with_white_space_around_is_trimmed(create, space):
    assert create({"title": f"{space}Buy  milk{space}"})["title"] == "Buy  milk"
    assert Task.objects.get().title == "Buy  milk"


TITLES = {
    "one character": "x",
    "200 characters": "x" * 200,
    "200 emoji": "\N{PILE OF POO}" * 200,
    "200 characters and spaces": f"  {'x' * 200}  ",
    "punctuation": "\"\\/<script>%s{}'; --",
    "joiners": "\N{ZERO WIDTH JOINER}x\N{RIGHT-TO-LEFT OVERRIDE}",
    "byte order mark": "\N{BYTE ORDER MARK}x",
    "combining accent": "\N{COMBINING ACUTE ACCENT}",
    "decomposed": unicodedata.normalize("NFD", "é"),
    "last code point": "\U0010ffff",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_title_of_1_to_200_characters_is_stored(create, title):
    assert create({"title": title})["title"] == title.strip()
    assert Task.objects.get().title == title.strip()


DESCRIPTIONS = {
    "empty": "",
    "spaces around": " kept as it is \n",
    "line breaks": "a\r\n\tb\nc\rd",
    "2000 characters": "x" * 2000,
    "2000 emoji": "\N{PILE OF POO}" * 2000,
    "zero width": "\u200b",
    "line separators": "\u2028\u2029",
    "byte order mark": "\N{BYTE ORDER MARK}",
    "punctuation": '"\\/</script>',
}


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_description_is_stored_as_sent(create, description):
    assert create({"title": "Buy milk", "description": description})["description"] == description
    assert Task.objects.get().description == description


def test_description_of_null_becomes_empty(create):
    assert create({"title": "Buy milk", "description": None})["description"] == ""


def test_title_with_escaped_surrogate_pair_is_one_character(create):
    assert create(rb'{"title": "\ud83d\ude00"}')["title"] == "\N{GRINNING FACE}"


def test_body_of_64_kib_is_read(create):
    assert create(b'{"title": "Buy milk"}'.ljust(MAX_BODY_BYTES))["title"] == "Buy milk"


def test_body_nested_32_levels_is_read(create):
    assert create(f'{{"title": "Buy milk", "version": {"[" * 31}{"]" * 31}}}')["title"] == "Buy milk"
