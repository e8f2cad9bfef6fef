"""``manage.py migrate``: Django's command, but no request waits for it.

docs/decisions/0012-migrations.md
"""

import time
from typing import Any, Self

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from commands.arguments import whole_number
from database.connections import LOCK_TIMEOUT
from database.errors import sqlstate

LOCK_NOT_AVAILABLE = "55P03"

#: Seconds between two attempts, so that the requests that waited can finish.
PAUSE = 1.0


class LockTimeoutSchemaEditor(DatabaseSchemaEditor):
    """A schema editor whose transaction waits at most ``LOCK_TIMEOUT`` for a lock.

    The timeout is set for the transaction and not for the connection, because a pooler may give the connection to
    others. A migration that is not atomic has no timeout: it runs ``CREATE INDEX CONCURRENTLY``, which blocks nobody.
    """

    def __enter__(self) -> Self:
        super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            self.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        return self


class Command(migrate.Command):
    """Django's ``migrate``, which retries from the migration that did not get a lock.

    Raises:
        CommandError: no attempt got the lock.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--attempts",
            type=whole_number(1, 1_000_000),
            default=100,
            metavar="N",
            help=f"Try up to N times while a lock in PostgreSQL is not free within {LOCK_TIMEOUT} (default: 100).",
        )

    def handle(self, *args: Any, attempts: int, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            connection.SchemaEditorClass = LockTimeoutSchemaEditor
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
            f"None of {attempts} attempts got its locks, so that migration was not applied. "
            "End the transactions that hold the locks and migrate again; "
            "the oldest transaction in pg_stat_activity is the first by xact_start"
        )
