"""``manage.py erase_user``: remove all that is kept of one user."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.contrib.admin.models import LogEntry

from changes.models import Move, Removal
from commands.base import OperatorCommand, format_count, pause_between
from idempotency.models import KeptResponse
from tasks.admin.log_entries import clear_texts, find_entries
from tasks.management.arguments import existing_user_id
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from throttling.models import Window


class Command(OperatorCommand):
    """A removal from every table with data of users, in batches.

    An operator can run an interrupted removal again.

    The log comes first, because a removed task no longer tells whose title its log entries quote.
    """

    default_batch_size = 500  # as in purge_trash

    help = "Remove all that is kept of one user: tasks, kept responses, rate limits, and texts in the admin's log."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user_id",
            type=existing_user_id,
            metavar="ID",
            help="The user, named by the “sub” claim of the user's tokens.",
        )
        self.add_dry_run(parser)
        self.add_batch_size(parser)

    def handle(self, *, user_id: str, dry_run: bool, batch_size: int, **_: Any) -> None:
        tasks = Task.objects.owned_by(user_id)
        responses = KeptResponse.objects.filter(user_id=user_id)
        windows = Window.objects.of_user(user_id)
        if dry_run:
            logged = self.count_log(user_id, batch_size, erase=False)
            numbers = describe(tasks.count(), responses.count(), windows.count(), *logged)
            return self.print_summary(f"Would erase of {user_id}: {numbers}")
        logged = self.count_log(user_id, batch_size, erase=True)
        removed = self.add_up(remove_in_batches(tasks, batch_size), tasks.count)
        # After the tasks, because each removed task leaves a removal.
        for _batch in pause_between(Removal.objects.erase_in_batches(user_id, batch_size)):
            pass
        batches = pause_between(responses.delete_in_batches(batch_size))
        deleted = self.add_up(batches, responses.count, unit=" responses")
        numbers = describe(removed, deleted, windows.delete()[0], *logged)
        Move.objects.filter(user_id=user_id).delete()
        return self.print_summary(f"Erased of {user_id}: {numbers}")

    def count_log(self, user_id: str, batch_size: int, *, erase: bool) -> tuple[int, int]:
        """Count the user's log entries, and the others with texts to clear, and erase both if asked."""
        entries = texts = 0
        for found in pause_between(find_entries(user_id, batch_size)):
            entries += len(found.of_user)
            texts += len(found.with_texts)
            if erase:
                LogEntry.objects.filter(id__in=found.of_user).delete()
                clear_texts(found.with_texts)
        return entries, texts


def remove_in_batches(tasks: TaskQuerySet, batch_size: int) -> Iterator[int]:
    """Remove tasks for good, and yield how many each statement removed."""
    return (batch.remove() for batch in pause_between(tasks.in_batches(batch_size)))


def describe(tasks: int, responses: int, windows: int, actions: int, texts: int) -> str:
    """Return the parts of the summary."""
    counts = {
        "task": tasks,
        "kept response": responses,
        "rate limit window": windows,
        "logged action": actions,
    }
    parts = [format_count(number, noun) for noun, number in counts.items()]
    return f"{', '.join(parts)} and {format_count(texts, 'text')} in other log entries"
