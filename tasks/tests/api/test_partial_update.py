"""``PATCH /api/tasks/{id}``."""

from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from tasks.models import DESCRIPTION_MESSAGES, TITLE_MESSAGES, Task
from tasks.tests.api import contract
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    MERGE_PATCH,
    headers,
    json_headers,
    path,
    problem,
    problem_headers,
    task_body,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description="Two litres", created_at=datetime(2026, 1, 11, tzinfo=UTC))


@pytest.mark.parametrize(
    ("field", "value"), [("title", "Buy bread"), ("description", "Rye\n"), ("description", ""), ("completed", True)]
)
def test_changes_the_field_that_is_sent_and_no_other(as_user, task, field, value):
    response = as_user.patch(path(task), {field: value}, content_type=JSON)
    changed = Task.objects.get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(changed)
    assert task_body(changed) == {
        **task_body(task),
        field: value,
        "version": 2,
        "updated_at": contract.moment(changed.updated_at),
    }
    assert changed.updated_at > task.updated_at


def test_several_fields_are_one_write(as_user, task):
    body = {"title": "Buy bread", "description": "Rye", "completed": True}
    response = as_user.patch(path(task), body, content_type=JSON)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert {**response.json(), **body} == response.json() == task_body(Task.objects.get())


def test_a_merge_patch_is_taken(as_user, task):
    response = as_user.patch(path(task), {"title": "Buy bread", "description": None}, content_type=MERGE_PATCH)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert (response.json()["title"], response.json()["description"]) == ("Buy bread", "")
    assert response.json() == task_body(Task.objects.get())


def test_a_title_is_trimmed(as_user, task):
    response = as_user.patch(path(task), {"title": "\u3000 Buy bread\n"}, content_type=JSON)
    assert response.status_code == 200
    assert response.json()["title"] == Task.objects.get().title == "Buy bread"


def test_a_slash_at_the_end_makes_no_difference(as_user, task):
    response = as_user.patch(f"{path(task)}/", {"completed": True}, content_type=JSON)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH])
def test_an_empty_object_changes_nothing(as_user, task, stored, content_type):
    before = stored()
    response = as_user.patch(path(task), {}, content_type=content_type)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
    assert stored() == before


def test_read_only_fields_alone_change_nothing(as_user, task, stored):
    before = stored()
    body = {"id": str(uuid7()), "user_id": "me", "created_at": None, "updated_at": "1999", "version": 7}
    response = as_user.patch(path(task), body, content_type=JSON)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
    assert stored() == before


def test_the_same_values_again_are_a_write(as_user, task):
    response = as_user.patch(path(task), task_body(task), content_type=JSON)
    written = Task.objects.get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(written)
    assert written.updated_at > task.updated_at


