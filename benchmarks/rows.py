"""The tasks that benchmarks measure: the same rows in every table, with known ids.

Row ``n`` has the id ``task_id(n)`` and is one second younger than row ``n - 1``. Tasks that a measurement creates have
larger ids, because ids of version 7 grow with time; ``remove_created`` deletes them.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from testing.databases import sqlite_path

TABLE = "tasks_task"
OWNER = "default"
OTHER_OWNERS = 999

#: The number of the caller's tasks where 1,000 users share the table.
SHARE = 500

#: Rows with larger numbers may be deleted by a measurement.
FIRST_SPARE = 2_000_000_000

OLDEST = datetime(2020, 1, 1, tzinfo=UTC)
TITLES = (
    "Buy milk and bread",
    "Call the dentist about Thursday",
    "Renew the passport",
    "Zähler ablesen und melden",
    "Write the minutes of the meeting",
    "Pay the invoice",
)
DESCRIPTION = "Ask who is in charge first, then write it down; what was agreed last time is in the shared folder."
FIELDS = ("id", "title", "description", "completed", "user_id", "created_at", "updated_at", "version")


@dataclass(frozen=True)
class Rows:
    """``size`` tasks of one user, or of 1,000 users; then the caller has ``SHARE`` tasks, evenly distributed."""

    size: int
    shared: bool = False

    @property
    def step(self) -> int:
        """The distance between two tasks of the caller."""
        return max(1, self.size // SHARE) if self.shared else 1

    @property
    def own(self) -> range:
        """The numbers of the caller's tasks, oldest first."""
        return range(self.step, self.size + 1, self.step)

    def sample(self, most: int) -> list[int]:
        """Return numbers of the caller's tasks in random order."""
        return random.Random(self.size).sample(self.own, min(most, len(self.own)))


def task_id(n: int) -> str:
    """Return the id of a row; its last twelve digits are decimal, so that ``pgbench`` can make ids, too."""
    return f"01900000-0000-7000-8000-{100_000_000_000 + n}"


def created_at(n: int) -> datetime:
    """Return when a row was created."""
    return OLDEST + timedelta(seconds=n % FIRST_SPARE)


def is_sqlite(url: str) -> bool:
    """Tell whether a database is SQLite; otherwise it is PostgreSQL."""
    return url.startswith("sqlite")


def execute(url: str, *statements: str) -> None:
    """Run statements that change tasks in one transaction, and update the planner's statistics."""
    connection = sqlite3.connect(sqlite_path(url)) if is_sqlite(url) else psycopg.connect(url)
    with closing(connection), connection:
        for statement in statements:
            connection.execute(statement)
    analyze(url)


def analyze(url: str, table: str = TABLE) -> None:
    """Update the planner's statistics, and remove dead rows from PostgreSQL."""
    if is_sqlite(url):
        with closing(sqlite3.connect(sqlite_path(url))) as connection:
            connection.execute("ANALYZE")
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"VACUUM (ANALYZE) {table}")


def fill(url: str, rows: Rows, table: str = TABLE) -> None:
    """Insert all rows."""
    insert(url, 1, rows.size, rows.step, table)
    analyze(url, table)


def insert(url: str, first: int, last: int, step: int = 1, table: str = TABLE) -> None:
    """Insert the rows from ``first`` to ``last``; each row whose number ``step`` divides is the caller's."""
    if is_sqlite(url):
        with closing(sqlite3.connect(sqlite_path(url))) as connection, connection:
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})",
                _sqlite_rows(first, last, step),
            )
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_insert_statement(first, last, step, table))


def _sqlite_rows(first: int, last: int, step: int) -> Iterator[tuple[object, ...]]:
    """Yield the values as Django stores them."""
    for n in range(first, last + 1):
        created = created_at(n).strftime("%Y-%m-%d %H:%M:%S")
        title = f"{TITLES[n % len(TITLES)]} ({n})"
        owner = f"user-{n % OTHER_OWNERS}" if n % step else OWNER
        yield UUID(task_id(n)).hex, title, DESCRIPTION, n % 3 == 0, owner, created, created, 1


def _insert_statement(first: int, last: int, step: int, table: str) -> str:
    titles = ", ".join(f"'{title}'" for title in TITLES)
    created = f"timestamptz '{OLDEST.isoformat()}' + n % {FIRST_SPARE} * interval '1 second'"
    return f"""
        INSERT INTO {table} (id, user_id, title, description, completed, created_at, updated_at, version)
        SELECT ('01900000-0000-7000-8000-' || (100000000000 + n))::uuid,
            CASE WHEN n % {step} = 0 THEN '{OWNER}' ELSE 'user-' || n % {OTHER_OWNERS} END,
            (ARRAY[{titles}])[1 + n % {len(TITLES)}] || ' (' || n || ')', '{DESCRIPTION}', n % 3 = 0,
            {created}, {created}, 1
        FROM generate_series({first}::bigint, {last}) n
        """


def insert_spare(url: str, table: str, number: int) -> list[int]:
    """Insert tasks of the caller that a measurement may delete, and return their numbers in random order."""
    first, last = FIRST_SPARE + 1, FIRST_SPARE + number
    insert(url, first, last, table=table)
    return random.Random(number).sample(range(first, last + 1), number)


def remove_created(url: str, table: str, rows: Rows) -> None:
    """Remove the tasks that a measurement has created."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {table} WHERE id > '{task_id(rows.size)}'")
    analyze(url, table)


def insert_shared_tasks(url: str, size: int) -> None:
    """Insert tasks of 1,000 users.

    The newest tasks are of the last 30 days, more on some days than on others. The oldest 1 % are in the trash.
    """
    fill(url, Rows(size, shared=True))
    execute(url, *_recent_and_trashed(url, size))


def _recent_and_trashed(url: str, size: int) -> Iterator[str]:
    last = size
    for day in range(30):
        time = f"{datetime.now(UTC) - timedelta(days=day, minutes=1):%Y-%m-%d %H:%M:%S}"
        time = f"'{time}'" if is_sqlite(url) else f"timestamptz '{time}+00'"
        first = last - size // 400 * (2 + day * 7 % 5)
        yield f"UPDATE {TABLE} SET created_at = {time}, updated_at = {time} WHERE {_between(url, first + 1, last)}"
        last = first
    yield f"UPDATE {TABLE} SET deleted_at = updated_at WHERE {_between(url, 1, size // 100)}"


def _between(url: str, first: int, last: int) -> str:
    return f"id BETWEEN '{stored_id(url, first)}' AND '{stored_id(url, last)}'"


def stored_id(url: str, n: int) -> str:
    """Return the id of a row as the database stores it."""
    return UUID(task_id(n)).hex if is_sqlite(url) else task_id(n)
