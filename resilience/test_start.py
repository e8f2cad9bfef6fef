"""A command, and the start of the service, wait for a database that is unavailable or wakes up."""

from contextlib import suppress

import pytest

from testing.commands import TIMEOUT, start_command
from testing.ports import free_port
from testing.process_tree import kill_tree


def stop(postgresql):
    """Let the database refuse connections, as during its start, and return the end of the fault."""
    postgresql.stop()
    return postgresql.start


def freeze(postgresql):
    """Let the database accept connections without an answer; return the function that ends the fault.

    A serverless database does the same while it wakes up.
    """
    postgresql.freeze()
    return postgresql.unfreeze


FAULTS = pytest.mark.parametrize("cause_fault", [stop, freeze])
WAITING = "Waiting 30 s for the database: "


@FAULTS
def test_command_waits_until_database_is_available(postgresql, database_url, cause_fault):
    end_fault = cause_fault(postgresql)
    with start_command(database_url, "task_stats", "--json") as process:
        try:
            assert WAITING in process.stderr.readline()
        finally:
            end_fault()
        assert process.wait(TIMEOUT) == 0
        assert (process.stdout.read()[:1], process.stderr.read()) == ("{", "")


@FAULTS
def test_control_without_start_timeout_command_fails(postgresql, database_url, cause_fault):
    end_fault = cause_fault(postgresql)
    try:
        with start_command(database_url, "task_stats", variables={"DB_START_TIMEOUT": "0"}) as process:
            assert process.wait(TIMEOUT) == 3
            assert process.stderr.read().startswith("CommandError: The database failed: connection ")
    finally:
        end_fault()


@FAULTS
def test_serve_waits_until_database_is_available(postgresql, database_url, cause_fault):
    end_fault = cause_fault(postgresql)
    variables = {"HOST": "127.0.0.1", "PORT": str(free_port())}
    with start_command(database_url, "serve", variables=variables) as process:
        try:
            assert WAITING in process.stderr.readline()
            end_fault()
            assert process.stderr.readline().startswith("API            http://127.0.0.1:")
        finally:
            with suppress(ProcessLookupError):
                kill_tree(process.pid)
