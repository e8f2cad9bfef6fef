"""System checks of settings that are sound each by itself and unsafe together."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

from database.connections import connection_limit

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@checks.register
def single_user_mode_stays_on_this_machine(**_: Any) -> list[checks.CheckMessage]:
    if settings.AUTH_MODE != "single-user" or settings.HOST in LOOPBACK:
        return []
    return [
        checks.Warning(
            f"AUTH_MODE is single-user and HOST is {settings.HOST}: whoever reaches it may read and change every task.",
            hint="Set HOST=127.0.0.1, or let in only whom you trust at a proxy or firewall in front.",
            id="todo.W001",
        )
    ]


@checks.register
def every_thread_gets_a_connection(**_: Any) -> list[checks.CheckMessage]:
    pool = settings.DATABASES["default"]["OPTIONS"].get("pool")
    if pool is None or pool["max_size"] >= settings.THREADS:
        return []
    return [
        checks.Error(
            f"DB_POOL_SIZE is {pool['max_size']} and THREADS is {settings.THREADS}: some threads get no connection.",
            hint=f"Set DB_POOL_SIZE={settings.THREADS} or more.",
            id="todo.E001",
        )
    ]


@checks.register(checks.Tags.database)
def server_admits_every_connection(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Asked by ``serve`` and ``migrate``, and by ``check --database default``; behind a pooler, it has the limit."""
    pool = settings.DATABASES["default"]["OPTIONS"].get("pool")
    if not databases or pool is None or settings.DB_POOLER != "none":
        return []
    wanted, limit = settings.WORKERS * pool["max_size"], connection_limit()
    if wanted <= limit:
        return []
    return [
        checks.Warning(
            f"WORKERS is {settings.WORKERS} and DB_POOL_SIZE is {pool['max_size']}, which makes {wanted} connections, "
            f"and PostgreSQL admits {limit}: under load, requests will be answered with 503.",
            hint=f"Set DB_POOL_SIZE={max(1, limit // settings.WORKERS)} or fewer WORKERS, or raise max_connections of "
            "the server or the CONNECTION LIMIT of the role or database.",
            id="todo.W002",
        )
    ]


@checks.register(checks.Tags.database)
def server_knows_letters_beyond_ascii(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Asked like the one before, behind a pooler too."""
    if not databases or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT upper('é') = 'É'")
        if cursor.fetchall() == [(True,)]:
            return []
    return [
        checks.Warning(
            "The database's LC_CTYPE is C: a search with q finds letters beyond ASCII only in the case they are in.",
            hint="Create the database with LOCALE 'C.UTF-8', or another locale of UTF-8, and move the tasks there.",
            id="todo.W003",
        )
    ]
