"""Measure a page and a count by each filter and ordering of planning, on PostgreSQL.

The tasks are 1,000 of one user, 1,000,000 of 1,000 users, and 1,000,000 of one user. A page has 50 tasks. Ten tasks of
the user have the label ``rare``.
"""

import statistics
import time
from http.client import HTTPConnection

import psycopg

from benchmarks.command_line import print_table
from benchmarks.rows import analyze
from testing.databases import new_database
from testing.ports import HOST
from testing.servers import Server, running_service

REPEATS = 20
#: The number of tasks and users.
USERS = {
    "1,000 of one user": (1000, 1),
    "1,000,000 of 1,000 users": (1_000_000, 1000),
    "1,000,000 of one user": (1_000_000, 1),
}

QUERIES = [
    "",
    "ordering=due",
    "ordering=-due",
    "ordering=priority",
    "ordering=-priority",
    "due=any",
    "due=none",
    "due_after=2026-12-24",
    "due_before=2026-01-04",
    "priority=high",
    "label=home",
    "label=label%207",
    "label=rare",
    "completed_after=2026-01-01T00:00:00Z",
    "completed_before=2026-01-12T00:00:00Z",
    "label=label%207&ordering=due",
    "priority=high&ordering=-due",
]

#: Constraints make inserts slow, and these rows keep them.
WITHOUT_CONSTRAINTS = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'tasks_task'::regclass AND contype = 'c' LOOP
            EXECUTE format('ALTER TABLE tasks_task DROP CONSTRAINT %I', name);
        END LOOP;
    END $$
"""
FILL = """
    INSERT INTO tasks_task (
        id, user_id, title, description, completed, created_at, updated_at, version, due, priority, labels, completed_at
    )
    SELECT
        ('01900000-0000-7000-8000-' || (100000000000 + n))::uuid,
        CASE n %% %(users)s WHEN 0 THEN 'default' ELSE 'user-' || n %% %(users)s END,
        'Task ' || n %% 997,
        'Milk',
        m %% 3 = 0,
        timestamptz '2026-01-01Z' + n * interval '1 second',
        timestamptz '2026-01-10Z' + (m * 7919 %% 200000) * interval '1 second',
        1,
        to_char(date '2026-01-01' + (m * 31 %% 365)::int, 'YYYY-MM-DD')
            || (array['', 'T18:00:00', 'T18:00:00Z', NULL])[1 + m %% 4],
        m * 7 %% 11 %% 4,
        CASE WHEN m %% (%(size)s / %(users)s / 10) = 7 THEN '{"rare": true}'
             WHEN m * 13 %% 17 < 9 THEN jsonb_build_object('home', true, 'label ' || m * 13 %% 100, true)
             ELSE '{}' END,
        CASE m %% 3 WHEN 0 THEN timestamptz '2026-01-10Z' + (m * 7919 %% 200000) * interval '1 second' END
    FROM generate_series(1, %(size)s::bigint) n, LATERAL (SELECT n / %(users)s AS m) AS own
"""


def fill(url: str, size: int, users: int) -> None:
    """Replace all tasks."""
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("TRUNCATE tasks_task")
        connection.execute(FILL, {"size": size, "users": users})
    analyze(url)


def measure(server: Server, target: str) -> float:
    """Return the median of the milliseconds that the response takes, or NaN if the response is an error."""
    connection = HTTPConnection(HOST, server.port, timeout=60)
    milliseconds = []
    try:
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            connection.request("GET", target)
            response = connection.getresponse()
            response.read()
            milliseconds.append(1000 * (time.perf_counter() - start))
            if response.status != 200:
                return float("nan")
    finally:
        connection.close()
    return statistics.median(milliseconds[1:])


def main() -> None:
    """Measure, and print a table."""
    columns: list[list[float]] = []
    with new_database("postgresql") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(WITHOUT_CONSTRAINTS)
        for size, users in USERS.values():
            fill(url, size, users)
            with running_service(url, WORKERS="1") as server:
                pages = [measure(server, f"/api/tasks?limit=50&{query}") for query in QUERIES]
                counts = [measure(server, f"/api/tasks/count?{query}") for query in QUERIES if "ordering" not in query]
            columns.append([*pages, *counts])
    names = [*QUERIES, *(f"count?{query}" for query in QUERIES if "ordering" not in query)]
    print_table(
        ("query", *(f"{name}: ms" for name in USERS)),
        [(name, *(f"{column[row]:.1f}" for column in columns)) for row, name in enumerate(names)],
    )


if __name__ == "__main__":
    main()
