"""``manage.py purge_trash``: make room where tasks have long been in the trash."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils import timezone

from commands.base import OperatorCommand, counted, resting
from tasks.management.arguments import age
from tasks.models import Task


class Command(OperatorCommand):
    """Removes for good what nobody has restored in time.

    Each batch is a transaction of its own.
    """

    default_batch_size = 500  # on SQLite a request waited for up to 0.4 s for 1,000

    help = "Remove for good the tasks that have been in the trash for longer than --older-than."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=age,
            default=timedelta(days=30),
            metavar="AGE",
            help="How long they have been there: 30d (the default), 12h, 45m, 90s or 2w.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Say how many would be removed, and remove none.")
        self.add_batch_size(parser)

    def handle(self, *, older_than: timedelta, dry_run: bool, batch_size: int, **_: Any) -> None:
        tasks = Task.objects.trashed_before(timezone.now() - older_than)
        if dry_run:
            return self.sum_up(f"Would remove {counted(tasks.count(), 'task')}")
        removed = 0
        with self.progress(tasks.count) as progress:
            for batch in resting(tasks.in_batches(batch_size)):
                # Conditions and all: a task that was restored meanwhile stays.
                number = len(batch.remove())
                removed += number
                progress.update(number)
        return self.sum_up(f"Removed {counted(removed, 'task')}")
