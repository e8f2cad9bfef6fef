"""The due date of a task: what POST and PATCH take, and the form that they answer."""

import pytest

from tasks.models import Task
from tasks.tests.api.contract import JSON, task_body, task_path
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

#: Accepted texts, and the form of each in answers.
ACCEPTED = {
    "2026-12-24": "2026-12-24",
    "0001-01-01": "0001-01-01",
    "9999-12-31": "9999-12-31",
    "2024-02-29": "2024-02-29",
    "2026-12-24T18:00:00": "2026-12-24T18:00:00",
    "2026-12-24T17:00:00Z": "2026-12-24T17:00:00Z",
    "2026-12-24T17:00:00.999999999Z": "2026-12-24T17:00:00Z",
    "2026-12-24T18:00:00+01:00": "2026-12-24T17:00:00Z",
    "2026-12-31T22:30:00.5-05:30": "2027-01-01T04:00:00Z",
    "2026-12-24T17:00:00+00:00": "2026-12-24T17:00:00Z",
    "2026-12-24T18:00:00[Europe/Berlin]": "2026-12-24T18:00:00[Europe/Berlin]",
    "2026-12-24T18:00:00+01:00[Europe/Berlin]": "2026-12-24T18:00:00[Europe/Berlin]",
    "2026-12-24T17:00:00Z[Europe/Berlin]": "2026-12-24T18:00:00[Europe/Berlin]",
    "2026-12-24T17:00:00.9Z[Europe/Berlin]": "2026-12-24T18:00:00[Europe/Berlin]",
    "2026-10-25T02:30:00+02:00[Europe/Berlin]": "2026-10-25T02:30:00[Europe/Berlin]",
    "2026-10-25T02:30:00+01:00[Europe/Berlin]": "2026-10-25T02:30:00[Europe/Berlin]",
    "2026-03-29T02:30:00[Europe/Berlin]": "2026-03-29T02:30:00[Europe/Berlin]",
    "2026-12-24T18:00:00[US/Pacific]": "2026-12-24T18:00:00[US/Pacific]",
    "2026-12-24T18:00:00[America/Argentina/ComodRivadavia]": "2026-12-24T18:00:00[America/Argentina/ComodRivadavia]",
    "2026-12-24T18:00:00[Etc/GMT+5]": "2026-12-24T18:00:00[Etc/GMT+5]",
}


@pytest.mark.parametrize(("sent", "shown"), ACCEPTED.items())
def test_due_is_answered_in_its_form(as_user, sent, shown):
    created = as_user.post("/api/tasks", {"title": "Buy milk", "due": sent}, content_type=JSON)
    assert (created.status_code, created.json()["due"]) == (201, shown)
    assert created.json() == task_body(Task.objects.get())
    changed = as_user.patch(task_path(TaskFactory(due="2020-01-01")), {"due": sent}, content_type=JSON)
    assert (changed.status_code, changed.json()["due"], changed.json()["version"]) == (200, shown, 2)
    assert as_user.get(f"/api/tasks/{changed.json()['id']}").content == changed.content


@pytest.mark.parametrize("word", ["low", "medium", "high", None])
def test_priority_is_answered_as_word(as_user, word):
    created = as_user.post("/api/tasks", {"title": "Buy milk", "priority": word}, content_type=JSON)
    assert (created.status_code, created.json()["priority"]) == (201, word)
    changed = as_user.patch(task_path(TaskFactory(priority=2)), {"priority": word}, content_type=JSON)
    assert (changed.status_code, changed.json()["priority"]) == (200, word)
    assert as_user.get(f"/api/tasks/{changed.json()['id']}").content == changed.content
