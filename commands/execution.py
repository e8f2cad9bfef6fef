"""Run a management command, and turn each expected failure into one sentence and an exit code."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error as DatabaseError
from environs import EnvError

from commands.answers import Answer, State, as_lines, summarize
from commands.answers import as_json as answers_as_json
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
        if arguments[1:2] == ["doctor"]:
            report_settings(error, as_json="--json" in arguments)
            sys.exit(ExitCode.FINDINGS)
        sys.stderr.write(f"{error}\n")
        sys.exit(ExitCode.BAD_INPUT)


def report_settings(error: Exception, *, as_json: bool) -> None:
    """Print the answer of ``manage.py doctor`` without settings, which every other question needs."""
    answers = [Answer("settings", State.WRONG, "The settings cannot be read.", str(error))]
    lines = [answers_as_json(answers)] if as_json else [*as_lines(answers), summarize(answers)]
    sys.stdout.writelines(f"{line}\n" for line in lines)
