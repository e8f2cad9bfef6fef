"""``manage.py purge_trash``: remove tasks for good that have been in the trash for a long time."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.utils import timezone

from changes.models import REMEMBERED_FOR, Removal
from commands.arguments import age
from commands.base import OperatorCommand, format_count, pause_between
from tasks.models import Task


class Command(OperatorCommand):
    """A purge in batches, each a transaction of its own."""

    default_batch_size = 500  # with 1,000 a request on SQLite waited for up to 0.4 s

    help = "Remove tasks for good that have been in the trash for a long time, and forget old removals."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=age,
            default=timedelta(days=30),
            metavar="AGE",
            help="Remove tasks trashed longer ago than AGE, such as 2w, 12h, 45m or 90s (default: 30d).",
        )
        parser.add_argument(
            "--forget-after",
            type=_memory,
            default=REMEMBERED_FOR,
            metavar="AGE",
            help="Forget which tasks were removed longer ago than AGE, at least 90d (default: 90d).",
        )
        self.add_dry_run(parser)
        self.add_batch_size(parser)

    def handle(
        self, *, older_than: timedelta, forget_after: timedelta, dry_run: bool, batch_size: int, **_: Any
    ) -> None:
        now = timezone.now()
        tasks = Task.objects.trashed_before(now - older_than)
        removals = Removal.objects.filter(removed_at__lt=now - forget_after)
        if dry_run:
            numbers = describe(tasks.count(), removals.count())
            return self.print_summary(f"Would remove {numbers[0]} and forget {numbers[1]}")
        # A batch keeps the conditions of its set, so a task that is restored before its batch is removed stays.
        counts = (batch.remove() for batch in pause_between(tasks.in_batches(batch_size)))
        removed = self.add_up(counts, tasks.count)
        batches = pause_between(removals.forget_in_batches(batch_size))
        numbers = describe(removed, self.add_up(batches, removals.count, unit=" removals"))
        return self.print_summary(f"Removed {numbers[0]} and forgot {numbers[1]}")


def describe(tasks: int, removals: int) -> tuple[str, str]:
    """Return the numbers of the summary."""
    return format_count(tasks, "task"), format_count(removals, "removal")


def _memory(text: str) -> timedelta:
    """Read an age that is not shorter than the API promises."""
    if (memory := age(text)) < REMEMBERED_FOR:
        raise ArgumentTypeError(f"must be at least {REMEMBERED_FOR.days}d, because the API remembers removals so long")
    return memory
