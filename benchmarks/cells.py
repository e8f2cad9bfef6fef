"""Measure the triggers that refuse writes of moving users, and hash partitions, on PostgreSQL.

docs/decisions/0025-cells.md. The statements run alternately, and each figure is the least of several rounds.
"""

import argparse
import time
from collections.abc import Iterator

import psycopg

from benchmarks.command_line import print_table
from benchmarks.rows import OWNER, TABLE, Rows, fill, task_id
from testing.databases import postgresql_database, running_postgresql
from testing.python_processes import python_output

REFUSALS = (f"{TABLE}_moving_user", f"{TABLE}_moving_user_deletion")

#: Copies of the table without triggers and constraints, which a partitioned table could not all have.
COPIES = f"""
CREATE TABLE whole (LIKE {TABLE}, PRIMARY KEY (user_id, id));
CREATE INDEX ON whole (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE TABLE parts (LIKE {TABLE}, PRIMARY KEY (user_id, id)) PARTITION BY HASH (user_id);
CREATE INDEX ON parts (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
"""
PARTITION = "CREATE TABLE part{number} PARTITION OF parts FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"

#: The statements of both tables, with the parameters owner and id.
STATEMENTS = {
    "one task": "SELECT * FROM {table} WHERE user_id = %(owner)s AND id = %(id)s",
    "a page of 20": "SELECT * FROM {table} WHERE user_id = %(owner)s AND deleted_at IS NULL"
    " ORDER BY created_at DESC, id DESC LIMIT 20",
    "an UPDATE": "UPDATE {table} SET version = version + 1 WHERE user_id = %(owner)s AND id = %(id)s",
}


def microseconds(connection: psycopg.Connection, table: str, name: str, ids: list[str]) -> float:
    """Return how long a prepared statement takes, in one transaction over the tasks of the caller."""
    query = STATEMENTS[name].format(table=table)
    connection.execute(query, {"owner": OWNER, "id": ids[0]}, prepare=True)
    started = time.perf_counter()
    with connection.transaction():
        for id_ in ids:
            connection.execute(query, {"owner": OWNER, "id": id_}, prepare=True)
    return 1e6 * (time.perf_counter() - started) / len(ids)


def compare_refusals(connection: psycopg.Connection, ids: list[str], rounds: int) -> list[tuple[str, str, str]]:
    """Measure an ``UPDATE`` of a task without and with the triggers of moving users."""
    least = dict.fromkeys(("DISABLE", "ENABLE"), float("inf"))
    for action in [*least] * rounds:
        for trigger in REFUSALS:
            connection.execute(f"ALTER TABLE {TABLE} {action} TRIGGER {trigger}")
        connection.execute(f"VACUUM {TABLE}")
        least[action] = min(least[action], microseconds(connection, TABLE, "an UPDATE", ids))
    return [("an UPDATE", *(f"{value:.0f}" for value in least.values()))]


def compare_partitions(connection: psycopg.Connection, ids: list[str], rounds: int) -> Iterator[tuple[str, str, str]]:
    """Measure each statement on a whole table and on a partitioned one."""
    for name in STATEMENTS:
        least = dict.fromkeys(("whole", "parts"), float("inf"))
        for table in [*least] * rounds:
            connection.execute(f"VACUUM {table}")
            least[table] = min(least[table], microseconds(connection, table, name, ids))
        yield name, *(f"{value:.0f}" for value in least.values())


def main() -> None:
    """Fill a table, copy it, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--partitions", type=int, default=16)
    options = parser.parse_args()
    rows = Rows(options.size, shared=True)
    ids = [task_id(number) for number in rows.sample(500)]
    with running_postgresql() as server, postgresql_database(server) as url:
        python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url)
        fill(url, rows)
        with psycopg.connect(url, autocommit=True) as connection:
            header = ("µs", "without the triggers", "with the triggers")
            print_table(header, compare_refusals(connection, ids, options.rounds))
            connection.execute(COPIES)
            for number in range(options.partitions):
                connection.execute(PARTITION.format(number=number, partitions=options.partitions))
            for table in ("whole", "parts"):
                connection.execute(f"INSERT INTO {table} SELECT * FROM {TABLE}")
                connection.execute(f"VACUUM (ANALYZE) {table}")
            header = ("µs", "one table", f"{options.partitions} hash partitions")
            print_table(header, [*compare_partitions(connection, ids, options.rounds)])


if __name__ == "__main__":
    main()
