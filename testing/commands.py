"""Run a management command, in this process or in a process of its own."""

import json
import os
import subprocess
import sys
from io import StringIO
from typing import NamedTuple

from django.conf import settings
from django.core.management import CommandError, call_command

from testing.python_processes import service_environment

#: The longest a command may take, in seconds.
TIMEOUT = 120


class CommandResult(NamedTuple):
    """The output of a command, and its exit code."""

    out: str
    err: str
    code: int


def success(out):
    """Return the result of a command that printed ``out`` and exited with 0."""
    return CommandResult(out, "", 0)


def failure(reason, code, out=""):
    """Return the result of a command that failed with one sentence."""
    return CommandResult(out, f"CommandError: {reason}\n", code)


def run_command(name, *arguments):
    """Run a command in this process."""
    out, err = StringIO(), StringIO()
    try:
        call_command(name, *map(str, arguments), stdout=out, stderr=err)
    except CommandError as error:
        return CommandResult(out.getvalue(), f"{err.getvalue()}CommandError: {error}\n", error.returncode)
    return CommandResult(out.getvalue(), err.getvalue(), 0)


def start_command(database_url, name, *arguments, encoding="utf-8", variables=None, **streams):
    """Start a command that writes in ``encoding``, and read its output as UTF-8.

    ``variables`` are further settings. If the tests measure coverage, the process of the command does too.
    """
    coverage = {name: os.environ[name] for name in ("COVERAGE_PROCESS_CONFIG",) if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "manage.py", name, *map(str, arguments)],
        cwd=settings.BASE_DIR,
        env=service_environment(DATABASE_URL=database_url, PYTHONIOENCODING=encoding, **coverage, **variables or {}),
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
            **streams,
        },
    )


def run_command_process(database_url, name, *arguments, encoding="utf-8"):
    """Run a command in a process of its own."""
    process = start_command(database_url, name, *arguments, encoding=encoding)
    out, err = process.communicate(timeout=TIMEOUT)
    return CommandResult(out, err, process.returncode)


def read_json_lines(path):
    """Return the values of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
