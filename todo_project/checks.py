"""Check settings that are valid alone but unsafe together, and properties of the database."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

from database.connections import connection_limit

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


@checks.register
def check_single_user_mode(**_: Any) -> list[checks.CheckMessage]:
    """Warn if single-user mode accepts connections from other machines without a token."""
    if settings.AUTH_MODE != "single-user" or settings.HOST in LOOPBACK_HOSTS or settings.API_TOKEN:
        return []
    return [
        checks.Warning(
            f"AUTH_MODE is single-user and HOST is {settings.HOST}: every client that can connect can read and change "
            "every task.",
            hint="Set HOST=127.0.0.1, or set API_TOKEN, or restrict the clients by a proxy or a firewall.",
            id="todo.W001",
        )
    ]


@checks.register
def check_pool_size(**_: Any) -> list[checks.CheckMessage]:
    """Report a pool that is too small for the threads of a worker."""
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
def check_connection_limit(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Warn if the pools of all workers exceed PostgreSQL's limit, unless a pooler limits connections.

    ``serve``, ``migrate`` and ``check --database default`` run this check.
    """
    pool = settings.DATABASES["default"]["OPTIONS"].get("pool")
    if not databases or pool is None or settings.DB_POOLER != "none":
        return []
    most, limit = settings.WORKERS * pool["max_size"], connection_limit()
    if most <= limit:
        return []
    return [
        checks.Warning(
            f"WORKERS is {settings.WORKERS} and DB_POOL_SIZE is {pool['max_size']}, so the service opens up to {most} "
            f"connections, but PostgreSQL admits {limit}: under load, requests will be answered with 503.",
            hint=f"Set DB_POOL_SIZE={max(1, limit // settings.WORKERS)} or fewer WORKERS, or raise max_connections of "
            "the server or the CONNECTION LIMIT of the role or database.",
            id="todo.W002",
        )
    ]


@checks.register(checks.Tags.database)
def check_letter_case(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Warn if PostgreSQL does not know the case of letters beyond ASCII.

    ``serve``, ``migrate`` and ``check --database default`` run this check.
    """
    if not databases or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT upper('é') = 'É'")
        if cursor.fetchall() == [(True,)]:
            return []
    return [
        checks.Warning(
            "The database's LC_CTYPE is C, so a search with q is case-sensitive for letters beyond ASCII.",
            hint="Create a database with LOCALE 'C.UTF-8', or another UTF-8 locale, and move the tasks there.",
            id="todo.W003",
        )
    ]
