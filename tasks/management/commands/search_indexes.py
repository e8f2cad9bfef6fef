"""``manage.py search_indexes``: create or drop the trigram indexes of a search on PostgreSQL."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import connection

from commands.base import ExitCode, OperatorCommand
from tasks.maintenance.search_indexes import (
    INDEXES,
    can_have_trigrams,
    create_search_indexes,
    drop_search_indexes,
    drop_unfinished_indexes,
)
from tasks.models import Task


class Command(OperatorCommand):
    """The choice between a fast search among many tasks of one user, and less work for every write."""

    help = "Create the trigram indexes that speed up a search with q on PostgreSQL, or drop them."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--drop", action="store_true", help="Drop the indexes, so that each write is cheaper.")
        self.add_dry_run(parser)

    def handle(self, *, drop: bool, dry_run: bool, **_: Any) -> None:
        names = " and ".join(INDEXES)
        if not can_have_trigrams():
            reason = "This database can have no trigram indexes: PostgreSQL needs the extension pg_trgm"
            raise CommandError(reason, returncode=ExitCode.BAD_INPUT)
        if dry_run:
            return self.print_summary(f"Would {'drop' if drop else 'create'} {names}")
        with connection.schema_editor(atomic=False) as editor:
            if drop:
                drop_search_indexes(editor)
            else:
                drop_unfinished_indexes(editor)
                create_search_indexes(editor)
        return self.print_summary(f"{'Dropped' if drop else 'Created'} {names}")
