"""Inspect and release the database connection, and limit how long a request waits for PostgreSQL."""

import logging
import math
import select
import threading
import time
from http import HTTPStatus
from typing import Any, ClassVar, Self

import psycopg
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Private, but psycopg has no public name for the exception that Connection.wait raises.
from psycopg.errors import _WaitTimeout
from psycopg_pool import PoolTimeout, TooManyRequests

from database.errors import first_line
from database.write_breaker import StandbyTimeout, write_breaker

logger = logging.getLogger("database")

#: How long connections may still answer after an outage began, and requests still fail after an outage ended.
SETTLING_SECONDS = 1.0

#: SQLSTATEs of a server that shuts down or has crashed, and of connections that failed.
LOST_CONNECTION = ("57P", "08")

#: The longest wait of a schema change for a lock, because every later request to the table waits behind the change.
LOCK_TIMEOUT = "300ms"


def release_connection() -> None:
    """Give the thread's connection back to the pool, unless a transaction needs it."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def connection_limit() -> int:
    """Return how many connections PostgreSQL admits for this role and database when no others are open."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT LEAST(
                current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                    - COALESCE(current_setting('reserved_connections', true)::int, 0),
                NULLIF(datconnlimit, -1),
                NULLIF(rolconnlimit, -1)
            ) FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user
            """
        )
        [limit] = cursor.fetchone()
    return int(limit)


def find_missing_migration() -> str | None:
    """Return the first migration that the database lacks, such as ``tasks.0001_task``, or ``None``."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return next((f"{migration.app_label}.{migration.name}" for migration, _ in missing), None)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that limits how long it waits for an answer from the server.

    A frozen server keeps its sockets open, so no timeout of libpq, the pool or PostgreSQL ends the wait. A timeout
    closes the connection, because the late answer may still arrive there.

    The server counts as ``unavailable`` from a timeout or a refused connection until the next answer. A late attempt to
    connect counts only once a request got no connection, because a serverless database may wake up in time for the
    requests that wait. While the server is unavailable, requests wait only ``unavailable_timeout`` seconds, so that
    ``/healthz`` and other requests find a free thread. The log has an event when this time begins, and when it ends.
    A write that waits for a standby opens the ``write_breaker`` instead, because the server answers reads.

    The pool drops a connection whose server has become read-only, because another host in ``DATABASE_URL`` now takes
    the writes.

    Raises:
        psycopg.OperationalError: the server did not answer in time.
    """

    #: In seconds; ``None`` means ``DB_ANSWER_TIMEOUT``.
    deadline: ClassVar[float | None] = None

    #: In seconds.
    unavailable_timeout: ClassVar[float] = 0.01
    unavailable: ClassVar[bool] = False
    availability_lock: ClassVar[threading.Lock] = threading.Lock()

    #: The last attempt to connect that timed out, and whether a request got no connection, both since the last answer.
    late_attempt: ClassVar[Exception | None] = None
    has_refused: ClassVar[bool] = False

    #: When the outage began that the log tells of, and when the last one ended, in seconds of the monotonic clock.
    outage_start: ClassVar[float | None] = None
    outage_end: ClassVar[float] = -math.inf

    #: Whether the server took writes when the connection was opened.
    was_primary = False

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Open a connection, and note whether the server is available and takes writes."""
        try:
            connected = super().connect(*args, **options)
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.ConnectionTimeout) and not cls.has_refused:
                cls.late_attempt = error
            else:
                cls._note_failure(error)
            raise
        cls._note_answer()
        connected.was_primary = connected.is_primary()
        return connected

    @classmethod
    def note_refusal(cls) -> None:
        """Note that a request got no connection in time, so that a late attempt to connect counts."""
        cls.has_refused = True
        if cls.late_attempt is not None:
            cls._note_failure(cls.late_attempt)

    @classmethod
    def _note_failure(cls, error: Exception) -> None:
        """Let requests wait only shortly from now on, and log the first failure of an outage."""
        with cls.availability_lock:
            if cls.unavailable:
                return
            cls.unavailable = True
            connection.pool.timeout = cls.unavailable_timeout  # type: ignore[attr-defined]
            if cls.outage_start is None:
                cls.outage_start = time.monotonic()
                logger.error("The database is unavailable: %s", first_line(error))

    @classmethod
    def _note_answer(cls) -> None:
        """Let requests wait as before, and log the end of an outage.

        While a server shuts down, some connections still answer. So an answer in the first second ends no outage.
        """
        cls.late_attempt, cls.has_refused = None, False
        if cls.outage_start is None:
            return
        with cls.availability_lock:
            if cls.unavailable:
                cls.unavailable = False
                connection.pool.timeout = settings.DB_POOL_TIMEOUT  # type: ignore[attr-defined]
            now = time.monotonic()
            if cls.outage_start is not None and now - cls.outage_start >= SETTLING_SECONDS:
                logger.warning("The database is available again after %.1f s", now - cls.outage_start)
                cls.outage_start, cls.outage_end = None, now

    @classmethod
    def in_outage(cls) -> bool:
        """Tell whether an outage lasts, or has just ended, so that its last requests still fail."""
        return cls.outage_start is not None or time.monotonic() - cls.outage_end < SETTLING_SECONDS

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """Run a query; the pool runs an empty query to check an idle connection.

        If the socket has nothing to read, treat the connection as alive: a server that closed it would have sent a
        message. After one dead connection, check all others, so that no further request gets a dead connection.
        """
        if query != "":
            return super().execute(query, *args, **options)
        if self.was_primary and not self.is_primary():
            self.close()
        elif not self.unavailable and not self._has_unread_message():
            return self.cursor()
        try:
            return super().execute(query)
        except psycopg.OperationalError:
            connection.pool.check()  # type: ignore[attr-defined]
            raise

    def is_primary(self) -> bool:
        """Tell whether the server takes writes; PostgreSQL 14 and newer report a change without being asked."""
        return self.pgconn.parameter_status(b"default_transaction_read_only") == b"off"

    def _has_unread_message(self) -> bool:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, and close the connection when the deadline passes."""
        bound = self.unavailable_timeout if self.unavailable else (self.deadline or settings.DB_ANSWER_TIMEOUT)
        try:
            answer = super().wait(gen, min(interval, bound), bound if timeout is None else timeout)
        except _WaitTimeout as error:
            pid = self.pgconn.backend_pid
            self.pgconn.finish()
            if not self.unavailable and write_breaker.waits_for_standby(type(self).connect, pid, bound):
                raise StandbyTimeout("the standby did not answer in time") from error
            timeout_error = psycopg.OperationalError("the server did not answer in time")
            self._note_failure(timeout_error)
            raise timeout_error from error
        self._note_answer()
        return answer


def find_cause(error: BaseException) -> str:
    """Return why a statement could not run: ``pool`` without a free connection, otherwise ``database``.

    In an outage the pool has no free connection either.
    """
    no_connection = isinstance(error.__cause__, PoolTimeout | TooManyRequests)
    return "pool" if no_connection and not BoundedConnection.in_outage() else "database"


class OutageFilter(logging.Filter):
    """A filter that drops the 503s of an outage, because ``BoundedConnection`` logs the outage once.

    A 503 whose connection ended is dropped too: the next connection tells whether the database is unavailable. So is a
    503 without an exception, which ``/readyz`` sends to each probe.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE:
            return True
        error = record.exc_info[1] if record.exc_info else None
        return not (error is None or BoundedConnection.in_outage() or _tells_of_lost_connection(error))


def _tells_of_lost_connection(error: BaseException) -> bool:
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError) or isinstance(cause, PoolTimeout | TooManyRequests):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(LOST_CONNECTION)
