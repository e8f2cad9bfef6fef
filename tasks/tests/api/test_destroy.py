"""``DELETE /api/tasks/{id}``."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import JSON, ROUTES, rfc_3339, send, task_body, task_path
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description="Two litres", completed=True)


def test_deletion_moves_task_to_trash(as_user, task):
    response = send(as_user, ROUTES["delete"], task)
    deleted = Task.objects.get()
    assert response.json() == {**task_body(task), "version": 2, "updated_at": rfc_3339(deleted.updated_at)}
    assert deleted.deleted_at is not None
    assert send(as_user, ROUTES["list"]).getvalue() == b"[]"
    assert send(as_user, ROUTES["retrieve-trashed"], task).content == response.content


@pytest.mark.parametrize("name", ["retrieve", "update", "delete", "toggle"])
def test_deletion_hides_task_from_live_routes(as_user, task, stored, name):
    as_user.delete(task_path(task))
    before = stored()
    assert send(as_user, ROUTES[name], task).status_code == 404
    assert as_user.generic("HEAD", task_path(task), content_type=JSON).status_code == 404
    assert stored() == before
