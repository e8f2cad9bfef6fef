"""The commands as processes of their own: pipes, terminals, signals, and a database that is away."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from testing.commands import Ended, done, lines, run_process, start
from testing.servers import database

SEED = ("seed_tasks", "--force", "--until=2026-01-11T00:00:00Z", "--users=5")


@pytest.fixture(scope="module")
def database_url(pytestconfig):
    kind = pytestconfig.getoption("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_DATABASE_URL", os.environ["DATABASE_URL"])
        with database(kind) as url:
            yield url


@pytest.fixture
def empty(database_url):
    wipe(database_url)
    return database_url


def execute(url, statement):
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            [(value,)] = connection.execute(statement).fetchall() or [(None,)]
        connection.close()
        return value
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def wipe(url):
    execute(url, "DELETE FROM tasks_task")


def count(url):
    return execute(url, "SELECT count(*) FROM tasks_task")


def test_a_round_trip_survives_kill_9_in_its_middle(empty, tmp_path):
    """Exported, wiped, imported with a kill in between and once more: the same bytes, each task whole."""
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    run_process(empty, *SEED, "--count=2000")
    run_process(empty, "export_tasks", "--output", before)
    wipe(empty)
    with start(empty, "import_tasks", "-", "--batch-size=100", stdin=subprocess.PIPE) as process:
        # Its input stays open: it is in the middle for as long as this test wants.
        process.stdin.writelines(before.read_text().splitlines(keepends=True)[:1250])
        process.stdin.flush()
        wait_until(lambda: count(empty) >= 1000)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    there = count(empty)
    assert (0 < there < 2000, there % 100) == (True, 0)
    assert run_process(empty, "import_tasks", before, "--batch-size=100") == done(
        f"Imported: {2000 - there} added, 0 updated, {there} skipped, 0 refused\n"
    )
    run_process(empty, "export_tasks", "--output", after)
    assert after.read_bytes() == before.read_bytes()


def wait_until(condition):
    for _ in range(10_000):
        if condition():
            return
    raise AssertionError("It did not come to pass")


def test_ctrl_c_leaves_whole_batches(empty, tmp_path):
    file = tmp_path / "tasks.jsonl"
    run_process(empty, *SEED, "--count=1000")
    run_process(empty, "export_tasks", "--output", file)
    wipe(empty)
    process = start(empty, "import_tasks", "-", "--batch-size=100", stdin=subprocess.PIPE)
    process.stdin.write(file.read_text()[:-10])
    process.stdin.flush()
    wait_until(lambda: count(empty) >= 500)
    press_ctrl_c(process)
    out, err = process.communicate(timeout=300)
    # Before that the pool may log that it closes the connection, if a statement was under way.
    assert err.splitlines()[-1] == "CommandError: Interrupted; every batch that was finished stays"
    assert (out, process.returncode) == ("", 130)
    assert count(empty) % 100 == 0


def press_ctrl_c(process):
    """And again after a while: Python drops a KeyboardInterrupt that meets it in a ``__del__``."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)


def test_a_pipe_gets_nothing_but_the_tasks(empty):
    run_process(empty, *SEED, "--count=100")
    ended = run_process(empty, "export_tasks")
    assert (ended.err, ended.code) == ("", 0)
    assert len([json.loads(line) for line in ended.out.splitlines()]) == 100


@pytest.mark.parametrize("open_as", ["wb", "ab"])
def test_the_standard_output_by_a_name_is_what_it_is_without(empty, tmp_path, open_as):
    """A name of its own, lest a fault here take the place of the machine's ``/dev/stdout``."""
    run_process(empty, *SEED, "--count=10")
    exported = run_process(empty, "export_tasks").out
    name, file = tmp_path / "stdout", tmp_path / "tasks.jsonl"
    name.symlink_to("/dev/stdout")
    assert run_process(empty, "export_tasks", "--output", name) == done(exported)
    file.write_text("before\n")
    with file.open(open_as) as stdout:
        start(empty, "export_tasks", "--output", name, stdout=stdout).communicate(timeout=300)
    assert file.read_text() == ("before\n" if open_as == "ab" else "") + exported


