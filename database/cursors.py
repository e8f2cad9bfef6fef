"""Choose the connection for a statement that runs by itself, and how PostgreSQL plans a search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Format


@contextmanager
def statement_cursor(connection: BaseDatabaseWrapper, *, binary: bool = False) -> Iterator[Any]:
    """Yield a cursor for one statement, which commits by itself.

    On PostgreSQL the cursor uses a connection that goes straight back to the pool. Django would keep the connection
    until the request ends and wrap it in its own state, which took a tenth of a GET: docs/decisions/0005-hot-path.md.
    Django's own cursor is needed inside a transaction and where a wrapper or ``DEBUG`` watches statements.

    Args:
        connection: the database.
        binary: fetch values in PostgreSQL's binary form, because ``bytea`` otherwise travels as hexadecimal digits.

    Raises:
        django.db.Error: psycopg or its pool failed.
    """
    pool = getattr(connection, "pool", None)  # SQLite has none
    if pool is None or not _runs_by_itself(connection):
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


def _runs_by_itself(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether no transaction is open, not even one that has lost its connection, and nobody watches statements."""
    bound = connection.connection is not None or connection.in_atomic_block
    return not (bound or connection.execute_wrappers or connection.queries_logged)


def without_prepared_plan(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
    """Run a statement unprepared, so that PostgreSQL plans for its values; for ``connection.execute_wrapper``.

    A prepared search ends up with one plan for all words, which reads all tasks.
    """
    if many or context["connection"].vendor != "postgresql":
        return execute(sql, params, many, context)
    with context["connection"].wrap_database_errors:
        return context["cursor"].cursor.execute(sql, params, prepare=False)
