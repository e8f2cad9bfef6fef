"""Refuse writes at once while PostgreSQL holds them back for a synchronous standby.

docs/decisions/0024-write-breaker.md has the reasons.
"""

import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Thread
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

logger = logging.getLogger("database")

Connect = Callable[..., psycopg.Connection[Any]]

#: How long a request waits for the answer to the question why a statement had none. A frozen server gives no answer.
QUESTION_SECONDS = 0.25

#: What PostgreSQL calls the wait of a commit for a synchronous standby.
WAIT_EVENT = "SyncRep"

# Another session may have got the process id meanwhile. The age protects its statement from being cancelled. Half the
# time is enough, because a busy server begins a statement late.
CANCEL_WAIT = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND wait_event = %s AND clock_timestamp() - query_start >= %s * interval '0.5 s'
"""

#: A commit that waits for the standby as every write does, but changes no row.
PROBE = "SELECT pg_logical_emit_message(true, 'todo', '')"

#: The keywords of statements that write rows or lock them, as Django spells keywords. Values are parameters.
WRITE = re.compile(r"\b(?:INSERT|UPDATE|DELETE)\b")

#: Tables whose writes wait for no standby, because PostgreSQL sends none.
unlogged_tables: set[str] = set()


class StandbyTimeout(psycopg.OperationalError):
    """PostgreSQL holds writes back for a synchronous standby."""


class WriteBreaker:
    """A switch of this worker, which refuses writes while a synchronous standby does not answer.

    The breaker opens when a write without an answer waits for the standby, and closes when a probe is answered.
    """

    #: When the breaker opened, in seconds of the monotonic clock; ``None`` while writes are accepted.
    opened_at: float | None = None

    def __init__(self) -> None:
        self.questions = ThreadPoolExecutor(1, "write_breaker")  # starts its thread with the first question

    def waits_for_standby(self, connect: Connect, pid: int, seconds: float) -> bool:
        """Tell whether a statement without an answer after ``seconds`` waits for a standby.

        If so, the statement is cancelled, and writes are refused from now on. PostgreSQL commits a cancelled write.

        Args:
            connect: opens a connection.
            pid: the process of the server that runs the statement. A pooler hides the process, so nothing is asked.
            seconds: how long the client has waited.
        """
        if settings.DB_POOLER != "none":
            return False
        try:
            return self.questions.submit(self._ask, connect, pid, seconds).result(QUESTION_SECONDS)
        except (TimeoutError, psycopg.Error):
            return False

    def _ask(self, connect: Connect, pid: int, seconds: float) -> bool:
        with closing(connect(**connection.get_connection_params(), autocommit=True)) as asking:
            waits = asking.execute(CANCEL_WAIT, [pid, WAIT_EVENT, seconds]).fetchone() is not None
        if waits and self.opened_at is None:
            self.opened_at = time.monotonic()
            logger.error("Writes are refused: PostgreSQL waits for a synchronous standby")
            Thread(target=self._close_after_probe, args=(connect,), name="write_probe", daemon=True).start()
        return waits

    def _close_after_probe(self, connect: Connect) -> None:
        """Accept writes when a probe is answered, or fails for another reason, which writes shall tell."""
        while _probe_waits(connect):
            pass
        opened_at, self.opened_at = self.opened_at or 0, None
        logger.warning("Writes are accepted again after %.1f s", time.monotonic() - opened_at)

    def refuse_write(self, statement: object) -> None:
        """Refuse a statement that would wait for a standby.

        Raises:
            StandbyTimeout: the breaker is open, and the statement writes or locks rows.
        """
        if self.opened_at is None:
            return
        text = str(statement)
        if WRITE.search(text) and not any(table in text for table in unlogged_tables):
            raise StandbyTimeout("PostgreSQL waits for a synchronous standby")


def _probe_waits(connect: Connect) -> bool:
    try:
        with closing(connect(**connection.get_connection_params(), autocommit=True)) as probing:
            probing.execute(PROBE)
    except StandbyTimeout:
        return True
    except psycopg.Error:
        return False
    return False


write_breaker = WriteBreaker()
