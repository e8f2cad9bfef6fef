"""``manage.py export_tasks``: tasks to a file, as a backup, for their owner, or for another system."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from django.core.management.base import CommandError

from commands.base import BAD_INPUT, OperatorCommand, counted
from tasks.management.arguments import owner
from tasks.models import Task, TaskQuerySet
from tasks.transfer.file_formats import FORMATS, Format, shown


class Command(OperatorCommand):
    """Writes tasks by id, a batch at a time, each read by a statement of its own: no transaction lasts.

    So the file holds each task as it was when its batch was read. A file that is named is there whole or not at all.
    """

    help = "Write tasks, those in the trash too, as JSON Lines or CSV to --output or the standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", type=owner, metavar="ID", help="Whose tasks; without it everybody's.")
        parser.add_argument("--live", action="store_true", help="Leave out what is in the trash.")
        parser.add_argument("--format", choices=FORMATS, default="jsonl", help="jsonl by default.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="The file, which is replaced if it is there.")
        self.add_batch_size(parser)

    def handle(
        self, *, user: str | None, live: bool, format: str, output: Path | None, batch_size: int, **_: Any
    ) -> None:
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(user)
        tasks = tasks.live() if live else tasks
        if output is None or is_standard_output(output):
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")
            self.write(tasks, FORMATS[format], batch_size, lambda text: self.stdout.write(text, ending=""))
        else:
            with replacing(output) as write:
                number = self.write(tasks, FORMATS[format], batch_size, write)
            self.sum_up(f"Exported {counted(number, 'task')} to {output}")

    def write(self, tasks: TaskQuerySet, format: Format, batch_size: int, write: Callable[[str], Any]) -> int:
        number = 0
        write(format.header)
        with self.progress(tasks.count) as progress:
            for batch in tasks.in_batches(batch_size):
                lines = shown(batch)
                write(format.text(lines))
                number += len(lines)
                progress.update(len(lines))
        return number


def is_standard_output(path: Path) -> bool:
    """Whether ``path`` is ``/dev/stdout``, or another name of what that is."""
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


@contextmanager
def replacing(path: Path) -> Iterator[Callable[[str], Any]]:
    """Write a file that takes the place of ``path`` when it is whole and on the disk; only its owner may read it.

    Behind a link that is the file which it leads to. What is no file, such as a named pipe, is written to as it is.

    Raises:
        CommandError: there is no room for it, or no permission.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file.write
            return
        place = Path(os.path.realpath(path))
        descriptor, name = mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                yield file.write
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", returncode=BAD_INPUT) from error
