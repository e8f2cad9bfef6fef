"""Commands in separate processes: pipes, terminals, signals, full disks, unavailable databases."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import termios
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest

from testing.commands import TIMEOUT, failure, read_json_lines, run_command_process, start_command, success
from testing.databases import new_database

SEED = ("seed_tasks", "--force", "--until=2026-01-11T00:00:00Z", "--users=5")


@pytest.fixture
def empty(database_url):
    """Delete all tasks, and return the URL of the database."""
    delete_tasks(database_url)
    return database_url


@pytest.fixture
def seeded(database_url):
    """Fill the database with 3000 tasks, unless an earlier test did, and return its URL."""
    if count_tasks(database_url) != 3000:
        delete_tasks(database_url)
        run_command_process(database_url, *SEED, "--count=3000")
    return database_url


@pytest.fixture
def exported(seeded):
    """Return the result of an export. The tasks are the same after each seeding, so one export is enough."""
    return export_once(seeded)


@cache
def export_once(url):
    return run_command_process(url, "export_tasks")


def execute(url, statement):
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            [(value,)] = connection.execute(statement).fetchall() or [(None,)]
        return value
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def delete_tasks(url):
    execute(url, "DELETE FROM tasks_task")


def count_tasks(url):
    return execute(url, "SELECT count(*) FROM tasks_task")


def wait_for_tasks(url, number):
    deadline = time.monotonic() + TIMEOUT
    while count_tasks(url) < number:
        assert time.monotonic() < deadline, f"The database never had {number} tasks"


def start_import(url, text):
    """Start an import whose standard input stays open after ``text``, so that it cannot end by itself."""
    process = start_command(url, "import_tasks", "-", "--batch-size=100", stdin=subprocess.PIPE)
    process.stdin.write(text)
    process.stdin.flush()
    return process


def interrupt(process):
    """Send SIGINT until the process ends, because Python drops a ``KeyboardInterrupt`` in ``__del__``."""
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=TIMEOUT / 10)
    raise AssertionError("SIGINT did not end the process")


def test_killed_import_is_completed_by_next_import(exported, database_url, tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_text(exported.out)
    delete_tasks(database_url)
    with start_import(database_url, "".join(exported.out.splitlines(keepends=True)[:1250])) as process:
        wait_for_tasks(database_url, 1000)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    stored = count_tasks(database_url)
    assert (0 < stored < 3000, stored % 100) == (True, 0)
    assert run_command_process(database_url, "import_tasks", file, "--batch-size=100") == success(
        f"Imported: {3000 - stored} added, 0 updated, {stored} skipped, 0 refused\n"
    )
    assert run_command_process(database_url, "export_tasks") == exported


def test_pipe_receives_only_tasks(exported):
    assert (exported.err, exported.code) == ("", 0)
    assert len([json.loads(line) for line in exported.out.splitlines()]) == 3000


@pytest.mark.once
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_output_to_name_of_stdout_equals_stdout(seeded, exported, tmp_path, mode):
    """The name is a link, so that a fault in the command cannot replace ``/dev/stdout``."""
    link, file = tmp_path / "stdout", tmp_path / "tasks.jsonl"
    link.symlink_to("/dev/stdout")
    assert run_command_process(seeded, "export_tasks", "--output", link) == success(exported.out)
    file.write_text("before\n")
    with file.open(mode) as stdout:
        start_command(seeded, "export_tasks", "--output", link, stdout=stdout).communicate(timeout=TIMEOUT)
    assert file.read_text() == ("before\n" if mode == "ab" else "") + exported.out


@pytest.mark.once
def test_export_is_utf_8_whatever_the_terminal_encoding(seeded, exported):
    assert (run_command_process(seeded, "export_tasks", encoding="ascii"), exported.out.isascii()) == (exported, False)


def test_reader_that_closes_pipe_ends_export_quietly(seeded):
    with start_command(seeded, "export_tasks") as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait(TIMEOUT)) == ("", 1)


def test_reader_that_closes_named_pipe_ends_export_quietly(seeded, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with start_command(seeded, "export_tasks", "--output", pipe) as process:
        pipe.open().close()
        assert (process.communicate(timeout=TIMEOUT), process.returncode) == (("", ""), 1)


@pytest.mark.once
@pytest.mark.parametrize("command", ["export_tasks", "task_stats", "import_tasks"])
def test_full_disk_reported_in_one_sentence(seeded, tmp_path, command):
    file = tmp_path / "bad.jsonl"
    file.write_text("{}")
    arguments = [file, "--errors", os.devnull] if command == "import_tasks" else []
    with Path("/dev/full").open("w") as full:
        process = start_command(seeded, command, *arguments, stdout=full)
        _, err = process.communicate(timeout=TIMEOUT)
    assert (err, process.returncode) == ("CommandError: Cannot read or write a file: No space left on device\n", 2)


def test_ctrl_c_keeps_whole_batches(exported, database_url):
    delete_tasks(database_url)
    with start_import(database_url, exported.out[:-10]) as process:
        wait_for_tasks(database_url, 500)
        assert interrupt(process) == 130
        # The pool may log before this line that it closes a connection.
        assert process.stderr.read().splitlines()[-1] == "CommandError: Interrupted; finished batches stay"
        assert process.stdout.read() == ""
    assert count_tasks(database_url) % 100 == 0


def run_on_terminal(url, *arguments):
    """Return what a command writes to its standard error if that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    start_command(url, *arguments, stderr=theirs).communicate(timeout=TIMEOUT)
    os.set_blocking(ours, False)
    with os.fdopen(ours, "rb") as terminal, os.fdopen(theirs):
        return (terminal.read() or b"").decode()


