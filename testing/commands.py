"""Running a command, in this process and in one of its own."""

import json
import subprocess
import sys
from io import StringIO
from typing import NamedTuple

from django.conf import settings
from django.core.management import CommandError, call_command

from testing.servers import environment


class Ended(NamedTuple):
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


def done(out):
    """A command that printed ``out`` and ended well."""
    return Ended(out, "", 0)


def run(name, *arguments):
    out, err = StringIO(), StringIO()
    try:
        call_command(name, *map(str, arguments), stdout=out, stderr=err)
    except CommandError as error:
        return Ended(out.getvalue(), f"{err.getvalue()}CommandError: {error}\n", error.returncode)
    return Ended(out.getvalue(), err.getvalue(), 0)


def start(database_url, name, *arguments, encoding="utf-8", **streams):
    """A process whose own streams have ``encoding``; what is read of it here is UTF-8."""
    return subprocess.Popen(
        [sys.executable, "manage.py", name, *map(str, arguments)],
        cwd=settings.BASE_DIR,
        env=environment(DATABASE_URL=database_url, PYTHONIOENCODING=encoding),
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
            **streams,
        },
    )


def run_process(database_url, name, *arguments, encoding="utf-8"):
    process = start(database_url, name, *arguments, encoding=encoding)
    out, err = process.communicate(timeout=300)
    return Ended(out, err, process.returncode)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
