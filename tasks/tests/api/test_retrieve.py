"""``GET /api/tasks/{id}``."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api import contract
from tasks.tests.api.contract import EVERYWHERE, headers, json_headers, path, problem, problem_headers, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_shows_a_task(as_user):
    task = TaskFactory(
        id=UUID("019bac32-0000-7000-8000-00000000abcd"),
        title="Buy milk",
        description="Two litres",
        created_at=datetime(2026, 1, 11, 9, 30, tzinfo=UTC),
    )
    response = as_user.get("/api/tasks/019bac32-0000-7000-8000-00000000abcd")
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == {
        "id": "019bac32-0000-7000-8000-00000000abcd",
        "title": "Buy milk",
        "description": "Two litres",
        "completed": False,
        "user_id": "default",
        "created_at": "2026-01-11T09:30:00.000000Z",
        "updated_at": "2026-01-11T09:30:00.000000Z",
        "version": 1,
    }
    assert response.json() == task_body(task)


def test_shows_what_was_written_last(as_user):
    task = TaskFactory()
    Task.objects.filter(id=task.id).change(title="Buy bread")
    response = as_user.get(path(task))
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


def test_a_slash_at_the_end_makes_no_difference(as_user):
    task = TaskFactory()
    response = as_user.get(f"{path(task)}/")
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)


def test_head_answers_the_headers_alone(as_user):
    response = as_user.head(path(TaskFactory()))
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.content == b""


def test_options_answers_allow(as_user):
    response = as_user.options(path(TaskFactory()))
    assert response.status_code == 200
    assert contract.allowed(response) == contract.ALLOWED_ON_TASK
    assert headers(response) == EVERYWHERE
    assert response.content == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"9", "1"', "*", ', "1",', '"a,b" , "1"'])
def test_a_version_that_the_client_has_is_not_sent_again(as_user, method, tags):
    response = as_user.generic(method, path(TaskFactory()), headers={"If-None-Match": tags})
    assert response.status_code == 304
    assert headers(response) == {**EVERYWHERE, "ETag": '"1"'}
    assert response.content == b""


@pytest.mark.parametrize("tags", ['"2"', 'W/"2"', '"01"', '"*"', '""', '"1"'.replace("1", "1" * 5000)])
def test_a_version_that_the_client_lacks_is_sent(as_user, tags):
    task = TaskFactory()
    response = as_user.get(path(task), headers={"If-None-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)


def test_a_request_id_is_given_back(as_user):
    response = as_user.get(path(TaskFactory()), headers={"X-Request-ID": "Alice.1_2-3"})
    assert response["X-Request-ID"] == "Alice.1_2-3"


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 129, "ä"])
def test_a_request_without_a_sound_id_gets_a_new_one(as_user, sent):
    task = TaskFactory()
    request_headers = {} if sent is None else {"X-Request-ID": sent}
    given = [as_user.get(path(task), headers=request_headers)["X-Request-ID"] for _ in range(2)]
    assert [UUID(request_id).version for request_id in given] == [7, 7]
    assert given[0] != given[1]


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_a_malformed_precondition_is_refused(as_user, header):
    task = TaskFactory()
    response = as_user.get(path(task), headers={header: "1"})
    fault = {"header": header, "code": "malformed", "detail": f"{header} must be * or a list of quoted entity tags"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])


def test_a_parameter_is_refused(as_user):
    task = TaskFactory()
    response = as_user.get(path(task), query_params={"fields": "title"})
    fault = {"parameter": "fields", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])


def test_a_client_that_accepts_no_json_is_refused(as_user):
    task = TaskFactory()
    response = as_user.get(path(task), headers={"Accept": "text/html"})
    assert response.status_code == 406
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_acceptable", path(task))


@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE", "PURGE"])
def test_another_method_is_refused(as_user, stored, method):
    task = TaskFactory()
    before = stored()
    response = as_user.generic(method, path(task))
    assert response.status_code == 405
    assert contract.allowed(response) == contract.ALLOWED_ON_TASK
    assert headers(response) == problem_headers()
    assert response.json() == problem("method_not_allowed", path(task))
    assert stored() == before


def test_a_task_that_is_not_there_is_not_found(as_user):
    TaskFactory()
    nowhere = f"/api/tasks/{uuid7()}"
    response = as_user.get(nowhere)
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", nowhere)


def test_a_task_in_the_trash_is_not_found(as_user):
    task = TaskFactory(trashed=True)
    response = as_user.get(path(task))
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", path(task))


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_precondition_does_not_make_a_task(as_user, header):
    nowhere = f"/api/tasks/{uuid7()}"
    response = as_user.get(nowhere, headers={header: "*"})
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", nowhere)


@pytest.mark.parametrize(
    "spell",
    [
        lambda task_id: str(task_id).upper(),
        lambda task_id: task_id.hex,
        lambda task_id: f"{{{task_id}}}",
        lambda task_id: task_id.urn,
        lambda task_id: str(task_id)[:-1],
        lambda task_id: f"{task_id}0",
        lambda task_id: f"{task_id}.json",
        lambda task_id: f"{task_id}%0A",
        lambda task_id: f"{task_id}//",
        lambda task_id: task_id.int,
    ],
    ids=["upper case", "no dashes", "braces", "urn", "short", "long", "suffix", "line feed", "slashes", "number"],
)
def test_another_spelling_of_an_id_is_not_found(as_user, spell):
    elsewhere = f"/api/tasks/{spell(TaskFactory(id=UUID('019bac32-0000-7000-8000-00000000abcd')).id)}"
    response = as_user.get(elsewhere)
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", elsewhere.replace("{", "%7B").replace("}", "%7D"))
