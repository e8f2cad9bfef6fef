"""Fold SQLite's write-ahead log into the database, so that a copy of the file has all tasks.

https://www.sqlite.org/wal.html
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

logger = logging.getLogger("todo_project.server")


def fold_in(file: str, timeout: float = 0) -> None:
    """Copy all committed pages of the log into the database, and empty the log.

    A connection of a worker may use the log. If such a connection reads or writes, SQLite waits for ``timeout``
    seconds, and then copies only the pages that nobody uses.
    """
    if not file or not Path(f"{file}-wal").exists():
        return
    try:
        with closing(sqlite3.connect(f"{Path(file).as_uri()}?mode=rw", timeout=timeout, uri=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        logger.warning("The write-ahead log of %s was not folded into the database: %s", file, error)
