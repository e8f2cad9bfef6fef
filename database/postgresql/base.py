"""Django's backend for PostgreSQL, with commands that wait for the database.

https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

import logging
import math
import re
import time
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo, PGconn, Ping
from psycopg_pool import PoolTimeout, TooManyRequests

from database.connections import BoundedConnection
from database.errors import first_line
from database.write_breaker import write_breaker

logger = logging.getLogger("database")

#: Seconds between two attempts to connect.
PAUSE = 0.2

#: PgBouncer and Neon refuse the settings of a session so; PostgreSQL itself has no such message.
REFUSAL_OF_POOLER = "unsupported startup parameter"
POOLER_ADVICE = (
    "DATABASE_URL leads to a pooler, which refuses settings of a session: set DB_POOLER=transaction, or "
    "DB_POOLER=transaction-prepared for PgBouncer 1.22 and newer"
)

#: libpq says so of a standby if ``target_session_attrs`` demands a server that takes writes.
STANDBY = re.compile("session is read-only|server is in hot standby mode")

#: The parameters that libpq knows.
LIBPQ_PARAMETERS = frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


class Cursor(base.ServerBindingCursor):
    """A cursor that refuses writes while the ``write_breaker`` is open."""

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:
        """Run a statement, unless it is refused."""
        write_breaker.refuse_write(query)
        return super().execute(query, *args, **options)  # type: ignore[misc, no-any-return]


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection of a command waits until the database is available; a connection of the pool does not."""

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters of a connection, with the cursor that may refuse writes."""
        return {**super().get_connection_params(), "cursor_factory": Cursor}

    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        """Open a connection, and without a pool retry for ``DB_START_TIMEOUT`` seconds.

        The first attempt has ``connect_timeout``, and each later one has twice the time of the one before. So a host
        that never answers costs little, and a database that wakes up slowly gets enough time.
        """
        if self.pool:
            return self._connect_by_pool(conn_params)
        deadline = time.monotonic() + settings.DB_START_TIMEOUT
        timeout = conn_params["connect_timeout"]
        waiting = False
        while True:
            left = max(1, math.ceil(deadline - time.monotonic()))
            try:
                return self._connect({**conn_params, "connect_timeout": min(timeout, left)})
            except psycopg.OperationalError as error:
                if time.monotonic() + PAUSE >= deadline or not _may_become_available(error, conn_params):
                    raise
                if not waiting:
                    logger.warning("Waiting %g s for the database: %s", settings.DB_START_TIMEOUT, first_line(error))
                    waiting = True
            time.sleep(PAUSE)
            timeout *= 2

    def _connect_by_pool(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        try:
            return self._connect(conn_params)
        except (PoolTimeout, TooManyRequests):
            BoundedConnection.note_refusal()
            raise

    def _connect(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        try:
            opened: psycopg.Connection[Any] = super().get_new_connection(conn_params)
        except psycopg.OperationalError as error:
            if REFUSAL_OF_POOLER in str(error):
                raise psycopg.OperationalError(POOLER_ADVICE) from error
            raise
        return opened


def _may_become_available(error: psycopg.OperationalError, conn_params: dict[str, Any]) -> bool:
    """Tell whether the server is unavailable, starts or is a standby, so that a later attempt may succeed."""
    if isinstance(error, psycopg.errors.ConnectionTimeout) or STANDBY.search(str(error)):
        return True
    parameters = {name: value for name, value in conn_params.items() if name in LIBPQ_PARAMETERS}
    return PGconn.ping(make_conninfo(**parameters).encode()) in {Ping.NO_RESPONSE, Ping.REJECT}
