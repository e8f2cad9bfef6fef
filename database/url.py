"""Turn ``DATABASE_URL`` into Django's settings for PostgreSQL with a pool, or for SQLite.

https://docs.djangoproject.com/en/5.2/ref/databases/
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import dj_database_url
import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg_pool import ConnectionPool

from database.connections import BoundedConnection
from database.postgresql.base import LIBPQ_PARAMETERS

EXAMPLES = "postgresql://user:password@host:5432/name or sqlite:///file.sqlite3"

#: The values of ``target_session_attrs`` that choose the host which takes writes.
PRIMARY_ONLY = ("read-write", "primary")

#: The parameters of a URL: those of libpq, and of Django's backend for PostgreSQL.
POSTGRESQL_PARAMETERS = LIBPQ_PARAMETERS | {"assume_role", "currentSchema", "isolation_level"}
SQLITE_PARAMETERS = frozenset({"timeout"})

# SQL depends on these: JSON has backslashes in texts, and psycopg reads times in ISO form only.
SESSION_SETTINGS = "-c standard_conforming_strings=on -c datestyle=ISO"
# PostgreSQL's default is for spinning disks, and makes the planner sort rows that an index already sorts.
PLANNING = "-c random_page_cost=1.1"

# Many readers and one writer at a time, in any number of processes: docs/decisions/0004-databases.md.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}


@dataclass(frozen=True)
class PostgreSQLClient:
    """The settings of this process for its connections to PostgreSQL. Times are in seconds.

    Attributes:
        pooled_externally: whether connections lead to a pooler in transaction mode, so that sessions keep no state.
        prepares_statements: whether the server, or the pooler in front of it, keeps prepared statements.
        serving: whether this process serves requests, so that every wait for the database has a limit. Any other
            process has one connection and no pool, and waits for the database as ``database/postgresql`` does.
        pool_size: the most connections that a serving process opens.
        pool_timeout: how long a request waits for a free connection.
        connect_timeout: how long opening a connection may take.
        answer_timeout: how long a request waits for an answer.
    """

    pooled_externally: bool
    prepares_statements: bool
    serving: bool
    pool_size: int
    pool_timeout: float
    connect_timeout: int
    answer_timeout: float

    def options(self) -> dict[str, Any]:
        """Return libpq's and psycopg's options."""
        options = {
            # Prepared statements belong to a connection, and most poolers give each transaction another connection.
            "server_side_binding": True,
            "prepare_threshold": 1 if self.prepares_statements else None,
            "options": self._session_settings(),
            "connect_timeout": self.connect_timeout,
            "tcp_user_timeout": round(1000 * self.answer_timeout),
            "application_name": "todo",
        }
        return {**options, "pool": self.pool()} if self.serving else options

    def _session_settings(self) -> str:
        """Return server settings for each session.

        A pooler refuses these settings, so ``todo_project/checks.py`` checks them instead.
        """
        if self.pooled_externally:
            return ""
        sessions = f"{SESSION_SETTINGS} {PLANNING}"
        if not self.serving:
            return sessions
        # Shorter than DB_ANSWER_TIMEOUT, so that PostgreSQL completes no statement after its request has ended.
        return f"{sessions} -c statement_timeout={round(900 * self.answer_timeout)}"

    def pool(self) -> dict[str, Any]:
        """Return the options of psycopg's pool."""
        return {
            "min_size": 1,
            "max_size": self.pool_size,
            "timeout": self.pool_timeout,
            # The pool doubles its pause between attempts up to this limit, then starts over.
            "reconnect_timeout": 1,
            # Without a limit, an outage would fill the memory, because requests that have timed out stay in the queue.
            "max_waiting": 100,
            "connection_class": BoundedConnection,
            # Without this, the first request after an outage would still fail.
            "reconnect_failed": ConnectionPool.check,
        }


