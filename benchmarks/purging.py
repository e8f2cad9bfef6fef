"""Measure how long clients of the API wait while ``purge_trash`` empties the trash.

A quarter of the other users' tasks has been in the trash for years. The exit code is 1 when a request takes more than
500 ms meanwhile.
"""

import sys
import time

from benchmarks.admin import SIZES
from benchmarks.api_load import CLIENTS, HEADER, count_failed, format_row, use_api
from benchmarks.command_line import argument_parser, print_table, selected_databases
from benchmarks.rows import OWNER, TABLE, execute, insert_shared_tasks, stored_id
from testing.api_clients import RequestRecord, find_longest
from testing.databases import new_database
from testing.python_processes import python_output
from testing.servers import Server, running_service

SECONDS_AT_REST = 8
MAX_SECONDS = 0.5


def trash_tasks_of_others(url: str, size: int) -> None:
    """Move a quarter of the other users' tasks to the trash, as if it had been years ago."""
    others = f"user_id <> '{OWNER}' AND id <= '{stored_id(url, size // 4)}'"
    execute(url, f"UPDATE {TABLE} SET deleted_at = updated_at WHERE {others}")


def record_at_rest(server: Server, size: int) -> list[RequestRecord]:
    """Record requests while nothing else runs."""
    with use_api(server, size) as clients:
        time.sleep(SECONDS_AT_REST)
    return clients.records


def measure(url: str, kind: str, size: int) -> float:
    """Return the longest response time during ``purge_trash``, in seconds.

    Raises:
        RuntimeError: a request failed meanwhile.
    """
    insert_shared_tasks(url, size)
    trash_tasks_of_others(url, size)
    with running_service(url) as server:
        before = record_at_rest(server, size)
        start = time.perf_counter()
        with use_api(server, size) as during:
            output = python_output("manage.py", "purge_trash", DATABASE_URL=url)
        seconds = time.perf_counter() - start
        after = record_at_rest(server, size)
    print(f"## `purge_trash` among {size:,} tasks, {kind}, with {CLIENTS} clients of the API\n")
    print(f"{output.strip()}: {seconds:.1f} s\n")
    records = {"before": before, "during the command": during.records, "after": after}
    print_table(HEADER, [format_row(name, each) for name, each in records.items()])
    if failed := count_failed(during.records):
        raise RuntimeError(f"{failed} requests failed")
    return find_longest(during.records)


def main() -> None:
    """Measure on the chosen databases, and exit."""
    longest = []
    for kind in selected_databases(argument_parser(__doc__).parse_args().database):
        with new_database(kind) as url:
            longest.append(measure(url, kind, SIZES[kind]))
    sys.exit(max(longest) > MAX_SECONDS)


if __name__ == "__main__":
    main()
