"""Which connection one statement is carried out on: one of the pool, or the one that the thread has already."""

import pytest
from django.db import DataError, OperationalError, ProgrammingError, connection, transaction
from psycopg_pool import PoolTimeout

from database.cursors import statement_cursor
from tasks.api import statements
from tasks.models import Task
from tasks.tests.factories import TaskFactory

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no pool")


def made():
    """A new task, stored by one statement."""
    task = Task(user_id="default", title="Buy milk")
    statements.create.execute(**task.columns())
    return task


@pytest.fixture
def without_connection(transactional_db):
    connection.close()
    assert connection.connection is None


@ON_POSTGRESQL
def test_a_statement_by_itself_takes_a_connection_of_the_pool_and_is_committed(without_connection):
    with statement_cursor(connection) as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        assert connection.connection is None
    task = made()
    assert connection.connection is None
    assert Task.objects.get() == task


@ON_POSTGRESQL
def test_it_is_committed_on_a_connection_that_was_left_in_a_transaction(without_connection):
    """As a request leaves it that fails within one: the pool rolls back what it began, and no more."""
    pooled = connection.pool.getconn()
    pooled.autocommit = False
    pooled.execute("SELECT 1")
    connection.pool.putconn(pooled)
    for _ in range(connection.pool.max_size):
        made()
    assert Task.objects.count() == connection.pool.max_size


@ON_POSTGRESQL
def test_its_connection_is_back_whatever_becomes_of_it(without_connection):
    available = connection.pool.get_stats()["pool_available"]
    with pytest.raises(DataError), statement_cursor(connection) as cursor:
        cursor.execute("SELECT 1 / 0")
    assert connection.pool.get_stats()["pool_available"] == available


@ON_POSTGRESQL
def test_a_pool_that_has_none_is_a_database_that_is_away(without_connection, monkeypatch):
    def fail():
        raise PoolTimeout("couldn't get a connection")

    with monkeypatch.context() as patch:
        patch.setattr(connection.pool, "getconn", fail)
        with pytest.raises(OperationalError):
            made()


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_it_is_a_part_of_it():
    with transaction.atomic():
        task = TaskFactory()
        statements.toggle.execute(user_id="default", id=task.id)
        assert Task.objects.get().completed
        transaction.set_rollback(True)
    assert not Task.objects.exists()


@ON_POSTGRESQL
def test_a_transaction_that_has_lost_its_connection_is_over(without_connection):
    with transaction.atomic():
        connection.close()
        with pytest.raises(ProgrammingError):
            made()
    assert not Task.objects.exists()


@ON_POSTGRESQL
def test_a_thread_that_has_a_connection_takes_no_other(without_connection):
    connection.ensure_connection()
    with statement_cursor(connection) as cursor:
        assert cursor.connection is connection.connection


@ON_POSTGRESQL
def test_whoever_looks_at_statements_sees_it(without_connection, django_assert_num_queries):
    seen = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (seen.append(sql), execute(sql, *rest))[1]):
        made()
    assert len(seen) == 1
    connection.close()
    with django_assert_num_queries(1):
        made()
