"""``manage.py purge_idempotency_keys``: make room where kept responses are given to nobody any more."""

from argparse import ArgumentParser
from typing import Any

from commands.base import OperatorCommand, counted, resting
from idempotency.models import KeptResponse


class Command(OperatorCommand):
    """Deletes what is older than a day. An expired key is free whether or not this has run."""

    help = "Delete the kept responses of Idempotency-Keys that are older than 24 hours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say how many would be deleted, and delete none.")
        self.add_batch_size(parser)

    def handle(self, *, dry_run: bool, batch_size: int, **_: Any) -> None:
        expired = KeptResponse.objects.expired()
        if dry_run:
            return self.sum_up(f"Would delete {counted(expired.count(), 'key')}")
        deleted = 0
        with self.progress(expired.count, unit=" keys") as progress:
            for number in resting(expired.delete_in_batches(batch_size)):
                deleted += number
                progress.update(number)
        return self.sum_up(f"Deleted {counted(deleted, 'key')}")
