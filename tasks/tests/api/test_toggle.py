"""``POST /api/tasks/{id}/toggle``."""

from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api import contract
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    headers,
    json_headers,
    moment,
    problem,
    problem_headers,
    task_body,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def path(task):
    return f"{contract.path(task)}/toggle"


def toggle(client, where, **request_headers):
    """A request without a body, and so without a ``Content-Type``."""
    return client.generic("POST", where, headers=request_headers)


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description="Two litres", created_at=datetime(2026, 1, 11, tzinfo=UTC))


@pytest.mark.parametrize("completed", [False, True])
def test_flips_completed_and_nothing_else(as_user, completed):
    task = TaskFactory(completed=completed, created_at=datetime(2026, 1, 11, tzinfo=UTC))
    response = toggle(as_user, path(task))
    toggled = Task.objects.get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(toggled)
    assert task_body(toggled) == {
        **task_body(task),
        "completed": not completed,
        "version": 2,
        "updated_at": moment(toggled.updated_at),
    }
    assert toggled.updated_at > task.updated_at


def test_every_toggle_counts(as_user, task):
    answers = [toggle(as_user, path(task)).json() for _ in range(5)]
    assert [answer["completed"] for answer in answers] == [True, False, True, False, True]
    assert [answer["version"] for answer in answers] == [2, 3, 4, 5, 6]
    assert sorted({answer["updated_at"] for answer in answers}) == [answer["updated_at"] for answer in answers]


def test_other_tasks_stay_as_they_are(as_user, task, stored):
    TaskFactory()
    TaskFactory(foreign=True)
    TaskFactory(trashed=True)
    others = [row for row in stored() if row["id"] != task.id]
    toggle(as_user, path(task))
    assert [row for row in stored() if row["id"] != task.id] == others


def test_a_slash_at_the_end_makes_no_difference(as_user, task):
    response = toggle(as_user, f"{path(task)}/")
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize(
    "content_type", [JSON, "text/plain", "multipart/form-data", "application/json; charset=utf-16", "nonsense"]
)
def test_a_body_and_its_type_are_ignored(as_user, task, content_type):
    body = b'\xff{"completed": false}'.ljust(MAX_BODY_BYTES)
    encoding = {"Content-Encoding": "gzip"}
    response = as_user.generic("POST", path(task), body, content_type=content_type, headers=encoding)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())
    assert response.json()["completed"] is True


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*", 'W/"1", "1"'])
def test_a_matching_version_is_toggled(as_user, task, tags):
    response = toggle(as_user, path(task), **{"If-Match": tags})
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get())


@pytest.mark.parametrize("tags", ['"2"', 'W/"1"', '"01"', '""', '"99999999999999999999"'])
def test_another_version_is_not_toggled(as_user, task, stored, tags):
    before = stored()
    response = toggle(as_user, path(task), **{"If-Match": tags})
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", path(task))
    assert stored() == before


def test_options_answers_allow(as_user, task):
    response = as_user.options(path(task))
    assert response.status_code == 200
    assert contract.allowed(response) == contract.ALLOWED_ON_TOGGLE
    assert headers(response) == contract.EVERYWHERE
    assert response.content == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_another_method_is_refused(as_user, task, stored, method):
    before = stored()
    response = as_user.generic(method, path(task))
    assert response.status_code == 405
    assert contract.allowed(response) == contract.ALLOWED_ON_TOGGLE
    assert headers(response) == problem_headers()
    if method != "HEAD":
        assert response.json() == problem("method_not_allowed", path(task))
    assert stored() == before


def test_a_malformed_precondition_is_refused(as_user, task, stored):
    before = stored()
    response = toggle(as_user, path(task), **{"If-Match": '*, "1"'})
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
    response = as_user.generic("POST", path(task), b"x" * (MAX_BODY_BYTES + 1), content_type="text/plain")
    assert response.status_code == 413
    assert headers(response) == problem_headers()
    assert response.json() == problem("payload_too_large", path(task))
    assert stored() == before


def test_a_parameter_is_refused(as_user, task, stored):
    before = stored()
    response = toggle(as_user, f"{path(task)}?completed=true")
    fault = {"parameter": "completed", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", path(task), errors=[fault])
    assert stored() == before


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
@pytest.mark.parametrize("trashed", [True, False])
def test_a_task_that_is_not_there_is_not_found(as_user, stored, tags, trashed):
    nowhere = path(TaskFactory(trashed=True)) if trashed else f"/api/tasks/{uuid7()}/toggle"
    before = stored()
    response = toggle(as_user, nowhere, **({"If-Match": tags} if tags else {}))
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", nowhere)
    assert stored() == before