def django_database(url: str, base_dir: Path, postgresql: PostgreSQLClient) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for ``url``; a relative SQLite path starts at ``base_dir``.

    Raises:
        ImproperlyConfigured: the URL is malformed, or has a parameter that nothing reads.
    """
    # Database URLs have no fragment, so "#" is an ordinary character of a path or password, as libpq reads it.
    url = url.replace("#", "%23")
    if "\0" in unquote(url):
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL, {EXAMPLES}")
    try:
        database = parse(url)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL, {EXAMPLES}") from error
    match database["ENGINE"]:
        case "django.db.backends.sqlite3":
            return _sqlite(url, database, base_dir)
        case "django.db.backends.postgresql":
            return _postgresql(url, database, postgresql)
        case _:
            raise ImproperlyConfigured(f"Set DATABASE_URL to a URL, {EXAMPLES}")


def _sqlite(url: str, database: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    if database.get("HOST") or (database["NAME"] == ":memory:" and ":memory:" not in url):
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL that names a file, {EXAMPLES}")
    options = database.get("OPTIONS", {})
    _refuse_unknown_parameters(url, SQLITE_PARAMETERS, "SQLite takes timeout, a number of seconds")
    if not isinstance(options.get("timeout", 0), int):
        raise ImproperlyConfigured("Set DATABASE_URL with a whole number of seconds as timeout")
    if database["NAME"] != ":memory:":
        file = base_dir / database["NAME"]
        if file.is_dir() or not file.parent.is_dir():
            raise ImproperlyConfigured(f"Set DATABASE_URL to a file in a directory that exists; {file} is none")
        database["NAME"] = str(file)
    database["ENGINE"] = "database.sqlite"
    database["CONN_MAX_AGE"] = None
    database["OPTIONS"] = SQLITE_OPTIONS | options
    return database


def _postgresql(url: str, database: dict[str, Any], client: PostgreSQLClient) -> dict[str, Any]:
    options = database.get("OPTIONS", {})
    if not database["NAME"] and "service" not in options:
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL that names a database, {EXAMPLES}")
    hosts = str(database["HOST"] or options.get("host", ""))
    if "," in hosts and options.get("target_session_attrs") not in PRIMARY_ONLY:
        raise ImproperlyConfigured(
            "Set DATABASE_URL with ?target_session_attrs=read-write if it names several hosts: all but one of them are "
            "standbys, which take no writes"
        )
    if client.pooled_externally and client.prepares_statements and not psycopg.capabilities.has_send_close_prepared():
        raise ImproperlyConfigured(
            "Set DB_POOLER=transaction: transaction-prepared needs libpq 17 or newer, because a pooler does not "
            "understand DEALLOCATE"
        )
    _refuse_unknown_parameters(url, POSTGRESQL_PARAMETERS, "DB_POOL_SIZE and DB_POOLER configure pools")
    defaults = client.options()
    if "options" in options:
        # PostgreSQL takes the last of two values, so the URL can replace a setting of the service.
        options["options"] = f"{defaults['options']} {options['options']}".strip()
    database["ENGINE"] = "database.postgresql"
    database["CONN_HEALTH_CHECKS"] = True
    database["DISABLE_SERVER_SIDE_CURSORS"] = True
    database["OPTIONS"] = defaults | options
    return database


def _refuse_unknown_parameters(url: str, known: frozenset[str], advice: str) -> None:
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    if unknown := sorted({name for name in names if name not in known}):
        raise ImproperlyConfigured(f"Set DATABASE_URL without {', '.join(unknown)}; {advice}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ImproperlyConfigured(f"Set DATABASE_URL with one value for {', '.join(repeated)}")


def parse(url: str) -> dict[str, Any]:
    """Parse a database URL, which may name several hosts for libpq to try in turn.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS

    Raises:
        ValueError, KeyError: the URL is malformed.
    """
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return {**dj_database_url.parse(url)}
    servers = [urlsplit(f"//{host}") for host in hosts.split(",")]
    if not all(server.hostname for server in servers):
        raise ValueError(hosts)
    return {
        **dj_database_url.parse(parts._replace(netloc=user + at).geturl()),
        "HOST": ",".join(unquote(server.hostname or "") for server in servers),
        "PORT": ",".join(str(server.port or 5432) for server in servers),
    }
