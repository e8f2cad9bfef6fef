"""The server starts on a port of its own, stops in time, and leaves all tasks in the database's file."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPException

import pytest

from testing.api_clients import BackgroundClients, RecordingClient, create_task
from testing.databases import new_database, sqlite_path
from testing.ports import HOST, free_port, is_open
from testing.process_tree import is_alive, proc_fields, process_tree
from testing.python_processes import ROOT, python_output, service_environment
from testing.servers import SERVE_COMMAND, Server, wait_until_idle
from testing.waiting import wait_for

STOPS = 50
AT_ONCE = 5

#: An idle server ends within these seconds.
STOP_SECONDS = 2

#: Requests in progress may take these seconds.
REQUEST_SECONDS = 10

#: The server as it was started before: granian has its own sockets and signal handlers.
GRANIAN = ("-m", "granian", "--interface=wsgi", "--http=1", "--workers=2", "--workers-kill-timeout=10")


@pytest.fixture(scope="module")
def sqlite_url():
    with new_database("sqlite") as url:
        yield url


@contextmanager
def starting(url, command=SERVE_COMMAND, port=None, directory=ROOT):
    """Start a server in its own process group, yield server and process, and kill the group at the end."""
    port = port or free_port()
    variables = service_environment(DATABASE_URL=url, HOST=HOST, PORT=str(port), WORKERS="2", LOG_LEVEL="CRITICAL")
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=variables,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Server(port, process.pid), process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def granian_on(port):
    return (sys.executable, *GRANIAN, f"--port={port}", "todo_project.wsgi:application")


def is_ready(server):
    with suppress(OSError, HTTPException):
        return server.get("/readyz")[0] == 200
    return False


def wait_until_ready(server):
    wait_for(lambda: is_ready(server), "the server is ready", timeout=60)
    wait_until_idle(server)


@contextmanager
def running(url, command=SERVE_COMMAND, port=None, directory=ROOT):
    """Yield a server that is ready, and its process."""
    with starting(url, command, port, directory) as (server, process):
        wait_until_ready(server)
        yield server, process


def seconds_to_stop(server, process, send, timeout=30):
    """Send a signal, and return the seconds until all processes have ended and the port is free."""
    pids = process_tree(process.pid)
    sent = time.monotonic()
    send(process.pid)
    process.wait(timeout)
    wait_for(lambda: not any(map(is_alive, pids)), "all processes have ended", timeout)
    seconds = time.monotonic() - sent
    assert not is_open(server.port)
    return seconds


def holds_sighup(pid):
    """Return whether a process blocks SIGHUP: proc_pid_status(5)."""
    return bool(int(proc_fields(f"/proc/{pid}/status").get("SigBlk", "0"), 16) & 1 << signal.SIGHUP - 1)


def to_group(number):
    return lambda pid: os.killpg(pid, number)


def to_main(number):
    return lambda pid: os.kill(pid, number)


def test_ctrl_c_ends_idle_server_within_2_s_50_times(sqlite_url, report_result):
    """A terminal sends SIGINT to the whole process group."""
    times = []
    for _ in range(STOPS // AT_ONCE):
        with ExitStack() as stack:
            started = [stack.enter_context(starting(sqlite_url)) for _ in range(AT_ONCE)]
            for server, _ in started:
                wait_until_ready(server)
            for server, process in started:
                times.append(seconds_to_stop(server, process, to_group(signal.SIGINT)))
                assert process.returncode == 0
    report_result(f"{len(times)} stops, slowest {max(times):.2f} s")
    assert len(times) == STOPS
    assert max(times) < STOP_SECONDS


def test_control_without_own_signals_stop_takes_10_s(sqlite_url, report_result):
    """A worker of granian gets SIGINT and SIGTERM together, and often ignores both."""
    times = []
    while len(times) < 40 and (not times or max(times) < STOP_SECONDS):
        port = free_port()
        with running(sqlite_url, granian_on(port), port) as (server, process):
            times.append(seconds_to_stop(server, process, to_group(signal.SIGINT)))
    report_result(f"{len(times)} stops, slowest {max(times):.2f} s")
    assert max(times) > REQUEST_SECONDS - 1


@pytest.mark.parametrize(
    "send",
    [
        to_main(signal.SIGINT),
        to_main(signal.SIGTERM),
        to_group(signal.SIGTERM),
        to_group(signal.SIGHUP),
    ],
    ids=["SIGINT", "SIGTERM", "SIGTERM to group", "SIGHUP to group"],
)
def test_idle_server_ends_within_2_s(sqlite_url, send):
    with running(sqlite_url) as (server, process):
        assert seconds_to_stop(server, process, send) < STOP_SECONDS
        assert process.returncode == 0


def test_server_of_nohup_outlives_its_terminal(sqlite_url):
    with running(sqlite_url, ("nohup", *SERVE_COMMAND)) as (server, process):
        old = {*server.workers()}
        os.killpg(process.pid, signal.SIGHUP)
        wait_for(lambda: len(server.workers()) == 2 and not old & {*server.workers()}, "all workers are new", 60)
        assert is_ready(server)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_during_start_ends_within_2_s(sqlite_url, number):
    """Workers that still import the service have no handlers of granian yet."""
    with starting(sqlite_url) as (server, process):
        wait_for(lambda: len(server.workers()) == 2, "the workers start")
        assert seconds_to_stop(server, process, to_group(number)) < STOP_SECONDS
        assert process.returncode == 0


def test_stop_during_reload_ends_within_2_s(sqlite_url):
    with running(sqlite_url) as (server, process):
        os.kill(process.pid, signal.SIGHUP)
        wait_for(lambda: len(server.workers()) == 3, "a new worker starts")
        assert seconds_to_stop(server, process, to_group(signal.SIGTERM)) < STOP_SECONDS


def test_sighup_to_main_process_reloads(sqlite_url):
    with running(sqlite_url) as (server, process):
        old = {*server.workers()}
        os.kill(process.pid, signal.SIGHUP)
        wait_for(lambda: len(server.workers()) == 2 and not old & {*server.workers()}, "all workers are new", 60)
        assert is_ready(server)


def test_sighup_during_start_reloads(sqlite_url):
    with starting(sqlite_url) as (server, process):
        wait_for(lambda: holds_sighup(process.pid), "Python runs manage.py")
        os.kill(process.pid, signal.SIGHUP)
        wait_until_ready(server)
        assert process.poll() is None


def test_control_without_block_sighup_ends_start(sqlite_url):
    """Python itself starts before ``manage.py`` blocks the signal."""
    with starting(sqlite_url) as (_, process):
        os.kill(process.pid, signal.SIGHUP)
        assert process.wait(10) == -signal.SIGHUP


def test_workers_end_after_their_main_process_is_killed(sqlite_url):
    with running(sqlite_url) as (server, process):
        workers = server.workers()
        process.kill()
        wait_for(lambda: not any(map(is_alive, workers)), "the workers have ended")
        assert not is_open(server.port)


BODY = b'{"title": "Buy milk"}'
HEAD = (
    b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


@contextmanager
def request_in_progress(server):
    """Yield a connection whose request lacks its last byte, after a worker has accepted it."""
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(HEAD + BODY[:-1])
        time.sleep(0.5)  # no sign outside the worker tells that a thread reads the body
        yield connection


def test_endless_request_ends_10_s_after_main_is_killed(sqlite_url, report_result):
    with running(sqlite_url) as (server, process), request_in_progress(server):
        seconds = seconds_to_stop(server, process, to_main(signal.SIGKILL))
    report_result(f"{seconds:.2f} s")
    assert REQUEST_SECONDS - 1 < seconds < REQUEST_SECONDS + STOP_SECONDS


def test_control_without_parent_watch_request_outlives_main(sqlite_url):
    port = free_port()
    serving = running(sqlite_url, granian_on(port), port)
    with serving as (server, process), request_in_progress(server), pytest.raises(TimeoutError):
        seconds_to_stop(server, process, to_main(signal.SIGKILL), timeout=REQUEST_SECONDS + STOP_SECONDS)


def wait_until_refused(server):
    wait_for(lambda: not is_open(server.port), "the port is closed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_request_in_progress_is_finished(sqlite_url, number):
    """``make`` sends a SIGTERM of its process group on, so the server gets two."""
    with running(sqlite_url) as (server, process), request_in_progress(server) as connection:
        for _ in range(2):
            os.killpg(process.pid, number)
        wait_until_refused(server)
        connection.sendall(BODY[-1:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 201")
        process.wait(STOP_SECONDS)


def test_endless_request_is_ended_after_10_s(sqlite_url, report_result):
    with running(sqlite_url) as (server, process), request_in_progress(server):
        seconds = seconds_to_stop(server, process, to_group(signal.SIGTERM))
    report_result(f"{seconds:.2f} s")
    assert REQUEST_SECONDS - 1 < seconds < REQUEST_SECONDS + STOP_SECONDS


def test_second_signal_ends_server_at_once(sqlite_url):
    with running(sqlite_url) as (server, process), request_in_progress(server):
        os.killpg(process.pid, signal.SIGINT)
        wait_until_refused(server)
        time.sleep(0.5)  # closer signals count as one
        assert process.poll() is None
        assert seconds_to_stop(server, process, to_group(signal.SIGINT)) < STOP_SECONDS


def count_tasks(file):
    """Return how many tasks a copy of the database's file has, without its write-ahead log."""
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM tasks_task").fetchone()[0]


