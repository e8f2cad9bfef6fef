"""``manage.py expire_states``: make every client of the change feed start again."""

from argparse import ArgumentParser
from typing import Any

from changes.epoch import renew_epoch
from changes.models import Removal
from commands.base import OperatorCommand


class Command(OperatorCommand):
    """A new epoch, for a restore that the service cannot notice. docs/synchronising.md names these."""

    help = "Refuse every state of the change feed with 410, so that clients start again. Run it after a restore."
    model = Removal

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_dry_run(parser)

    def handle(self, *, dry_run: bool, **_: Any) -> None:
        if dry_run:
            return self.print_summary("Would expire all states")
        renew_epoch()
        return self.print_summary("Expired all states")
