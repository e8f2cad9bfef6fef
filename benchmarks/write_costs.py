"""Measure the WAL of a write with and without trigram indexes, and of a counted read.

The server is Debian's, because the wheel's server has no ``pg_trgm``. A checkpoint adds whole pages to the WAL, so no
checkpoint runs meanwhile and ``full_page_writes`` is off.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.command_line import print_table
from benchmarks.rows import insert_shared_tasks
from testing.api_clients import RecordingClient, RequestRecord, create_task, summarize
from testing.postgresql import DebianPostgreSQL
from testing.programs import directory_owned_by, unprivileged_user
from testing.python_processes import python_output
from testing.servers import running_service

SIZE = 20_000
WRITES = 300
DESCRIPTION = "Ask who is in charge first, then write it down; what was agreed last time is in the shared folder."

UPDATES = "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relname = '{table}'"
MERGE = (
    "SELECT gin_clean_pending_list(indexrelid) FROM pg_stat_user_indexes"
    " WHERE relname = 'tasks_task' AND indexrelname LIKE '%trigrams'"
)


@contextmanager
def new_server() -> Iterator[DebianPostgreSQL]:
    """Yield a server with the tasks of 1,000 users in its database ``todo``."""
    with directory_owned_by(unprivileged_user()) as directory:
        server = DebianPostgreSQL.create_in(str(directory))
        server.start(fsync="off", full_page_writes="off", autovacuum="off", max_wal_size="8GB")
        try:
            insert_shared_tasks(server.create_migrated_database("todo"), SIZE)
            yield server
        finally:
            server.kill()


def wal_bytes(server: DebianPostgreSQL, send: Callable[[], RequestRecord]) -> int:
    """Return the bytes of WAL per request, with the entries that the trigram indexes merge later."""
    server.execute(MERGE, "todo")
    start = server.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
    records = [send() for _ in range(WRITES)]
    assert all(record.status in {200, 201} for record in records), summarize(records)
    server.execute(MERGE, "todo")
    return int(server.execute(f"SELECT pg_current_wal_insert_lsn() - '{start}'::pg_lsn")[0][0]) // WRITES


def measure_writes(server: DebianPostgreSQL) -> dict[str, int]:
    """Return the bytes of WAL of each kind of write."""
    with running_service(server.url("todo", "todo"), WORKERS="1") as service, RecordingClient(service.port) as client:
        paths = [create_task(client) for _ in range(WRITES)]
        titles, toggled, deleted = iter(paths), iter(paths), iter(paths)
        task = {"title": "Write the minutes of the meeting", "description": DESCRIPTION}
        return {
            "POST": wal_bytes(server, lambda: client.send("POST", "/api/tasks", task)),
            "PATCH of the title": wal_bytes(
                server, lambda: client.send("PATCH", next(titles), {"title": "Call the plumber"})
            ),
            "toggle": wal_bytes(server, lambda: client.send("POST", f"{next(toggled)}/toggle")),
            "DELETE": wal_bytes(server, lambda: client.send("DELETE", next(deleted))),
        }


def measure_read(server: DebianPostgreSQL, **variables: str) -> int:
    """Return the bytes of WAL of a GET."""
    with (
        running_service(server.url("todo", "todo"), WORKERS="1", **variables) as service,
        RecordingClient(service.port) as client,
    ):
        path = create_task(client)
        return wal_bytes(server, lambda: client.send("GET", path))


def main() -> None:
    """Print the tables."""
    with new_server() as server:
        indexed = measure_writes(server)
        hot = {table: server.execute(UPDATES.format(table=table), "todo")[0] for table in ("tasks_task",)}
        python_output("manage.py", "search_indexes", "--drop", DATABASE_URL=server.url("todo", "todo"))
        plain = measure_writes(server)
        reads = measure_read(server), measure_read(server, THROTTLE_READ="1000000/hour")
        hot["throttling_window"] = server.execute(UPDATES.format(table="throttling_window"), "todo")[0]
    rows = [[name, indexed[name], plain[name], f"{1 - plain[name] / indexed[name]:.0%}"] for name in indexed]
    rows.append(["GET", reads[0], reads[0], ""])
    rows.append(["GET with THROTTLE_READ", reads[1], reads[1], ""])
    print_table(["bytes of WAL", "with trigram indexes", "without", "saved"], rows)
    print_table(["updates of", "HOT", "all"], [[table, *counts] for table, counts in hot.items()])


if __name__ == "__main__":
    main()
