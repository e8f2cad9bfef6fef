"""Run a management command, and turn each expected failure into one sentence and an exit code."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error as DatabaseError
from environs import EnvError

from commands.base import ExitCode
from database.errors import first_line


def execute(arguments: list[str]) -> None:
    """Run the command of a command line, Django's own commands too.

    ``--traceback`` shows the traceback instead, as it does for Django's ``CommandError``.
    """
    try:
        execute_from_command_line(arguments)
    except (ImproperlyConfigured, EnvError, DatabaseError) as error:
        if "--traceback" in arguments:
            raise
        if isinstance(error, DatabaseError):
            sys.stderr.write(f"The database failed: {first_line(error)}\n")
            sys.exit(ExitCode.DATABASE_FAILED)
        sys.stderr.write(f"{error}\n")
        sys.exit(ExitCode.BAD_INPUT)
