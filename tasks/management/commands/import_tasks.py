"""``manage.py import_tasks``: read tasks from a file of ``export_tasks`` or of another system."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError

from commands.base import ExitCode, OperatorCommand
from commands.files import open_input, open_report
from rest.problems.types import Fault
from tasks.management.arguments import new_user_id
from tasks.models import Task
from tasks.transfer.file_formats import FILE_FORMATS, FileFormat, FormatError
from tasks.transfer.importing import ON_CONFLICT, SKIP, ConflictError, Import, Outcome, ReportRefusal

#: How many refused lines are printed without ``--errors``.
MAX_PRINTED = 20


class Command(OperatorCommand):
    """An import that checks each line as the API does, and continues after a line that breaks a rule.

    A batch is stored whole or not at all, and the ids tell which tasks exist. So an operator can run an import again
    that was interrupted, even by kill -9.
    """

    help = "Read tasks from a file of JSON Lines or CSV, such as export_tasks writes."
    model = Task
    refused = 0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="Read this file; - reads standard input.")
        parser.add_argument(
            "--user", type=new_user_id, metavar="ID", help="Give all tasks to this owner instead of the lines' owners."
        )
        parser.add_argument(
            "--format",
            choices=FILE_FORMATS,
            help="Read this format (default: csv if the file's name ends with .csv, else jsonl).",
        )
        parser.add_argument(
            "--on-conflict",
            choices=ON_CONFLICT,
            default=SKIP,
            help="If a task with the id exists: skip the line, update the fields that differ, or fail (default: skip).",
        )
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="Write every refused line to this file, as JSON Lines."
        )
        self.add_dry_run(parser)
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
            source = stack.enter_context(open_input(file))
            report: ReportRefusal = self.print_refusal
            if errors:
                report = refusal_writer(stack.enter_context(open_report(errors, source)))
            tasks = Import(
                user_id=user, on_conflict=on_conflict, batch_size=batch_size, dry_run=dry_run, report_refusal=report
            )
            try:
                self.read(source, FILE_FORMATS[format or format_of(file)], tasks)
            except FormatError as error:
                raise CommandError(f"{file}: {error}", returncode=ExitCode.BAD_INPUT) from error
            except ConflictError as conflict:
                kept = "" if dry_run else "; finished batches stay"
                raise CommandError(f"{conflict}{kept}", returncode=ExitCode.FINDINGS) from conflict
        self.print_summary(summary(tasks.outcome, dry_run=dry_run))
        if tasks.outcome.refused:
            raise CommandError(f"Lines refused: {tasks.outcome.refused}", returncode=ExitCode.FINDINGS)

    def read(self, source: IO[bytes], file_format: FileFormat, tasks: Import) -> None:
        """Add every line of ``source`` to the import, and store the last batch."""
        size = os.fstat(source.fileno()).st_size if source.seekable() else None
        with self.progress(lambda: size, unit="B") as progress:
            for line in file_format.read(source):
                tasks.add_line(line)
                if size is not None:
                    progress.update(source.tell() - progress.n)
            tasks.store_batch()

    def print_refusal(self, number: int, faults: Sequence[Fault]) -> None:
        """Print a refused line to standard error, unless ``MAX_PRINTED`` lines have been printed."""
        self.refused += 1
        if self.refused <= MAX_PRINTED:
            self.stderr.write(
                f"Line {number}: " + "; ".join(f"{fault['pointer']} {fault['detail']}" for fault in faults)
            )
        elif self.refused == MAX_PRINTED + 1:
            self.stderr.write("More lines are refused; --errors FILE lists them all")


def format_of(file: Path) -> str:
    """Return the format that a file's name suggests."""
    return "csv" if file.suffix.lower() == ".csv" else "jsonl"


def refusal_writer(report: IO[str]) -> ReportRefusal:
    """Return a function that writes a refused line's number and faults to ``report``, in the API's words."""

    def write(number: int, faults: Sequence[Fault]) -> None:
        report.write(json.dumps({"line": number, "errors": list(faults)}, ensure_ascii=False) + "\n")

    return write


def summary(outcome: Outcome, *, dry_run: bool) -> str:
    """Return the summary line: “Imported: 3 added, 0 updated, 1 skipped, 0 refused”."""
    verb = "Would import" if dry_run else "Imported"
    return f"{verb}: " + ", ".join(f"{number} {result}" for result, number in asdict(outcome).items())
