"""``manage.py import_tasks``: read tasks from a file of ``export_tasks`` or of another system."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError
from django.utils import timezone

from commands.base import ExitCode, OperatorCommand
from commands.files import open_input, open_report
from rest.problems.types import Fault
from tasks.management.arguments import new_user_id
from tasks.models import Task
from tasks.transfer.file_formats import CSV, DELIMITERS, FILE_FORMATS, FileReader, FormatError
from tasks.transfer.foreign_tasks import Origin
from tasks.transfer.importing import ON_CONFLICT, SKIP, ConflictError, Import, Outcome, ReportLine
from tasks.transfer.sources import SOURCES
from tasks.transfer.todoist import Todoist

#: How many lines are printed without ``--errors``.
MAX_PRINTED = 20


class Command(OperatorCommand):
    """An import that checks each line as the API does, and continues after a line that breaks a rule.

    A batch is stored whole or not at all, and the ids tell which tasks exist. So an operator can run an import again
    that was interrupted, even by kill -9.
    """

    help = "Read tasks from a file that export_tasks wrote, or with --from from another system's export."
    model = Task
    reported = 0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="Read this file; - reads standard input.")
        parser.add_argument(
            "--user", type=new_user_id, metavar="ID", help="Give all tasks to this owner instead of the lines' owners."
        )
        formats = parser.add_mutually_exclusive_group()
        formats.add_argument(
            "--format",
            choices=FILE_FORMATS,
            help="Read this format (default: csv if the file's name ends with .csv, else jsonl).",
        )
        formats.add_argument(
            "--from",
            choices=SOURCES,
            dest="source",
            help="Read the export of another system: Todoist's CSV, iCalendar (.ics), or Vikunja's ZIP or JSON.",
        )
        parser.add_argument(
            "--delimiter",
            choices=["tab" if each == "\t" else each for each in DELIMITERS],
            help="Split the lines of CSV at this character (default: the comma).",
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
        source: str | None,
        delimiter: str | None,
        on_conflict: str,
        errors: Path | None,
        dry_run: bool,
        batch_size: int,
        **_: Any,
    ) -> None:
        reader = foreign_reader(source, file, user) if source else FILE_FORMATS[format or format_of(file)]
        if delimiter:
            reader = split_at(reader, delimiter)
        with ExitStack() as stack:
            opened = stack.enter_context(open_input(file))
            self.unit = reader.unit
            report: ReportLine = self.print_line
            if errors:
                report = line_writer(stack.enter_context(open_report(errors, opened)))
            tasks = Import(
                user_id=user, on_conflict=on_conflict, batch_size=batch_size, dry_run=dry_run, report_line=report
            )
            try:
                self.read(opened, reader, tasks)
            except FormatError as error:
                raise CommandError(f"{file}: {error}", returncode=ExitCode.BAD_INPUT) from error
            except ConflictError as conflict:
                kept = "" if dry_run else "; finished batches stay"
                raise CommandError(f"{conflict}{kept}", returncode=ExitCode.FINDINGS) from conflict
        self.print_summary(summary(tasks.outcome, dry_run=dry_run))
        if tasks.outcome.refused:
            raise CommandError(f"{reader.unit}s refused: {tasks.outcome.refused}", returncode=ExitCode.FINDINGS)

    def read(self, file: IO[bytes], reader: FileReader, tasks: Import) -> None:
        """Add every line of ``file`` to the import, and store the last batch."""
        size = os.fstat(file.fileno()).st_size if file.seekable() else None
        with self.progress(lambda: size, unit="B") as progress:
            for line in reader.read(file):
                tasks.add_line(line)
                if size is not None:
                    progress.update(file.tell() - progress.n)
            tasks.store_batch()

    def print_line(self, number: int, faults: Sequence[Fault]) -> None:
        """Print a line and its faults to standard error, unless ``MAX_PRINTED`` lines have been printed."""
        self.reported += 1
        if self.reported <= MAX_PRINTED:
            details = "; ".join(f"{fault['pointer']} {fault['detail']}" for fault in faults)
            self.stderr.write(f"{self.unit} {number}: {details}")
        elif self.reported == MAX_PRINTED + 1:
            self.stderr.write(f"More {self.unit.lower()}s have faults; --errors FILE lists them all")


def format_of(file: Path) -> str:
    """Return the format that a file's name suggests."""
    return "csv" if file.suffix.lower() == ".csv" else "jsonl"


def foreign_reader(source: str, file: Path, user: str | None) -> FileReader:
    """Return the reader of another system's export.

    Raises:
        CommandError: the future owner of the tasks is unknown.
    """
    if user is None:
        reason = "--from needs --user ID, because the tasks of another system have no owner here"
        raise CommandError(reason, returncode=ExitCode.BAD_INPUT)
    return SOURCES[source](Origin(source, user, file.name, timezone.now()))


def split_at(reader: FileReader, delimiter: str) -> FileReader:
    """Return a reader of CSV with another delimiter.

    Raises:
        CommandError: the reader is not one of CSV.
    """
    if not isinstance(reader, CSV | Todoist):
        raise CommandError("--delimiter is for CSV; leave it out", returncode=ExitCode.BAD_INPUT)
    return replace(reader, delimiter="\t" if delimiter == "tab" else delimiter)


def line_writer(report: IO[str]) -> ReportLine:
    """Return a function that writes a line's number and faults to ``report``, in the API's words."""

    def write(number: int, faults: Sequence[Fault]) -> None:
        report.write(json.dumps({"line": number, "errors": list(faults)}, ensure_ascii=False) + "\n")

    return write


def summary(outcome: Outcome, *, dry_run: bool) -> str:
    """Return the summary line: “Imported: 3 added, 0 updated, 1 skipped, 0 refused”.

    The number of tasks of which something was left out follows if there are any.
    """
    verb = "Would import" if dry_run else "Imported"
    counts = {result: number for result, number in asdict(outcome).items() if result != "partial" or number}
    return f"{verb}: " + ", ".join(f"{number} {result}" for result, number in counts.items())
