"""``manage.py assign_tasks``: the tasks of single-user mode to whoever made them, once there are users."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from commands.base import BAD_INPUT, OperatorCommand, counted
from tasks.management.arguments import owner, subject
from tasks.models import Task


class Command(OperatorCommand):
    """Gives all tasks of one user, those in the trash too, to another.

    Each batch is one statement, so that a request waits for one batch at the most; a command that was interrupted is
    run again as it was. To its new owner a task has changed: its ``version`` and ``updated_at`` grow.
    """

    help = "Give all tasks of one user, those in the trash too, to another: docs/authentication.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from", dest="giver", type=owner, required=True, metavar="ID", help="Whose they are, say “default”."
        )
        parser.add_argument(
            "--to",
            dest="receiver",
            type=subject,
            required=True,
            metavar="ID",
            help="Whose they become: the “sub” of their tokens.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Say how many would change hands, and change none.")
        self.add_batch_size(parser)

    def handle(self, *, giver: str, receiver: str, dry_run: bool, batch_size: int, **_: Any) -> None:
        if giver == receiver:
            raise CommandError("--from and --to are the same user", returncode=BAD_INPUT)
        tasks = Task.objects.owned_by(giver)
        if dry_run:
            return self.sum_up(f"Would assign {counted(tasks.count(), 'task')} of {giver} to {receiver}")
        assigned = 0
        with self.progress(tasks.count) as progress:
            while batch := tasks.filter(id__in=tasks.order_by("id").values("id")[:batch_size]).change(user_id=receiver):
                assigned += len(batch)
                progress.update(len(batch))
        return self.sum_up(f"Assigned {counted(assigned, 'task')} of {giver} to {receiver}")
