"""``POST /api/tasks/{id}/restore``."""

import pytest
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    headers,
    json_headers,
    path,
    problem,
    problem_headers,
    task_body,
    trash_path,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description="Two litres", completed=True, trashed=True)


@pytest.fixture
def restore(as_user):
    def post(task, tags=None, **options):
        return as_user.post(f"{path(task)}/restore", headers={"If-Match": tags} if tags else {}, **options)

    return post


def test_answers_with_the_task_as_it_is_now(restore, task):
    response = restore(task)
    restored = Task.objects.live().get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == {
        **task_body(task),
        **{name: task_body(restored)[name] for name in ("version", "updated_at")},
    }
    assert (restored.version, restored.updated_at > task.updated_at) == (2, True)


def test_the_task_is_back(as_user, restore, task):
    answered = restore(task).json()
    assert as_user.get(path(task)).json() == answered
    assert as_user.get("/api/tasks?limit=1").json() == [answered]
    assert as_user.get(trash_path(task)).status_code == 404


def test_there_and_back_and_there_again(as_user, restore):
    task = TaskFactory()
    for version in (2, 4, 6):
        assert as_user.delete(path(task)).json()["version"] == version
        assert restore(task).json()["version"] == version + 1


def test_other_tasks_stay_where_they_are(restore, task, stored):
    TaskFactory(trashed=True)
    TaskFactory(trashed=True, foreign=True)
    others = [row for row in stored() if row["id"] != task.id]
    restore(task)
    assert [row for row in stored() if row["id"] != task.id] == others


def test_a_body_and_its_type_are_ignored(restore, task):
    response = restore(task, data=b"\xff{".ljust(MAX_BODY_BYTES), content_type="text/plain")
    assert response.status_code == 200
    assert response.json() == task_body(Task.objects.live().get())


@pytest.mark.parametrize("tags", ['"1"', '"7", "1"', "*"])
def test_a_version_that_matches_is_restored(restore, task, tags):
    response = restore(task, tags)
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    assert response.json() == task_body(Task.objects.live().get())


@pytest.mark.parametrize("tags", ['"2"', 'W/"1"'])
def test_a_version_that_does_not_match_is_not_restored(restore, task, stored, tags):
    before = stored()
    response = restore(task, tags)
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", f"{path(task)}/restore")
    assert stored() == before


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"', 'W/"1"'])
def test_a_live_task_is_a_conflict(restore, stored, tags):
    task = TaskFactory()
    before = stored()
    response = restore(task, tags)
    assert response.status_code == 409
    assert headers(response) == problem_headers()
    assert response.json() == problem("conflict", f"{path(task)}/restore", detail="The task is not in the trash")
    assert stored() == before


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"9"'])
def test_no_task_is_not_found(as_user, tags):
    where = f"/api/tasks/{uuid7()}/restore"
    response = as_user.post(where, headers={"If-Match": tags} if tags else {}, content_type=JSON)
    assert response.status_code == 404
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_found", where)