def create_tasks(server, number):
    with RecordingClient(server.port) as client:
        for _ in range(number):
            create_task(client)


def create(client, number):
    return [client.send("POST", "/api/tasks", {"title": f"Task of client {number}"})]


@pytest.fixture
def new_url():
    with new_database("sqlite") as url:
        yield url


def test_stopped_server_leaves_all_tasks_in_the_file(new_url, tmp_path):
    with running(new_url) as (server, process):
        create_tasks(server, 20)
        seconds_to_stop(server, process, to_main(signal.SIGTERM))
        shutil.copyfile(sqlite_path(new_url), tmp_path / "copy")
    assert count_tasks(tmp_path / "copy") == 20


def test_control_without_checkpoint_file_has_no_task(new_url, tmp_path):
    port = free_port()
    with running(new_url, granian_on(port), port) as (server, process):
        create_tasks(server, 20)
        seconds_to_stop(server, process, to_main(signal.SIGTERM))
        shutil.copyfile(sqlite_path(new_url), tmp_path / "copy")
    assert count_tasks(tmp_path / "copy") == 0


def test_running_server_folds_its_log_into_the_file(new_url):
    with running(new_url) as (server, _):
        create_tasks(server, 20)
        wait_for(lambda: count_tasks(sqlite_path(new_url)) == 20, "the file has all tasks", timeout=30)


