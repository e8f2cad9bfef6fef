"""Writes at the same time: another request is carried out right before the statement of a write."""

import pytest
from django.db import connection
from django.test import Client

from tasks.models import Task
from tasks.tests.api.contract import (
    ROUTES,
    TASK_WRITES,
    headers,
    json_headers,
    problem,
    problem_headers,
    send,
    task_body,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

RENAME = ROUTES["update"]
DESCRIBE = RENAME._replace(body=b'{"description": "Rye"}')
TOGGLE = ROUTES["toggle"]
WRITES = {name: ROUTES[name] for name in ("update", "delete", "toggle")}

every_write = pytest.mark.parametrize("route", WRITES.values(), ids=WRITES)


@pytest.fixture
def interleave(as_user):
    """Send a write, and before its UPDATE reaches the database another request, and return both responses.

    A write that depends on an earlier read would undo or ignore the other request.
    """

    def run(task, route, other, tags=None, other_tags=None):
        answers = []

        def send_other_first(execute, sql, params, many, context):
            if sql.startswith("UPDATE") and not answers:
                answers.append(None)
                answers[0] = send(Client(), other, task, **({"If-Match": other_tags} if other_tags else {}))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(send_other_first):
            later = send(as_user, route, task, **({"If-Match": tags} if tags else {}))
        assert answers, "the request did not write"
        return answers[0], later

    return run


def test_updates_of_two_fields_both_survive(interleave):
    task = TaskFactory(title="Buy milk", description="Two litres")
    earlier, later = interleave(task, RENAME, DESCRIBE)
    assert (headers(earlier), headers(later)) == (json_headers(ETag='"2"'), json_headers(ETag='"3"'))
    assert (earlier.json()["title"], earlier.json()["description"]) == ("Buy milk", "Rye")
    assert (later.json()["title"], later.json()["description"]) == ("Buy bread", "Rye")
    assert later.json() == task_body(Task.objects.get())


def test_updates_of_one_field_leave_last_value(interleave):
    earlier, later = interleave(TaskFactory(), RENAME, RENAME._replace(body=b'{"title": "Buy milk"}'))
    assert (earlier.status_code, later.status_code) == (200, 200)
    assert later.json() == task_body(Task.objects.get())
    assert later.json()["title"] == "Buy bread"


def test_two_toggles_leave_task_as_before(interleave):
    earlier, later = interleave(TaskFactory(completed=False), TOGGLE, TOGGLE)
    assert (earlier.json()["completed"], earlier.json()["version"]) == (True, 2)
    assert (later.json()["completed"], later.json()["version"]) == (False, 3)
    assert later.json() == task_body(Task.objects.get())


def test_toggle_and_update_both_survive(interleave):
    earlier, later = interleave(TaskFactory(completed=False), TOGGLE, RENAME)
    assert (earlier.json()["title"], earlier.json()["completed"]) == ("Buy bread", False)
    assert (later.json()["title"], later.json()["completed"], later.json()["version"]) == ("Buy bread", True, 3)
    assert later.json() == task_body(Task.objects.get())
    assert later.json()["updated_at"] > earlier.json()["updated_at"]


@every_write
def test_second_write_to_same_version_is_refused(interleave, route):
    task = TaskFactory()
    earlier, later = interleave(task, route, TOGGLE, '"1"', '"1"')
    assert (earlier.status_code, later.status_code) == (200, 412)
    assert headers(later) == problem_headers(ETag='"2"')
    assert later.json() == problem("precondition_failed", route.path.format(id=task.id))
    assert task_body(Task.objects.get()) == earlier.json()


@every_write
def test_write_to_task_just_deleted_is_refused(interleave, route):
    deleted, later = interleave(TaskFactory(), route, ROUTES["delete"])
    assert (deleted.status_code, later.status_code) == (200, 404)
    assert deleted.json() == task_body(Task.objects.get())


def test_changes_through_stale_instances_both_survive():
    TaskFactory(title="Buy milk", description="Two litres")
    first, second = Task.objects.get(), Task.objects.get()
    Task.objects.filter(id=first.id).change(title="Buy bread")
    Task.objects.filter(id=second.id).change(description="Rye")
    task = Task.objects.get()
    assert (task.title, task.description, task.version) == ("Buy bread", "Rye", 3)


# The number of statements


@pytest.fixture
def assert_queries(django_assert_num_queries):
    return lambda number: django_assert_num_queries(number, connection=connection)


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"1", "2", "3"'])
@pytest.mark.parametrize("route", TASK_WRITES.values(), ids=TASK_WRITES)
def test_write_runs_one_query(as_user, assert_queries, route, tags):
    task = TaskFactory(trashed=route.trashed)
    with assert_queries(1):
        assert send(as_user, route, task, **({"If-Match": tags} if tags else {})).status_code == 200


def test_read_runs_one_query(as_user, assert_queries):
    task = TaskFactory()
    with assert_queries(1):
        assert send(as_user, ROUTES["retrieve"], task).status_code == 200
    with assert_queries(1):
        assert send(as_user, ROUTES["retrieve"], task, **{"If-None-Match": '"1"'}).status_code == 304


def test_creation_runs_one_query(as_user, assert_queries):
    with assert_queries(1):
        assert send(as_user, ROUTES["create"]).status_code == 201


@every_write
def test_refused_write_reads_task_only_for_if_match(as_user, assert_queries, route):
    task, absent = TaskFactory(), TaskFactory.build()
    with assert_queries(2):
        assert send(as_user, route, task, **{"If-Match": '"9"'}).status_code == 412
    with assert_queries(2):
        assert send(as_user, route, absent, **{"If-Match": '"9"'}).status_code == 404
    with assert_queries(1):
        assert send(as_user, route, absent).status_code == 404
    with assert_queries(1):
        assert send(as_user, route, absent, **{"If-Match": "*"}).status_code == 404


def test_bad_request_runs_no_query(as_user, assert_queries):
    task = TaskFactory()
    with assert_queries(0):
        assert send(as_user, RENAME._replace(body=b'{"title": ""}'), task).status_code == 400
        assert send(as_user, RENAME, task, **{"If-Match": "malformed"}).status_code == 400
        assert send(as_user, ROUTES["retrieve"], task, Accept="text/html").status_code == 406
        assert send(as_user, ROUTES["create"]._replace(body=b"{}")).status_code == 400
