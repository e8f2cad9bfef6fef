"""``python -m benchmarks.purging``: how long clients of the API wait while ``purge_trash`` empties the trash.

A quarter of what is not theirs has been there for years. Exits with 1 when a request takes over 500 ms meanwhile.
"""

import sqlite3
import sys
import time

import psycopg

from benchmarks.admin import CLIENTS, SIZES, Load, figures, load, prepare
from benchmarks.rows import OWNER, task_id
from testing.servers import Server, argument_parser, chosen, database, print_table, run, served

SECONDS_AT_REST = 8
MOST_SECONDS = 0.5


def discard(url: str, kind: str, size: int) -> None:
    """Move a quarter of the others' tasks to the trash; those that the clients ask for stay."""
    last = task_id(size // 4)
    where = f"user_id <> '{OWNER}' AND id <= '{last if kind == 'postgresql' else last.replace('-', '')}'"
    connect = psycopg.connect if kind == "postgresql" else sqlite3.connect
    with connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(f"UPDATE tasks_task SET deleted_at = updated_at WHERE {where}")
    connection.close()
    if kind == "postgresql":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) tasks_task")


def at_rest(server: Server, size: int) -> Load:
    with load(server, size) as seen:
        time.sleep(SECONDS_AT_REST)
    return seen


def measure(url: str, kind: str, size: int) -> float:
    """The longest wait while the trash was emptied, in seconds.

    Raises:
        RuntimeError: a request failed meanwhile.
    """
    prepare(url, kind, size)
    discard(url, kind, size)
    with served(url) as server:
        before = at_rest(server, size)
        began = time.perf_counter()
        with load(server, size) as during:
            said = run("manage.py", "purge_trash", DATABASE_URL=url)
        took = time.perf_counter() - began
        after = at_rest(server, size)
    print(f"## `purge_trash` among {size:,} tasks, {kind}, and {CLIENTS} clients of the API\n")
    print(f"{said.strip()}: {took:.1f} s\n")
    rows = [(name, *figures(each)) for name, each in (("before", before), ("while it runs", during), ("after", after))]
    print_table(("the API", "requests", "failed", "median, ms", "p99, ms", "longest, ms"), rows)
    if during.failures:
        raise RuntimeError(f"{during.failures} requests failed")
    return max(during.waits)


def main() -> None:
    longest = []
    for kind in chosen(argument_parser(__doc__).parse_args().database):
        with database(kind) as url:
            longest.append(measure(url, kind, SIZES[kind]))
    sys.exit(max(longest) > MOST_SECONDS)


if __name__ == "__main__":
    main()
