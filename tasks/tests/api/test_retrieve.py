"""``GET /api/tasks/{id}``."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import EXAMPLE, headers, json_headers, task_body, task_path, task_values
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_retrieval_shows_every_field(as_user):
    task = TaskFactory(**task_values(EXAMPLE))
    response = as_user.get(f"/api/tasks/{EXAMPLE['id']}")
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"3"')
    assert response.json() == EXAMPLE
    assert list(response.json()) == list(EXAMPLE)
    assert task_body(Task.objects.get(id=task.id)) == EXAMPLE


def test_retrieval_after_write_shows_new_state(as_user):
    task = TaskFactory()
    Task.objects.change(title="Buy bread")
    response = as_user.get(task_path(task))
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.get(title="Buy bread"))
