"""Django's backend for SQLite, with a file that only its owner can read.

https://docs.djangoproject.com/en/5.2/ref/databases/#subclassing-the-built-in-database-backends
"""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base, features, schema

#: The file of the database, and the files that SQLite makes beside it.
SUFFIXES = ("", "-wal", "-shm", "-journal")

PRIVATE = stat.S_IRUSR | stat.S_IWUSR
READABLE_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH


class DatabaseFeatures(features.DatabaseFeatures):
    """Django's description of SQLite; Django refuses an older version with a sentence."""

    #: The first version with ``RETURNING``.
    minimum_database_version = (3, 35)


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    """A schema editor that keeps the triggers of a table, because Django drops them with the table."""

    def _remake_table(self, *args: Any, **options: Any) -> None:
        """Copy a table without triggers, because SQLite checks those of all tables, and restore them."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
        for name, _ in triggers:
            self.execute(f"DROP TRIGGER {self.quote_name(name)}")
        super()._remake_table(*args, **options)  # type: ignore[misc]
        for _, sql in triggers:
            self.execute(sql, params=None)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that makes the database's files private before SQLite opens them."""

    features_class = DatabaseFeatures
    SchemaEditorClass = DatabaseSchemaEditor

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        """Open the database; SQLite gives the files beside it the mode of the database's file."""
        if not self.is_in_memory_db():
            make_private(conn_params["database"])
        opened: sqlite3.Connection = super().get_new_connection(conn_params)
        opened.create_function("IS_UTF8", 1, is_utf8, deterministic=True)
        return opened


def is_utf8(text: bytes | None) -> bool:
    """Tell whether the bytes of a text are UTF-8, because SQLite itself accepts some other bytes."""
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def make_private(path: str) -> None:
    """Create the file as private, and withdraw the rights of others on this user's own files.

    The mode of a file that others cannot read stays, because an operator may have given a group access. SQLite reports
    a path where no file can be.
    """
    path = os.path.realpath(path)
    with suppress(OSError):
        # O_EXCL, because closing a file would end the locks that other threads have on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
    for suffix in SUFFIXES:
        with suppress(OSError):
            file = Path(f"{path}{suffix}")
            if file.stat().st_uid == os.geteuid() and file.stat().st_mode & READABLE_BY_OTHERS:
                file.chmod(PRIVATE)
