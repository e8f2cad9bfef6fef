"""``manage.py purge_idempotency_keys``: make room where kept responses are given to nobody any more."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from idempotency.models import KeptResponse

MAX_BATCH = 10_000


class Command(BaseCommand):
    """Deletes what is older than a day. An expired key is free whether or not this has run.

    Between two batches the command rests for as long as the last one took, so that a request waits for one batch at
    the most, on SQLite too, where one process writes at a time.
    """

    help = "Delete the kept responses of Idempotency-Keys that are older than 24 hours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say how many would be deleted, and delete none.")
        parser.add_argument(
            "--batch-size",
            type=int,
            default=1000,
            metavar="N",
            help=f"Keys that one statement deletes, up to {MAX_BATCH}; 1000 by default.",
        )

    def handle(self, *, dry_run: bool, batch_size: int, verbosity: int, **_: Any) -> None:
        if not 1 <= batch_size <= MAX_BATCH:
            raise CommandError(f"--batch-size must be a whole number from 1 to {MAX_BATCH}")
        expired = KeptResponse.objects.expired()
        if dry_run:
            self.stdout.write(f"Would delete {expired.count()} keys")
            return
        deleted = 0
        started = time.monotonic()
        for number in expired.delete_in_batches(batch_size):
            deleted += number
            self.show_progress(f"\r{deleted} keys", verbosity)
            time.sleep(time.monotonic() - started)
            started = time.monotonic()
        self.show_progress("\n", verbosity)
        if verbosity:
            self.stdout.write(f"Deleted {deleted} keys")

    def show_progress(self, text: str, verbosity: int) -> None:
        """On a terminal, and nowhere else."""
        if verbosity and self.stderr.isatty():
            self.stderr.write(text, style_func=str, ending="")
