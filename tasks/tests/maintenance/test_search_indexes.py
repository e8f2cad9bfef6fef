"""The indexes and statistics of a search among 20,000 tasks of 100 users, with ``pg_trgm``."""

from contextlib import closing

import psycopg
import pytest

from testing.commands import failure, run_command, run_command_process, success
from testing.postgresql import DebianPostgreSQL
from testing.programs import directory_owned_by, unprivileged_user
from testing.python_processes import python_output

# The statement depends on the version of PostgreSQL, so a process that uses this server prints the statement.
PRINT_STATEMENT = """
import django
django.setup()
from django.db import connection
from django.test import Client
connection.force_debug_cursor = True
Client(headers={"host": "localhost"}).get("/api/tasks?q=dentist&limit=20").getvalue()
[statement] = [query["sql"] for query in connection.queries if "UPPER" in query["sql"]]
print(statement)
"""

USERS, TASKS_PER_USER = 100, 200

# Four titles in a hundred have the word "dentist".
FILL = f"""
    INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version)
    SELECT
        overlay(overlay(md5(n::text) PLACING '7' FROM 13) PLACING '8' FROM 17)::uuid,
        CASE n % {USERS} WHEN 0 THEN 'default' ELSE 'user-' || n % {USERS} END,
        'Task ' || md5(n::text) || CASE n / {USERS} % 25 WHEN 0 THEN ' dentist' ELSE '' END,
        'Description ' || md5((-n)::text),
        false,
        timestamptz '2026-01-01Z' + n * interval '1 second',
        timestamptz '2026-01-01Z' + n * interval '1 second',
        1
    FROM generate_series(1, {USERS * TASKS_PER_USER}) n
"""
DROP_STATISTICS = "DROP STATISTICS task_title_words, task_description_words"


@pytest.fixture(scope="module")
def postgresql():
    """Yield a server of Debian's with a migrated database ``todo``, which has all tasks."""
    with directory_owned_by(unprivileged_user()) as directory:
        server = DebianPostgreSQL.create_in(str(directory))
        server.start(random_page_cost=1.1, autovacuum="off", fsync="off")
        try:
            server.create_migrated_database("todo")
            server.execute(FILL, "todo")
            server.execute("VACUUM ANALYZE tasks_task", "todo")
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def url(postgresql):
    return postgresql.url("todo", "todo")


@pytest.fixture(scope="module")
def statement(url):
    return python_output("-c", PRINT_STATEMENT, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="todo_project.settings")


@pytest.fixture
def database(url):
    """Yield a connection whose transaction is rolled back."""
    with closing(psycopg.connect(url)) as connected:
        yield connected


@pytest.fixture
def rows_read(database, statement):
    """Return a function that runs the search, and returns how many tasks PostgreSQL reads."""

    def rows_read():
        [(explained,)] = database.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}").fetchall()
        return count_rows(explained[0]["Plan"])

    return rows_read


def count_rows(plan):
    """Return how many rows the scans of the table have read, kept or not."""
    rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    own = rows if plan.get("Relation Name") == "tasks_task" else 0
    return own + sum(map(count_rows, plan.get("Plans", [])))


@pytest.mark.once
def test_search_for_common_word_reads_callers_tasks(rows_read):
    assert rows_read() <= TASKS_PER_USER


@pytest.mark.once
def test_control_without_statistics_search_reads_all_users(rows_read, database):
    database.execute(DROP_STATISTICS)
    assert rows_read() == USERS * TASKS_PER_USER // 25


def indexes(postgresql):
    """Return the names of the trigram indexes that PostgreSQL uses."""
    statement = "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indisvalid"
    return [name for [name] in postgresql.execute(f"{statement} ORDER BY relname DESC", "todo") if "trigrams" in name]


NAMES = ["task_title_trigrams", "task_description_trigrams"]


@pytest.mark.once
def test_search_indexes_drops_and_creates_indexes(postgresql, url):
    for _ in range(2):
        output = run_command_process(url, "search_indexes", "--drop")
        assert output == success("Dropped task_title_trigrams and task_description_trigrams\n")
        assert indexes(postgresql) == []
    for _ in range(2):
        output = run_command_process(url, "search_indexes")
        assert output == success("Created task_title_trigrams and task_description_trigrams\n")
        assert indexes(postgresql) == NAMES


@pytest.mark.once
@pytest.mark.parametrize(("options", "verb"), [((), "create"), (("--drop",), "drop")])
def test_search_indexes_in_dry_run_changes_nothing(postgresql, url, options, verb):
    output = run_command_process(url, "search_indexes", "--dry-run", *options)
    assert output == success(f"Would {verb} task_title_trigrams and task_description_trigrams\n")
    assert indexes(postgresql) == NAMES


@pytest.mark.once
def test_search_indexes_replaces_unfinished_index(postgresql, url):
    unfinished = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'task_title_trigrams'::regclass"
    postgresql.execute(unfinished, "todo")
    assert indexes(postgresql) == NAMES[1:]
    run_command_process(url, "search_indexes")
    assert indexes(postgresql) == NAMES


@pytest.mark.django_db
def test_search_indexes_without_pg_trgm_are_refused(monkeypatch):
    """The PostgreSQL of the run may have the extension."""
    monkeypatch.setattr("tasks.maintenance.search_indexes.EXTENSION", "of_no_server")
    reason = "This database can have no trigram indexes: PostgreSQL needs the extension pg_trgm"
    assert run_command("search_indexes") == failure(reason, 2)
