"""Streaming standbys of a PostgreSQL server."""

from testing.postgresql import PostgreSQL
from testing.waiting import wait_for


def start_standby(primary: PostgreSQL, name: str, port: int | None = None) -> PostgreSQL:
    """Start a standby, and wait until it follows."""
    standby = primary.clone(name, "--write-recovery-conf")
    standby.port = port or standby.port
    standby.start()
    wait_for_replication(primary)
    return standby


def wait_for_replication(primary: PostgreSQL) -> None:
    """Wait until a standby follows."""
    count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_for(lambda: primary.execute(count) == [(1,)], "the standby follows")
