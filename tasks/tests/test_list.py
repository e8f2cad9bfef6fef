"""``GET /api/tasks``, without a parameter: all the caller's tasks."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tasks.models import Task
from tasks.tests import contract
from tasks.tests.contract import headers, json_headers, problem, problem_headers, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

PATH = "/api/tasks"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_no_tasks_are_an_empty_array(as_user):
    response = as_user.get(PATH)
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert response.getvalue() == b"[]"


def test_lists_tasks_newest_first(as_user):
    second = TaskFactory(created_at=NEW_YEAR + timedelta(microseconds=1))
    third = TaskFactory(created_at=NEW_YEAR + timedelta(days=1), description="Twice\na week", completed=True)
    first = TaskFactory(created_at=NEW_YEAR)
    response = as_user.get(PATH)
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert json.loads(response.getvalue()) == [task_body(third), task_body(second), task_body(first)]


def test_tasks_of_the_same_instant_are_ordered_by_id_descending(as_user):
    tasks = TaskFactory.create_batch(5, created_at=NEW_YEAR)
    ids = sorted((str(task.id) for task in tasks), reverse=True)
    assert [task["id"] for task in json.loads(as_user.get(PATH).getvalue())] == ids


def test_a_write_does_not_move_a_task_in_the_list(as_user):
    older = TaskFactory(created_at=NEW_YEAR)
    newer = TaskFactory(created_at=NEW_YEAR + timedelta(days=1))
    Task.objects.filter(id=older.id).toggle()
    titles = [task["title"] for task in json.loads(as_user.get(PATH).getvalue())]
    assert titles == [newer.title, older.title]


def test_tasks_of_other_users_are_not_listed(as_user):
    TaskFactory(foreign=True)
    task = TaskFactory()
    assert json.loads(as_user.get(PATH).getvalue()) == [task_body(task)]


def test_tasks_in_the_trash_are_not_listed(as_user):
    TaskFactory(trashed=True)
    task = TaskFactory()
    assert json.loads(as_user.get(PATH).getvalue()) == [task_body(task)]


def test_many_tasks_are_streamed_as_one_array(as_user):
    Task.objects.bulk_create(
        Task(user_id="default", title=f"{day}", created_at=at, updated_at=at)
        for day, at in ((day, NEW_YEAR + timedelta(days=day)) for day in range(2001))
    )
    response = as_user.get(PATH)
    assert response.streaming
    pieces = list(response.streaming_content)
    assert max(piece.count(b'"id":') for piece in pieces) <= 1000
    assert [task["title"] for task in json.loads(b"".join(pieces))] == [str(day) for day in reversed(range(2001))]


def test_as_many_queries_for_three_tasks_as_for_one(as_user, django_assert_num_queries):
    TaskFactory()
    with django_assert_num_queries(1, connection=connection):
        as_user.get(PATH).getvalue()
    TaskFactory.create_batch(2)
    with django_assert_num_queries(1, connection=connection):
        assert len(json.loads(as_user.get(PATH).getvalue())) == 3


def test_a_slash_at_the_end_makes_no_difference(as_user):
    task = TaskFactory()
    response = as_user.get(f"{PATH}/")
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert json.loads(response.getvalue()) == [task_body(task)]


def test_head_answers_the_headers_alone(as_user):
    TaskFactory()
    response = as_user.head(PATH)
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert response.getvalue() == b""


def test_options_answers_allow(as_user):
    response = as_user.options(PATH)
    assert response.status_code == 200
    assert contract.allowed(response) == contract.ALLOWED_ON_LIST
    assert headers(response) == contract.EVERYWHERE
    assert response.content == b""


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "application/json", "application/problem+json", "text/html, */*;q=0.1"]
)
def test_whoever_accepts_json_or_problems_is_answered(as_user, accept):
    response = as_user.get(PATH, headers={"Accept": accept})
    assert response.status_code == 200
    assert headers(response) == json_headers()
    assert response.getvalue() == b"[]"


def test_an_unknown_parameter_is_refused(as_user):
    response = as_user.get(PATH, query_params={"colour": "red"})
    fault = {"parameter": "colour", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", PATH, errors=[fault])


def test_every_unknown_parameter_is_named_once(as_user):
    response = as_user.get(f"{PATH}?colour=red&size&colour=blue")
    assert response.status_code == 400
    assert [fault["parameter"] for fault in response.json()["errors"]] == ["colour", "size"]


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", "*/*;q=0", "application/*;q=0.0"])
def test_whoever_accepts_no_json_is_refused(as_user, accept):
    response = as_user.get(PATH, headers={"Accept": accept})
    assert response.status_code == 406
    assert headers(response) == problem_headers()
    assert response.json() == problem("not_acceptable", PATH)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PURGE"])
def test_another_method_is_refused(as_user, stored, method):
    TaskFactory()
    before = stored()
    response = as_user.generic(method, PATH)
    assert response.status_code == 405
    assert contract.allowed(response) == contract.ALLOWED_ON_LIST
    assert headers(response) == problem_headers()
    assert response.json() == problem("method_not_allowed", PATH)
    assert stored() == before
