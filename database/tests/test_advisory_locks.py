"""Transactions that wait for each other in the order of their arrival."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from database.advisory_locks import lock_until_commit
from testing.waiting import wait_for

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has one writer")


def waiting_transactions():
    """Return how many transactions of this database wait for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        [number] = cursor.fetchone()
    return number


@pytest.fixture
def run():
    """Run functions in threads, each of which closes its connection at the end."""

    def run_and_close(function, *args):
        try:
            return function(*args)
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        yield lambda function, *args: threads.submit(run_and_close, function, *args)


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_transactions_with_one_name_run_in_turn(run):
    turns = []

    def take_turn(number):
        with transaction.atomic():
            lock_until_commit("a")
            turns.append(number)

    with transaction.atomic():
        lock_until_commit("a")
        waiting = []
        for number in range(3):
            waiting.append(run(take_turn, number))
            wait_for(lambda: waiting_transactions() == len(waiting), "the transaction waits")
        assert turns == []
    assert [each.result() for each in waiting] == [None] * 3
    assert turns == [0, 1, 2]


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_transaction_with_another_name_does_not_wait(run):
    def lock_another():
        with transaction.atomic():
            lock_until_commit("b")

    with transaction.atomic():
        lock_until_commit("a")
        assert run(lock_another).result() is None


def test_lock_until_commit_needs_no_lock_in_sqlite(db, django_assert_num_queries):
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        lock_until_commit("a")
