"""The statements of the API: compiled once for the process, executed with new values each time."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from tasks.api import statements
from database.compiled_statements import CompiledStatement
from tasks.models import Task
from tasks.querysets import ORDERINGS
from tasks.tests.api.contract import JSON, headers, path, problem, problem_headers, task_body
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)


@pytest.fixture
def compiled(monkeypatch):
    """Each of the statements anew, and what was built for each: arguments, with places for values."""
    built = []

    def anew(name):
        statement = getattr(statements, name)
        build = statement.build

        def record(*parts, **values):
            built.append((name, parts, {key: shape(value) for key, value in values.items()}))
            return build(*parts, **values)

        monkeypatch.setattr(statements, name, CompiledStatement(record, statement.columns))

    for name in ("create", "show", "change", "toggle", "move_to_trash", "restore", "remove", "chunk"):
        anew(name)
    return built


def shape(value):
    if isinstance(value, dict):
        return sorted(value)
    return len(value) if isinstance(value, tuple) else "a place"


@pytest.fixture
def execute():
    """Run a statement, and return the title and the second column of each row."""

    def run(name, *parts, user_id="default", **values):
        rows = getattr(statements, name).fetch(*parts, user_id=user_id, **values)
        return [(json.loads(row[0])["title"], row[1]) for row in rows]

    return run


# Compiled once


@pytest.mark.parametrize(
    ("name", "parts"),
    [("show", (False,)), ("show", (True,)), ("toggle", ()), ("move_to_trash", ()), ("restore", ()), ("remove", ())],
)
def test_a_statement_is_compiled_once(compiled, execute, name, parts):
    for number in range(3):
        task = TaskFactory(title=f"{number}", trashed=name in {"restore", "remove"} or True in parts)
        assert len(execute(name, *parts, id=task.id)) == 1
    assert execute(name, *parts, id=uuid7()) == []
    assert [call[0] for call in compiled] == [name]


def test_a_request_compiles_nothing_that_another_has_compiled(compiled, as_user):
    def every_request():
        where = as_user.post("/api/tasks", {"title": "Buy milk"}, content_type=JSON)["Location"]
        as_user.get(where)
        as_user.patch(where, {"title": "Buy bread"}, content_type=JSON, headers={"If-Match": '"1"'})
        as_user.post(f"{where}/toggle")
        as_user.get("/api/tasks").getvalue()
        as_user.get("/api/tasks?limit=1&q=bread&completed=true")
        as_user.delete(where)

    every_request()
    first = list(compiled)
    every_request()
    assert compiled == first
    assert sorted({call[0] for call in first}) == ["change", "chunk", "create", "move_to_trash", "show", "toggle"]


def test_each_number_of_versions_is_a_statement(compiled, execute):
    task = TaskFactory()
    for versions in ([1], [2], [1, 2], [2, 1], [3, 4], [1, 2, 3]):
        assert execute("show", False, id=task.id, versions=versions) == ([(task.title, 1)] if 1 in versions else [])
    assert [call[2]["versions"] for call in compiled] == [1, 2, 3]


def test_each_set_of_changed_columns_is_a_statement(compiled, execute):
    task = TaskFactory()
    for changes in (
        {"title": "a"},
        {"title": "b"},
        {"completed": True},
        {"title": "c", "completed": False},
        {"title": "d", "completed": True},
    ):
        assert len(execute("change", id=task.id, changes=changes)) == 1
    assert [call[2]["changes"] for call in compiled] == [["title"], ["completed"], ["completed", "title"]]


def test_each_list_that_is_asked_for_is_a_statement(compiled, execute):
    for ordering in ORDERINGS:
        for filters in ({}, {"completed": True}, {"completed": False}):
            for words in ([], ["a"], ["b"], ["a", "b"]):
                execute("chunk", False, ordering, 5, filters=filters, words=words)
    # Six orders, with completed and without, and no word, one or two.
    assert len(compiled) == len(ORDERINGS) * 2 * 3


def test_a_statement_is_one_query(as_user, django_assert_num_queries):
    task = TaskFactory()
    for _ in range(2):
        with django_assert_num_queries(1, connection=connection):
            statements.toggle.fetch(user_id="default", id=task.id)


# Values are those of the execution


def test_values_are_those_of_each_execution(execute):
    mine, another = TaskFactory(title="mine"), TaskFactory(title="another")
    foreign = TaskFactory(title="foreign", foreign=True)
    assert execute("show", False, id=mine.id) == [("mine", 1)]
    assert execute("show", False, id=another.id) == [("another", 1)]
    assert execute("show", False, id=foreign.id) == []
    assert execute("show", False, id=foreign.id, user_id=SOMEBODY_ELSE) == [("foreign", 1)]
    assert execute("show", False, id=mine.id, user_id=SOMEBODY_ELSE) == []
    assert execute("show", False, id=mine.id) == [("mine", 1)]


def test_changes_are_written_to_the_columns_that_they_name(stored):
    """Whatever the order in which they are named."""
    task = TaskFactory(title="a", description="b")
    for changes in (
        {"title": "c", "description": "d", "completed": True},
        {"description": "e", "completed": False, "title": "f"},
        {"completed": True, "title": "g", "description": "h"},
        {"description": "i", "title": "j"},
        {"title": "k", "description": "l"},
    ):
        [shown] = statements.change.fetch(user_id="default", id=task.id, changes=changes)
        [row] = stored()
        assert {name: row[name] for name in changes} == changes
        assert shown[1] == row["version"]


def test_versions_and_filters_are_those_of_each_execution(execute):
    done, undone = TaskFactory(title="done", completed=True), TaskFactory(title="undone")
    for _ in range(2):
        assert execute("chunk", False, "title", 5, filters={"completed": True}) == [("done", "done")]
        assert execute("chunk", False, "title", 5, filters={"completed": False}) == [("undone", "undone")]
        assert execute("chunk", False, "-title", 5, words=["done"]) == [("undone", "undone"), ("done", "done")]
        assert execute("chunk", False, "-title", 5, words=["un"]) == [("undone", "undone")]
        assert execute("show", False, id=done.id, versions=[1, 2]) == [("done", 1)]
        assert execute("show", False, id=undone.id, versions=[2, 3]) == []


def test_filters_are_bound_by_name_and_not_by_place():
    """The same filters, given in another order, are not each other's values."""
    early = TaskFactory(created_at=MOMENT, updated_at=MOMENT.replace(year=2027))
    after, before = MOMENT.replace(year=2025), MOMENT.replace(year=2028)
    for filters in (
        {"created_at__gte": after, "updated_at__lt": before},
        {"updated_at__lt": before, "created_at__gte": after},
    ):
        [shown] = statements.chunk.fetch(False, "title", 5, user_id="default", filters=filters)
        assert str(early.id) in shown[0]
    for filters in (
        {"created_at__gte": before, "updated_at__lt": after},
        {"updated_at__lt": after, "created_at__gte": before},
    ):
        assert statements.chunk.fetch(False, "title", 5, user_id="default", filters=filters) == []


