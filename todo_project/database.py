"""When a database error means that the database is away, and how long a request waits for it."""

import select
from typing import Any, ClassVar

import psycopg
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

# Private, and yet what Connection.wait documents that it raises.
from psycopg.errors import _WaitTimeout

#: PostgreSQL reports these as internal errors: read_only_sql_transaction, idle_in_transaction_session_timeout.
AWAY_SQLSTATES = frozenset({"25006", "25P03"})


def is_unavailable(error: BaseException) -> bool:
    """Whether ``error`` says that the database cannot serve now, so that the same request may succeed later."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", None) in AWAY_SQLSTATES


def lacks_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that never waits longer than ``deadline`` seconds for an answer of the server.

    A frozen server keeps its sockets open, so that no time-out of libpq, of the pool or of the server itself ends
    the wait. The connection is closed, since an answer may still be under way on it.

    Raises:
        psycopg.OperationalError: no answer came in time.
    """

    deadline: ClassVar[float] = 2.0

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """With an empty query the pool asks whether an idle connection still works.

        One on which the server is silent does: a server that ended or lost it has said so, and only then is it asked.
        """
        if query == "" and not self._has_something_to_say():
            return self.cursor()
        return super().execute(query, *args, **options)

    def _has_something_to_say(self) -> bool:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.deadline if timeout is None else timeout)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from error
