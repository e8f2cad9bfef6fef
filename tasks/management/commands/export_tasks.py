"""``manage.py export_tasks``: write tasks to a file, for a backup, their owner or another system."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from commands.base import OperatorCommand, format_count
from commands.files import is_standard_output, replace_file
from tasks.management.arguments import existing_user_id
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.transfer.exporting import export
from tasks.transfer.file_formats import FileWriter
from tasks.transfer.writers import WRITERS


class Command(OperatorCommand):
    """An export by id, which replaces the file of ``--output`` as a whole or not at all."""

    help = "Write all tasks as JSON Lines, CSV or iCalendar to --output or standard output."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", type=existing_user_id, metavar="ID", help="Write only the tasks of this owner.")
        parser.add_argument("--live", action="store_true", help="Leave out the trash.")
        parser.add_argument(
            "--format",
            choices=WRITERS,
            default="jsonl",
            help="Write this format (default: jsonl). ics (iCalendar) leaves out the trash.",
        )
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write to this file; replace it if it exists.")
        self.add_batch_size(parser)

    def handle(
        self, *, user: str | None, live: bool, format: str, output: Path | None, batch_size: int, **_: Any
    ) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        writer = WRITERS[format]()
        tasks = tasks.live() if live or not writer.has_trash else tasks
        if output is None or is_standard_output(output):
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")
            self.write(tasks, writer, batch_size, lambda text: self.stdout.write(text, ending=""))
        else:
            with replace_file(output) as write:
                number = self.write(tasks, writer, batch_size, write)
            self.print_summary(f"Exported {format_count(number, 'task')} to {output}")

    def write(self, tasks: TaskQuerySet, writer: FileWriter, batch_size: int, write: Callable[[str], Any]) -> int:
        """Write the file by ``write``, and return the number of tasks."""
        write(writer.header)
        number = 0
        with self.progress(tasks.count) as progress:
            for text, exported in export(tasks, writer, batch_size):
                write(text)
                number += exported
                progress.update(exported)
        write(writer.footer)
        return number
