"""Wait for transactions of other tests, because the change feed waits for them too."""

from django.db import connection

from testing.waiting import wait_for

#: Other tests of the run hold transactions open, on the same server.
TIMEOUT = 300


def wait_for_open_writes() -> None:
    """Wait until the transactions that now write have ended, anywhere in the cluster."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        [begun] = cursor.fetchone()

        def have_ended() -> bool:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            return bool(cursor.fetchone()[0] >= begun)

        wait_for(have_ended, "other transactions have ended", TIMEOUT)
