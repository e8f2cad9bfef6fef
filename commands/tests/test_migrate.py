"""Migrations while the API serves, on PostgreSQL, beside an open transaction that has read the table."""

import subprocess
import sys
import time
from contextlib import contextmanager
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_migration_linter import MigrationLinter

from commands.management.commands import migrate
from testing.python_processes import ROOT, service_environment

pytestmark = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no such locks")

# The last migration, which needs the table for itself.
BEFORE, AFTER = "0011_created_index", "0012_change_triggers"

#: A migration that the linter would report; every database in use has it.
EXEMPT = "0003_trash_indexes"

OUR_MIGRATE = ("manage.py", "migrate")
DJANGO_MIGRATE = (
    "-c",
    """
import sys, django
django.setup()
from django.core.management.commands.migrate import Command
Command().run_from_argv(["manage.py", "migrate", *sys.argv[1:]])
""",
)


@pytest.fixture
def open_transaction(database_url):
    """Hold a transaction open that has read the tasks, like a backup or a forgotten session."""
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT count(*) FROM tasks_task")
        yield holder


@pytest.fixture
def log(tmp_path):
    return tmp_path / "migrate.log"


@contextmanager
def migrating(database_url, command, target, log):
    variables = service_environment(DATABASE_URL=database_url, DJANGO_SETTINGS_MODULE="todo_project.settings")
    arguments = [sys.executable, *command, "tasks", target]
    with (
        log.open("w") as output,
        subprocess.Popen(arguments, cwd=ROOT, env=variables, stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _reapplied_migration(request, log):
    """Apply the migration again that a test with ``database_url`` has unapplied."""
    yield
    if "database_url" in request.fixturenames:
        with migrating(request.getfixturevalue("database_url"), OUR_MIGRATE, AFTER, log) as process:
            assert process.wait(60) == 0


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def waits_for_lock(database_url):
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as observer:
        return observer.execute(statement).fetchone() != (0,)


def status_of_list(server):
    status, _ = server.get("/api/tasks?limit=1")
    return status


def test_api_answers_while_migration_waits_for_lock(server, database_url, open_transaction, log):
    statuses = set()

    def third_attempt_has_failed():
        statuses.add(status_of_list(server))
        return "attempt 3 of 100" in log.read_text()

    with migrating(database_url, OUR_MIGRATE, BEFORE, log) as process:
        wait_until(third_attempt_has_failed)
        open_transaction.commit()
        assert process.wait(60) == 0
    assert statuses == {200}
    assert "A lock was not free within 300ms: attempt 1 of 100\n" in log.read_text()
    assert "Unapplying tasks.0012_change_triggers... OK\n" in log.read_text()


@pytest.mark.skipif("config.getoption('database') == 'pgbouncer'", reason="The database cancels it after 1.8 s")
def test_control_without_lock_timeout_api_fails(server, database_url, open_transaction, log):
    with migrating(database_url, DJANGO_MIGRATE, BEFORE, log) as process:
        wait_until(lambda: waits_for_lock(database_url))
        status = status_of_list(server)
        open_transaction.commit()
        process.wait(60)
    assert status == 503


@pytest.mark.django_db(transaction=True)
def test_migration_without_lock_gives_up_with_advice(monkeypatch):
    monkeypatch.setattr(migrate, "PAUSE", 0)
    errors = StringIO()
    with psycopg.connect(**connection_parameters()) as holder:
        holder.execute("SELECT count(*) FROM tasks_task")
        with pytest.raises(CommandError) as refusal:
            call_command("migrate", "tasks", BEFORE, attempts=2, verbosity=1, stdout=StringIO(), stderr=errors)
    assert str(refusal.value) == (
        "None of 2 attempts got its locks, so that migration was not applied. "
        "End the transactions that hold the locks and migrate again; "
        "the oldest transaction in pg_stat_activity is the first by xact_start"
    )
    assert errors.getvalue().count("A lock was not free within 300ms: attempt") == 2
    assert ("tasks", AFTER) in MigrationLoader(connection).applied_migrations


def connection_parameters():
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}


@pytest.mark.parametrize("attempts", ["0", "-5", "1.5", ""])
def test_attempts_out_of_range_refused(attempts):
    with pytest.raises(CommandError) as refusal:
        call_command("migrate", f"--attempts={attempts}")
    assert str(refusal.value) == "Error: argument --attempts: must be a whole number from 1 to 1000000"


@pytest.mark.django_db(transaction=True)
def test_session_keeps_no_lock_timeout():
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def lint(**options):
    linter = MigrationLinter(
        no_cache=True,
        quiet=["ok", "ignore", "warning", "error"],
        all_warnings_as_errors=True,
        include_apps=["tasks", "idempotency", "throttling"],
        **options,
    )
    linter.lint_all_migrations()
    return linter


@pytest.mark.django_db
def test_linter_finds_no_migration_that_breaks_old_code():
    """A migration must neither break the version before it nor hold a lock for long.

    The ignored migration does, but it is older than every database in use.
    """
    linter = lint(ignore_name=[EXEMPT])
    assert not linter.has_errors
    assert linter.nb_valid == linter.nb_total - linter.nb_ignored > 5


@pytest.mark.django_db
def test_control_without_exemption_linter_reports_error():
    assert lint().has_errors
