"""``PATCH /api/tasks/{id}``."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MERGE_PATCH,
    READ_ONLY,
    headers,
    json_headers,
    rfc_3339,
    task_body,
    task_path,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

CHANGES = {
    "title": {"title": "Buy bread"},
    "description": {"description": "Rye\n"},
    "no description": {"description": ""},
    "completed": {"completed": True},
    "due": {"due": "2026-12-24T18:00:00[Europe/Berlin]"},
    "no due": {"due": None},
    "priority": {"priority": "high"},
    "no priority": {"priority": None},
    "every field": {
        "title": "Buy bread",
        "description": "Rye",
        "completed": True,
        "due": "2026-12-24",
        "priority": "low",
        "labels": {"home": True, "work": True},
    },
}


@pytest.fixture
def task():
    return TaskFactory(
        title="Buy milk", description="Two litres", due="2026-12-25", priority=2, labels=frozenset({"home"})
    )


@pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH])
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_update_changes_only_sent_fields(as_user, task, changes, content_type):
    response = as_user.patch(task_path(task), changes, content_type=content_type)
    updated_at = Task.objects.get().updated_at
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    moved = {"version": 2, "updated_at": rfc_3339(updated_at)}
    if "completed" in changes:
        moved["completed_at"] = rfc_3339(updated_at)
    assert response.json() == {**task_body(task), **changes, **moved}
    assert response.json() == task_body(Task.objects.get())
    assert updated_at > task.updated_at


@pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH])
def test_update_with_description_null_empties_it(as_user, task, content_type):
    response = as_user.patch(task_path(task), {"description": None}, content_type=content_type)
    assert (response.json()["description"], response.json()["version"]) == ("", 2)
    assert response.json() == task_body(Task.objects.get())


def test_update_trims_title(as_user, task):
    response = as_user.patch(task_path(task), {"title": "\u3000 Buy bread\n"}, content_type=JSON)
    assert response.json()["title"] == Task.objects.get().title == "Buy bread"


@pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH])
@pytest.mark.parametrize("body", [{}, READ_ONLY], ids=["empty", "read-only"])
def test_update_without_writable_field_writes_nothing(as_user, task, stored, body, content_type):
    before = stored()
    response = as_user.patch(task_path(task), body, content_type=content_type)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"1"')
    assert response.json() == task_body(task)
    assert stored() == before


def test_update_with_same_values_is_a_write(as_user, task):
    response = as_user.patch(task_path(task), task_body(task), content_type=JSON)
    written = Task.objects.get()
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(written)
    assert written.updated_at > task.updated_at
