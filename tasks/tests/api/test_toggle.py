"""``POST /api/tasks/{id}/toggle``."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import ROUTES, rfc_3339, send, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("completed", [False, True])
def test_toggle_flips_only_completed(as_user, completed):
    task = TaskFactory(title="Buy milk", description="Two litres", completed=completed)
    response = send(as_user, ROUTES["toggle"], task)
    updated_at = rfc_3339(Task.objects.get().updated_at)
    assert response.json() == {
        **task_body(task),
        "completed": not completed,
        "version": 2,
        "updated_at": updated_at,
        "completed_at": None if completed else updated_at,
    }


def test_toggle_sent_five_times_flips_five_times(as_user):
    task = TaskFactory(completed=False)
    answers = [send(as_user, ROUTES["toggle"], task).json() for _ in range(5)]
    assert [answer["completed"] for answer in answers] == [True, False, True, False, True]
    assert [answer["version"] for answer in answers] == [2, 3, 4, 5, 6]
    assert sorted({answer["updated_at"] for answer in answers}) == [answer["updated_at"] for answer in answers]
