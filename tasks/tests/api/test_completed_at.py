"""``completed_at``: the time of the write that last completed a task."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import JSON, ROUTES, rfc_3339, send, task_body, task_path
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def patch(as_user):
    return lambda task, **changes: as_user.patch(task_path(task), changes, content_type=JSON).json()


@pytest.fixture
def toggle(as_user):
    return lambda task: send(as_user, ROUTES["toggle"], task).json()


def test_toggle_sets_time_of_the_write(toggle):
    task = TaskFactory()
    shown = toggle(task)
    assert shown == {
        **task_body(task),
        "completed": True,
        "completed_at": shown["updated_at"],
        "updated_at": rfc_3339(Task.objects.get().updated_at),
        "version": 2,
    }
    assert toggle(task)["completed_at"] is None


def test_second_completion_has_new_time(toggle):
    task = TaskFactory()
    first, opened, second = (toggle(task) for _ in range(3))
    assert [each["completed_at"] for each in (first, opened, second)] == [
        first["updated_at"],
        None,
        second["updated_at"],
    ]
    assert second["completed_at"] > first["completed_at"]


def test_patch_of_completed_task_keeps_time(patch, toggle):
    task = TaskFactory()
    completed = toggle(task)
    for changes in ({"completed": True}, {"title": "Buy bread"}, {"completed": True, "title": "x"}, {"labels": ["a"]}):
        shown = patch(task, **changes)
        assert shown["completed_at"] == completed["completed_at"]
        assert shown["updated_at"] > completed["updated_at"]


def test_patch_sets_and_clears_time(patch):
    task = TaskFactory()
    completed = patch(task, completed=True)
    assert completed["completed_at"] == completed["updated_at"]
    assert patch(task, completed=False)["completed_at"] is None
    assert patch(task, completed=False)["completed_at"] is None
    again = patch(task, completed=True)
    assert again["completed_at"] == again["updated_at"] > completed["completed_at"]


def test_trash_and_restore_keep_time(as_user, toggle):
    task = TaskFactory()
    completed = toggle(task)
    for name in ("delete", "restore"):
        assert send(as_user, ROUTES[name], task).json()["completed_at"] == completed["completed_at"]


def test_time_grows_when_clock_goes_back(toggle, monkeypatch):
    task = TaskFactory()
    monkeypatch.setattr("django.utils.timezone.now", lambda: task.created_at.replace(year=2020))
    first, _, second = (toggle(task) for _ in range(3))
    assert first["completed_at"] == first["updated_at"] > task_body(task)["updated_at"]
    assert second["completed_at"] == second["updated_at"] > first["completed_at"]