def test_a_file_of_tasks_is_utf_8_whatever_the_terminal_is(empty):
    run_process(empty, *SEED, "--count=100")
    exported = run_process(empty, "export_tasks")
    assert (run_process(empty, "export_tasks", encoding="ascii"), exported.out.isascii()) == (exported, False)


def test_a_reader_of_a_named_pipe_that_goes_away_is_no_crash_either(empty, tmp_path):
    run_process(empty, *SEED, "--count=3000")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with start(empty, "export_tasks", "--output", pipe) as process:
        pipe.open().close()
        assert (process.communicate(timeout=300), process.returncode) == (("", ""), 1)


def test_a_disk_that_is_full_is_told_of_in_one_sentence(empty, tmp_path):
    run_process(empty, *SEED, "--count=100")
    refusal = "CommandError: A file cannot be read or written: No space left on device\n"
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}")
    for command in (["export_tasks"], ["task_stats"], ["import_tasks", bad, "--errors", os.devnull]):
        with Path("/dev/full").open("w") as full:
            process = start(empty, *command, stdout=full)
            _, err = process.communicate(timeout=300)
        assert (command[0], err, process.returncode) == (command[0], refusal, 2)


def test_a_reader_that_goes_away_is_no_crash(empty):
    run_process(empty, *SEED, "--count=3000")
    with start(empty, "export_tasks") as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 1)


def test_a_terminal_is_shown_how_far_it_is(empty):
    assert re.search(r" 0%.* 0\.00/3\.00k \[00:00<\?, \? tasks/s\]", on_a_terminal(empty, *SEED, "--count=3000"))
    assert on_a_terminal(empty, *SEED, "--count=3000", "--verbosity=0") == ""


def test_so_it_is_of_what_is_not_about_tasks(empty):
    assert " keys/s]" in on_a_terminal(empty, "purge_idempotency_keys")
    assert on_a_terminal(empty, "purge_idempotency_keys", "--verbosity=0") == ""


def on_a_terminal(url, *arguments):
    """What a command writes on its standard error, if that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = start(url, *arguments, stderr=theirs)
    process.communicate(timeout=300)
    os.set_blocking(ours, False)
    with os.fdopen(ours, "rb") as seen, os.fdopen(theirs):
        return (seen.read() or b"").decode()


def test_the_same_tasks_come_of_the_same_seed_on_either_database(empty, tmp_path):
    """By COPY, and by INSERT."""
    with database("sqlite") as other:
        exports = []
        for url in (empty, other):
            run_process(url, *SEED, "--count=500", "--batch-size=150")
            exports.append(run_process(url, "export_tasks", "--format=csv").out)
    assert exports[0] == exports[1] != ""


@pytest.mark.parametrize("command", ["task_stats", "purge_idempotency_keys"])
def test_a_database_that_is_away_is_3(tmp_path, command):
    ended = run_process(f"sqlite:///{tmp_path}/missing/db.sqlite3", command)
    assert ended == Ended("", "CommandError: The database failed: unable to open database file\n", 3)


def test_a_wrong_option_is_2(empty):
    ended = run_process(empty, "purge_trash", "--older-than=30")
    assert (ended.out, ended.code) == ("", 2)
    assert ended.err.endswith(
        "purge_trash: error: argument --older-than: must be a number and one of w, d, h, m, s, up to 36500d: 30d, 12h\n"
    )


def test_findings_are_1(empty):
    execute(empty, "DROP INDEX task_deleted")
    assert run_process(empty, "verify_tasks") == Ended(
        "task_deleted: missing\nVerified 0 tasks; findings: 1\n", "CommandError: Findings: 1\n", 1
    )
    assert run_process(empty, "verify_tasks", "--fix") == done(
        "Mended: task_deleted: missing\nVerified 0 tasks; findings: 0\n"
    )


def test_every_bad_line_is_in_the_file_of_errors(empty, tmp_path):
    file, errors = tmp_path / "tasks.csv", tmp_path / "errors.jsonl"
    file.write_text("id\n1\n")
    ended = run_process(empty, "import_tasks", file, "--errors", errors)
    assert (ended.code, [line["line"] for line in lines(errors)]) == (1, [2])
