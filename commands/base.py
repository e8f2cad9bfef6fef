"""The base class of management commands: exit codes, batch size, progress and a summary line."""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any, ClassVar, NoReturn, TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db.models import Model
from tqdm import tqdm

from commands.arguments import whole_number
from database import row_security
from database.errors import first_line

T = TypeVar("T")

#: The largest batch: a statement takes this many parameters on both databases.
MAX_BATCH = 10_000


class ExitCode(IntEnum):
    """The exit codes of all commands; docs/operations.md explains them to operators."""

    #: The command finished, and it reported findings or refused lines.
    FINDINGS = 1
    #: An option or a file is wrong; ``argparse`` exits with the same code.
    BAD_INPUT = 2
    #: The database failed; the same command may succeed later.
    DATABASE_FAILED = 3
    #: Ctrl-C; a shell reports the same code for a process that SIGINT ended.
    INTERRUPTED = 130


class OperatorCommand(BaseCommand):
    """A command for operators and timers: a result on standard output, and an exit code for every failure.

    Attributes:
        model: the rows that the command reads or writes.
        default_batch_size: how many rows a transaction takes.
    """

    model: ClassVar[type[Model]]
    default_batch_size = 1000

    def add_dry_run(self, parser: ArgumentParser) -> None:
        """Add the option ``--dry-run``."""
        parser.add_argument("--dry-run", action="store_true", help="Print what would be done; change nothing.")

    def add_batch_size(self, parser: ArgumentParser) -> None:
        """Add the option ``--batch-size``."""
        parser.add_argument(
            "--batch-size",
            type=whole_number(1, MAX_BATCH),
            default=self.default_batch_size,
            metavar="N",
            help=f"Handle N rows per transaction, at most {MAX_BATCH} (default: {self.default_batch_size}).",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command, and turn each failure into one sentence and an exit code."""
        self.verbosity = options["verbosity"]
        try:
            self._refuse_restricted_role()
            try:
                return super().execute(*args, **options)
            finally:
                self.stdout.flush()
        except KeyboardInterrupt:
            raise CommandError("Interrupted; finished batches stay", returncode=ExitCode.INTERRUPTED) from None
        except DatabaseError as error:
            reason = f"The database failed: {first_line(error)}"
            raise CommandError(reason, returncode=ExitCode.DATABASE_FAILED) from error
        except BrokenPipeError:
            flush_or_discard_output()
            sys.exit(ExitCode.FINDINGS)
        except OSError as error:
            flush_or_discard_output()
            reason = f"Cannot read or write {error.filename or 'a file'}: {error.strerror or error}"
            raise CommandError(reason, returncode=ExitCode.BAD_INPUT) from error

    def progress(self, total: Callable[[], int | None], unit: str = " tasks") -> "tqdm[NoReturn]":
        """Return a progress bar for a terminal; elsewhere the bar is invisible and ``total`` is not called."""
        visible = sys.stderr.isatty() and self.verbosity > 0
        return tqdm(total=total() if visible else None, unit=unit, unit_scale=True, disable=not visible, leave=False)

    def add_up(self, counts: Iterable[int], total: Callable[[], int], unit: str = " tasks") -> int:
        """Return the sum of ``counts``, one for each batch, and show the progress towards ``total``."""
        added = 0
        with self.progress(total, unit) as progress:
            for count in counts:
                added += count
                progress.update(count)
        return added

    def print_summary(self, sentence: str) -> None:
        """Print the command's last line, unless ``--verbosity`` is 0."""
        if self.verbosity > 0:
            self.stdout.write(sentence)

    def _refuse_restricted_role(self) -> None:
        """Refuse a role that row-level security binds, because the role sees no rows.

        Raises:
            CommandError: the role of ``DATABASE_URL`` is such a role.
        """
        if row_security.is_active(self.model._meta.db_table):
            raise CommandError(
                "The role of DATABASE_URL sees no tasks; set DATABASE_URL to the role that owns the tables: "
                "docs/decisions/0010-row-security.md",
                returncode=ExitCode.BAD_INPUT,
            )


def format_count(number: int, noun: str) -> str:
    """Return ``1 task`` or ``2 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def flush_or_discard_output() -> None:
    """Discard output that standard output does not take; otherwise Python fails when it flushes at exit.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def pause_between(batches: Iterable[T]) -> Iterator[T]:
    """Yield each batch, and sleep after it for as long as the batch took.

    So a request waits for one batch at most, also on SQLite, where one process writes at a time.
    """
    started = time.monotonic()
    for batch in batches:
        yield batch
        time.sleep(time.monotonic() - started)
        started = time.monotonic()