@pytest.mark.parametrize(
    ("command", "progress"),
    [
        ([*SEED, "--count=3000"], r" 0%.* 0\.00/3\.00k \[00:00<\?, \? tasks/s\]"),
        (["purge_idempotency_keys"], r" keys/s\]"),
    ],
    ids=["tasks", "keys"],
)
def test_terminal_shows_progress_unless_verbosity_0(empty, command, progress):
    assert re.search(progress, run_on_terminal(empty, *command))
    assert run_on_terminal(empty, *command, "--verbosity=0") == ""


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="the run on PostgreSQL compares it with SQLite")
def test_seed_gives_same_tasks_on_both_databases(empty):
    """PostgreSQL inserts by ``COPY``, and SQLite by ``INSERT``."""
    with new_database("sqlite") as other:
        exports = []
        for url in (empty, other):
            run_command_process(url, *SEED, "--count=500", "--batch-size=150")
            exports.append(run_command_process(url, "export_tasks", "--format=csv").out)
    assert exports[0] == exports[1] != ""


@pytest.mark.once
@pytest.mark.parametrize("command", ["task_stats", "purge_idempotency_keys"])
def test_failing_database_exits_with_3(tmp_path, command):
    (tmp_path / "text").write_text("no database" * 100)
    result = run_command_process(f"sqlite:///{tmp_path}/text", command)
    assert result == failure("The database failed: file is not a database", 3)


def test_bad_option_exits_with_2(empty):
    result = run_command_process(empty, "purge_trash", "--older-than=30")
    assert (result.out, result.code) == ("", 2)
    assert result.err.endswith(
        "purge_trash: error: argument --older-than: "
        "must be a number and a unit (w, d, h, m or s), at most 36500d: 30d, 12h\n"
    )


def test_findings_exit_with_1(empty):
    execute(empty, "DROP INDEX task_deleted")
    finding = "task_deleted: missing\nVerified 0 tasks; findings: 1\n"
    assert run_command_process(empty, "verify_tasks") == failure("Findings: 1", 1, out=finding)
    assert run_command_process(empty, "verify_tasks", "--fix") == success(
        "Fixed: task_deleted: missing\nVerified 0 tasks; findings: 0\n"
    )


def test_refused_lines_exit_with_1(empty, tmp_path):
    file, errors = tmp_path / "tasks.csv", tmp_path / "errors.jsonl"
    file.write_text("id\n1\n")
    result = run_command_process(empty, "import_tasks", file, "--errors", errors)
    assert (result.code, [line["line"] for line in read_json_lines(errors)]) == (1, [2])
