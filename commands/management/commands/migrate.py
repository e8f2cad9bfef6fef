"""``manage.py migrate``: Django's own, behind which nobody waits. See docs/decisions/0012-migrations.md."""

import time
from typing import Any, Self

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from commands.base import whole_number
from database.connections import LOCK_TIMEOUT
from database.errors import sqlstate

LOCK_NOT_AVAILABLE = "55P03"

#: Between two attempts, in seconds: the requests that waited are through by then.
PAUSE = 1.0


class ImpatientSchemaEditor(DatabaseSchemaEditor):
    """The transaction of a migration waits for no lock longer than ``LOCK_TIMEOUT``.

    It is set for the transaction, not for the connection, which a pooler may give to others. A migration that is not
    atomic has no such limit: it is for ``CREATE INDEX CONCURRENTLY``, which waits for others and lets them pass.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            self.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        return self


class Command(migrate.Command):
    """Tries again, from the migration that met a lock; those before it stay applied.

    Raises:
        CommandError: every attempt met a lock.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--attempts",
            type=whole_number(1, 1_000_000),
            default=100,
            metavar="N",
            help=f"How often to try while PostgreSQL has a lock not free within {LOCK_TIMEOUT}; 100 by default.",
        )

    def handle(self, *args: Any, attempts: int, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            connection.SchemaEditorClass = ImpatientSchemaEditor
        for attempt in range(1, attempts + 1):
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if sqlstate(error) != LOCK_NOT_AVAILABLE:
                    raise
            else:
                return
            if options["verbosity"]:
                self.stderr.write(f"\nA lock was not free within {LOCK_TIMEOUT}: attempt {attempt} of {attempts}")
            time.sleep(PAUSE)
        raise CommandError(
            f"No attempt of {attempts} got its locks, and nothing of that migration was done: end the transactions "
            "that hold them, the oldest of pg_stat_activity by xact_start, and migrate again"
        )
