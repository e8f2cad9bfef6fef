"""Index use: a page reads only its own rows, among 200,000 tasks of 200 users and a trash of 40,000."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from database.connections import BoundedConnection
from tasks.api import statements
from tasks.tests.api.contract import ORDERINGS

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has other plans"),
]

FILL = """
    INSERT INTO tasks_task (
        id, user_id, title, description, completed, created_at, updated_at, version, deleted_at,
        due, priority, labels, completed_at
    )
    SELECT
        overlay(overlay(md5(n::text) PLACING '7' FROM 13) PLACING '8' FROM 17)::uuid,
        CASE n % 200 WHEN 0 THEN 'default' ELSE 'user-' || n % 200 END,
        'Task ' || n % 997,
        'Milk',
        n % 3 = 0,
        timestamptz '2026-01-01Z' + n * interval '1 second',
        timestamptz '2026-01-10Z' + (n * 7919 % 200000) * interval '1 second',
        1,
        CASE WHEN n > 200000 THEN timestamptz '2026-02-01Z' END,
        to_char(date '2026-01-01' + n * 31 % 365, 'YYYY-MM-DD') || (array['', 'T18:00:00', 'T18:00:00Z', NULL])[n % 7],
        n * 7 % 11 % 4,
        CASE WHEN n * 13 % 17 < 9 THEN jsonb_build_object('home', true, 'label ' || n * 13 % 100, true) ELSE '{}' END,
        CASE n % 3 WHEN 0 THEN timestamptz '2026-01-10Z' + (n * 7919 % 200000) * interval '1 second' END
    FROM generate_series(1, 240000) n
"""
NEXT = re.compile('<([^>]+)>; rel="next"')

#: Filters that keep half of the tasks, or more.
FILTERS = [
    "",
    "completed=true",
    "completed=false",
    "created_after=2026-01-02T00:00:00Z",
    "created_before=2026-01-02T00:00:00Z",
    "updated_after=2026-01-11T00:00:00Z",
    "updated_before=2026-01-11T00:00:00Z",
    "due=any",
    "due_after=2026-03-01",
    "due_before=2026-10-01T12:00:00",
    "label=home",
    "completed=false&created_after=2026-01-01T12:00:00Z&updated_before=2026-01-11T12:00:00Z",
]
ONE_FILTER = FILTERS[:-1]
#: Filters that keep fewer tasks, down to 1 %.
NARROW_FILTERS = [
    "due=none",
    "due_after=2026-12-29",
    "due_before=2026-01-04",
    "priority=none",
    "priority=low",
    "priority=medium",
    "priority=high",
    "label=label%207",
    "label=no%20task%20has%20it",
    "completed_after=2026-01-11T00:00:00Z",
    "completed_before=2026-01-10T12:00:00Z",
    "due=any&priority=high&label=home&completed_after=2026-01-10T00:00:00Z",
]
INDEXES = {
    "": ("task_list", "Forward"),
    "ordering=-created_at": ("task_list", "Forward"),
    "ordering=created_at": ("task_list", "Backward"),
    "ordering=-updated_at": ("task_updated", "Forward"),
    "ordering=updated_at": ("task_updated", "Backward"),
    "ordering=title": ("task_title", "Forward"),
    "ordering=-title": ("task_title", "Backward"),
    "ordering=due": ("task_due", "Forward"),
    "ordering=-due": ("task_due", "Backward"),
    "ordering=priority": ("task_priority", "Forward"),
    "ordering=-priority": ("task_priority", "Backward"),
}


def test_each_ordering_has_an_index():
    assert INDEXES.keys() == {"", *(f"ordering={ordering}" for ordering in ORDERINGS)}


@pytest.fixture(scope="module", autouse=True)
def many_tasks(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        # The inserts take longer than a request may wait for the database.
        patch.setattr(BoundedConnection, "deadline", 60.0)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")
                cursor.execute(FILL)
                cursor.execute("RESET statement_timeout")
                cursor.execute("ANALYZE tasks_task")
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE tasks_task")
                cursor.execute("ANALYZE tasks_task")
            connection.close()


def nodes(plan):
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def explain(statement, options=""):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON{options}) {statement}")
        [(explained,)] = cursor.fetchall()
    return nodes(explained[0]["Plan"])


def assert_walks(plan, index, direction, *, after=False):
    """Assert that the plan reads only the wanted rows, in the order of the index, and sorts nothing."""
    assert [node["Node Type"] for node in plan] == ["Limit", "Index Scan"]
    assert (plan[1]["Index Name"], plan[1]["Scan Direction"]) == (index, direction)
    assert "user_id" in plan[1]["Index Cond"]
    assert ("ROW(" in plan[1]["Index Cond"]) is after


def assert_reads_only_tasks_of_caller(plan):
    """Assert that each scan is of the caller's tasks, which are so few that PostgreSQL may sort them."""
    scans = [node for node in plan if "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Heap Scan"]
    assert scans
    assert ["user_id" in scan["Index Cond"] for scan in scans] == [True] * len(scans)


@pytest.fixture
def asked(as_user):
    """Send a GET, and return its statement and its response."""

    def ask(target):
        with CaptureQueriesContext(connection) as queries:
            response = as_user.get(target)
            assert response.status_code == 200
            response.getvalue()
        return queries[0]["sql"], response

    return ask


