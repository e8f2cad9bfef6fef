"""``DELETE /api/tasks/{id}``."""

from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    headers,
    json_headers,
    moment,
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


def test_answers_with_the_task_as_it_was_last(as_user, task):
    response = as_user.delete(path(task))
    deleted = Task.objects.get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == {**task_body(task), "version": 2, "updated_at": moment(deleted.updated_at)}
    assert deleted.updated_at > task.updated_at


def test_the_task_goes_to_the_trash(as_user, task):
    as_user.delete(path(task))
    deleted = Task.objects.get()
    assert deleted.deleted_at is not None
    assert (deleted.title, deleted.description, deleted.completed) == ("Buy milk", "Two litres", False)


@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("HEAD", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/toggle")]
)
def test_every_endpoint_answers_404_from_then_on(as_user, task, stored, method, suffix):
    as_user.delete(path(task))
    before = stored()
    where = f"{path(task)}{suffix}"
    response = as_user.generic(method, where, b'{"title": "x"}', content_type=JSON)
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    if method != "HEAD":
        assert response.json() == problem("not_found", where)
    assert stored() == before


def test_the_list_does_not_show_it_any_more(as_user, task):
    as_user.delete(path(task))
    assert as_user.get("/api/tasks").getvalue() == b"[]"


def test_other_tasks_stay_as_they_are(as_user, task, stored):
    TaskFactory()
    TaskFactory(foreign=True)
    TaskFactory(trashed=True)
    others = [row for row in stored() if row["id"] != task.id]
    as_user.delete(path(task))
    assert [row for row in stored() if row["id"] != task.id] == others


def test_a_slash_at_the_end_makes_no_difference(as_user, task):
    response = as_user.delete(f"{path(task)}/")
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize("content_type", [JSON, "text/plain", "application/json; charset=utf-16", "nonsense"])
def test_a_body_and_its_type_are_ignored(as_user, task, content_type):
    body = b"\xff{".ljust(MAX_BODY_BYTES)
    response = as_user.delete(path(task), body, content_type=content_type, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*", 'W/"1", "1"'])
def test_a_matching_version_is_deleted(as_user, task, tags):
    response = as_user.delete(path(task), headers={"If-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize("tags", ['"2"', 'W/"1"', '"01"', '""', '"99999999999999999999"'])
def test_another_version_is_not_deleted(as_user, task, stored, tags):
    before = stored()
    response = as_user.delete(path(task), headers={"If-Match": tags})
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", path(task))
    assert stored() == before


def test_a_malformed_precondition_is_refused(as_user, task, stored):
    before = stored()
    response = as_user.delete(path(task), headers={"If-Match": "1"})
    fault = {
        "header": "If-Match",
        "code": "malformed",
        "detail": "If-Match must be * or a list of quoted entity tags",
    }
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])
    assert stored() == before


def test_a_body_of_more_than_64_kib_is_refused(as_user, task, stored):
    before = stored()
    response = as_user.delete(path(task), b"x" * (MAX_BODY_BYTES + 1), content_type="text/plain")
    assert response.status_code == 413
    assert headers(response) == problem_headers()
    assert response.json() == problem("payload_too_large", path(task))
    assert stored() == before


def test_a_parameter_is_refused(as_user, task, stored):
    before = stored()
    response = as_user.delete(path(task), query_params={"force": ""})
    fault = {"parameter": "force", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])
    assert stored() == before


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
@pytest.mark.parametrize("trashed", [True, False])
def test_a_task_that_is_not_there_is_not_found(as_user, stored, tags, trashed):
    nowhere = path(TaskFactory(trashed=True)) if trashed else f"/api/tasks/{uuid7()}"
    before = stored()
    response = as_user.delete(nowhere, headers={"If-Match": tags} if tags else {})
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", nowhere)
    assert stored() == before
