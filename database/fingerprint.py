"""Tell a database from a copy of it, such as a restored backup."""

import secrets
import sqlite3
from pathlib import Path

from django.db import connection

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# A restore makes another database, or other tables in it. A standby has the same values as its primary.
POSTGRESQL_FINGERPRINT = """
SELECT concat_ws(
    ':',
    system_identifier,
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    %s::regclass::oid
)
FROM pg_control_system()
"""


def fingerprint(table: str) -> str:
    """Return a value that the database and its backups do not share, from any table.

    ``table`` is any table of the database. On SQLite only copies that ``mark_copy`` has marked have another value, and
    the value changes with each boot.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FINGERPRINT, [table])
        else:
            cursor.execute("SELECT user_version || %s FROM pragma_user_version", [_boot_id()])
        return str(cursor.fetchone()[0])


def _boot_id() -> str:
    """Return a value that changes with each boot, because a power cut may undo SQLite's last commits."""
    return BOOT_ID.read_text() if BOOT_ID.exists() else ""


def mark_copy(copy: sqlite3.Connection) -> None:
    """Give a copy of a SQLite database a fingerprint of its own."""
    copy.execute(f"PRAGMA user_version = {1 + secrets.randbelow(2**31 - 1)}")
