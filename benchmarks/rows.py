"""The tasks that are measured: the same rows in every table, known without asking.

Row ``n`` of a table has the id ``task_id(n)`` and is one second younger than row ``n - 1``. What a measurement adds
has a larger id, since ids of version 7 grow with time; ``tidy`` removes it.
"""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

OWNER = "default"
OTHERS = 999
SHARE = 500
SPARE = 2_000_000_000
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
    """``size`` tasks: all of one user, or of 1,000, of whom the one who asks has ``SHARE`` spread among the rest."""

    size: int
    shared: bool = False

    @property
    def step(self) -> int:
        return max(1, self.size // SHARE) if self.shared else 1

    @property
    def own(self) -> range:
        """The numbers of the caller's tasks, oldest first."""
        return range(self.step, self.size + 1, self.step)

    def sample(self, most: int) -> list[int]:
        """Some of the caller's, in no order."""
        return random.Random(self.size).sample(self.own, min(most, len(self.own)))


def task_id(n: int) -> str:
    """Twelve decimal digits at the end, so that ``pgbench`` can make one up too."""
    return f"01900000-0000-7000-8000-{100_000_000_000 + n}"


def created_at(n: int) -> datetime:
    return OLDEST + timedelta(seconds=n % SPARE)


def fill(url: str, table: str, rows: Rows) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        _insert(connection, table, f"CASE WHEN n % {rows.step} = 0 THEN '{OWNER}' ELSE {OTHER} END", 1, rows.size)
        connection.execute(f"VACUUM (ANALYZE) {table}")


OTHER = f"'user-' || n % {OTHERS}"


def spread(url: str, rows: Rows) -> None:
    """Make the newest tasks those of the last 30 days, more on some than on others, and the oldest hundredth trash."""
    sqlite = url.removeprefix("sqlite:///") if url.startswith("sqlite") else None
    connection = sqlite3.connect(sqlite) if sqlite else psycopg.connect(url)
    with connection:
        for statement in _spreading(rows.size, sqlite=bool(sqlite)):
            connection.execute(statement)
    connection.close()
    if not sqlite:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) tasks_task")


def _spreading(size: int, *, sqlite: bool) -> Iterator[str]:
    def id_of(text: str) -> str:
        return UUID(text).hex if sqlite else text

    def between(first: int, last: int) -> str:
        return "id BETWEEN '{}' AND '{}'".format(*(id_of(task_id(n)) for n in (first, last)))

    last = size
    for day in range(30):
        made = f"{datetime.now(UTC) - timedelta(days=day, minutes=1):%Y-%m-%d %H:%M:%S}"
        made = f"'{made}'" if sqlite else f"timestamptz '{made}+00'"
        first = last - size // 400 * (2 + day * 7 % 5)
        yield f"UPDATE tasks_task SET created_at = {made}, updated_at = {made} WHERE {between(first + 1, last)}"
        last = first
    yield f"UPDATE tasks_task SET deleted_at = updated_at WHERE {between(1, size // 100)}"


def add_spare(url: str, table: str, number: int) -> list[int]:
    """Add tasks that may be deleted, older than the others; their numbers."""
    with psycopg.connect(url, autocommit=True) as connection:
        _insert(connection, table, f"'{OWNER}'", SPARE + 1, SPARE + number)
    return random.Random(number).sample(range(SPARE + 1, SPARE + number + 1), number)


def _insert(
    connection: "psycopg.Connection[tuple[object, ...]]", table: str, owner: str, first: int, last: int
) -> None:
    titles = ", ".join(f"'{title}'" for title in TITLES)
    created = f"timestamptz '{OLDEST.isoformat()}' + n % {SPARE} * interval '1 second'"
    connection.execute(
        f"""
        INSERT INTO {table} (id, user_id, title, description, completed, created_at, updated_at, version)
        SELECT ('01900000-0000-7000-8000-' || (100000000000 + n))::uuid, {owner},
            (ARRAY[{titles}])[1 + n % {len(TITLES)}] || ' (' || n || ')', '{DESCRIPTION}', n % 3 = 0,
            {created}, {created}, 1
        FROM generate_series({first}::bigint, {last}) n
        """
    )


def tidy(url: str, table: str, rows: Rows) -> None:
    """Remove what a measurement has added, and the dead rows that it has left."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {table} WHERE id > '{task_id(rows.size)}'")
        connection.execute(f"VACUUM (ANALYZE) {table}")


def checkpoint(url: str) -> None:
    """Every measurement of writes begins with the same state of the log."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def fill_sqlite(path: str, rows: Rows) -> None:
    """The same rows, as Django keeps them on SQLite."""
    statement = f"INSERT INTO tasks_task ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"
    connection = sqlite3.connect(path)
    with connection:
        connection.executemany(statement, _sqlite_rows(rows))
    connection.execute("ANALYZE")
    connection.close()


def _sqlite_rows(rows: Rows) -> Iterator[tuple[object, ...]]:
    for n in range(1, rows.size + 1):
        created = created_at(n).strftime("%Y-%m-%d %H:%M:%S")
        title = f"{TITLES[n % len(TITLES)]} ({n})"
        owner = OWNER if n % rows.step == 0 else f"user-{n % OTHERS}"
        yield UUID(task_id(n)).hex, title, DESCRIPTION, n % 3 == 0, owner, created, created, 1
