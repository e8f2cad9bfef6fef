"""Which connection one statement is carried out on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Format


@contextmanager
def statement_cursor(connection: BaseDatabaseWrapper, *, binary: bool = False) -> Iterator[Any]:
    """A cursor for one statement, which is committed when it has been carried out.

    On PostgreSQL that is one of a connection of the pool itself, which is back there afterwards. Django would make it
    the thread's until the request ends, with its own state around it, and that took a tenth of a GET:
    docs/decisions/0005-hot-path.md. In a transaction, where the thread has a connection already, and where somebody is
    to see each statement (``execute_wrapper``, ``DEBUG``), it is Django's own cursor.

    Args:
        binary: whether values come in PostgreSQL's binary form, or ``bytea`` would travel as hexadecimal digits.

    Raises:
        django.db.Error: what psycopg and its pool raise, as Django's.
    """
    pool = getattr(connection, "pool", None)  # SQLite has none
    if pool is None or not _stands_alone(connection):
        with connection.cursor() as cursor:
            if binary and connection.vendor == "postgresql":
                cursor.cursor.format = Format.BINARY
            yield cursor
        return
    with connection.wrap_database_errors:
        pool.open()
        pooled = pool.getconn()
        try:
            if not pooled.autocommit:
                pooled.autocommit = True
            with pooled.cursor(binary=binary) as cursor:
                yield cursor
        finally:
            pool.putconn(pooled)


def _stands_alone(connection: BaseDatabaseWrapper) -> bool:
    """Whether there is no transaction, also none that has lost its connection, and nobody who looks at statements."""
    bound = connection.connection is not None or connection.in_atomic_block
    return not (bound or connection.execute_wrappers or connection.queries_logged)
