"""Compute what breaks first in a cell of many users, and how many cells 100 million users need.

The model measures nothing. ``Cost`` has figures that other benchmarks measured, with their names. ``Habits`` and
``Limits`` are assumptions: replace them by your own.
"""

import argparse
from dataclasses import dataclass, fields
from math import ceil

from benchmarks.command_line import print_table

USERS = 100_000_000
DAY = 86_400
CELL_SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000, USERS)


@dataclass(frozen=True)
class Habits:
    """What a user does in a day, and how much more than the average happens at the peak."""

    active: float = 0.2
    tasks: int = 200
    reads: float = 30
    writes: float = 8
    searches: float = 1
    removals: float = 1
    peak: float = 4


@dataclass(frozen=True)
class Cost:
    """What was measured.

    Attributes:
        task_bytes: ``benchmarks.capacity``: the table and its nine indexes.
        table_bytes: ``benchmarks.capacity``: the table, which an anti-wraparound vacuum reads.
        read_seconds: ``benchmarks.capacity``: a core of PostgreSQL serves 5,387 pages of 20 in a second.
        write_seconds: ``benchmarks.capacity``: a core of PostgreSQL serves 1,280 PATCHes in a second.
        search_seconds: docs/operations.md: a search for a long word of 4 % of the tasks, with statistics.
        write_wal: ``benchmarks.write_costs``: a PATCH without trigram indexes, and without full pages.
        removal_seconds: ``benchmarks.purging``: 249,880 tasks in 19.4 s, on PostgreSQL.
    """

    task_bytes: int = 835
    table_bytes: int = 263
    read_seconds: float = 1 / 5387
    write_seconds: float = 1 / 1280
    search_seconds: float = 0.030
    write_wal: int = 1140
    removal_seconds: float = 19.4 / 249_880


@dataclass(frozen=True)
class Limits:
    """What one primary has, and defaults of PostgreSQL.

    Attributes:
        disk: bytes; many clouds have no larger volume.
        freeze_age: ``autovacuum_freeze_max_age``: a table is vacuumed after so many transaction ids.
        vacuum_rate: bytes in a second: 10 dirty pages each 2 ms, from ``autovacuum_vacuum_cost_limit`` and ``_delay``.
        wal_rate: bytes in a second that a synchronous standby replays, by one process.
        purge_window: seconds of the night in which ``purge_trash`` may run.
    """

    cores: int = 32
    disk: float = 16e12
    freeze_age: float = 200e6
    vacuum_rate: float = 10 * 8192 / 0.002
    wal_rate: float = 50e6
    purge_window: float = 6 * 3600


@dataclass(frozen=True)
class Use:
    """The part of each limit that a cell uses; 1 is all of it."""

    transaction_ids: float
    search: float
    requests: float
    wal: float
    purge: float
    disk: float

    def first(self) -> tuple[str, float]:
        """Return the limit that is reached first, and the part in use."""
        parts = {field.name.replace("_", " "): getattr(self, field.name) for field in fields(self)}
        name = max(parts, key=parts.__getitem__)
        return name, parts[name]


def use_of(users: int, habits: Habits, cost: Cost, limits: Limits, *, counted_reads: bool) -> Use:
    """Return what a cell of so many users uses.

    Each write takes a transaction id, and each read too if the service counts reads (``THROTTLE_READ``).
    """
    per_second = users * habits.active / DAY
    ids = per_second * (habits.writes + habits.reads * counted_reads)
    vacuum_seconds = users * habits.tasks * cost.table_bytes / limits.vacuum_rate
    peak = per_second * habits.peak
    return Use(
        transaction_ids=vacuum_seconds * ids / limits.freeze_age,
        search=peak * habits.searches * cost.search_seconds / limits.cores,
        requests=peak * (habits.reads * cost.read_seconds + habits.writes * cost.write_seconds) / limits.cores,
        wal=peak * habits.writes * cost.write_wal / limits.wal_rate,
        purge=users * habits.active * habits.removals * cost.removal_seconds / limits.purge_window,
        disk=users * habits.tasks * cost.task_bytes / limits.disk,
    )


def print_model(habits: Habits, cost: Cost, limits: Limits, *, counted_reads: bool) -> None:
    """Print the use of each limit by the number of users in a cell."""
    header = ["users in a cell", "writes/s at the peak", *(field.name.replace("_", " ") for field in fields(Use))]
    rows = []
    for users in CELL_SIZES:
        use = use_of(users, habits, cost, limits, counted_reads=counted_reads)
        name, part = use.first()
        writes = users * habits.active * habits.writes * habits.peak / DAY
        parts = (f"{100 * getattr(use, field.name):,.0f} %" for field in fields(use))
        cells = f"{ceil(USERS / users):,}" if part <= 1 else "too large"
        rows.append((f"{users:,}", f"{writes:,.0f}", *parts, name, cells))
    print_table((*header, "first", f"cells for {USERS:,}"), rows)


def main() -> None:
    """Print the model with and without a count of reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Habits):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    habits = Habits(**vars(parser.parse_args()))
    for counted_reads in (False, True):
        print(f"With {'THROTTLE_READ' if counted_reads else 'reads that nobody counts'}:\n")
        print_model(habits, Cost(), Limits(), counted_reads=counted_reads)


if __name__ == "__main__":
    main()
