"""Let transactions wait for each other in the order of their arrival."""

from django.db import connection

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def lock_until_commit(name: str) -> None:
    """Lock a name until the transaction ends, and wait in turn while others hold the lock.

    PostgreSQL serves an advisory lock in the order of arrival, but not a row: a transaction that comes later may lock a
    new version of the row first. SQLite has one writer, so the function does nothing there.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [name])
