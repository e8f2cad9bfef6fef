"""``POST /api/tasks``."""

import json
import unicodedata
from uuid import UUID

import pytest
from django.utils import timezone

from tasks.models import DESCRIPTION_MESSAGES, TITLE_MESSAGES, Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    MERGE_PATCH,
    headers,
    json_headers,
    moment,
    path,
    problem,
    problem_headers,
    task_body,
)
from tasks.tests.factories import SOMEBODY_ELSE

pytestmark = pytest.mark.django_db

PATH = "/api/tasks"

BLANKS = [
    "",
    " ",
    "\t\r\n",
    "\0",
    "\x1f",
    "\x7f",
    "\x85",
    "\u00a0\u3000",
    "\u2028",
    "\u200b\u00ad",
    "\ufeff",
    "\U000e0041",
]
BREAKING = ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]


def refused(response, *faults):
    """Whether a body was refused for exactly these faults, in their order: ``(pointer, code, detail)``."""
    errors = [dict(zip(("pointer", "code", "detail"), fault, strict=True)) for fault in faults]
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", PATH, errors=errors)
    assert not Task.objects.exists()
    return True


def test_a_title_is_enough(as_user):
    before = timezone.now()
    response = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON)
    after = timezone.now()
    task = Task.objects.get()
    assert response.status_code == 201
    assert headers(response) == json_headers(ETag='"1"', Location=path(task))
    assert response.json() == {
        "id": str(task.id),
        "title": "Buy milk",
        "description": "",
        "completed": False,
        "user_id": "default",
        "created_at": moment(task.created_at),
        "updated_at": moment(task.created_at),
        "version": 1,
    }
    assert before <= task.created_at <= after


def test_every_field_may_be_sent(as_user):
    body = {"title": "Buy milk", "description": "Two litres\n\tor three", "completed": True}
    response = as_user.post(PATH, body, content_type=JSON)
    task = Task.objects.get()
    assert response.status_code == 201
    assert response.json() == task_body(task)
    assert (task.title, task.description, task.completed) == tuple(body.values())


def test_the_id_is_a_uuid_of_version_7(as_user):
    task_id = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON).json()["id"]
    assert UUID(task_id).version == 7
    assert task_id == str(UUID(task_id))


def test_location_leads_to_the_task(as_user):
    created = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON)
    shown = as_user.get(created["Location"])
    assert shown.status_code == 200
    assert shown.content == created.content
    assert shown["ETag"] == created["ETag"]


def test_a_slash_at_the_end_makes_no_difference(as_user):
    response = as_user.post(f"{PATH}/", {"title": "Buy milk"}, content_type=JSON)
    task = Task.objects.get()
    assert response.status_code == 201
    assert headers(response) == json_headers(ETag='"1"', Location=path(task))
    assert response.json() == task_body(task)


def test_the_same_task_may_be_created_twice(as_user):
    ids = {as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON).json()["id"] for _ in range(2)}
    assert ids == {str(task.id) for task in Task.objects.all()}
    assert len(ids) == 2


