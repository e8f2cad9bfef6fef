"""Programs of this machine that take part: found by name, run unprivileged, ended by pid."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testing.processes import tree
from testing.servers import HOST, status_of

SECONDS = 20


def find(name: str, package: str) -> str:
    """The path of a program; without it the scenario is skipped."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return path


def unprivileged() -> str | None:
    """The user for programs that refuse to be root; ``None`` for whoever runs the tests."""
    return "nobody" if os.geteuid() == 0 else None


@contextmanager
def directory(user: str | None) -> Iterator[Path]:
    """A directory that is the user's."""
    with TemporaryDirectory(prefix="todo-faults-") as name:
        if user:
            os.chown(name, pwd.getpwnam(user).pw_uid, -1)
        yield Path(name)


def wait_for(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.005)


def port_of_its_own() -> int:
    """A port that no client is given meanwhile: a program that was ended must find it free when it comes back."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while listens(port := random.randrange(10_000, lowest_ephemeral)):
        pass
    return port


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


@contextmanager
def running(command: list[str], port: int, user: str | None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the foreground, from when it listens until SIGTERM or, if it is deaf, SIGKILL."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, user=user, stdout=output, stderr=output)
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, f"{command[0]} listens")
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()


def kill_tree(pid: int) -> None:
    """kill -9 of a process and all below it, none of which can start another meanwhile; they are gone afterwards."""
    os.kill(pid, signal.SIGSTOP)
    pids = tree(pid)
    for each in pids:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    wait_for(lambda: not any(map(lives, pids)), "killed processes are gone")


def lives(pid: int) -> bool:
    return not status_of(Path(f"/proc/{pid}/status")).get("State", "Z").startswith("Z")


def signal_tree(pid: int, number: signal.Signals) -> None:
    for each in tree(pid):
        with suppress(ProcessLookupError):
            os.kill(each, number)
