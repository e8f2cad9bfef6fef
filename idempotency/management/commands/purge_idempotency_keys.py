"""``manage.py purge_idempotency_keys``: delete expired Idempotency-Keys with their kept responses."""

from argparse import ArgumentParser
from typing import Any

from commands.base import OperatorCommand, format_count, pause_between
from idempotency.models import KeptResponse


class Command(OperatorCommand):
    """A purge that frees disk space; a client can reuse an expired key even before the purge."""

    help = "Delete Idempotency-Keys, with their kept responses, that are older than 24 hours."
    model = KeptResponse

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_dry_run(parser)
        self.add_batch_size(parser)

    def handle(self, *, dry_run: bool, batch_size: int, **_: Any) -> None:
        expired = KeptResponse.objects.expired()
        if dry_run:
            return self.print_summary(f"Would delete {format_count(expired.count(), 'key')}")
        counts = pause_between(expired.delete_in_batches(batch_size))
        deleted = self.add_up(counts, expired.count, unit=" keys")
        return self.print_summary(f"Deleted {format_count(deleted, 'key')}")
