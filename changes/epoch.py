"""Begin a new epoch of the change feed, so that every client starts again.

A restored database has lost changes that clients know. Also, PostgreSQL numbers changes by its transaction ids, and a
new cluster begins with low ones. An offset then lifts the numbers above all stored numbers.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.db import connection, transaction

from changes.models import Epoch
from changes.triggers import SET_OFFSET
from database.connections import LOCK_TIMEOUT
from database.fingerprint import fingerprint

NUMBERED_TABLES = """
SELECT quote_ident(relname), quote_ident(current_schema()) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attname = 'change_number' AND NOT attisdropped AND relkind = 'r' AND pg_table_is_visible(attrelid)
ORDER BY relname
"""

# By how much the stored numbers exceed the number of this transaction.
EXCESS = (
    "SELECT MAX(highest) - (pg_current_xact_id()::text::bigint + changes_offset()), changes_offset()"
    " FROM ({tables}) AS numbers"
)
HIGHEST = "SELECT MAX(change_number) AS highest FROM {table}"


def is_epoch_current() -> bool:
    """Tell whether the epoch began in this database, and not in one that this database is a copy of."""
    return Epoch.objects.filter(fingerprint=fingerprint(Epoch._meta.db_table)).exists()


def renew_epoch_of_copy() -> None:
    """Begin a new epoch if this database is new or a copy; several processes may do so at once."""
    if not is_epoch_current():
        renew_epoch(unless=is_epoch_current)


def renew_epoch(unless: Callable[[], bool] = lambda: False) -> None:
    """Begin a new epoch, and let the next change number exceed all stored ones.

    Args:
        unless: a reason not to, asked when no other process can begin one.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute("LOCK TABLE changes_epoch IN SHARE ROW EXCLUSIVE MODE")
        if unless():
            return
        if connection.vendor == "postgresql":
            _raise_numbers(cursor)
        Epoch.objects.update_or_create(
            id=1, defaults={"value": uuid4().hex, "fingerprint": fingerprint(Epoch._meta.db_table)}
        )


def _raise_numbers(cursor: Any) -> None:
    """Raise PostgreSQL's offset if stored numbers exceed the number of a new transaction."""
    cursor.execute(NUMBERED_TABLES)
    tables, schemas = zip(*cursor.fetchall(), strict=True)
    cursor.execute(excess := EXCESS.format(tables=" UNION ALL ".join(HIGHEST.format(table=table) for table in tables)))
    if (cursor.fetchone()[0] or 0) <= 0:
        return
    # A writer with the former offset must end first, and later writers must find the new offset.
    cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
    cursor.execute(excess)
    missing, offset = cursor.fetchone()
    cursor.execute(SET_OFFSET.format(schema=schemas[0], offset=offset + missing + 1))
