"""``PUT /api/tasks/{id}``: a new task under an id that the client made."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from uuid_utils.compat import uuid7

from changes.models import Removal
from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    READ_ONLY,
    ROUTES,
    fault,
    headers,
    json_headers,
    malformed,
    problem,
    problem_headers,
    rfc_3339,
    send,
    task_body,
    task_path,
)
from tasks.tests.api.refusals import ID_IN_USE, NEW_ID_RULE
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

PUT = ROUTES["put"]
LONG_AGO = UUID("00000000-0001-7000-8000-000000000000")
FAR_AHEAD = UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")


@pytest.mark.parametrize("id", [uuid7(), LONG_AGO, FAR_AHEAD], ids=["now", "long-ago", "far-ahead"])
def test_put_stores_task_under_id(as_user, id):
    before = timezone.now()
    response = as_user.put(f"/api/tasks/{id}", {"title": "Buy milk"}, JSON, headers={"If-None-Match": "*"})
    task = Task.objects.get()
    assert (response.status_code, task.id) == (201, id)
    assert headers(response) == json_headers(ETag='"1"', Location=f"/api/tasks/{id}")
    assert response.json() == task_body(task)
    assert response.json()["created_at"] == rfc_3339(task.created_at) == response.json()["updated_at"]
    assert before <= task.created_at <= timezone.now()
    assert as_user.get(f"/api/tasks/{id}").content == response.content


def test_put_takes_body_of_post(as_user):
    sent = {"title": " Buy milk ", "completed": True, "labels": ["home"], "priority": "low", "due": "2026-12-24"}
    response = as_user.put(
        task_path(TaskFactory.build()), {**READ_ONLY, **sent}, JSON, headers={"If-None-Match": " * "}
    )
    body = response.json()
    assert response.status_code == 201
    assert body == {**task_body(Task.objects.get()), **sent, "title": "Buy milk", "labels": {"home": True}}
    assert (body["user_id"], body["version"], body["completed_at"]) == ("default", 1, body["created_at"])


def test_put_with_slash_names_path_without(as_user):
    path = task_path(TaskFactory.build())
    response = send(as_user, PUT, path=f"{path}/")
    assert (response.status_code, response.headers["Location"]) == (201, path)


IN_USE = {"live": {}, "trashed": {"trashed": True}, "foreign": {"foreign": True}}


@pytest.mark.parametrize("values", IN_USE.values(), ids=IN_USE)
def test_put_of_id_in_use_is_refused(as_user, stored, values):
    task = TaskFactory(**values)
    before = stored()
    response = send(as_user, PUT, task)
    tag = {"ETag": '"1"'} if values == {} else {}
    assert (response.status_code, headers(response)) == (412, problem_headers(**tag))
    assert response.json() == problem("precondition_failed", task_path(task), detail=ID_IN_USE)
    assert stored() == before


BAD_IDS = {
    "upper case": "019BAC32-0000-7000-8000-00000000ABCD",
    "version 4": str(uuid4()),
    "other variant": "019bac32-0000-7000-0000-00000000abcd",
    "no dashes": "019bac3200007000800000000000abcd",
    "no uuid": "x",
}


@pytest.mark.parametrize("id", BAD_IDS.values(), ids=BAD_IDS)
def test_put_of_other_id_than_uuid_7_is_refused(as_user, stored, id):
    response = send(as_user, PUT, path=f"/api/tasks/{id}")
    assert (response.status_code, headers(response)) == (404, problem_headers())
    assert response.json() == problem("not_found", f"/api/tasks/{id}", detail=NEW_ID_RULE)
    assert stored() == []


REQUIRED = fault("required", "If-None-Match is required; send If-None-Match: *", header="If-None-Match")
NOT_ALL = fault("invalid", "If-None-Match must be *", header="If-None-Match")
REFUSED = fault("not_allowed", "If-Match is not allowed here, because PUT changes no task", header="If-Match")
BAD_HEADERS = {
    "none": ({}, [REQUIRED]),
    "tag": ({"If-None-Match": '"1"'}, [NOT_ALL]),
    "malformed": ({"If-None-Match": "1"}, [malformed("If-None-Match")]),
    "if-match": ({"If-None-Match": "*", "If-Match": '"1"'}, [REFUSED]),
    "if-match-any": ({"If-None-Match": "*", "If-Match": "*"}, [REFUSED]),
    "both": ({"If-Match": '"1"'}, [REFUSED, REQUIRED]),
    "malformed-if-match": ({"If-None-Match": "*", "If-Match": "1"}, [malformed("If-Match")]),
}


@pytest.mark.parametrize(("sent", "errors"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_put_with_other_headers_is_refused(as_user, stored, sent, errors):
    path = task_path(TaskFactory.build())
    response = as_user.put(path, {"title": "x"}, JSON, headers=sent)
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", path, errors=errors)
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_puts_of_one_id_at_once_store_one_task():
    path = task_path(TaskFactory.build())

    def put(number):
        """Put until the service has a slot and a connection, as clients do."""
        try:
            while True:
                response = Client().put(path, {"title": str(number)}, JSON, headers={"If-None-Match": "*"})
                if response.status_code != 503:
                    return response
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(put, range(50)))
    [created] = [response for response in responses if response.status_code == 201]
    refused = [response for response in responses if response.status_code == 412]
    assert created.json() == task_body(Task.objects.get())
    assert [headers(response) for response in refused] == [problem_headers(ETag='"1"')] * 49
    assert {response.content for response in refused} == {refused[0].content}


def test_put_of_id_in_use_with_key_is_replayed(as_user):
    task = TaskFactory()
    first, second = (send(as_user, PUT, task, **{"Idempotency-Key": "one"}) for _ in range(2))
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (412, False)
    assert headers(second) == {**headers(first), "Idempotency-Replayed": "true"}
    assert second.content == first.content


def remove(task):
    """Remove a trashed task for good."""
    Task.objects.filter(id=task.id).remove()


def test_put_of_removed_id_answers_as_id_of_other_user(as_user):
    removed, foreign = TaskFactory(trashed=True), TaskFactory(foreign=True)
    remove(removed)
    answers = {send(as_user, PUT, task).content.replace(str(task.id).encode(), b"") for task in (removed, foreign)}
    response = send(as_user, PUT, removed)
    assert (response.status_code, headers(response)) == (412, problem_headers())
    assert response.json() == problem("precondition_failed", task_path(removed), detail=ID_IN_USE)
    assert len(answers) == 1


@pytest.mark.parametrize(("days", "status"), [(89, 412), (91, 201)])
def test_put_of_id_removed_90_days_ago_is_new(as_user, days, status):
    task = TaskFactory(trashed=True)
    remove(task)
    Removal.objects.update(removed_at=timezone.now() - timedelta(days=days))
    assert send(as_user, PUT, task).status_code == status


def test_put_of_id_that_other_user_removed_is_new(as_user):
    task = TaskFactory(trashed=True, foreign=True)
    remove(task)
    assert send(as_user, PUT, task).status_code == 201
