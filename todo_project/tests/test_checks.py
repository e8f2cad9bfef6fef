"""Settings that are sound each by itself and unsafe together."""

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from todo_project.checks import (
    every_thread_gets_a_connection,
    server_admits_every_connection,
    server_knows_letters_beyond_ascii,
    single_user_mode_stays_on_this_machine,
)


def heard():
    """What the checks say, but for what the settings silence."""
    return [message for message in checks.run_checks() if not message.is_silenced()]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_single_user_mode_on_this_machine_is_sound(settings, host):
    settings.AUTH_MODE, settings.HOST = "single-user", host
    assert single_user_mode_stays_on_this_machine() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "todo.example.org"])
def test_single_user_mode_beyond_this_machine_is_a_warning(settings, host):
    settings.AUTH_MODE, settings.HOST = "single-user", host
    assert single_user_mode_stays_on_this_machine() == [
        checks.Warning(
            f"AUTH_MODE is single-user and HOST is {host}: whoever reaches it may read and change every task.",
            hint="Set HOST=127.0.0.1, or let in only whom you trust at a proxy or firewall in front.",
            id="todo.W001",
        )
    ]


def test_a_mode_that_asks_for_a_token_may_listen_anywhere(settings):
    settings.AUTH_MODE, settings.HOST = "jwt", "0.0.0.0"
    assert single_user_mode_stays_on_this_machine() == []


@pytest.fixture
def pool_of(settings, monkeypatch):
    """Sets the connections of the pool, and the threads; ``None`` is a database without a pool."""

    def set_both(connections, threads):
        options = {} if connections is None else {"pool": {"max_size": connections}}
        monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", options)
        settings.THREADS = threads

    return set_both


@pytest.mark.parametrize(("connections", "threads"), [(None, 256), (8, 8), (8, 4), (1, 1)])
def test_a_connection_for_every_thread_is_sound(pool_of, connections, threads):
    pool_of(connections, threads)
    assert every_thread_gets_a_connection() == []


@pytest.mark.parametrize(("connections", "threads"), [(7, 8), (1, 256)])
def test_fewer_connections_than_threads_are_an_error(pool_of, connections, threads):
    pool_of(connections, threads)
    assert every_thread_gets_a_connection() == [
        checks.Error(
            f"DB_POOL_SIZE is {connections} and THREADS is {threads}: some threads get no connection.",
            hint=f"Set DB_POOL_SIZE={threads} or more.",
            id="todo.E001",
        )
    ]


@pytest.fixture
def admitting(pool_of, settings, monkeypatch):
    """Sets the workers, the connections of each, and what the server admits."""

    def set_all(workers, connections, limit, pooler="none"):
        pool_of(connections, 1)
        settings.WORKERS, settings.DB_POOLER = workers, pooler
        monkeypatch.setattr("todo_project.checks.connection_limit", lambda: limit)

    return set_all


@pytest.mark.parametrize(
    ("workers", "connections", "limit", "pooler"), [(2, 8, 16, "none"), (2, 8, 1, "transaction"), (2, None, 1, "none")]
)
def test_a_server_that_admits_every_connection_is_sound(admitting, workers, connections, limit, pooler):
    admitting(workers, connections, limit, pooler)
    assert server_admits_every_connection(databases=["default"]) == []


@pytest.mark.parametrize(("workers", "connections", "limit", "mend"), [(2, 8, 15, 7), (4, 8, 2, 1)])
def test_a_server_that_admits_fewer_is_a_warning(admitting, workers, connections, limit, mend):
    admitting(workers, connections, limit)
    assert server_admits_every_connection(databases=["default"]) == [
        checks.Warning(
            f"WORKERS is {workers} and DB_POOL_SIZE is {connections}, which makes {workers * connections} connections, "
            f"and PostgreSQL admits {limit}: under load, requests will be answered with 503.",
            hint=f"Set DB_POOL_SIZE={mend} or fewer WORKERS, or raise max_connections of the server or the "
            "CONNECTION LIMIT of the role or database.",
            id="todo.W002",
        )
    ]


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite searches by functions of its own")
@pytest.mark.django_db
def test_a_database_of_ascii_letters_is_a_warning():
    assert server_knows_letters_beyond_ascii(databases=["default"]) == []
    with connection.execute_wrapper(in_c):
        assert server_knows_letters_beyond_ascii(databases=["default"]) == [
            checks.Warning(
                "The database's LC_CTYPE is C: a search with q finds letters beyond ASCII only in the case they are "
                "in.",
                hint="Create the database with LOCALE 'C.UTF-8', or another locale of UTF-8, and move the tasks there.",
                id="todo.W003",
            )
        ]


def in_c(execute, sql, *rest):
    """As a database with that LC_CTYPE would answer."""
    return execute(sql.replace("upper('é')", "upper('é' COLLATE \"C\")"), *rest)


@pytest.mark.django_db  # other checks ask it too
def test_the_database_is_asked_only_where_a_command_uses_it(admitting):
    admitting(2, 8, 15)
    assert heard() == []
    messages = [message.id for message in checks.run_checks(databases=["default"]) if not message.is_silenced()]
    assert messages == ["todo.W002"]


def test_both_are_asked_by_the_check_command(settings, pool_of):
    pool_of(1, 2)
    settings.HOST = "0.0.0.0"
    assert {message.id for message in heard()} == {"todo.W001", "todo.E001"}


def test_an_error_stops_a_command(pool_of):
    pool_of(1, 2)
    with pytest.raises(SystemCheckError, match=r"\(todo\.E001\) DB_POOL_SIZE is 1 and THREADS is 2: "):
        call_command("check")


def test_the_settings_of_the_tests_are_sound():
    assert heard() == []
