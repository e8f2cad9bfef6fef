"""System checks of settings that are valid alone and unsafe together."""

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from todo_project.checks import (
    check_admin_of_web_role,
    check_connection_limit,
    check_letter_case,
    check_pool_size,
    check_single_user_mode,
)


def run_checks(**options):
    """Run all checks, and return the messages that the settings do not silence."""
    return [message for message in checks.run_checks(**options) if not message.is_silenced()]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_single_user_mode_on_loopback_has_no_message(settings, host):
    settings.AUTH_MODE, settings.HOST = "single-user", host
    assert check_single_user_mode() == []


@pytest.mark.parametrize(("row_security", "admin"), [(False, True), (True, False)])
def test_admin_or_row_security_alone_has_no_message(settings, row_security, admin):
    settings.DB_ROW_SECURITY, settings.ADMIN = row_security, admin
    assert check_admin_of_web_role() == []


def test_admin_with_row_security_is_a_warning(settings):
    settings.DB_ROW_SECURITY = settings.ADMIN = True
    assert check_admin_of_web_role() == [
        checks.Warning(
            "DB_ROW_SECURITY and ADMIN are on: every log-in fails, because the role of the service has no rights to "
            "the admin's tables.",
            hint="Set ADMIN=off, and serve the admin with the role that owns the tables: "
            "docs/decisions/0010-row-security.md.",
            id="todo.W004",
        )
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "todo.example.org"])
def test_single_user_mode_on_other_hosts_is_a_warning(settings, host):
    settings.AUTH_MODE, settings.HOST = "single-user", host
    assert check_single_user_mode() == [
        checks.Warning(
            f"AUTH_MODE is single-user and HOST is {host}: every client that can connect can read and change every "
            "task.",
            hint="Set HOST=127.0.0.1, or set API_TOKEN, or restrict the clients by a proxy or a firewall.",
            id="todo.W001",
        )
    ]


def test_single_user_mode_with_token_has_no_message(settings):
    settings.AUTH_MODE, settings.HOST, settings.API_TOKEN = "single-user", "0.0.0.0", "t" * 32
    assert check_single_user_mode() == []


def test_jwt_mode_on_other_hosts_has_no_message(settings):
    settings.AUTH_MODE, settings.HOST = "jwt", "0.0.0.0"
    assert check_single_user_mode() == []


@pytest.fixture
def pool_of(settings, monkeypatch):
    """Return a function that sets the pool's size, or SQLite for ``None``, and the threads."""

    def set_both(connections, threads):
        monkeypatch.setattr(connection, "vendor", "sqlite" if connections is None else "postgresql")
        settings.DB_POOL_SIZE, settings.THREADS = connections, threads

    return set_both


@pytest.mark.parametrize(("connections", "threads"), [(None, 256), (9, 8), (8, 4), (2, 1)])
def test_pool_larger_than_threads_has_no_message(pool_of, connections, threads):
    pool_of(connections, threads)
    assert check_pool_size() == []


@pytest.mark.parametrize(("connections", "threads"), [(8, 8), (7, 8), (1, 256)])
def test_pool_without_connection_for_probe_is_an_error(pool_of, connections, threads):
    pool_of(connections, threads)
    assert check_pool_size() == [
        checks.Error(
            f"DB_POOL_SIZE is {connections} and THREADS is {threads}: each thread and /readyz need a connection.",
            hint=f"Set DB_POOL_SIZE={threads + 1} or more.",
            id="todo.E001",
        )
    ]


@pytest.fixture
def connection_limits(pool_of, settings, monkeypatch):
    """Return a function that sets the workers, their connections and the server's limit."""

    def set_all(workers, connections, limit, pooler="none"):
        pool_of(connections, 1)
        settings.WORKERS, settings.DB_POOLER = workers, pooler
        monkeypatch.setattr("todo_project.checks.connection_limit", lambda: limit)

    return set_all


@pytest.mark.parametrize(
    ("workers", "connections", "limit", "pooler"), [(2, 8, 16, "none"), (2, 8, 1, "transaction"), (2, None, 1, "none")]
)
def test_enough_connections_have_no_message(connection_limits, workers, connections, limit, pooler):
    connection_limits(workers, connections, limit, pooler)
    assert check_connection_limit(databases=["default"]) == []


@pytest.mark.parametrize(("workers", "connections", "limit", "suggestion"), [(2, 8, 15, 7), (4, 8, 2, 1)])
def test_too_few_connections_are_a_warning(connection_limits, workers, connections, limit, suggestion):
    connection_limits(workers, connections, limit)
    assert check_connection_limit(databases=["default"]) == [
        checks.Warning(
            f"WORKERS is {workers} and DB_POOL_SIZE is {connections}, so the service opens up to "
            f"{workers * connections} connections, but PostgreSQL admits {limit}: under load, requests will be "
            "answered with 503.",
            hint=f"Set DB_POOL_SIZE={suggestion} or fewer WORKERS, or raise max_connections of the server or the "
            "CONNECTION LIMIT of the role or database.",
            id="todo.W002",
        )
    ]


@pytest.mark.skipif(
    "config.getoption('database') == 'sqlite'", reason="on SQLite the service searches by its own functions"
)
@pytest.mark.django_db
def test_database_with_ascii_letter_case_is_a_warning():
    assert check_letter_case(databases=["default"]) == []
    with connection.execute_wrapper(with_c_locale):
        assert check_letter_case(databases=["default"]) == [
            checks.Warning(
                "The database's LC_CTYPE is C, so a search with q is case-sensitive for letters beyond ASCII.",
                hint="Create a database with LOCALE 'C.UTF-8', or another UTF-8 locale, and move the tasks there.",
                id="todo.W003",
            )
        ]


def with_c_locale(execute, sql, *rest):
    """Run the statement as a database with ``LC_CTYPE=C`` does."""
    return execute(sql.replace("upper('é')", "upper('é' COLLATE \"C\")"), *rest)


@pytest.mark.skipif("config.getoption('database') != 'postgresql'", reason="only PostgreSQL has such limits")
@pytest.mark.django_db  # other checks query the database too
def test_database_checks_run_only_with_a_database(connection_limits):
    connection_limits(2, 8, 15)
    assert run_checks() == []
    assert [message.id for message in run_checks(databases=["default"])] == ["todo.W002"]


def test_check_command_runs_checks_without_a_database(settings, pool_of):
    pool_of(1, 2)
    settings.HOST = "0.0.0.0"
    assert {message.id for message in run_checks()} == {"todo.W001", "todo.E001"}


def test_failed_check_stops_a_command(pool_of):
    pool_of(1, 2)
    with pytest.raises(SystemCheckError, match=r"\(todo\.E001\) DB_POOL_SIZE is 1 and THREADS is 2: "):
        call_command("check")


def test_settings_of_the_tests_have_no_message():
    assert run_checks() == []
