"""``manage.py assign_tasks``: give the tasks of single-user mode to an owner, once there are users."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError

from commands.base import ExitCode, OperatorCommand, format_count
from tasks.management.arguments import existing_user_id, new_user_id
from tasks.models import Task
from tasks.querysets import TaskQuerySet


class Command(OperatorCommand):
    """A change of owner, one statement per batch, so that a request waits for one batch at most.

    An operator can run an interrupted command again. For the new owner the ``version`` and ``updated_at`` of every
    task grow, because the task has changed.
    """

    help = "Give all tasks of one user, including the trash, to another user. See docs/authentication.md."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            dest="old_owner",
            type=existing_user_id,
            required=True,
            metavar="ID",
            help="Take the tasks of this user, such as “default”.",
        )
        parser.add_argument(
            "--to",
            dest="new_owner",
            type=new_user_id,
            required=True,
            metavar="ID",
            help="Give the tasks to this user, named by the “sub” claim of the user's tokens.",
        )
        self.add_dry_run(parser)
        self.add_batch_size(parser)

    def handle(self, *, old_owner: str, new_owner: str, dry_run: bool, batch_size: int, **_: Any) -> None:
        if old_owner == new_owner:
            raise CommandError("--from and --to are the same user", returncode=ExitCode.BAD_INPUT)
        tasks = Task.objects.owned_by(old_owner)
        if dry_run:
            number = format_count(tasks.count(), "task")
            return self.print_summary(f"Would assign {number} of {old_owner} to {new_owner}")
        number = format_count(self.add_up(assign(tasks, new_owner, batch_size), tasks.count), "task")
        return self.print_summary(f"Assigned {number} of {old_owner} to {new_owner}")


def assign(tasks: TaskQuerySet, new_owner: str, batch_size: int) -> Iterator[int]:
    """Change the owner batch by batch until no task is left, and yield the number of tasks in each batch."""
    first = tasks.order_by("id").values("id")[:batch_size]
    while number := tasks.filter(id__in=first).change(user_id=new_owner):
        yield number
