"""``GET /api/tasks`` without parameters, which streams all tasks."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.api import statements
from tasks.api.listing import FIRST_CHUNK, LATER_CHUNK
from tasks.models import Task
from tasks.tests.api.contract import ORDERINGS, headers, json_headers, problem, problem_headers, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

PATH = "/api/tasks"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def listed(as_user):
    """Return the tasks of a list."""

    def get(**parameters):
        response = as_user.get(PATH, query_params=parameters)
        assert response.status_code == 200
        assert headers(response) == json_headers()
        return json.loads(response.getvalue())

    return get


def bodies(tasks):
    return [task_body(task) for task in tasks]


def test_list_without_tasks_is_empty_array(as_user):
    response = as_user.get(PATH)
    assert headers(response) == json_headers()
    assert response.getvalue() == b"[]"


def test_list_shows_newest_task_first(listed):
    second = TaskFactory(created_at=NEW_YEAR + timedelta(microseconds=1))
    third = TaskFactory(created_at=NEW_YEAR + timedelta(days=1), description="Twice\na week", completed=True)
    first = TaskFactory(created_at=NEW_YEAR)
    assert listed() == bodies([third, second, first])


def test_list_breaks_ties_by_id_descending(listed):
    tasks = TaskFactory.create_batch(5, created_at=NEW_YEAR)
    assert listed() == bodies(sorted(tasks, key=lambda task: str(task.id), reverse=True))


def test_list_keeps_place_of_written_task(listed):
    older = TaskFactory(created_at=NEW_YEAR)
    newer = TaskFactory(created_at=NEW_YEAR + timedelta(days=1))
    Task.objects.filter(id=older.id).toggle()
    assert [task["id"] for task in listed()] == [str(newer.id), str(older.id)]


def test_list_of_many_tasks_is_streamed_in_chunks(as_user):
    number = FIRST_CHUNK + LATER_CHUNK + 1
    Task.objects.bulk_create(
        Task(user_id="default", title=f"{day}", created_at=at, updated_at=at)
        for day, at in ((day, NEW_YEAR + timedelta(days=day)) for day in range(number))
    )
    response = as_user.get(PATH)
    assert response.streaming
    pieces = list(response.streaming_content)
    assert [piece.count(b'"id":') for piece in pieces] == [FIRST_CHUNK, LATER_CHUNK, 1, 0]
    assert [task["title"] for task in json.loads(b"".join(pieces))] == [str(day) for day in reversed(range(number))]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("tasks.api.listing.FIRST_CHUNK", 3)
    monkeypatch.setattr("tasks.api.listing.LATER_CHUNK", 2)


@pytest.mark.parametrize(("number", "queries"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (8, 4)])
def test_chunk_is_read_by_one_query(listed, small_chunks, django_assert_num_queries, number, queries):
    tasks = TaskFactory.create_batch(number)
    with django_assert_num_queries(queries, connection=connection):
        assert listed() == bodies(reversed(tasks))


def test_chunk_that_ends_among_equal_times_loses_no_task(listed, small_chunks):
    older = TaskFactory.create_batch(4, created_at=NEW_YEAR)
    newer = TaskFactory.create_batch(4, created_at=NEW_YEAR + timedelta(seconds=1))
    assert listed() == bodies([*reversed(newer), *reversed(older)])


@pytest.mark.parametrize(
    "text", ['},{"id":"x","created_at":"2026-01-01T00:00:00.000000Z","title":"\\\\"', "{", '{"id', '{"id":']
)
def test_chunk_that_ends_with_json_in_text_loses_no_task(listed, small_chunks, text):
    tasks = TaskFactory.create_batch(7, title=text, description=text)
    assert listed() == bodies(reversed(tasks))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text('{}[]",:\\id', min_size=1, max_size=9), min_size=4, max_size=7))
def test_chunk_that_ends_with_any_text_loses_no_task(listed, small_chunks, texts):
    Task.objects.all().delete()
    tasks = [TaskFactory(title=text, description=text) for text in texts]
    assert listed() == bodies(reversed(tasks))


def test_chunks_with_filter_hold_only_matching_tasks(listed, small_chunks):
    TaskFactory.create_batch(3, foreign=True)
    TaskFactory.create_batch(3, trashed=True)
    TaskFactory.create_batch(3, completed=True)
    tasks = TaskFactory.create_batch(5)
    assert listed(completed="false") == bodies(reversed(tasks))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_chunks_in_any_order_hold_each_task_once(listed, small_chunks, ordering):
    for number in range(11):
        at = NEW_YEAR + timedelta(days=number % 2)
        TaskFactory(title="bBa"[number % 3], created_at=at, updated_at=at + timedelta(days=number % 3))
    assert listed(ordering=ordering) == bodies(Task.objects.in_order(ordering))


def test_chunks_during_writes_hold_each_remaining_task_once(as_user, small_chunks):
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
    assert json.loads(shown) == bodies(tasks[:4] + tasks[5:])


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no pool of connections")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 3, 8])
def test_chunks_that_client_reads_hold_no_connection(as_user, small_chunks, number):
    TaskFactory.create_batch(number)
    pieces = []
    for piece in as_user.get(PATH):
        pieces.append(piece)
        assert connection.connection is None, f"a connection is held after {pieces}"
    assert len(json.loads(b"".join(pieces))) == number


@pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL stores UTF-8 only")
@pytest.mark.parametrize("path", ["/api/tasks", "/api/tasks?limit=5", "/api/tasks/{id}"])
def test_task_that_is_not_utf8_answers_500(path):
    task = TaskFactory()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET title = CAST(X'41F09F92' AS TEXT)")
    path = path.format(id=task.id)
    response = Client(raise_request_exception=False).get(path)
    request_id = response.headers["X-Request-ID"]
    assert (response.status_code, headers(response)) == (500, problem_headers())
    assert response.json() == problem("server_error", path.partition("?")[0], request_id=request_id)


def test_list_without_database_answers_503_at_once(monkeypatch):
    def fail(*_, **__):
        raise OperationalError

    monkeypatch.setattr(statements.joined_chunk, "fetch", fail)
    response = Client(raise_request_exception=False).get(PATH)
    request_id = response.headers["X-Request-ID"]
    assert response.status_code == 503
    assert headers(response) == problem_headers(**{"Retry-After": "1"})
    assert response.json() == problem("service_unavailable", PATH, request_id=request_id)
