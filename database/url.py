"""Turn ``DATABASE_URL`` into Django's settings for PostgreSQL with a pool, or for SQLite.

https://docs.djangoproject.com/en/5.2/ref/databases/
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from psycopg_pool import ConnectionPool

from database.connections import BoundedConnection

EXAMPLES = "postgresql://user:password@host:5432/name or sqlite:///file.sqlite3"

#: The values of ``target_session_attrs`` that choose the host which takes writes.
PRIMARY_ONLY = ("read-write", "primary")

#: Options that other settings decide. A URL cannot hold a pool, and lists need cursors that bind on the server.
RESERVED_OPTIONS = {"pool", "prepare_threshold", "server_side_binding"}

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
        serving: whether this process serves requests, so that every wait for the database has a limit.
        pool_size: the most connections that this process opens.
        pool_timeout: how long a request waits for a free connection.
        connect_timeout: how long opening a connection may take.
        answer_timeout: how long a request waits for an answer.
    """

    pooled_externally: bool
    serving: bool
    pool_size: int
    pool_timeout: float
    connect_timeout: int
    answer_timeout: float

    def options(self) -> dict[str, Any]:
        """Return libpq's and psycopg's options."""
        return {
            # Prepared statements belong to a connection, and a pooler gives each transaction another connection.
            "server_side_binding": True,
            "prepare_threshold": None if self.pooled_externally else 1,
            "options": self._session_settings(),
            "connect_timeout": self.connect_timeout,
            "tcp_user_timeout": round(1000 * self.answer_timeout),
            "application_name": "todo",
            "pool": self._pool(),
        }

    def _session_settings(self) -> str:
        """Return server settings for each session; a pooler refuses them."""
        if self.pooled_externally:
            return ""
        # PostgreSQL's default is for spinning disks, and makes the planner sort rows that an index already sorts.
        planning = "-c random_page_cost=1.1"
        if not self.serving:
            return planning
        # Shorter than DB_ANSWER_TIMEOUT, so that PostgreSQL completes no statement after its request has ended.
        return f"{planning} -c statement_timeout={round(900 * self.answer_timeout)}"

    def _pool(self) -> dict[str, Any]:
        pool: dict[str, Any] = {
            "min_size": 1,
            "max_size": self.pool_size,
            "timeout": self.pool_timeout,
            # The pool doubles its pause between attempts up to this limit, then starts over.
            "reconnect_timeout": 1,
            # Without a limit, an outage would fill the memory, because requests that have timed out stay in the queue.
            "max_waiting": 100,
        }
        if self.serving:
            pool["connection_class"] = BoundedConnection
            # Without this, the first request after an outage would still fail.
            pool["reconnect_failed"] = ConnectionPool.check
        return pool


def django_database(url: str, base_dir: Path, postgresql: PostgreSQLClient) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for ``url``; a relative SQLite path starts at ``base_dir``.

    Raises:
        ImproperlyConfigured: the URL is malformed, or sets what another setting decides.
    """
    try:
        database = parse(url)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL, {EXAMPLES}") from error
    if not database.get("NAME"):
        raise ImproperlyConfigured(f"Set DATABASE_URL to a URL that names a database, {EXAMPLES}")
    match database["ENGINE"]:
        case "django.db.backends.sqlite3":
            return _sqlite(database, base_dir)
        case "django.db.backends.postgresql":
            return _postgresql(database, postgresql)
        case _:
            raise ImproperlyConfigured(f"Set DATABASE_URL to a URL, {EXAMPLES}")


def _sqlite(database: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    if database["NAME"] != ":memory:":
        database["NAME"] = str(base_dir / database["NAME"])
    database["CONN_MAX_AGE"] = None
    database["OPTIONS"] = SQLITE_OPTIONS | database.get("OPTIONS", {})
    return database


def _postgresql(database: dict[str, Any], client: PostgreSQLClient) -> dict[str, Any]:
    options = database.get("OPTIONS", {})
    hosts = str(database["HOST"] or options.get("host", ""))
    if "," in hosts and options.get("target_session_attrs") not in PRIMARY_ONLY:
        raise ImproperlyConfigured(
            "Set DATABASE_URL with ?target_session_attrs=read-write if it names several hosts: all but one of them are "
            "standbys, which take no writes"
        )
    if reserved := sorted(RESERVED_OPTIONS & options.keys()):
        raise ImproperlyConfigured(
            f"Set DATABASE_URL without {', '.join(reserved)}, which DB_POOL_SIZE and DB_POOLER set"
        )
    database["CONN_HEALTH_CHECKS"] = True
    database["DISABLE_SERVER_SIDE_CURSORS"] = True
    database["OPTIONS"] = client.options() | options
    return database


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
