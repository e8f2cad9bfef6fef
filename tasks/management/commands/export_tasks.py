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
from tasks.transfer.file_formats import FILE_FORMATS, FileFormat


class Command(OperatorCommand):
    """An export by id, which replaces the file of ``--output`` as a whole or not at all."""

    help = "Write all tasks, including the trash, as JSON Lines or CSV to --output or standard output."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", type=existing_user_id, metavar="ID", help="Write only the tasks of this owner.")
        parser.add_argument("--live", action="store_true", help="Leave out the trash.")
        parser.add_argument(
            "--format", choices=FILE_FORMATS, default="jsonl", help="Write this format (default: jsonl)."
        )
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write to this file; replace it if it exists.")
        self.add_batch_size(parser)

    def handle(
        self, *, user: str | None, live: bool, format: str, output: Path | None, batch_size: int, **_: Any
    ) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        tasks = tasks.live() if live else tasks
        file_format = FILE_FORMATS[format]
        if output is None or is_standard_output(output):
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")
            self.write(tasks, file_format, batch_size, lambda text: self.stdout.write(text, ending=""))
        else:
            with replace_file(output) as write:
                number = self.write(tasks, file_format, batch_size, write)
            self.print_summary(f"Exported {format_count(number, 'task')} to {output}")

    def write(self, tasks: TaskQuerySet, file_format: FileFormat, batch_size: int, write: Callable[[str], Any]) -> int:
        """Write the header and all tasks by ``write``, and return the number of tasks."""
        write(file_format.header)
        number = 0
        with self.progress(tasks.count) as progress:
            for text, exported in export(tasks, file_format, batch_size):
                write(text)
                number += exported
                progress.update(exported)
        return number
