"""Migrations while the API serves: on a real PostgreSQL, with a transaction open that has read the table."""

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
from testing.servers import ROOT, environment

pytestmark = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="the locks are PostgreSQL's")

BEFORE, AFTER = "0002_search_index", "0003_trash_indexes"

#: Django's own command, past ours.
DJANGOS_CODE = """
import sys, django
django.setup()
from django.core.management.commands.migrate import Command
Command().run_from_argv(["manage.py", "migrate", *sys.argv[1:]])
"""
DJANGOS = ("-c", DJANGOS_CODE)
OURS = ("manage.py", "migrate")

#: What an answer of the API may take: a few locks in a row, each for as long as a migration waits for its own.
MOST_SECONDS = 1.5


@pytest.fixture
def open_transaction(database_url):
    """One that has read the tasks and does nothing more, as a backup or a forgotten session does."""
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT count(*) FROM tasks_task")
        yield holder


@contextmanager
def migrating(database_url, command, target):
    variables = environment(DATABASE_URL=database_url, DJANGO_SETTINGS_MODULE="todo_project.settings")
    with subprocess.Popen(
        [sys.executable, *command, "tasks", target],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_it_waits(database_url):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    deadline = time.monotonic() + 30
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as observer:
        while observer.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline, "the migration never met the lock"


def answers_for(server, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield timed_get(server)


def timed_get(server):
    started = time.monotonic()
    status, _ = server.get("/api/tasks?limit=1")
    return status, time.monotonic() - started


def test_the_api_answers_while_a_migration_waits_for_an_open_transaction(server, database_url, open_transaction):
    with migrating(database_url, OURS, BEFORE) as process:
        wait_until_it_waits(database_url)
        answers = list(answers_for(server, seconds=3))
        assert process.poll() is None, "the transaction is still open, and the migration still at it"
        open_transaction.commit()
        output, _ = process.communicate(timeout=60)
    assert {status for status, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < MOST_SECONDS
    assert process.returncode == 0
    assert "A lock was not free within 300ms: attempt 1 of 100\n" in output
    assert output.endswith("Unapplying tasks.0003_trash_indexes... OK\n")


@pytest.fixture(autouse=True)
def _migrated_again(request):
    """The two tests above take a migration back."""
    yield
    if "database_url" in request.fixturenames:
        with migrating(request.getfixturevalue("database_url"), OURS, AFTER) as process:
            assert process.wait(60) == 0


@pytest.mark.skipif("config.getoption('database') == 'pgbouncer'", reason="There the database ends it after 1.8 s")
def test_djangos_own_migrate_would_stop_the_api(server, database_url, open_transaction):
    """The control."""
    with migrating(database_url, DJANGOS, BEFORE) as process:
        wait_until_it_waits(database_url)
        status, seconds = timed_get(server)
        open_transaction.commit()
        process.communicate(timeout=60)
    assert (status, seconds > MOST_SECONDS) == (503, True)


@pytest.mark.django_db(transaction=True)
def test_it_gives_up_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(migrate, "PAUSE", 0)
    errors = StringIO()
    with psycopg.connect(**connection_parameters()) as holder:
        holder.execute("SELECT count(*) FROM tasks_task")
        with pytest.raises(CommandError) as refused:
            call_command("migrate", "tasks", BEFORE, attempts=2, verbosity=1, stdout=StringIO(), stderr=errors)
    assert str(refused.value).startswith("No attempt of 2 got its locks, and nothing of that migration was done: end ")
    assert errors.getvalue().count("A lock was not free within 300ms: attempt") == 2
    assert ("tasks", AFTER) in MigrationLoader(connection).applied_migrations


@pytest.mark.parametrize("attempts", ["0", "-5", "1.5", ""])
def test_it_tries_at_least_once(attempts):
    with pytest.raises(CommandError) as refused:
        call_command("migrate", f"--attempts={attempts}")
    assert str(refused.value) == "Error: argument --attempts: must be a whole number from 1 to 1000000"


def connection_parameters():
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}


@pytest.mark.django_db(transaction=True)
def test_no_time_out_is_left_behind():
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
def test_no_migration_breaks_the_version_before_it_or_holds_a_lock_for_long():
    """But for one that is older than any table to be locked."""
    linter = lint(ignore_name=[AFTER])
    assert not linter.has_errors
    assert linter.nb_valid == linter.nb_total - linter.nb_ignored > 5


@pytest.mark.django_db
def test_the_linter_would_see_one():
    assert lint().has_errors
