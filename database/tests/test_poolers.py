"""Poolers in front of PostgreSQL: the statements that they keep, and URLs without ``DB_POOLER``."""

from contextlib import ExitStack, closing

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from database.postgresql.base import POOLER_ADVICE
from database.url import PostgreSQLClient, django_database
from testing.commands import failure, run_command_process
from testing.pgbouncer import require_pgbouncer, running_pgbouncer

on_direct_postgresql = pytest.mark.skipif(
    "config.getoption('database') != 'postgresql'", reason="The test starts a pooler in front of a PostgreSQL"
)


def client(**values):
    values = {"pooled_externally": True, "prepares_statements": True, **values}
    limits = {"pool_size": 1, "pool_timeout": 1, "connect_timeout": 2, "answer_timeout": 2}
    return PostgreSQLClient(serving=False, **limits, **values)


@pytest.mark.once
@pytest.mark.parametrize(
    ("pooled", "prepares", "options"),
    [(True, False, (None, "")), (True, True, (1, ""))],
    ids=["transaction", "transaction-prepared"],
)
def test_prepared_statements_follow_the_pooler(pooled, prepares, options):
    found = client(pooled_externally=pooled, prepares_statements=prepares).options()
    assert (found["prepare_threshold"], found["options"]) == options


@pytest.mark.once
def test_old_libpq_without_close_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(psycopg.capabilities, "has_send_close_prepared", lambda: False)
    url = "postgresql://host/name"
    with pytest.raises(ImproperlyConfigured) as refusal:
        django_database(url, tmp_path, client())
    assert str(refusal.value) == (
        "Set DB_POOLER=transaction: transaction-prepared needs libpq 17 or newer, because a pooler does not understand "
        "DEALLOCATE"
    )
    for values in ({"prepares_statements": False}, {"pooled_externally": False}):
        assert django_database(url, tmp_path, client(**values))["NAME"] == "name"


@pytest.fixture
def parameters(db):
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("host", "dbname")}


@pytest.fixture
def connect(parameters):
    """Return a function that connects through a pooler with two connections to PostgreSQL."""
    require_pgbouncer(1, 22)
    with ExitStack() as stack:
        pooler = running_pgbouncer(parameters["host"], size=2, further_settings="max_prepared_statements = 100\n")
        port = stack.enter_context(pooler)

        def connect(**values):
            options = client(**values).options()
            del options["server_side_binding"]  # an option of Django's
            target = {"host": "127.0.0.1", "port": port, "user": "postgres", "dbname": parameters["dbname"]}
            return stack.enter_context(closing(psycopg.connect(**target, **options, autocommit=True)))

        yield connect


def count_prepared(connected):
    statement = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'PGBOUNCER%'"
    return connected.execute(statement, prepare=False).fetchone()[0]


def run_everywhere(first, second, statement):
    """Run a statement on both connections to PostgreSQL, and after a transaction that is rolled back."""
    for _ in range(3):
        first.execute(statement, [1])
    with first.transaction(force_rollback=True):
        first.execute(statement, [1])
    first.execute(statement, [1])
    with second.transaction():  # takes the connection that was used last
        second.execute(statement, [1])
        return first.execute(statement, [1]).fetchone()


@on_direct_postgresql
def test_pooler_keeps_prepared_statements(connect):
    """An evicted statement is closed by the protocol, and each rollback sends ``DEALLOCATE ALL``."""
    first, second = connect(), connect()
    first.prepared_max = 2
    results = [run_everywhere(first, second, f"SELECT %s::int + {number}") for number in range(6)]
    assert results == [(1 + number,) for number in range(6)]
    for _ in range(2):
        first.execute("SELECT %s::int", [1])
    assert count_prepared(first) > 0


@on_direct_postgresql
def test_transaction_pooler_gets_no_prepared_statement(connect):
    first, second = connect(prepares_statements=False), connect(prepares_statements=False)
    assert run_everywhere(first, second, "SELECT %s::int") == (1,)
    assert count_prepared(first) == 0


@on_direct_postgresql
def test_pooler_without_db_pooler_is_named(parameters):
    """PgBouncer refuses the parameter ``options`` of a session."""
    with running_pgbouncer(parameters["host"]) as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{parameters['dbname']}"
        output = run_command_process(url, "task_stats")
    assert output == failure(f"The database failed: {POOLER_ADVICE}", 3)


@on_direct_postgresql
def test_pooler_that_ignores_settings_is_named(parameters):
    ignore = "ignore_startup_parameters = options\n"
    with running_pgbouncer(parameters["host"], further_settings=ignore) as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{parameters['dbname']}"
        output = run_command_process(url, "check", "--database=default")
    assert output.code == 1
    assert output.err.count("(todo.E004) The sessions of DATABASE_URL lack the settings that the service sends") == 1
