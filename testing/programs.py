"""Programs of Debian that tests need, such as nginx: find them and run them without privileges."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testing.ports import is_open
from testing.process_tree import kill_tree
from testing.waiting import TIMEOUT, wait_for


def find_program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test without it."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return path


def unprivileged_user() -> str | None:
    """Return the user for programs that refuse to run as root; ``None`` keeps the current user."""
    return "nobody" if os.geteuid() == 0 else None


@contextmanager
def directory_owned_by(user: str | None) -> Iterator[Path]:
    """Yield a new directory that belongs to ``user``, or to the current user."""
    with TemporaryDirectory(prefix="todo-resilience-") as name:
        if user:
            os.chown(name, pwd.getpwnam(user).pw_uid, -1)
        yield Path(name)


@contextmanager
def running_program(command: list[str], port: int, user: str | None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a program that listens on ``port``, and stop it at the end.

    Raises:
        RuntimeError: the program has ended instead; the message is its log.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(command, user=user, stdout=output, stderr=output)
    try:
        wait_for(lambda: is_open(port) or process.poll() is not None, f"{command[0]} listens")
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, and SIGKILL if the program ignores it."""
    process.terminate()
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()