def test_backup_of_running_server_has_all_earlier_tasks(new_url, tmp_path, report_result):
    with running(new_url) as (server, _), BackgroundClients(server.port, 4, create) as clients:
        for number in range(3):
            wait_for(lambda: len(clients.records) > 20 * (number + 1), "the clients write")  # noqa: B023
            created = sum(record.status == 201 for record in clients.records)
            python_output("manage.py", "backup", str(tmp_path / "copy"), DATABASE_URL=new_url)
            copied = count_tasks(tmp_path / "copy")
            report_result(f"{created} tasks before, {copied} in the backup, {len(clients.records)} after")
            assert created <= copied <= len(clients.records) + 4


def test_control_without_backup_copy_lacks_tasks(new_url, tmp_path):
    with running(new_url) as (server, _):
        create_tasks(server, 20)
        shutil.copyfile(sqlite_path(new_url), tmp_path / "copy")
    assert count_tasks(tmp_path / "copy") < 20


def test_server_runs_in_any_directory(sqlite_url, tmp_path):
    """The directory has a module of the same name as a package of the service."""
    (tmp_path / "tasks.py").write_text("raise ImportError")
    with running(sqlite_url, (sys.executable, ROOT / "manage.py", "serve"), directory=tmp_path) as (server, _):
        assert server.get("/api/tasks")[0] == 200


def count_ready_servers(commands, port, url):
    """Start servers on one port, and return how many run after one is ready.

    The others have had time to end.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(starting(url, command, port))[1] for command in commands]
        wait_for(lambda: is_ready(Server(port, 0)), "a server is ready", timeout=60)
        with suppress(TimeoutError):
            wait_for(lambda: any(process.poll() is not None for process in processes), "one has ended", timeout=10)
        return sum(process.poll() is None for process in processes)


def test_two_servers_started_at_once_never_share_a_port(sqlite_url):
    for _ in range(2):
        assert count_ready_servers([SERVE_COMMAND] * 2, free_port(), sqlite_url) == 1


def test_control_without_own_socket_two_servers_share_port(sqlite_url):
    port = free_port()
    assert count_ready_servers([granian_on(port)] * 2, port, sqlite_url) == 2
