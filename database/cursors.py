"""Open a cursor for a single statement, and prepare the database for a search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Format


@contextmanager
def statement_cursor(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """Yield a cursor for one statement, which is its own transaction unless a transaction is open.

    On PostgreSQL the cursor uses a connection that goes straight back to the pool. Django would keep the connection
    until the request ends, and its management of the connection took a tenth of a GET: docs/decisions/0005-hot-path.md.
    If Django already holds a connection, or a wrapper or ``DEBUG`` watches statements, the cursor is Django's own.

    Values come in PostgreSQL's binary form. Django parses times in text form in Python, which took a fifth of a page's
    processor time, and ``bytea`` in text form is hexadecimal digits.

    Raises:
        django.db.Error: psycopg or its pool failed.
    """
    pool = getattr(connection, "pool", None)  # SQLite has none
    if pool is None or not _may_bypass_django(connection):
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.cursor.format = Format.BINARY
            yield cursor
        return
    with connection.wrap_database_errors:
        pool.open()
        pooled = pool.getconn()
        try:
            if not pooled.autocommit:
                pooled.autocommit = True
            with pooled.cursor(binary=True) as cursor:
                yield cursor
        finally:
            pool.putconn(pooled)


def _may_bypass_django(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether Django holds no connection, and nothing watches statements.

    Inside a transaction Django may have lost its connection. The next statement must then fail.
    """
    held = connection.connection is not None or connection.in_atomic_block
    return not (held or connection.execute_wrappers or connection.queries_logged)


def without_prepared_plan(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
    """Run a statement unprepared, so that PostgreSQL plans for its values.

    This function is for ``connection.execute_wrapper``. For a prepared search, PostgreSQL soon chooses one plan for all
    words, which reads all tasks.
    """
    if many or context["connection"].vendor != "postgresql":
        return execute(sql, params, many, context)
    with context["connection"].wrap_database_errors:
        return context["cursor"].cursor.execute(sql, params, prepare=False)


#: Instructions of SQLite's virtual machine between two looks at the clock: about a tenth of a millisecond.
INSTRUCTIONS_PER_CHECK = 10_000


@contextmanager
def search(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let PostgreSQL plan each statement for its words, and stop SQLite after ``DB_ANSWER_TIMEOUT``.

    PostgreSQL has a timeout for every statement. On SQLite only a search can read all tasks for one row.

    Raises:
        django.db.OperationalError: SQLite was stopped.
    """
    if connection.vendor == "postgresql":
        with connection.execute_wrapper(without_prepared_plan):
            yield
        return
    connection.ensure_connection()
    sqlite = connection.connection
    deadline = monotonic() + settings.DB_ANSWER_TIMEOUT
    sqlite.set_progress_handler(lambda: monotonic() > deadline, INSTRUCTIONS_PER_CHECK)
    try:
        yield
    finally:
        sqlite.set_progress_handler(None, 0)
