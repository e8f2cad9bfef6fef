"""Run the service as ``make run`` does: server process, workers and a given database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO

from testing.ports import HOST, free_port
from testing.process_tree import cpu_seconds, proc_fields
from testing.python_processes import ROOT, service_environment

START_TIMEOUT = 60
STOP_TIMEOUT = 60

SERVE_COMMAND = (sys.executable, "manage.py", "serve")


@dataclass(frozen=True)
class Server:
    """A running server: its port, and the process whose children are its workers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The URL without a path."""
        return f"http://{HOST}:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a GET on a new connection."""
        connection = HTTPConnection(HOST, self.port, timeout=600)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """Return the pids of the workers."""
        statuses = [path / "status" for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [int(path.parent.name) for path in statuses if proc_fields(path).get("PPid") == str(self.pid)]


@contextmanager
def running_service(
    url: str,
    command: Sequence[str] = SERVE_COMMAND,
    port: int | None = None,
    log: int | IO[bytes] = subprocess.DEVNULL,
    **variables: str,
) -> Iterator[Server]:
    """Yield a server that is ready to answer, and stop it with SIGTERM at the end.

    Args:
        url: the URL of the database.
        command: the server to start, if it is not ``manage.py serve``; it gets the same environment.
        port: the port that ``command`` listens on, if not a free one.
        log: the file that the server writes its log to.
        **variables: further settings.

    Raises:
        RuntimeError: the server was not ready in time, or did not end in time.
    """
    port = port or free_port()
    variables = service_environment(DATABASE_URL=url, HOST=HOST, PORT=str(port), **variables)
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, start_new_session=True)
    try:
        server = Server(port, process.pid)
        _wait_until_ready(server, process)
        wait_until_idle(server)
        yield server
    finally:
        stop_server(process)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with exit code {process.returncode}")
        try:
            if server.get("/readyz")[0] == 200:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server was not ready after {START_TIMEOUT} s")


def wait_until_idle(server: Server) -> None:
    """Wait until all workers have started, because the first one would get all connections until then."""
    deadline = time.monotonic() + START_TIMEOUT
    busy = True
    while busy and time.monotonic() < deadline:
        workers, before = server.workers(), cpu_seconds(server.pid)
        time.sleep(0.5)
        busy = server.workers() != workers or cpu_seconds(server.pid) - before > 0.02


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, and wait until the server has ended."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its workers are in the same session
        process.wait()
        raise RuntimeError(f"The server did not end within {STOP_TIMEOUT} s of SIGTERM") from None
