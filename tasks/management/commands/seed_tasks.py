"""``manage.py seed_tasks``: believable tasks, to try the service with as many as one likes."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.utils import timezone

from commands.base import BAD_INPUT, MAX_BATCH, OperatorCommand, counted, whole_number
from tasks.maintenance.sample_tasks import EPOCH, SampleTasks
from tasks.management.arguments import MAX_DAYS, moment, ratio, subject
from tasks.models import Task, TaskQuerySet

MAX_COUNT = 1_000_000_000
MAX_USERS = 10_000


class Command(OperatorCommand):
    """The same options give the same tasks, ids and times included; those that are there already are not made again.

    Times reach up to ``--until``, which without it is the beginning of this day in UTC: then the same tasks come of the
    same command on the same day.
    """

    help = "Add made-up tasks, the same ones for the same options."
    default_batch_size = MAX_BATCH

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=whole_number(1, MAX_COUNT), required=True, metavar="N", help="How many.")
        owners = parser.add_mutually_exclusive_group()
        owners.add_argument(
            "--user", type=subject, default="default", metavar="ID", help="Whose; “default” without it."
        )
        owners.add_argument(
            "--users", type=whole_number(1, MAX_USERS), metavar="K", help="Spread them over the users user-1 to user-K."
        )
        parser.add_argument(
            "--completed-ratio",
            type=ratio,
            default=0.4,
            metavar="R",
            help="The part that is completed; 0.4 by default.",
        )
        parser.add_argument(
            "--days", type=whole_number(1, MAX_DAYS), default=90, metavar="D", help="Over how many days; 90 by default."
        )
        parser.add_argument(
            "--until", type=moment, metavar="TIME", help="When those days end; without it at 00:00 UTC of this day."
        )
        parser.add_argument(
            "--seed", type=whole_number(0, 2**32), default=1, metavar="S", help="Which tasks they are; 1 by default."
        )
        parser.add_argument("--clear", action="store_true", help="First remove all tasks of the same users for good.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")
        parser.add_argument("--force", action="store_true", help="Also where DEBUG is off.")
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
                "DEBUG is off, so this may be a database that matters; add --force if it is not", returncode=BAD_INPUT
            )
        until = until or timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        if until - EPOCH < timedelta(days=days):
            raise CommandError(
                "--days must not reach back beyond 1970, where ids of version 7 begin", returncode=BAD_INPUT
            )
        owners = [f"user-{number}" for number in range(1, users + 1)] if users else [user]
        samples = SampleTasks(seed, owners, completed_ratio, until, days).first(count)
        removed = self.clear(owners, batch_size, dry_run=dry_run) if clear else 0
        stays = Task.objects.exclude(user_id__in=owners) if clear else Task.objects.all()
        added = 0
        with self.progress(lambda: count) as progress:
            while batch := list(islice(samples, batch_size)):
                added += len(missing(batch, stays)) if dry_run else insert_missing(batch)
                progress.update(len(batch))
        would = "Would have " if dry_run else ""
        cleared = f"removed {counted(removed, 'task')}, " if clear else ""
        sentence = f"{would}{cleared}added {counted(added, 'task')}; {count - added} there already"
        self.sum_up(sentence[0].upper() + sentence[1:])

    def clear(self, owners: list[str], batch_size: int, *, dry_run: bool) -> int:
        tasks = Task.objects.filter(user_id__in=owners)
        if dry_run:
            return tasks.count()
        removed = 0
        with self.progress(tasks.count) as progress:
            for batch in tasks.in_batches(batch_size):
                number = len(batch.remove())
                removed += number
                progress.update(number)
        return removed


def insert_missing(tasks: list[Task]) -> int:
    """Store those that are not there already, and count them. To ask first would cost every batch a query more."""
    # In the order of the primary key, whose index is then written in one sweep.
    tasks.sort(key=lambda task: task.id)
    try:
        with transaction.atomic():
            Task.objects.insert(tasks)
    except IntegrityError:
        tasks = missing(tasks, Task.objects.all())
        Task.objects.insert(tasks)
    return len(tasks)


def missing(tasks: list[Task], stored: TaskQuerySet) -> list[Task]:
    there = set(stored.filter(id__in=[task.id for task in tasks]).values_list("id", flat=True))
    return [task for task in tasks if task.id not in there]
