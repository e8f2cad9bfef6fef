"""``GET /api/tasks`` without a ``limit``: all the caller's tasks, streamed. Its parameters: ``test_listing.py``."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.api import statements
from tasks.api.listing import STREAMED_AT_ONCE
from tasks.models import Task
from tasks.querysets import ORDERINGS
from tasks.tests.api import contract
from tasks.tests.api.contract import headers, json_headers, problem, problem_headers, task_body
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
    number = 2 * STREAMED_AT_ONCE + 1
    Task.objects.bulk_create(
        Task(user_id="default", title=f"{day}", created_at=at, updated_at=at)
        for day, at in ((day, NEW_YEAR + timedelta(days=day)) for day in range(number))
    )
    response = as_user.get(PATH)
    assert response.streaming
    pieces = list(response.streaming_content)
    assert max(piece.count(b'"id":') for piece in pieces) <= STREAMED_AT_ONCE
    assert [task["title"] for task in json.loads(b"".join(pieces))] == [str(day) for day in reversed(range(number))]


def test_as_many_queries_for_three_tasks_as_for_one(as_user, django_assert_num_queries):
    TaskFactory()
    with django_assert_num_queries(1, connection=connection):
        as_user.get(PATH).getvalue()
    TaskFactory.create_batch(2)
    with django_assert_num_queries(1, connection=connection):
        assert len(json.loads(as_user.get(PATH).getvalue())) == 3


@pytest.fixture
def chunks_of_three(monkeypatch):
    monkeypatch.setattr("tasks.api.listing.STREAMED_AT_ONCE", 3)


@pytest.mark.parametrize(("number", "queries"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (6, 3), (8, 3)])
def test_a_chunk_is_one_query_and_every_task_is_in_one(
    as_user, chunks_of_three, django_assert_num_queries, number, queries
):
    tasks = TaskFactory.create_batch(number)
    with django_assert_num_queries(queries, connection=connection):
        response = as_user.get(PATH)
        assert json.loads(response.getvalue()) == [task_body(task) for task in reversed(tasks)]


def test_a_chunk_may_end_amid_tasks_of_the_same_instant(as_user, chunks_of_three):
    older = TaskFactory.create_batch(4, created_at=NEW_YEAR)
    newer = TaskFactory.create_batch(4, created_at=NEW_YEAR + timedelta(seconds=1))
    tasks = [task_body(task) for task in [*reversed(newer), *reversed(older)]]
    assert json.loads(as_user.get(PATH).getvalue()) == tasks


@pytest.mark.parametrize(
    "lookalike", ['},{"id":"x","created_at":"2026-01-01T00:00:00.000000Z","title":"\\\\"', "{", '{"id', '{"id":']
)
def test_a_chunk_may_end_with_a_task_whose_text_looks_like_one(as_user, chunks_of_three, lookalike):
    tasks = TaskFactory.create_batch(7, title=lookalike, description=lookalike)
    assert json.loads(as_user.get(PATH).getvalue()) == [task_body(task) for task in reversed(tasks)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text('{}[]",:\\id', min_size=1, max_size=9), min_size=4, max_size=7))
def test_a_chunk_may_end_with_a_task_of_whatever_text(as_user, chunks_of_three, texts):
    Task.objects.all().delete()
    tasks = [TaskFactory(title=text, description=text) for text in texts]
    assert json.loads(as_user.get(PATH).getvalue()) == [task_body(task) for task in reversed(tasks)]


def test_no_chunk_holds_what_is_not_asked_for(as_user, chunks_of_three):
    TaskFactory.create_batch(3, foreign=True)
    TaskFactory.create_batch(3, trashed=True)
    TaskFactory.create_batch(3, completed=True)
    tasks = TaskFactory.create_batch(5)
    listed = json.loads(as_user.get(PATH, query_params={"completed": "false"}).getvalue())
    assert listed == [task_body(task) for task in reversed(tasks)]


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_chunks_hold_every_task_once_in_any_order(as_user, chunks_of_three, ordering):
    for number in range(11):
        at = NEW_YEAR + timedelta(days=number % 2)
        TaskFactory(title="bBa"[number % 3], created_at=at, updated_at=at + timedelta(days=number % 3))
    tasks = [task_body(task) for task in Task.objects.in_order(ordering)]
    assert json.loads(as_user.get(PATH, query_params={"ordering": ordering}).getvalue()) == tasks


def test_the_array_stays_exact_while_tasks_come_and_go(as_user, chunks_of_three):
    """No task that is there from beginning to end is left out or shown twice."""
    tasks = [TaskFactory(created_at=NEW_YEAR + timedelta(seconds=second)) for second in range(9)][::-1]
    response = iter(as_user.get(PATH))
    shown = next(response)
    while shown.count(b'"id":') < 3:
        shown += next(response)
    TaskFactory(created_at=NEW_YEAR + timedelta(hours=1))
    Task.objects.filter(id__in=[tasks[0].id, tasks[2].id]).move_to_trash()
    Task.objects.filter(id=tasks[1].id).delete()
    Task.objects.filter(id=tasks[4].id).move_to_trash()
    shown += b"".join(response)
    assert json.loads(shown) == [task_body(task) for task in tasks[:4] + tasks[5:]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 3, 8])
def test_no_connection_is_held_while_the_client_reads(as_user, chunks_of_three, number):
    """However slowly: a connection is taken for each chunk, and none is held between them."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no pool: a thread keeps its connection")
    TaskFactory.create_batch(number)
    pieces = []
    for piece in as_user.get(PATH):
        pieces.append(piece)
        assert connection.connection is None, f"a connection is held after {pieces}"
    assert len(json.loads(b"".join(pieces))) == number


def test_a_database_that_is_away_is_told_of_before_the_array_begins(monkeypatch):
    def fail(*_, **__):
        raise OperationalError

    monkeypatch.setattr(statements.joined_chunk, "fetch", fail)
    response = Client(raise_request_exception=False).get(PATH)
    assert response.status_code == 503
    assert headers(response) == problem_headers(**{"Retry-After": "1"})
    assert response.json()["code"] == "service_unavailable"


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