def test_the_moment_of_a_write_is_that_of_its_execution(monkeypatch, stored):
    task = TaskFactory(created_at=MOMENT)
    for month in (2, 3, 4):
        now = MOMENT.replace(month=month)
        monkeypatch.setattr("django.utils.timezone.now", lambda now=now: now)
        statements.toggle.fetch(user_id="default", id=task.id)
        assert [row["updated_at"] for row in stored()] == [now]


@pytest.mark.parametrize("text", ["%s", "%(title)s", "100%", "{}", "'; --", "$1", "?", ":1", "\\", "E'\\\\'"])
def test_a_value_is_never_part_of_the_statement(execute, text):
    task = TaskFactory(title=text, user_id=text)
    assert execute("show", False, id=task.id, user_id=text) == [(text, 1)]
    assert execute("chunk", False, "title", 5, user_id=text, words=[text]) == [(text, text)]
    assert execute("chunk", False, "-title", 5, user_id=text, after=(text, uuid7())) == [(text, text)]
    [shown] = statements.change.fetch(user_id=text, id=task.id, changes={"title": text, "description": text})
    assert shown[1] == 2
    assert Task.objects.get().description == text


# A set of versions that is empty


WRITES = {
    "PATCH": ("PATCH", "", b'{"title": "Changed"}'),
    "empty PATCH": ("PATCH", "", b"{}"),
    "DELETE": ("DELETE", "", b""),
    "toggle": ("POST", "/toggle", b""),
}


@pytest.mark.parametrize("tags", ['W/"1"', 'W/"1", W/"2"', '""', '"x"', '"01"', '"1_2"', '"0"', '"*"'])
@pytest.mark.parametrize("write", WRITES)
def test_an_if_match_that_names_no_version_strongly_matches_nothing(as_user, stored, write, tags):
    method, suffix, body = WRITES[write]
    task, _ = TaskFactory.create_batch(2)
    before = stored()
    where = path(task) + suffix
    response = as_user.generic(method, where, body, content_type=JSON, headers={"If-Match": tags})
    assert response.status_code == 412
    assert headers(response) == problem_headers(ETag='"1"')
    assert response.json() == problem("precondition_failed", where)
    assert stored() == before


def test_the_same_writes_go_ahead_where_the_version_is_named(as_user):
    """The control: what is refused above is not refused for another reason."""
    for method, suffix, body in WRITES.values():
        task = TaskFactory()
        response = as_user.generic(
            method, path(task) + suffix, body, content_type=JSON, headers={"If-Match": 'W/"1", "1"'}
        )
        assert response.status_code == 200
        assert response.json()["id"] == task_body(task)["id"]
