"""The connection that runs a statement: one of the pool, or the one of the thread."""

import pytest
from django.db import DataError, OperationalError, ProgrammingError, connection, transaction
from psycopg_pool import PoolTimeout

from database import cursors
from database.cursors import search, statement_cursor
from tasks.api import statements
from tasks.models import Task
from tasks.tests.factories import TaskFactory

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no pool")


def create_task():
    """Create a task by one statement."""
    task = Task(user_id="default", title="Buy milk")
    statements.create.fetch(user_id=task.user_id, columns=task.columns())
    return task


@pytest.fixture
def without_connection(transactional_db):
    connection.close()
    assert connection.connection is None


@ON_POSTGRESQL
def test_single_statement_takes_a_pooled_connection_and_commits(without_connection):
    with statement_cursor(connection) as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        assert connection.connection is None
    task = create_task()
    assert connection.connection is None
    assert Task.objects.get() == task


@ON_POSTGRESQL
def test_statement_commits_on_a_connection_without_autocommit(without_connection):
    """The pool rolls back a failed request's transaction, but leaves autocommit off."""
    pooled = connection.pool.getconn()
    pooled.autocommit = False
    pooled.execute("SELECT 1")
    connection.pool.putconn(pooled)
    for _ in range(connection.pool.max_size):
        create_task()
    assert Task.objects.count() == connection.pool.max_size


@ON_POSTGRESQL
def test_failed_statement_releases_its_connection(without_connection):
    available = connection.pool.get_stats()["pool_available"]
    with pytest.raises(DataError), statement_cursor(connection) as cursor:
        cursor.execute("SELECT 1 / 0")
    assert connection.pool.get_stats()["pool_available"] == available


@ON_POSTGRESQL
def test_exhausted_pool_raises_operational_error(without_connection, monkeypatch):
    def fail():
        raise PoolTimeout("couldn't get a connection")

    with monkeypatch.context() as patch:
        patch.setattr(connection.pool, "getconn", fail)
        with pytest.raises(OperationalError):
            create_task()


@pytest.mark.django_db(transaction=True)
def test_statement_in_a_transaction_is_part_of_it():
    with transaction.atomic():
        task = TaskFactory()
        statements.toggle.fetch(user_id="default", id=task.id)
        assert Task.objects.get().completed
        transaction.set_rollback(True)
    assert not Task.objects.exists()


@ON_POSTGRESQL
def test_statement_in_a_transaction_without_connection_fails(without_connection):
    with transaction.atomic():
        connection.close()
        with pytest.raises(ProgrammingError):
            create_task()
    assert not Task.objects.exists()


@ON_POSTGRESQL
def test_statement_uses_the_connection_of_the_thread(without_connection):
    connection.ensure_connection()
    with statement_cursor(connection) as cursor:
        assert cursor.connection is connection.connection


@ON_POSTGRESQL
def test_execute_wrapper_sees_the_statement(without_connection, django_assert_num_queries):
    seen = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (seen.append(sql), execute(sql, *rest))[1]):
        create_task()
    assert len(seen) == 1
    connection.close()
    with django_assert_num_queries(1):
        create_task()


ON_SQLITE = pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL has a timeout of its own")
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT count(*) FROM n"


def run(statement):
    with statement_cursor(connection) as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


@ON_SQLITE
@pytest.mark.django_db
def test_search_beyond_answer_timeout_is_stopped(settings):
    settings.DB_ANSWER_TIMEOUT = 0.01
    with pytest.raises(OperationalError, match="interrupted"), search(connection):
        run(ENDLESS)
    assert run(LONG) == [(100_000,)]


@ON_SQLITE
@pytest.mark.django_db
def test_statement_outside_of_search_is_not_stopped(settings):
    settings.DB_ANSWER_TIMEOUT = -1
    assert run(LONG) == [(100_000,)]
    with pytest.raises(OperationalError), search(connection):
        run(LONG)


@ON_SQLITE
@pytest.mark.django_db
@pytest.mark.parametrize("query", ["q=milk", "q=milk&limit=1"])
def test_search_of_api_beyond_answer_timeout_is_503(client, settings, monkeypatch, query):
    TaskFactory(title="Buy milk")
    settings.DB_ANSWER_TIMEOUT = -1
    monkeypatch.setattr(cursors, "INSTRUCTIONS_PER_CHECK", 1)
    response = client.get(f"/api/tasks?{query}")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["code"] == "service_unavailable"
    settings.DB_ANSWER_TIMEOUT = 60
    assert b"Buy milk" in client.get(f"/api/tasks?{query}").getvalue()