@pytest.mark.parametrize("space", ["  ", "\t", "\r\n", "\x85", "\u00a0", "\u2028", "\u2029", "\u3000"])
def test_white_space_around_a_title_is_trimmed(as_user, space):
    response = as_user.post(PATH, {"title": f"{space}Buy  milk{space}"}, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["title"] == "Buy  milk"
    assert Task.objects.get().title == "Buy  milk"


@pytest.mark.parametrize(
    "title",
    [
        "x",
        "x" * 200,
        "\N{PILE OF POO}" * 200,
        f"  {'x' * 200}  ",
        "\"\\/<script>%s{}'; --",
        "\N{ZERO WIDTH JOINER}x\N{RIGHT-TO-LEFT OVERRIDE}",
        "\N{BYTE ORDER MARK}x",
        "\N{COMBINING ACUTE ACCENT}",
        unicodedata.normalize("NFD", "é"),
        "\U0010ffff",
    ],
)
def test_a_title_of_1_to_200_characters_is_taken(as_user, title):
    response = as_user.post(PATH, {"title": title}, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["title"] == title.strip()
    assert Task.objects.get().title == title.strip()


@pytest.mark.parametrize(
    "description",
    [
        "",
        " kept as it is \n",
        "a\r\n\tb\nc\rd",
        "x" * 2000,
        "\N{PILE OF POO}" * 2000,
        "\u200b",
        "\u2028\u2029",
        "\N{BYTE ORDER MARK}",
        '"\\/</script>',
    ],
)
def test_a_description_is_kept_as_sent(as_user, description):
    response = as_user.post(PATH, {"title": "Buy milk", "description": description}, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["description"] == description
    assert Task.objects.get().description == description


def test_a_description_of_null_is_an_empty_one(as_user):
    response = as_user.post(PATH, {"title": "Buy milk", "description": None}, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["description"] == ""


def test_what_was_read_may_be_sent_back(as_user):
    read = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON).json()
    response = as_user.post(PATH, read, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["id"] != read["id"]
    assert Task.objects.count() == 2


def test_read_only_fields_are_ignored(as_user):
    read_only = {
        "id": "01890000-0000-7000-8000-000000000000",
        "user_id": SOMEBODY_ELSE,
        "created_at": "1999-12-31T23:59:59Z",
        "updated_at": ["neither", "a", "time"],
        "version": "many",
    }
    response = as_user.post(PATH, {"title": "Buy milk", **read_only}, content_type=JSON)
    task = Task.objects.get()
    assert response.status_code == 201
    assert response.json() == task_body(task)
    assert str(task.id) != read_only["id"]
    assert task.created_at.year != 1999
    assert (task.user_id, task.version) == ("default", 1)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON",
        "application/json; profile=x",
    ],
)
def test_json_in_utf_8_is_taken(as_user, content_type):
    response = as_user.generic("POST", PATH, '{"title": "Grüße"}'.encode(), content_type=content_type)
    assert response.status_code == 201
    assert response.json()["title"] == "Grüße"


def test_an_escaped_pair_of_surrogates_is_one_character(as_user):
    response = as_user.generic("POST", PATH, rb'{"title": "\ud83d\ude00"}', content_type=JSON)
    assert response.status_code == 201
    assert response.json()["title"] == "\N{GRINNING FACE}"


def test_a_body_of_64_kib_is_taken(as_user):
    body = b'{"title": "Buy milk"}'.ljust(MAX_BODY_BYTES)
    response = as_user.generic("POST", PATH, body, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["title"] == "Buy milk"


def test_a_body_nested_32_levels_is_read(as_user):
    nested = f'{{"title": "Buy milk", "version": {"[" * 31}{"]" * 31}}}'
    response = as_user.generic("POST", PATH, nested, content_type=JSON)
    assert response.status_code == 201
    assert response.json()["title"] == "Buy milk"


def test_if_match_of_any_version_does_not_stop_a_creation(as_user):
    response = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON, headers={"If-Match": "*"})
    assert response.status_code == 201


def test_a_missing_title_is_refused(as_user):
    response = as_user.post(PATH, {"description": "Two litres"}, content_type=JSON)
    assert refused(response, ("#/title", "required", "Title is required"))


@pytest.mark.parametrize("title", BLANKS)
def test_a_blank_title_is_refused(as_user, title):
    response = as_user.post(PATH, {"title": title}, content_type=JSON)
    assert refused(response, ("#/title", "blank", "Title must not be blank"))


@pytest.mark.parametrize("title", ["x" * 201, "\N{PILE OF POO}" * 201, "x" * 60_000])
def test_a_title_of_more_than_200_characters_is_refused(as_user, title):
    response = as_user.post(PATH, json.dumps({"title": title}, ensure_ascii=False), content_type=JSON)
    assert refused(response, ("#/title", "max_length", "Title exceeds maximum length of 200 characters"))


@pytest.mark.parametrize("title", [None, 1, 1.5, True, [], ["Buy milk"], {"title": "Buy milk"}])
def test_a_title_that_is_no_string_is_refused(as_user, title):
    response = as_user.post(PATH, {"title": title}, content_type=JSON)
    code = "null" if title is None else "invalid"
    assert refused(response, ("#/title", code, TITLE_MESSAGES[code]))


@pytest.mark.parametrize("character", BREAKING)
def test_a_character_that_breaks_the_line_is_refused_inside_a_title(as_user, character):
    response = as_user.post(PATH, {"title": f"Buy{character}milk"}, content_type=JSON)
    assert refused(response, ("#/title", "forbidden_character", TITLE_MESSAGES["forbidden_character"]))


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\ude00\ud83d", r"x\ud83d"])
def test_a_lone_surrogate_is_refused_in_a_title(as_user, escape):
    response = as_user.generic("POST", PATH, f'{{"title": "{escape}"}}', content_type=JSON)
    assert refused(response, ("#/title", "forbidden_character", TITLE_MESSAGES["forbidden_character"]))


def test_a_description_of_more_than_2000_characters_is_refused(as_user):
    response = as_user.post(PATH, {"title": "Buy milk", "description": "x" * 2001}, content_type=JSON)
    message = "Description exceeds maximum length of 2000 characters"
    assert refused(response, ("#/description", "max_length", message))


@pytest.mark.parametrize("description", [0, 2.5, False, [], {}])
def test_a_description_that_is_no_string_is_refused(as_user, description):
    response = as_user.post(PATH, {"title": "Buy milk", "description": description}, content_type=JSON)
    assert refused(response, ("#/description", "invalid", DESCRIPTION_MESSAGES["invalid"]))


@pytest.mark.parametrize("character", ["\0", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\x9f"])
def test_a_control_character_is_refused_in_a_description(as_user, character):
    response = as_user.post(PATH, {"title": "Buy milk", "description": character}, content_type=JSON)
    message = DESCRIPTION_MESSAGES["forbidden_character"]
    assert refused(response, ("#/description", "forbidden_character", message))


def test_a_lone_surrogate_is_refused_in_a_description(as_user):
    response = as_user.generic("POST", PATH, rb'{"title": "x", "description": "\udc00"}', content_type=JSON)
    message = DESCRIPTION_MESSAGES["forbidden_character"]
    assert refused(response, ("#/description", "forbidden_character", message))


@pytest.mark.parametrize("completed", [None, "yes", "true", "", 0, 1, 1.0, [], {}])
def test_completed_must_be_true_or_false(as_user, completed):
    response = as_user.post(PATH, {"title": "Buy milk", "completed": completed}, content_type=JSON)
    code = "null" if completed is None else "invalid"
    assert refused(response, ("#/completed", code, "Completed must be true or false"))


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ("deleted_at", "#/deleted_at"),
        ("Title", "#/Title"),
        ("", "#/"),
        ("a/b~c", "#/a~1b~0c"),
        ("ü %", "#/%C3%BC%20%25"),
    ],
)
def test_an_unknown_field_is_named(as_user, field, pointer):
    response = as_user.post(PATH, {"title": "Buy milk", field: 1}, content_type=JSON)
    assert refused(response, (pointer, "unknown_field", "This field is unknown"))


def test_every_fault_is_named_and_the_first_one_told(as_user):
    body = {"colour": "red", "completed": "yes", "description": "x" * 2001, "title": " "}
    assert refused(
        as_user.post(PATH, body, content_type=JSON),
        ("#/title", "blank", "Title must not be blank"),
        ("#/description", "max_length", "Description exceeds maximum length of 2000 characters"),
        ("#/completed", "invalid", "Completed must be true or false"),
        ("#/colour", "unknown_field", "This field is unknown"),
    )


@pytest.mark.parametrize("body", ["null", "true", "0", '"title"', "[]", '[{"title": "Buy milk"}]'])
def test_a_body_that_is_no_object_is_refused(as_user, body):
    response = as_user.generic("POST", PATH, body, content_type=JSON)
    assert refused(response, ("#", "not_an_object", "The body must be a JSON object"))


def test_a_repeated_key_is_a_parse_error_that_names_it(as_user):
    response = as_user.generic("POST", PATH, b'{"title": "a", "title": "a"}', content_type=JSON)
    fault = {"pointer": "#/title", "code": "repeated_key", "detail": "A key stands more than once"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("parse_error", PATH, errors=[fault])
    assert not Task.objects.exists()


def test_a_body_that_is_no_json_is_refused(as_user):
    response = as_user.generic("POST", PATH, b"{title: Buy milk}", content_type=JSON)
    detail = "The body is not valid JSON: line 1, column 2"
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("parse_error", PATH, detail=detail)
    assert not Task.objects.exists()


def test_a_body_of_more_than_64_kib_is_refused(as_user):
    body = b'{"title": "Buy milk"}'.ljust(MAX_BODY_BYTES + 1)
    response = as_user.generic("POST", PATH, body, content_type=JSON)
    assert response.status_code == 413
    assert headers(response) == problem_headers()
    assert response.json() == problem("payload_too_large", PATH)
    assert not Task.objects.exists()


@pytest.mark.parametrize("content_type", ["text/plain", MERGE_PATCH, "application/json; charset=latin-1"])
def test_another_media_type_is_refused(as_user, content_type):
    response = as_user.generic("POST", PATH, b'{"title": "Buy milk"}', content_type=content_type)
    assert response.status_code == 415
    assert headers(response) == problem_headers()
    assert response.json() == problem("unsupported_media_type", PATH)
    assert not Task.objects.exists()


def test_a_parameter_is_refused(as_user):
    response = as_user.post(PATH, {"title": "Buy milk"}, content_type=JSON, query_params={"title": "x"})
    fault = {"parameter": "title", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", PATH, errors=[fault])
    assert not Task.objects.exists()
