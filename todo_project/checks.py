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
def check_admin_of_web_role(**_: Any) -> list[checks.CheckMessage]:
    """Warn if the service serves the admin with a role that has no rights to the admin's tables."""
    if not (settings.DB_ROW_SECURITY and settings.ADMIN):
        return []
    return [
        checks.Warning(
            "DB_ROW_SECURITY and ADMIN are on: every log-in fails, because the role of the service has no rights to "
            "the admin's tables.",
            hint="Set ADMIN=off, and serve the admin with the role that owns the tables: "
            "docs/decisions/0010-row-security.md.",
            id="todo.W004",
        )
    ]


@checks.register
def check_pool_size(**_: Any) -> list[checks.CheckMessage]:
    """Report a pool that is too small for the threads of a worker and the thread of ``/readyz``."""
    if connection.vendor != "postgresql" or settings.DB_POOL_SIZE > settings.THREADS:
        return []
    return [
        checks.Error(
            f"DB_POOL_SIZE is {settings.DB_POOL_SIZE} and THREADS is {settings.THREADS}: each thread and "
            "/readyz need a connection.",
            hint=f"Set DB_POOL_SIZE={settings.THREADS + 1} or more.",
            id="todo.E001",
        )
    ]


@checks.register(checks.Tags.database)
def check_connection_limit(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Warn if the pools of all workers exceed PostgreSQL's limit, unless a pooler limits connections.

    ``serve``, ``migrate`` and ``check --database default`` run this check.
    """
    if not databases or connection.vendor != "postgresql" or settings.DB_POOLER != "none":
        return []
    most, limit = settings.WORKERS * settings.DB_POOL_SIZE, connection_limit()
    if most <= limit:
        return []
    return [
        checks.Warning(
            f"WORKERS is {settings.WORKERS} and DB_POOL_SIZE is {settings.DB_POOL_SIZE}, so the service opens up to "
            f"{most} connections, but PostgreSQL admits {limit}: under load, requests will be answered with 503.",
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


@checks.register(checks.Tags.database)
def check_encoding(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report a PostgreSQL database that cannot store every character.

    ``serve``, ``migrate`` and ``check --database default`` run this check.
    """
    if not databases or connection.vendor != "postgresql":
        return []
    encoding = read_setting("server_encoding")
    if encoding == "UTF8":
        return []
    return [
        checks.Error(
            f"The database's encoding is {encoding}, so it cannot store every title.",
            hint="Create a database with ENCODING 'UTF8' TEMPLATE template0, and move the tasks there.",
            id="todo.E002",
        )
    ]


@checks.register(checks.Tags.database)
def check_session_settings(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report a setting of the sessions that changes how PostgreSQL reads SQL or writes times.

    Without a pooler, the service gives both settings the required values, unless ``options`` in ``DATABASE_URL``
    overrides a value. Behind a pooler, the settings of the role apply. ``serve``, ``migrate`` and ``check --database
    default`` run this check.
    """
    if not databases or connection.vendor != "postgresql":
        return []
    required = {"standard_conforming_strings": "on", "DateStyle": "ISO"}
    return [
        checks.Error(
            f"{name} is {value} in the sessions of DATABASE_URL, and the service needs {required[name]}.",
            hint=f"ALTER ROLE … SET {name} = {required[name]}, for the role of DATABASE_URL.",
            id="todo.E003",
        )
        for name, value in initial_settings(*required).items()
        if not value.startswith(required[name])
    ]


@checks.register(checks.Tags.database)
def check_settings_arrive(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report a pooler that ignores the settings of a session.

    Such a pooler keeps no prepared statements either.

    ``serve``, ``migrate`` and ``check --database default`` run this check.
    """
    if not databases or connection.vendor != "postgresql" or settings.DB_POOLER != "none":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT source FROM pg_settings WHERE name = 'random_page_cost'")
        if cursor.fetchone() != ("client",):
            return [
                checks.Error(
                    "The sessions of DATABASE_URL lack the settings that the service sends: DATABASE_URL leads to a "
                    "pooler that ignores them.",
                    hint="Set DB_POOLER=transaction, or DB_POOLER=transaction-prepared for PgBouncer 1.22 and newer.",
                    id="todo.E004",
                )
            ]
    return []


def read_setting(name: str) -> str:
    """Return a setting of this session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        [value] = cursor.fetchone()
    return str(value)


def initial_settings(*names: str) -> dict[str, str]:
    """Return the settings that each session begins with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, reset_val FROM pg_settings WHERE name = ANY(%s)", [[*names]])
        return dict(cursor.fetchall())
