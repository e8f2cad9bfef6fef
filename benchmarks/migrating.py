"""Measure how long clients of the previous version wait during the migrations of tasks.

The database has a million tasks of 1,000 users in the schema before ``tasks.0007``. Its clients run the statements of
the previous version, which knows none of the new columns, until ``manage.py migrate`` has ended. The exit code is 1
when a statement takes more than 500 ms. ``--size 10000`` is a quick look.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import psycopg
from uuid_utils.compat import uuid7

from benchmarks.command_line import print_table
from benchmarks.rows import OTHER_OWNERS, TABLE, analyze, insert, task_id
from testing.databases import new_postgresql_database
from testing.python_processes import python_output

SIZE = 1_000_000
CLIENTS = 4
SECONDS_AT_REST = 5
MAX_SECONDS = 0.5
BEFORE = "0006_user_id_validator"
STEPS = (
    "0007_planning",
    "0008_planning_indexes",
    "0009_change_number",
    "0010_change_index",
    "0011_created_index",
    "0012_change_triggers",
    "0013_search_statistics",
)

OLD_FIELDS = ("id", "title", "description", "completed", "user_id", "created_at", "updated_at", "version")
_COLUMNS = ", ".join(OLD_FIELDS)
_NEXT_VERSION = "version = version + 1, updated_at = greatest(now(), updated_at + interval '1 microsecond')"
_ONE = f"WHERE id = %(id)s AND user_id = %(user_id)s AND deleted_at IS NULL RETURNING {_COLUMNS}"
STATEMENTS = {
    "GET": f"SELECT {_COLUMNS} FROM {TABLE} WHERE id = %(id)s AND user_id = %(user_id)s AND deleted_at IS NULL",
    "page": f"""SELECT {_COLUMNS} FROM {TABLE} WHERE user_id = %(user_id)s AND deleted_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT 20""",
    "POST": f"""INSERT INTO {TABLE} ({_COLUMNS}, deleted_at)
        VALUES (%(new_id)s, 'Water the plants', '', %(completed)s, %(user_id)s, now(), now(), 1, NULL)
        RETURNING {_COLUMNS}""",
    "PATCH": f"UPDATE {TABLE} SET title = 'Call the plumber', {_NEXT_VERSION} {_ONE}",
    "PATCH completed": f"UPDATE {TABLE} SET completed = %(completed)s, {_NEXT_VERSION} {_ONE}",
    "toggle": f"UPDATE {TABLE} SET completed = NOT completed, {_NEXT_VERSION} {_ONE}",
}
INVALID = f"SELECT count(*) FROM {TABLE} WHERE completed <> (completed_at IS NOT NULL)"


@dataclass
class OldClients:
    """Clients of the previous version; ``times`` has the seconds of each statement."""

    url: str
    size: int
    times: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STATEMENTS})
    stopped: Event = field(default_factory=Event)
    errors: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator["OldClients"]:
        """Run the clients until the ``with`` block ends."""
        threads = [Thread(target=self._run, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _run(self, number: int) -> None:
        numbers = random.Random(number)
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.stopped.is_set():
                self._run_statements(connection, numbers.randint(1, self.size))

    def _run_statements(self, connection: "psycopg.Connection[Any]", n: int) -> None:
        values = {"id": task_id(n), "user_id": f"user-{n % OTHER_OWNERS}", "new_id": uuid7(), "completed": n % 2 == 0}
        for name, statement in STATEMENTS.items():
            start = time.perf_counter()
            try:
                connection.execute(statement, values).fetchall()
            except psycopg.Error as error:
                self.errors.append(f"{name}: {error}")
            self.times[name].append(time.perf_counter() - start)


def build(url: str, size: int) -> None:
    """Create the schema of the previous version, and fill it."""
    python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url)  # the tables of the other apps, too
    migrate(url, BEFORE)
    insert(url, 1, size, size + 1, fields=OLD_FIELDS)
    analyze(url)


def measure(url: str, size: int, work: Callable[[], object]) -> tuple[OldClients, float]:
    """Run clients during ``work``, and return the clients and the seconds of the work."""
    with OldClients(url, size).running() as clients:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    return clients, seconds


def migrate(url: str, target: str) -> str:
    """Run ``manage.py migrate``."""
    return python_output("manage.py", "migrate", "tasks", target, "--verbosity=0", DATABASE_URL=url)


def format_row(name: str, clients: OldClients, seconds: float) -> tuple[str, ...]:
    """Format the times of all statements."""
    times = sorted(each for times in clients.times.values() for each in times)
    columns = statistics.median(times), times[int(len(times) * 0.99)], times[-1]
    numbers = (f"{1000 * each:.1f}" for each in columns)
    return name, f"{seconds:.1f}", f"{len(times):,}", str(len(clients.errors)), *numbers


def count_invalid(url: str) -> int:
    """Return the number of tasks whose ``completed_at`` does not fit ``completed``."""
    with psycopg.connect(url) as connection:
        [(number,)] = connection.execute(INVALID).fetchall()
    return int(number)


def main() -> None:
    """Measure, print a table, and exit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SIZE, help="the number of tasks")
    size = parser.parse_args().size
    with new_postgresql_database() as url:
        build(url, size)
        results = {"at rest": measure(url, size, lambda: time.sleep(SECONDS_AT_REST))}
        for target in STEPS:
            results[target] = measure(url, size, lambda target=target: migrate(url, target))  # type: ignore[misc]
        invalid = count_invalid(url)
    print(f"## Statements of the previous version during the migrations of {size:,} tasks, {CLIENTS} clients\n")
    header = ("", "s", "statements", "failed", "median, ms", "p99, ms", "longest, ms")
    print_table(header, [format_row(name, *result) for name, result in results.items()])
    errors = [error for clients, _ in results.values() for error in clients.errors]
    print(*errors[:10], f"{invalid} tasks with a wrong completed_at", sep="\n")
    longest = max(each for clients, _ in results.values() for times in clients.times.values() for each in times)
    sys.exit(bool(errors) or bool(invalid) or longest > MAX_SECONDS)


if __name__ == "__main__":
    main()
