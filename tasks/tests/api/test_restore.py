"""``POST /api/tasks/{id}/restore``."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import ROUTES, rfc_3339, send, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_restoration_moves_task_back_to_list(as_user):
    task = TaskFactory(title="Buy milk", description="Two litres", completed=True, trashed=True)
    response = send(as_user, ROUTES["restore"], task)
    restored = Task.objects.live().get()
    assert response.json() == {**task_body(task), "version": 2, "updated_at": rfc_3339(restored.updated_at)}
    assert restored.deleted_at is None
    assert send(as_user, ROUTES["retrieve"], task).content == response.content
    assert as_user.get("/api/tasks?limit=1").json() == [response.json()]
    assert send(as_user, ROUTES["retrieve-trashed"], task).status_code == 404


def test_deletion_and_restoration_raise_version_by_two(as_user):
    task = TaskFactory()
    for version in (2, 4, 6):
        assert send(as_user, ROUTES["delete"], task).json()["version"] == version
        assert send(as_user, ROUTES["restore"], task).json()["version"] == version + 1
