"""Kill each step of ``move_user`` by SIGKILL, and lose nothing of the user."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

from testing.databases import new_database, sqlite_path
from testing.python_processes import ROOT, python_output, service_environment

FILL = """
import sys, django
django.setup()
from idempotency.tests.factories import KeptResponseFactory
from tasks.models import Task
from tasks.tests.factories import TaskFactory
user_id = sys.argv[1]
tasks = TaskFactory.create_batch(30, user_id=user_id, labels=frozenset("ab"), due="2026-12-24", priority=2, version=5)
TaskFactory.create_batch(10, user_id=user_id, trashed=True, description="x")
KeptResponseFactory.create_batch(10, user_id=user_id, body=b"\\x00")
Task.objects.filter(id__in=[task.id for task in tasks[:10]]).remove()
"""

#: Runs a command that a signal kills where it calls a function.
KILLED = """
import os, signal, sys
from importlib import import_module
import django
django.setup()
from django.core.management import call_command
module, _, path = sys.argv[1].partition(":")
*owners, name = path.split(".")
target = import_module(module)
for owner in owners:
    target = getattr(target, owner)
setattr(target, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
call_command("move_user", *sys.argv[2:])
"""
COMMAND = "todo_project.management.commands.move_user"

#: The functions at which each step is killed.
STEPS = {
    "--to": (
        f"{COMMAND}:wait_for_writes",  # the user's writes are refused
        "tasks.transfer.user_files:_write_response",  # a part of the file is written
        "pathlib:Path.replace",  # the file is complete, under another name
        f"{COMMAND}:Command.print_summary",
    ),
    "--from": (
        "tasks.transfer.user_files:_verify",  # everything is stored, and not committed
        f"{COMMAND}:write_receipt",  # everything is committed
        f"{COMMAND}:Command.print_summary",
    ),
    "--done": (
        f"{COMMAND}:mark_left",  # everything is removed, and not committed
        f"{COMMAND}:Command.print_summary",
    ),
}


@pytest.fixture(scope="module")
def cells():
    """Yield the URLs of two databases, one of each kind."""
    with new_database("sqlite") as sqlite, new_database("postgresql") as postgresql:
        yield {"sqlite": sqlite, "postgresql": postgresql}


def execute(url, statement):
    """Run a statement, and return its rows."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as connection, connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def number_of_tasks(url, user_id):
    """Return how many tasks a user has in a cell."""
    return execute(url, f"SELECT count(*) FROM tasks_task WHERE user_id = '{user_id}'")[0][0]


def kill(url, function, *arguments):
    """Run a command until it calls a function, and kill it there."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED, function, *map(str, arguments)],
        cwd=ROOT,
        env=service_environment(DATABASE_URL=url, DJANGO_SETTINGS_MODULE="todo_project.settings"),
        check=False,
    )
    assert process.returncode == -signal.SIGKILL


def move(url, *arguments):
    """Run a step to its end."""
    return python_output("manage.py", "move_user", *map(str, arguments), DATABASE_URL=url)


@pytest.mark.parametrize(("former", "new"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_killed_move_loses_nothing(cells, tmp_path, former, new):
    user_id, file = f"user-of-{former}", tmp_path / "user.jsonl"
    urls = {"--to": cells[former], "--from": cells[new], "--done": cells[former]}
    settings = {"DATABASE_URL": cells[former], "DJANGO_SETTINGS_MODULE": "todo_project.settings"}
    python_output("-c", FILL, user_id, **settings)
    for step, functions in STEPS.items():
        for function in functions:
            kill(urls[step], function, user_id, step, file)
            places = [number_of_tasks(cells[cell], user_id) for cell in (former, new)]
            assert (set(places) <= {0, 30}, 30 in places) == (True, True)
            with pytest.raises((sqlite3.Error, psycopg.Error), match="moves to another database"):
                write(cells[former], user_id)
        move(urls[step], user_id, step, file)
    assert [number_of_tasks(cells[cell], user_id) for cell in (former, new)] == [0, 30]
    move(cells[new], user_id, "--to", tmp_path / "again.jsonl")
    moved, again = (path.read_text().splitlines() for path in (file, tmp_path / "again.jsonl"))
    assert (again[1:], len(moved)) == (moved[1:], 1 + 30 + 10 + 10 + 1)
    assert moved[0] != again[0]


def write(url, user_id):
    """Store a task in SQL; the values do not matter, because triggers run before constraints."""
    columns = "id, user_id, title, description, completed, priority, created_at, updated_at, version"
    values = f"'01900000-0000-7000-8000-100000000000', '{user_id}', 'A', '', TRUE, 0, '2026-01-01', '2026-01-01', 1"
    execute(url, f"INSERT INTO tasks_task ({columns}) VALUES ({values})")