@pytest.mark.parametrize(("ordering", "expected"), INDEXES.items())
@pytest.mark.parametrize("parameters", FILTERS)
def test_page_walks_index_of_its_order(asked, parameters, ordering, expected):
    statement, response = asked("/api/tasks?" + "&".join(filter(None, ["limit=20", parameters, ordering])))
    assert_walks(explain(statement), *expected)
    [target] = NEXT.findall(response["Link"])
    statement, _ = asked(target)
    assert_walks(explain(statement), *expected, after=True)


@pytest.mark.parametrize("ordering", INDEXES)
@pytest.mark.parametrize("parameters", NARROW_FILTERS)
def test_narrow_filter_reads_only_tasks_of_caller(asked, parameters, ordering):
    statement, _ = asked("/api/tasks?" + "&".join(filter(None, ["limit=20", parameters, ordering])))
    assert_reads_only_tasks_of_caller(explain(statement))


@pytest.mark.parametrize("parameters", [*FILTERS, *NARROW_FILTERS, "q=milk"])
def test_count_reads_only_tasks_of_caller(asked, parameters):
    statement, _ = asked(f"/api/tasks/count?{parameters}")
    assert_reads_only_tasks_of_caller(explain(statement))


@pytest.mark.parametrize(("ordering", "expected"), INDEXES.items())
def test_whole_list_walks_index_of_its_order(asked, ordering, expected):
    statement, _ = asked(f"/api/tasks?{ordering}")
    aggregate, *plan = explain(statement)
    assert aggregate["Node Type"] == "Aggregate"
    assert_walks(plan, *expected)


@pytest.mark.parametrize(("ordering", "direction"), [("", "Forward"), ("ordering=updated_at&", "Backward")])
def test_trash_walks_index_of_its_own(asked, ordering, direction):
    statement, response = asked(f"/api/tasks/trash?{ordering}limit=20")
    assert_walks(explain(statement), "task_trash", direction)
    [target] = NEXT.findall(response["Link"])
    statement, _ = asked(target)
    assert_walks(explain(statement), "task_trash", direction, after=True)


@pytest.mark.parametrize("ordering", INDEXES)
@pytest.mark.parametrize("parameters", ["q=milk", "q=milk%20task", "completed=false&q=milk&limit=20"])
def test_search_reads_only_tasks_of_caller(asked, parameters, ordering):
    statement, _ = asked("/api/tasks?" + "&".join(filter(None, [parameters, ordering])))
    assert_reads_only_tasks_of_caller(explain(statement))


def test_search_for_rare_word_uses_trigrams(asked, monkeypatch):
    """The caller has more tasks than are worth reading."""
    monkeypatch.setattr(BoundedConnection, "deadline", 60.0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        if not cursor.fetchall():
            pytest.skip("This PostgreSQL has no pg_trgm")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("UPDATE tasks_task SET title = 'Quixotic' WHERE created_at = '2026-01-01T00:00:01Z'")
        cursor.execute("UPDATE tasks_task SET user_id = 'default' WHERE created_at < '2026-01-01T12:00:00Z'")
        cursor.execute("ANALYZE tasks_task")
    statement, response = asked("/api/tasks?q=quixotic&limit=20")
    assert len(response.json()) == 1
    assert {node["Index Name"] for node in explain(statement) if "Index Name" in node} == {
        "task_title_trigrams",
        "task_description_trigrams",
    }


@pytest.mark.parametrize(("ordering", "expected"), INDEXES.items())
@pytest.mark.parametrize("parameters", ONE_FILTER)
def test_prepared_statement_walks_index_of_its_order(asked, monkeypatch, parameters, ordering, expected):
    """After some executions PostgreSQL may plan a statement for any values.

    Not with ``q``, because a plan for any word costs more than one for the value.
    """
    if connection.pg_version < 160000:
        pytest.skip("PostgreSQL before 16 does not explain a generic plan")
    compiled = []
    compile_statement = statements.chunk.compile

    def record(*key):
        compiled.append(compile_statement(*key)[0])
        return compile_statement(*key)

    monkeypatch.setattr(statements.chunk, "compile", record)
    _, response = asked("/api/tasks?" + "&".join(filter(None, ["limit=20", parameters, ordering])))
    asked(NEXT.findall(response["Link"])[0])
    for statement, after in zip(compiled, (False, True), strict=True):
        numbers = iter(range(1, 100))
        numbered = re.sub("%s", lambda _, numbers=numbers: f"${next(numbers)}", statement).replace("%%", "%")
        assert_walks(explain(numbered, ", GENERIC_PLAN"), *expected, after=after)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "task_created"),
        ("?o=4", "task_created"),
        ("?o=7", "task_created"),
        ("?o=-7", "task_created"),
        ("?completed__exact=1", "task_created"),
        ("?where=both&p=20", "task_created"),
        ("?where=trash", "task_deleted"),
        ("?owner=user-7", "task_list"),
        ("?q=user-7", "task_list"),
    ],
)
def test_page_of_admin_walks_index(admin_client, query, index):
    with CaptureQueriesContext(connection) as queries:
        assert admin_client.get(f"/admin/tasks/task/{query}").status_code == 200
    [statement] = [query["sql"] for query in queries if " LIMIT 51" in query["sql"]]
    scans = [node for node in explain(statement) if "Scan" in node["Node Type"]]
    assert [(scan["Node Type"], scan["Index Name"]) for scan in scans] == [("Index Scan", index)]
