"""``manage.py seed_tasks``: add sample tasks, in any number, to try the service with."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.utils import timezone

from commands.arguments import MAX_DAYS, ratio, whole_number
from commands.base import MAX_BATCH, ExitCode, OperatorCommand, format_count
from identity.user_ids import SINGLE_USER_ID
from tasks.maintenance.sample_tasks import EPOCH, SampleTasks
from tasks.management.arguments import new_user_id, timestamp
from tasks.models import Task
from tasks.querysets import TaskQuerySet

MAX_COUNT = 1_000_000_000
MAX_USERS = 10_000


class Command(OperatorCommand):
    """A generator that makes the same tasks, with the same ids and times, for the same options.

    Tasks that exist already are not added again. Without ``--until`` the result depends on the date in UTC.
    """

    help = "Add random sample tasks, the same tasks for the same options."
    default_batch_size = MAX_BATCH
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=whole_number(1, MAX_COUNT), required=True, metavar="N", help="Add N tasks.")
        owners = parser.add_mutually_exclusive_group()
        owners.add_argument(
            "--user",
            type=new_user_id,
            default=SINGLE_USER_ID,
            metavar="ID",
            help="Give all tasks to this owner (default: “default”).",
        )
        owners.add_argument(
            "--users",
            type=whole_number(1, MAX_USERS),
            metavar="K",
            help="Share the tasks among the users user-1 to user-K.",
        )
        parser.add_argument(
            "--completed-ratio",
            type=ratio,
            default=0.4,
            metavar="R",
            help="Complete this part of the tasks, from 0 to 1 (default: 0.4).",
        )
        parser.add_argument(
            "--days",
            type=whole_number(1, MAX_DAYS),
            default=90,
            metavar="D",
            help="Create the tasks within D days (default: 90).",
        )
        parser.add_argument(
            "--until", type=timestamp, metavar="TIME", help="End the days at TIME (default: today, 00:00 UTC)."
        )
        parser.add_argument(
            "--seed", type=whole_number(0, 2**32), default=1, metavar="S", help="Make the tasks of seed S (default: 1)."
        )
        parser.add_argument("--clear", action="store_true", help="First remove all tasks of the same users for good.")
        parser.add_argument("--force", action="store_true", help="Run although DEBUG is off.")
        self.add_dry_run(parser)
        self.add_batch_size(parser)

    def handle(
        self,
        *,
        count: int,
        user: str,
        users: int | None,
        completed_ratio: float,
        days: int,
        until: datetime | None,
        seed: int,
        clear: bool,
        dry_run: bool,
        force: bool,
        batch_size: int,
        **_: Any,
    ) -> None:
        if not (settings.DEBUG or force or dry_run):
            raise CommandError(
                "DEBUG is off, so this may be a production database; add --force if it is not",
                returncode=ExitCode.BAD_INPUT,
            )
        until = until or timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if until - EPOCH < timedelta(days=days):
            raise CommandError(
                "--days must not reach back before 1970, because UUIDs of version 7 begin there",
                returncode=ExitCode.BAD_INPUT,
            )
        owners = [f"user-{number}" for number in range(1, users + 1)] if users else [user]
        samples = SampleTasks(seed, owners, completed_ratio, until, days).first(count)
        removed = self.clear(owners, batch_size, dry_run=dry_run) if clear else None
        kept = Task.objects.exclude(user_id__in=owners) if clear else Task.objects.all()
        added = 0
        with self.progress(lambda: count) as progress:
            while batch := list(islice(samples, batch_size)):
                added += len(missing_from(kept, batch)) if dry_run else insert_missing(batch)
                progress.update(len(batch))
        self.print_summary(summary(removed, added, count - added, dry_run=dry_run))

    def clear(self, owners: list[str], batch_size: int, *, dry_run: bool) -> int:
        """Remove the tasks of ``owners`` for good, or only count them, and return their number."""
        tasks = Task.objects.filter(user_id__in=owners)
        if dry_run:
            return tasks.count()
        return self.add_up((batch.remove() for batch in tasks.in_batches(batch_size)), tasks.count)


def insert_missing(tasks: list[Task]) -> int:
    """Store the tasks that are not stored yet, and return their number."""
    # In the order of the primary key, so that the database writes the index from one end to the other.
    tasks.sort(key=lambda task: task.id)
    try:
        # Looking for stored tasks first would cost a query per batch.
        with transaction.atomic():
            Task.objects.insert(tasks)
    except IntegrityError:
        tasks = missing_from(Task.objects.all(), tasks)
        Task.objects.insert(tasks)
    return len(tasks)


def missing_from(stored: TaskQuerySet, tasks: list[Task]) -> list[Task]:
    """Return those of ``tasks`` whose ids are not in ``stored``."""
    ids = set(stored.filter(id__in=[task.id for task in tasks]).values_list("id", flat=True))
    return [task for task in tasks if task.id not in ids]


def summary(removed: int | None, added: int, existing: int, *, dry_run: bool) -> str:
    """Return the summary line; ``removed`` is ``None`` without ``--clear``."""
    remove, add, exist = ("Would remove", "add", "exist") if dry_run else ("Removed", "added", "existed")
    numbers = f"{format_count(added, 'task')}; {existing} {exist} already"
    if removed is None:
        return f"Would add {numbers}" if dry_run else f"Added {numbers}"
    return f"{remove} {format_count(removed, 'task')} and {add} {numbers}"
