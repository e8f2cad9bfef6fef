"""``manage.py import_tasks``: tasks back from a file of ``export_tasks``, or in from another system."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError

from commands.base import BAD_INPUT, FOUND, OperatorCommand
from rest.problems.types import Fault
from tasks.management.arguments import subject
from tasks.transfer.file_formats import FORMATS, Format, FormatError
from tasks.transfer.importing import ON_CONFLICT, SKIP, ConflictError, Import, Outcome

#: Bad lines that are told where there is no file for them.
MAX_TOLD = 20

STANDARD_INPUT = Path("-")


class Command(OperatorCommand):
    """Stores the tasks of a file, each line checked as the API would, and goes on after a bad one.

    Batches are whole, and the ids of the lines decide what is there already: an import that was interrupted, even by
    kill -9, is run again as it was.
    """

    help = "Read tasks from a file of JSON Lines or CSV, such as export_tasks writes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="The file; - is the standard input.")
        parser.add_argument(
            "--user", type=subject, metavar="ID", help="Whose the tasks become; without it those whom the lines name."
        )
        parser.add_argument(
            "--format",
            choices=FORMATS,
            help="Without it by the file's name: CSV if it ends with .csv, else JSON Lines.",
        )
        parser.add_argument(
            "--on-conflict",
            choices=ON_CONFLICT,
            default=SKIP,
            help="When a task of that id is there: skip the line (the default), update what differs, or fail.",
        )
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="Where every bad line is told of, as JSON Lines."
        )
        parser.add_argument("--dry-run", action="store_true", help="Check every line, and store none.")
        self.add_batch_size(parser)

    def handle(
        self,
        *,
        file: Path,
        user: str | None,
        format: str | None,
        on_conflict: str,
        errors: Path | None,
        dry_run: bool,
        batch_size: int,
        **_: Any,
    ) -> None:
        with ExitStack() as stack:
            lines = stack.enter_context(opened(file))
            refuse = stack.enter_context(told_in(errors, lines)) if errors else self.tell()
            tasks = Import(owner=user, on_conflict=on_conflict, batch_size=batch_size, dry_run=dry_run, refuse=refuse)
            try:
                self.read(lines, FORMATS[format or _format_of(file)], tasks)
            except FormatError as error:
                raise CommandError(f"{file}: {error}", returncode=BAD_INPUT) from error
            except ConflictError as conflict:
                stay = "" if dry_run else "; the batches before it stay"
                raise CommandError(f"{conflict}{stay}", returncode=FOUND) from conflict
        self.sum_up(summary(tasks.outcome, dry_run=dry_run))
        if tasks.outcome.refused:
            raise CommandError(f"Lines refused: {tasks.outcome.refused}", returncode=FOUND)

    def read(self, lines: IO[bytes], format: Format, tasks: Import) -> None:
        size = os.fstat(lines.fileno()).st_size if lines.seekable() else None
        with self.progress(lambda: size, unit="B") as progress:
            for line in format.read(lines):
                tasks.take(line)
                if size is not None:
                    progress.update(lines.tell() - progress.n)
            tasks.store()

    def tell(self) -> Callable[[int, Sequence[Fault]], None]:
        """Tell of the first bad lines on the standard error."""
        told = 0

        def tell(number: int, faults: Sequence[Fault]) -> None:
            nonlocal told
            told += 1
            if told <= MAX_TOLD:
                self.stderr.write(
                    f"Line {number}: " + "; ".join(f"{fault['pointer']} {fault['detail']}" for fault in faults)
                )
            elif told == MAX_TOLD + 1:
                self.stderr.write("More lines are refused; --errors FILE names each")

        return tell


def _format_of(file: Path) -> str:
    return "csv" if file.suffix.lower() == ".csv" else "jsonl"


def opened(path: Path) -> Any:
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", returncode=BAD_INPUT) from error


@contextmanager
def told_in(path: Path, lines: IO[bytes]) -> Iterator[Callable[[int, Sequence[Fault]], None]]:
    """Tell of a bad line in the file ``path``: its number, and each fault as a problem of the API would name it.

    Raises:
        CommandError: it cannot be written, or would be emptied before its ``lines`` are read.
    """
    try:
        if path.is_file() and os.path.samestat(path.stat(), os.fstat(lines.fileno())):
            raise CommandError(f"{path} is the file that is read; give --errors another", returncode=BAD_INPUT)
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", returncode=BAD_INPUT) from error
    with file:

        def tell(number: int, faults: Sequence[Fault]) -> None:
            file.write(json.dumps({"line": number, "errors": list(faults)}, ensure_ascii=False) + "\n")

        yield tell


def summary(outcome: Outcome, *, dry_run: bool) -> str:
    verb = "Would import" if dry_run else "Imported"
    return f"{verb}: " + ", ".join(f"{number} {what}" for what, number in asdict(outcome).items())
