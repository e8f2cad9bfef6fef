"""The tasks that benchmarks measure: the same rows in every table, with known ids.

Row ``n`` has the id ``task_id(n)`` and is one second younger than row ``n - 1``. Tasks that a measurement creates have
larger ids, because ids of version 7 grow with time; ``remove_created`` deletes them.
"""

import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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
PLANNING = ("due", "priority", "labels")

#: A part of the tasks has a due date, a priority and labels. The lengths of these tuples have no factor in common with
#: the distance between two tasks of the caller, so the caller has tasks of every kind.
DUE_TIMES = ("", "", "", "T18:00:00", "T17:00:00Z", "T18:00:00[Europe/Berlin]", *[None] * 5)
PRIORITIES = (None, None, None, None, "low", "medium", "high")
PRIORITY_NUMBERS = {None: 0, "low": 1, "medium": 2, "high": 3}
LABELS = (("home",), ("work",), ("home", "errands"), ("work", "waiting"), ("someday",), *[()] * 8)
FIRST_DUE = date(2026, 1, 1)
DUE_DAYS = 363

FIELDS = (
    *("id", "title", "description", "completed", "due", "priority", "labels", "user_id", "created_at", "updated_at"),
    *("completed_at", "version"),
)


@dataclass(frozen=True)
class Rows:
    """``size`` tasks of one user or of 1,000 users.

    Of 1,000 users, the caller has ``SHARE`` tasks, evenly distributed.
    """

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


def row_number(task: str) -> int:
    """Return the number of the row with an id."""
    return int(task[-12:]) - 100_000_000_000


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


def due(n: int) -> str | None:
    """Return the due date of a row."""
    time = DUE_TIMES[n % len(DUE_TIMES)]
    return None if time is None else f"{FIRST_DUE + timedelta(days=n % DUE_DAYS)}{time}"


def plan(n: int) -> dict[str, object]:
    """Return the fields ``PLANNING`` of a row, as the services show them."""
    labels = dict.fromkeys(LABELS[n % len(LABELS)], True)
    return {"due": due(n), "priority": PRIORITIES[n % len(PRIORITIES)], "labels": labels}


def insert(url: str, first: int, last: int, step: int = 1, table: str = TABLE, fields: Sequence[str] = FIELDS) -> None:
    """Insert the rows from ``first`` to ``last``; each row whose number ``step`` divides is the caller's."""
    columns = ", ".join(fields)
    if is_sqlite(url):
        with closing(sqlite3.connect(sqlite_path(url))) as connection, connection:
            values = ", ".join(f":{field}" for field in fields)
            connection.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({values})",
                (_sqlite_row(n, step) for n in range(first, last + 1)),
            )
    else:
        expressions = _postgresql_expressions(step, table)
        values = ", ".join(expressions[field] for field in fields)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series({first}::bigint, {last}) n"
            )


def _sqlite_row(n: int, step: int) -> dict[str, object]:
    """Return the values as Django stores them."""
    created = created_at(n).strftime("%Y-%m-%d %H:%M:%S")
    completed = n % 3 == 0
    return {
        "id": UUID(task_id(n)).hex,
        "title": f"{TITLES[n % len(TITLES)]} ({n})",
        "description": DESCRIPTION,
        "completed": completed,
        "due": due(n),
        "priority": PRIORITY_NUMBERS[PRIORITIES[n % len(PRIORITIES)]],
        "labels": _labels_json(LABELS[n % len(LABELS)]),
        "user_id": f"user-{n % OTHER_OWNERS}" if n % step else OWNER,
        "created_at": created,
        "updated_at": created,
        "completed_at": created if completed else None,
        "version": 1,
    }


def _labels_json(names: Sequence[str]) -> str:
    return json.dumps(dict.fromkeys(names, True), separators=(",", ":"))


def _postgresql_expressions(step: int, table: str) -> dict[str, str]:
    """Return the SQL of each value; only this project's model stores priorities as numbers."""
    created = f"timestamptz '{OLDEST.isoformat()}' + n % {FIRST_SPARE} * interval '1 second'"
    numbers = [PRIORITY_NUMBERS[word] for word in PRIORITIES]
    return {
        "id": "('01900000-0000-7000-8000-' || (100000000000 + n))::uuid",
        "title": f"{_element(TITLES)} || ' (' || n || ')'",
        "description": f"'{DESCRIPTION}'",
        "completed": "n % 3 = 0",
        "due": f"to_char(date '{FIRST_DUE}' + (n % {DUE_DAYS})::int, 'YYYY-MM-DD') || {_element(DUE_TIMES)}",
        "priority": _element(numbers if table == TABLE else PRIORITIES),
        "labels": f"{_element([_labels_json(names) for names in LABELS])}::jsonb",
        "user_id": f"CASE WHEN n % {step} = 0 THEN '{OWNER}' ELSE 'user-' || n % {OTHER_OWNERS} END",
        "created_at": created,
        "updated_at": created,
        "completed_at": f"CASE WHEN n % 3 = 0 THEN {created} END",
        "version": "1",
    }


def _element(values: Sequence[object]) -> str:
    """Return SQL for the value of row ``n``."""
    literals = ("NULL" if value is None else str(value) if isinstance(value, int) else f"'{value}'" for value in values)
    return f"(ARRAY[{', '.join(literals)}])[1 + n % {len(values)}]"


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
        times = f"created_at = {time}, updated_at = {time}, completed_at = CASE WHEN completed THEN {time} END"
        yield f"UPDATE {TABLE} SET {times} WHERE {_between(url, first + 1, last)}"
        last = first
    yield f"UPDATE {TABLE} SET deleted_at = updated_at WHERE {_between(url, 1, size // 100)}"


def _between(url: str, first: int, last: int) -> str:
    return f"id BETWEEN '{stored_id(url, first)}' AND '{stored_id(url, last)}'"


def stored_id(url: str, n: int) -> str:
    """Return the id of a row as the database stores it."""
    return UUID(task_id(n)).hex if is_sqlite(url) else task_id(n)
