"""Commands of Django and of the service end with one sentence and an exit code."""

import signal
from urllib.parse import urlsplit

import psycopg
import pytest

from testing.commands import TIMEOUT, run_command_process, start_command
from testing.ports import HOST, free_port
from testing.python_processes import REQUIRED_SETTINGS, run_python

COMMANDS = {
    "migrate": [],
    "createsuperuser": ["--no-input", "--username=a", "--email=a@example.org"],
    "check": ["--database=default"],
}


def refused_url():
    """Return the URL of a database, and the driver's reason why it is unavailable."""
    port = free_port()
    reason = f'connection failed: connection to server at "{HOST}", port {port} failed: Connection refused'
    return f"postgresql://todo@{HOST}:{port}/todo", reason


@pytest.mark.once
@pytest.mark.parametrize("command", COMMANDS)
def test_unavailable_database_ends_django_command_with_3(command):
    url, reason = refused_url()
    variables = {**REQUIRED_SETTINGS, "DATABASE_URL": url, "DB_START_TIMEOUT": "0"}
    process = run_python("manage.py", command, *COMMANDS[command], **variables)
    assert (process.stdout, process.stderr, process.returncode) == ("", f"The database failed: {reason}\n", 3)


@pytest.mark.once
def test_unavailable_database_ends_serve_with_3():
    url, reason = refused_url()
    process = run_python("manage.py", "serve", **REQUIRED_SETTINGS, DATABASE_URL=url, DB_START_TIMEOUT="0")
    sentence = f"CommandError: The database of DATABASE_URL cannot be used: {reason}\n"
    assert (process.stdout, process.stderr, process.returncode) == ("", sentence, 3)


@pytest.mark.once
def test_missing_table_ends_createsuperuser_with_3(tmp_path):
    """Django's own command checks no migrations."""
    result = run_command_process(f"sqlite:///{tmp_path}/db.sqlite3", "createsuperuser", *COMMANDS["createsuperuser"])
    assert (result.err, result.code) == ("The database failed: no such table: auth_user\n", 3)


@pytest.mark.once
def test_traceback_option_shows_the_traceback():
    url, _ = refused_url()
    variables = {**REQUIRED_SETTINGS, "DATABASE_URL": url, "DB_START_TIMEOUT": "0"}
    process = run_python("manage.py", "migrate", "--traceback", **variables)
    assert process.stderr.startswith("Traceback (most recent call last):\n")


@pytest.mark.once
@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("migrate", "Interrupted\n"),
        ("serve", "Interrupted\n"),
        ("task_stats", "CommandError: Interrupted; finished batches stay\n"),
    ],
)
def test_ctrl_c_during_the_wait_exits_with_130(command, sentence):
    url, reason = refused_url()
    with start_command(url, command) as process:
        assert f"Waiting 30 s for the database: {reason}".replace('"', '\\"') in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert (process.stdout.read(), process.stderr.read(), process.wait(TIMEOUT)) == ("", sentence, 130)


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no such refusal")
def test_refusal_by_the_server_ends_the_wait_at_once(database_url):
    result = run_command_process(database_url.replace("/todo_", "/missing_"), "task_stats")
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert result.err.startswith("CommandError: The database failed: ")
    assert "does not exist" in result.err


@pytest.mark.skipif("config.getoption('database') != 'postgresql'", reason="A pooler hides whether writes are taken")
def test_command_waits_while_the_server_takes_no_writes(database_url):
    """A server is such during a failover, until the standby is promoted."""
    for_writes = f"{database_url}{'&' if '?' in database_url else '?'}target_session_attrs=read-write"
    set_read_only = f"ALTER DATABASE {urlsplit(database_url).path[1:]} SET default_transaction_read_only = "
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(set_read_only + "on")
        with start_command(for_writes, "task_stats", "--json") as process:
            try:
                assert process.stderr.readline().endswith(': session is read-only"}\n')
            finally:
                connection.execute(set_read_only + "off")
            assert process.wait(TIMEOUT) == 0


@pytest.mark.once
def test_failure_of_a_setting_exits_with_2():
    sentence = (
        "Set DATABASE_URL to a URL that names a file, "
        "postgresql://user:password@host:5432/name or sqlite:///file.sqlite3\n"
    )
    assert run_command_process("sqlite://file", "migrate") == ("", sentence, 2)
