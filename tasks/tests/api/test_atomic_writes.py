"""Writes at the same time, as far as one connection can show them: what comes between a request and its write."""

import pytest
from django.db import connection
from django.test import Client
from uuid_utils.compat import uuid7

from tasks.models import Task
from tasks.tests.api.contract import JSON, headers, json_headers, path, problem, problem_headers, task_body
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def patch(client, task, body, tags=None):
    return client.patch(path(task), body, content_type=JSON, headers={"If-Match": tags} if tags else {})


def rename(client, task, tags=None):
    return patch(client, task, {"title": "Buy bread"}, tags)


def toggle(client, task, tags=None):
    return client.generic("POST", f"{path(task)}/toggle", headers={"If-Match": tags} if tags else {})


def delete(client, task, tags=None):
    return client.delete(path(task), headers={"If-Match": tags} if tags else {})


@pytest.fixture
def between():
    """Answers a request while another is carried out whole, right before the first one's write reaches the database.

    A write that depends on what was read before it would undo or overlook the other one.
    """

    def interleave(outer, inner):
        answers = []

        def run_inner_first(execute, sql, params, many, context):
            if sql.startswith("UPDATE") and not answers:
                answers.append(None)
                answers[0] = inner()
            return execute(sql, params, many, context)

        with connection.execute_wrapper(run_inner_first):
            answer = outer()
        assert answers, "the outer request did not write"
        return answer, answers[0]

    return interleave


@pytest.fixture
def other_client():
    return Client()


def test_two_patches_of_different_fields_both_survive(as_user, other_client, between):
    task = TaskFactory(title="Buy milk", description="Two litres")
    later, earlier = between(
        lambda: rename(as_user, task),
        lambda: patch(other_client, task, {"description": "Rye"}),
    )
    assert headers(earlier) == json_headers(ETag='"2"')
    assert headers(later) == json_headers(ETag='"3"')
    assert (earlier.json()["title"], earlier.json()["description"]) == ("Buy milk", "Rye")
    assert (later.json()["title"], later.json()["description"]) == ("Buy bread", "Rye")
    assert later.json() == task_body(Task.objects.get())


def test_of_two_patches_of_one_field_the_last_one_wins(as_user, other_client, between):
    task = TaskFactory()
    later, earlier = between(lambda: rename(as_user, task), lambda: patch(other_client, task, {"title": "Buy milk"}))
    assert (earlier.status_code, later.status_code) == (200, 200)
    assert later.json() == task_body(Task.objects.get())
    assert later.json()["title"] == "Buy bread"


def test_two_toggles_leave_a_task_as_it_was(as_user, other_client, between):
    task = TaskFactory(completed=False)
    later, earlier = between(lambda: toggle(as_user, task), lambda: toggle(other_client, task))
    assert (earlier.json()["completed"], earlier.json()["version"]) == (True, 2)
    assert (later.json()["completed"], later.json()["version"]) == (False, 3)
    assert later.json() == task_body(Task.objects.get())


def test_a_toggle_and_a_patch_both_survive(as_user, other_client, between):
    task = TaskFactory(completed=False)
    later, _ = between(lambda: toggle(as_user, task), lambda: patch(other_client, task, {"title": "Buy bread"}))
    assert (later.json()["title"], later.json()["completed"], later.json()["version"]) == ("Buy bread", True, 3)
    assert later.json() == task_body(Task.objects.get())


def test_each_write_answers_what_it_made_itself(as_user, other_client, between):
    task = TaskFactory(title="Buy milk")
    toggled, patched = between(lambda: toggle(as_user, task), lambda: patch(other_client, task, {"title": "x"}))
    assert patched.json()["completed"] is False
    assert toggled.json()["updated_at"] > patched.json()["updated_at"]


@pytest.mark.parametrize("write", [rename, toggle, delete])
def test_of_two_writes_to_one_version_one_is_refused(as_user, other_client, between, write):
    task = TaskFactory()
    later, earlier = between(lambda: write(as_user, task, '"1"'), lambda: toggle(other_client, task, '"1"'))
    assert (earlier.status_code, later.status_code) == (200, 412)
    assert headers(later) == problem_headers(ETag='"2"')
    assert later.json()["code"] == "precondition_failed"
    assert task_body(Task.objects.get()) == earlier.json()


@pytest.mark.parametrize("write", [rename, toggle, delete])
def test_a_task_that_is_deleted_meanwhile_is_not_written(as_user, other_client, between, write):
    task = TaskFactory()
    later, deleted = between(lambda: write(as_user, task), lambda: delete(other_client, task))
    assert (deleted.status_code, later.status_code) == (200, 404)
    assert deleted.json() == task_body(Task.objects.get())


def test_writes_through_instances_that_were_read_before_both_survive():
    TaskFactory(title="Buy milk", description="Two litres")
    first, second = Task.objects.get(), Task.objects.get()
    Task.objects.filter(id=first.id).change(title="Buy bread")
    Task.objects.filter(id=second.id).change(description="Rye")
    task = Task.objects.get()
    assert (task.title, task.description, task.version) == ("Buy bread", "Rye", 3)


@pytest.fixture
def queries(django_assert_num_queries):
    return lambda number: django_assert_num_queries(number, connection=connection)


def test_a_creation_is_one_statement(as_user, queries):
    with queries(1):
        assert as_user.post("/api/tasks", {"title": "x"}, content_type=JSON).status_code == 201


def test_a_look_is_one_statement(as_user, queries):
    task = TaskFactory()
    with queries(1):
        assert as_user.get(path(task)).status_code == 200
    with queries(1):
        assert as_user.get(path(task), headers={"If-None-Match": '"1"'}).status_code == 304


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"1", "2", "3"'])
@pytest.mark.parametrize("body", [{"title": "x"}, {"title": "x", "description": "y", "completed": True}, {}])
def test_a_patch_is_one_statement(as_user, queries, tags, body):
    task = TaskFactory()
    with queries(1):
        assert patch(as_user, task, body, tags).status_code == 200


@pytest.mark.parametrize("tags", [None, "*", '"1"', '"1", "2", "3"'])
@pytest.mark.parametrize("write", [toggle, delete])
def test_a_toggle_and_a_deletion_are_one_statement(as_user, queries, tags, write):
    task = TaskFactory()
    with queries(1):
        assert write(as_user, task, tags).status_code == 200


@pytest.mark.parametrize("write", [rename, toggle, delete])
def test_a_write_that_fails_takes_a_second_look_only_for_if_match(as_user, queries, write):
    task, nothing = TaskFactory(), TaskFactory.build(id=uuid7())
    with queries(2):
        assert write(as_user, task, '"9"').status_code == 412
    with queries(2):
        assert write(as_user, nothing, '"9"').status_code == 404
    with queries(1):
        assert write(as_user, nothing).status_code == 404
    with queries(1):
        assert write(as_user, nothing, "*").status_code == 404


def test_a_request_that_is_refused_asks_the_database_nothing(as_user, queries):
    task = TaskFactory()
    with queries(0):
        assert patch(as_user, task, {"title": ""}).status_code == 400
        assert patch(as_user, task, {"title": "x"}, "malformed").status_code == 400
        assert as_user.get(path(task), headers={"Accept": "text/html"}).status_code == 406
        assert as_user.post("/api/tasks", {}, content_type=JSON).status_code == 400


def test_the_problem_of_a_stale_version_shows_the_current_one(as_user):
    task = TaskFactory()
    toggle(as_user, task)
    response = toggle(as_user, task, '"1"')
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"2"')
    assert response.json() == problem("precondition_failed", f"{path(task)}/toggle")