def test_other_tasks_stay_as_they_are(as_user, task, stored):
    TaskFactory()
    TaskFactory(foreign=True)
    TaskFactory(trashed=True)
    others = [row for row in stored() if row["id"] != task.id]
    as_user.patch(path(task), {"title": "Buy bread"}, content_type=JSON)
    assert [row for row in stored() if row["id"] != task.id] == others


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*", ' ,"1",, ', 'W/"7", "1"'])
def test_a_matching_version_is_written(as_user, task, tags):
    response = as_user.patch(path(task), {"title": "Buy bread"}, content_type=JSON, headers={"If-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize(
    "tags", ['"2"', 'W/"1"', '"01"', '"+1"', '"1.0"', '""', '"*"', '"W/1"', '"99999999999999999999"']
)
@pytest.mark.parametrize("body", [{"title": "Buy bread"}, {}, {"version": 1}], ids=["change", "empty", "read-only"])
def test_another_version_is_not_written(as_user, task, stored, tags, body):
    before = stored()
    response = as_user.patch(path(task), body, content_type=JSON, headers={"If-Match": tags})
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", path(task))
    assert stored() == before


def test_the_version_that_was_changed_is_not_written_twice(as_user, task):
    first, second = (
        as_user.patch(path(task), {"title": title}, content_type=JSON, headers={"If-Match": '"1"'})
        for title in ("Buy bread", "Buy cheese")
    )
    assert (first.status_code, second.status_code) == (200, 412)
    assert headers(second) == problem_headers(ETag='"2"')
    assert as_user.get(path(task)).content == first.content


def test_if_none_match_does_not_stop_a_write(as_user, task):
    response = as_user.patch(path(task), {"title": "x"}, content_type=JSON, headers={"If-None-Match": '"1"'})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')


@pytest.mark.parametrize(
    ("body", "pointer", "code", "detail"),
    [
        ({"title": None}, "#/title", "null", TITLE_MESSAGES["null"]),
        ({"title": 1}, "#/title", "invalid", TITLE_MESSAGES["invalid"]),
        ({"title": " \u200b"}, "#/title", "blank", "Title must not be blank"),
        ({"title": "x" * 201}, "#/title", "max_length", "Title exceeds maximum length of 200 characters"),
        ({"title": "a\nb"}, "#/title", "forbidden_character", TITLE_MESSAGES["forbidden_character"]),
        ({"description": 1}, "#/description", "invalid", DESCRIPTION_MESSAGES["invalid"]),
        (
            {"description": "x" * 2001},
            "#/description",
            "max_length",
            "Description exceeds maximum length of 2000 characters",
        ),
        ({"description": "\0"}, "#/description", "forbidden_character", DESCRIPTION_MESSAGES["forbidden_character"]),
        ({"completed": None}, "#/completed", "null", "Completed must be true or false"),
        ({"completed": "true"}, "#/completed", "invalid", "Completed must be true or false"),
        ({"completed": 1}, "#/completed", "invalid", "Completed must be true or false"),
        ({"deleted_at": None}, "#/deleted_at", "unknown_field", "This field is unknown"),
        ([], "#", "not_an_object", "The body must be a JSON object"),
        (None, "#", "not_an_object", "The body must be a JSON object"),
    ],
)
def test_a_fault_is_named_and_nothing_is_written(as_user, task, stored, body, pointer, code, detail):
    before = stored()
    sent = "null" if body is None else body
    response = as_user.patch(path(task), sent, content_type=JSON)
    errors = [{"pointer": pointer, "code": code, "detail": detail}]
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=errors)
    assert stored() == before


def test_one_fault_spoils_the_whole_patch(as_user, task, stored):
    before = stored()
    body = {"title": "Buy bread", "completed": "yes", "colour": "red"}
    response = as_user.patch(path(task), body, content_type=JSON)
    assert response.status_code == 400
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["#/completed", "#/colour"]
    assert stored() == before


@pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH])
def test_an_empty_body_is_refused(as_user, task, stored, content_type):
    before = stored()
    response = as_user.patch(path(task), b"", content_type=content_type, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem(
        "parse_error", path(task), detail="The body is empty, and a JSON object is needed"
    )
    assert stored() == before


def test_a_body_of_more_than_64_kib_is_refused(as_user, task, stored):
    before = stored()
    body = b'{"title": "Buy bread"}'.ljust(MAX_BODY_BYTES + 1)
    response = as_user.patch(path(task), body, content_type=JSON)
    assert response.status_code == 413
    assert headers(response) == problem_headers()
    assert response.json() == problem("payload_too_large", path(task))
    assert stored() == before


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json-patch+json", f"{MERGE_PATCH}; charset=latin-1"]
)
def test_another_media_type_is_refused(as_user, task, stored, content_type):
    before = stored()
    response = as_user.generic("PATCH", path(task), b'{"title": "Buy bread"}', content_type=content_type)
    assert response.status_code == 415
    assert headers(response) == problem_headers()
    assert response.json() == problem("unsupported_media_type", path(task))
    assert stored() == before


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_a_malformed_precondition_is_refused(as_user, task, stored, header):
    before = stored()
    response = as_user.patch(path(task), {"title": "Buy bread"}, content_type=JSON, headers={header: '"1'})
    fault = {"header": header, "code": "malformed", "detail": f"{header} must be * or a list of quoted entity tags"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])
    assert stored() == before


def test_a_parameter_is_refused(as_user, task, stored):
    before = stored()
    response = as_user.patch(path(task), {"completed": True}, content_type=JSON, query_params={"completed": "true"})
    fault = {"parameter": "completed", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])
    assert stored() == before


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
@pytest.mark.parametrize("body", [{"title": "Buy bread"}, {}], ids=["change", "empty"])
@pytest.mark.parametrize("trashed", [True, False])
def test_a_task_that_is_not_there_is_not_found(as_user, stored, tags, body, trashed):
    nowhere = path(TaskFactory(trashed=True)) if trashed else f"/api/tasks/{uuid7()}"
    before = stored()
    response = as_user.patch(nowhere, body, content_type=JSON, headers={"If-Match": tags} if tags else {})
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", nowhere)
    assert stored() == before
