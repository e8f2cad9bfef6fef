"""Measure what an operator plans with: memory, bytes of a task, and requests per second of a core.

A core of the service and a core of PostgreSQL are separate numbers, computed from the processor time of each.
"""

import argparse

import psycopg

from benchmarks.command_line import print_table
from benchmarks.contenders import OURS
from benchmarks.measurements import Measurement, measure, serve_targets, warm_up
from benchmarks.memory import current_memory
from benchmarks.operations import LABELS, Target
from benchmarks.rows import TABLE, Rows
from testing.databases import running_postgresql
from testing.process_tree import proc_fields, process_tree

CONNECTIONS = 32
OPERATIONS = ("get", "page", "create", "patch", "toggle")

#: The table without its indexes, and each index.
SIZES = f"""
SELECT '{TABLE}', pg_table_size('{TABLE}')
UNION ALL
SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = '{TABLE}'::regclass
"""


def print_bytes(target: Target) -> None:
    """Print the bytes of a task in the table and in each index."""
    with psycopg.connect(target.url) as connection:
        sizes = connection.execute(SIZES).fetchall()
    rows = sorted(((name, size / target.rows.size) for name, size in sizes), key=lambda row: -row[1])
    total = sum(size for _, size in rows)
    cells = [(name, f"{size:.0f}") for name, size in [*rows, ("all together", total)]]
    print_table((f"of {target.rows.size:,} tasks", "bytes of a task"), cells)


def proportional_memory(root: int) -> float:
    """Return the MiB of all processes of a server; shared pages count once."""
    sizes = [proc_fields(f"/proc/{pid}/smaps_rollup").get("Pss", "0 kB") for pid in process_tree(root)]
    return sum(int(size.split()[0]) for size in sizes) / 1024


def print_memory(target: Target, when: str) -> None:
    """Print the memory of the largest worker, and of all processes of the service."""
    worker, together = current_memory(target.server), proportional_memory(target.server.pid)
    print(f"{when}: {worker:.0f} MiB in the largest worker, {together:.0f} MiB in all processes of 2 workers\n")


def print_rates(measurements: list[Measurement]) -> None:
    """Print the requests per second that a core of the service, and of PostgreSQL, can handle."""
    rows = [
        (LABELS[each.operation], f"{1000 / each.server_seconds:,.0f}", f"{1000 / each.database_seconds:,.0f}")
        for each in measurements
    ]
    print_table(("requests per second", "a core of the service", "a core of PostgreSQL"), rows)


def main() -> None:
    """Fill a table, start the service with two workers, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    rows = Rows(options.size, shared=True)
    with running_postgresql() as server, serve_targets(server, [(OURS, rows)]) as [target]:
        print_bytes(target)
        print_memory(target, "After the start")
        warm_up(target)
        load = {"connections": CONNECTIONS, "seconds": options.seconds, "number": 1}
        measurements = [measure(target, operation, **load) for operation in OPERATIONS]
        print_memory(target, "Under load")
        print_rates(measurements)


if __name__ == "__main__":
    main()
