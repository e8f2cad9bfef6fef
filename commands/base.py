"""What the operators' commands have in common: exit codes, progress, and the size of a batch."""

import os
import re
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from tqdm import tqdm

from database import row_security

T = TypeVar("T")

#: Done, and something was found or refused, which has been told.
FOUND = 1
#: The input is wrong, or a file cannot be read or written; what ``argparse`` ends with.
BAD_INPUT = 2
#: The database could not; the same command may do later.
NO_DATABASE = 3
#: Ctrl-C: what a shell reports of a process that SIGINT ended.
INTERRUPTED = 130

#: Nobody's batch is larger: a statement has room for so many parameters on either database.
MAX_BATCH = 10_000


def counted(number: int, thing: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class OperatorCommand(BaseCommand):
    """A command that ends with an exit code which a timer can trust: docs/operations.md lists them.

    What it was asked for goes to the standard output, and a line that sums it up; progress goes to a terminal only.
    """

    default_batch_size = 1000

    def add_batch_size(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch-size",
            type=whole_number(1, MAX_BATCH),
            default=self.default_batch_size,
            metavar="N",
            help=f"How many one transaction takes, up to {MAX_BATCH}; {self.default_batch_size} by default.",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity = options["verbosity"]
        try:
            refuse_role_of_one_user()
            try:
                return super().execute(*args, **options)
            finally:
                self.stdout.flush()
        except KeyboardInterrupt:
            raise CommandError("Interrupted; every batch that was finished stays", returncode=INTERRUPTED) from None
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database failed: {reason}", returncode=NO_DATABASE) from error
        except BrokenPipeError:
            flush_or_drop_output()
            sys.exit(FOUND)
        except OSError as error:
            flush_or_drop_output()
            reason = f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}"
            raise CommandError(reason, returncode=BAD_INPUT) from error

    def progress(self, total: Callable[[], int | None], unit: str = " tasks") -> "tqdm[NoReturn]":
        """A bar with rate and time left on a terminal; elsewhere nothing, and ``total`` is not asked for."""
        shown = sys.stderr.isatty() and self.verbosity > 0
        return tqdm(total=total() if shown else None, unit=unit, unit_scale=True, disable=not shown, leave=False)

    def sum_up(self, sentence: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(sentence)


def flush_or_drop_output() -> None:
    """What the standard output cannot take is dropped, or Python would fail when it flushes once more at its end.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def resting(batches: Iterable[T]) -> Iterator[T]:
    """Each batch, and after each a rest for as long as it took.

    A request waits for one batch at the most, on SQLite too, where one process writes at a time.
    """
    started = time.monotonic()
    for batch in batches:
        yield batch
        time.sleep(time.monotonic() - started)
        started = time.monotonic()


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A reader of numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def refuse_role_of_one_user() -> None:
    """To a role that row-level security binds there are no tasks, and nothing is wrong with any of them.

    Raises:
        CommandError: the database's role is one.
    """
    if row_security.is_active():
        raise CommandError(
            "The role of DATABASE_URL sees no tasks; set DATABASE_URL to the role that owns the tables: "
            "docs/decisions/0010-row-security.md",
            returncode=BAD_INPUT,
        )
