"""The statements of the API: compiled once per process, and run with new values."""

import json
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from database.compiled_statements import CompiledStatement
from tasks.api import statements
from tasks.models import Task
from tasks.tests.api.contract import JSON, ORDERINGS
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

CREATED = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
NAMES = ("create", "show", "change", "toggle", "move_to_trash", "restore", "remove", "chunk")


@pytest.fixture
def compilations(monkeypatch):
    """Replace the statements, and return the name and the shape of each compilation."""
    compiled = []

    def replace(name):
        statement = getattr(statements, name)

        def build(*parts, **values):
            compiled.append((name, parts, {key: shape(value) for key, value in values.items()}))
            return statement.build(*parts, **values)

        monkeypatch.setattr(statements, name, CompiledStatement(build, statement.columns))

    for name in NAMES:
        replace(name)
    return compiled


def shape(value):
    if isinstance(value, dict):
        return sorted(value)
    return len(value) if isinstance(value, tuple) else "parameter"


@pytest.fixture
def fetch():
    """Run a statement, and return the title and the second column of each row."""

    def run(name, *parts, user_id="default", **values):
        rows = getattr(statements, name).fetch(*parts, user_id=user_id, **values)
        return [(json.loads(row[0])["title"], row[1]) for row in rows]

    return run


@pytest.mark.parametrize(
    ("name", "parts"),
    [("show", (False,)), ("show", (True,)), ("toggle", ()), ("move_to_trash", ()), ("restore", ()), ("remove", ())],
)
def test_statement_run_four_times_is_compiled_once(compilations, fetch, name, parts):
    for number in range(3):
        task = TaskFactory(title=f"{number}", trashed=name in {"restore", "remove"} or True in parts)
        assert len(fetch(name, *parts, id=task.id)) == 1
    assert fetch(name, *parts, id=uuid7()) == []
    assert [call[0] for call in compilations] == [name]


def test_requests_sent_again_compile_nothing(compilations, as_user):
    def send_all():
        path = as_user.post("/api/tasks", {"title": "Buy milk"}, content_type=JSON)["Location"]
        as_user.get(path)
        as_user.patch(path, {"title": "Buy bread"}, content_type=JSON, headers={"If-Match": '"1"'})
        as_user.post(f"{path}/toggle")
        as_user.get("/api/tasks").getvalue()
        as_user.get("/api/tasks?limit=1&q=bread&completed=true")
        as_user.delete(path)

    send_all()
    first = list(compilations)
    send_all()
    assert compilations == first
    assert sorted({call[0] for call in first}) == ["change", "chunk", "create", "move_to_trash", "show", "toggle"]


def test_statement_with_versions_is_compiled_per_number(compilations, fetch):
    task = TaskFactory()
    for versions in ([1], [2], [1, 2], [2, 1], [3, 4], [1, 2, 3]):
        assert fetch("show", False, id=task.id, versions=versions) == ([(task.title, 1)] if 1 in versions else [])
    assert [call[2]["versions"] for call in compilations] == [1, 2, 3]


def test_change_is_compiled_per_set_of_columns(compilations, fetch):
    task = TaskFactory()
    for changes in (
        {"title": "a"},
        {"title": "b"},
        {"completed": True},
        {"title": "c", "completed": False},
        {"title": "d", "completed": True},
    ):
        assert len(fetch("change", id=task.id, changes=changes)) == 1
    assert [call[2]["changes"] for call in compilations] == [["title"], ["completed"], ["completed", "title"]]


def test_chunk_is_compiled_per_order_filters_and_words(compilations, fetch):
    for ordering in ORDERINGS:
        for filters in ({}, {"completed": True}, {"completed": False}):
            for words in ([], ["a"], ["b"], ["a", "b"]):
                fetch("chunk", False, ordering, 5, filters=filters, words=words)
    # A statement has the filter or not, and no word, one or two.
    assert len(compilations) == len(ORDERINGS) * 2 * 3


def test_statement_runs_one_query(django_assert_num_queries):
    task = TaskFactory()
    for _ in range(2):
        with django_assert_num_queries(1, connection=connection):
            statements.toggle.fetch(user_id="default", id=task.id)


def test_insert_of_unsorted_tasks_stores_by_id():
    """In any other order, two requests with the same ids could deadlock."""
    rows = [Task(user_id="default", title="Buy milk").columns() for _ in range(100)]
    shuffled = random.Random(0).sample(rows, len(rows))
    inserted = [UUID(str(key)) for _, key in statements.insert.fetch(shuffled, user_id="default")]
    assert inserted == sorted(row["id"] for row in rows)


def test_statement_run_again_uses_new_id_and_user(fetch):
    mine, another = TaskFactory(title="mine"), TaskFactory(title="another")
    foreign = TaskFactory(title="foreign", foreign=True)
    assert fetch("show", False, id=mine.id) == [("mine", 1)]
    assert fetch("show", False, id=another.id) == [("another", 1)]
    assert fetch("show", False, id=foreign.id) == []
    assert fetch("show", False, id=foreign.id, user_id=SOMEBODY_ELSE) == [("foreign", 1)]
    assert fetch("show", False, id=mine.id, user_id=SOMEBODY_ELSE) == []
    assert fetch("show", False, id=mine.id) == [("mine", 1)]


def test_change_with_columns_in_any_order_writes_each(stored):
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


def test_statement_run_again_uses_new_versions_and_filters(fetch):
    done, undone = TaskFactory(title="done", completed=True), TaskFactory(title="undone")
    for _ in range(2):
        assert fetch("chunk", False, "title", 5, filters={"completed": True}) == [("done", "done")]
        assert fetch("chunk", False, "title", 5, filters={"completed": False}) == [("undone", "undone")]
        assert fetch("chunk", False, "-title", 5, words=["done"]) == [("undone", "undone"), ("done", "done")]
        assert fetch("chunk", False, "-title", 5, words=["un"]) == [("undone", "undone")]
        assert fetch("show", False, id=done.id, versions=[1, 2]) == [("done", 1)]
        assert fetch("show", False, id=undone.id, versions=[2, 3]) == []


def test_filters_in_any_order_are_bound_by_name():
    early = TaskFactory(created_at=CREATED, updated_at=CREATED.replace(year=2027))
    after, before = CREATED.replace(year=2025), CREATED.replace(year=2028)
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


def test_write_run_again_uses_new_time(monkeypatch, stored):
    task = TaskFactory(created_at=CREATED)
    for month in (2, 3, 4):
        now = CREATED.replace(month=month)
        monkeypatch.setattr("django.utils.timezone.now", lambda now=now: now)
        statements.toggle.fetch(user_id="default", id=task.id)
        assert [row["updated_at"] for row in stored()] == [now]


@pytest.mark.parametrize("text", ["%s", "%(title)s", "100%", "{}", "'; --", "$1", "?", ":1", "\\", "E'\\\\'"])
def test_value_with_sql_syntax_is_only_a_value(fetch, text):
    task = TaskFactory(title=text, user_id=text)
    assert fetch("show", False, id=task.id, user_id=text) == [(text, 1)]
    assert fetch("chunk", False, "title", 5, user_id=text, words=[text]) == [(text, text)]
    assert fetch("chunk", False, "-title", 5, user_id=text, after=(text, uuid7())) == [(text, text)]
    [shown] = statements.change.fetch(user_id=text, id=task.id, changes={"title": text, "description": text})
    assert shown[1] == 2
    assert Task.objects.get().description == text


def test_value_of_unknown_type_is_refused():
    with pytest.raises(TypeError, match="A statement takes no set"):
        statements.show.fetch(None, user_id="default", id={1})
