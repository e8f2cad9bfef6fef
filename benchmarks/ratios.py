"""Compare operations that only this project has with simpler operations of its own.

Both operations of a pair take turns on one service, which has 10,000 tasks in PostgreSQL.
"""

import argparse
import random
import statistics
from dataclasses import dataclass, field, replace

from benchmarks import operations
from benchmarks.command_line import print_table
from benchmarks.contenders import OURS
from benchmarks.load import Load, send_load
from benchmarks.measurements import checkpoint, serve_targets, wait_until_idle, warm_up
from benchmarks.operations import LABELS, Target
from benchmarks.report import median_ratio
from benchmarks.rows import Rows
from testing.databases import running_postgresql
from testing.process_tree import cpu_seconds, postmaster_pid

CONNECTIONS = 32
TASKS = 10_000

KEYED, COUNT = "toggle with a new key", "count"

#: Each operation, and the simpler operation that it is compared with.
PAIRS = {
    KEYED: "toggle",
    "no-news": "get",
    COUNT: "get",
    **dict.fromkeys(operations.PLANNING_PAGES, "page"),
}


@dataclass
class Rates:
    """The requests per second of an operation by round, and PostgreSQL's milliseconds for each request."""

    by_round: dict[int, float] = field(default_factory=dict)
    database: list[float] = field(default_factory=list)


def make_load(target: Target, operation: str, seconds: float) -> Load:
    """Return the requests of an operation."""
    if operation == COUNT:
        return Load("GET", [("/api/tasks/count", "")])
    if operation == KEYED:
        return replace(operations.make_load(target, "toggle", seconds), keyed=True, once=True)
    return operations.make_load(target, operation, seconds)


def measure(target: Target, operation: str, seconds: float) -> tuple[float, float]:
    """Return the requests per second, and PostgreSQL's milliseconds for each request."""
    load, database = make_load(target, operation, seconds), postmaster_pid(target.url)
    if load.method != "GET":
        checkpoint(target.url)
    before = cpu_seconds(database)
    sample = send_load(target.server, load, CONNECTIONS, seconds)
    milliseconds = 1000 * (cpu_seconds(database) - before) / sample.requests
    wait_until_idle(target.server.pid, database)
    if sample.errors:
        raise RuntimeError(f"{operation}: {sample.errors} of {sample.requests} requests failed")
    return sample.rate, milliseconds


def measure_pair(target: Target, pair: tuple[str, str], rounds: int, seconds: float) -> tuple[Rates, Rates]:
    """Measure two operations in each round, in random order."""
    measured = Rates(), Rates()
    for number in range(rounds):
        for operation, rates in random.sample([*zip(pair, measured, strict=True)], 2):
            rate, milliseconds = measure(target, operation, seconds)
            rates.by_round[number] = rate
            rates.database.append(milliseconds)
    return measured


def format_pair(pair: tuple[str, str], first: Rates, second: Rates) -> tuple[str, ...]:
    """Format the medians of a pair."""
    rates = [f"{statistics.median(rates.by_round.values()):,.0f}" for rates in (first, second)]
    ratio = median_ratio(first.by_round, second.by_round)
    names = [LABELS.get(name, name) for name in pair]
    return names[0], rates[0], f"{statistics.median(first.database):.2f}", names[1], rates[1], f"{ratio:.2f}"


def main() -> None:
    """Measure all pairs, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    with running_postgresql() as server, serve_targets(server, [(OURS, Rows(TASKS, shared=False))]) as [target]:
        warm_up(target)
        rows = [
            format_pair(pair, *measure_pair(target, pair, options.rounds, options.seconds)) for pair in PAIRS.items()
        ]
    print_table(("operation", "requests/s", "PostgreSQL ms", "compared with", "requests/s", "ratio"), rows)


if __name__ == "__main__":
    main()
