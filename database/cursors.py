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
    the thread's until the request ends, with its own state around it, and that took a fifth of a request:
    docs/decisions/0005-hot-path.md. Where the thread has a connection already, as in a transaction, or where somebody
    is to see each statement (``execute_wrapper``, ``DEBUG``), it is Django's own cursor.

    Args:
        binary: whether values come in PostgreSQL's binary form, or ``bytea`` would travel as hexadecimal digits.

    Raises:
        django.db.Error: what psycopg and its pool raise, as Django's.
    """
    if connection.vendor != "postgresql" or not _is_unseen(connection):
        with connection.cursor() as cursor:
            if binary and connection.vendor == "postgresql":
                cursor.cursor.format = Format.BINARY
            yield cursor
        return
    pool = connection.pool  # type: ignore[attr-defined]
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


def _is_unseen(connection: BaseDatabaseWrapper) -> bool:
    """Whether the thread has no connection yet, and nobody looks at its statements."""
    return connection.connection is None and not (connection.execute_wrappers or connection.queries_logged)
