"""Measure how long a list of 10,000 tasks takes, and how much memory a list of 200,000 tasks takes.

The server has one worker, so that this worker sends all lists. The exit code is 1 when the list of 10,000 takes more
than 500 ms, or the worker grows by more than 60 MiB during the list of 200,000.
"""

import statistics
import sys
import time
from http.client import HTTPConnection

from benchmarks.command_line import argument_parser, print_table, selected_databases
from benchmarks.memory import current_memory, peak_memory, reset_peak
from benchmarks.rows import analyze, insert
from testing.databases import new_database
from testing.ports import HOST
from testing.servers import Server, running_service

WARM_UP_TASKS = 10
TIMED_TASKS = 10_000
MANY_TASKS = 200_000
REPEATS = 10
MAX_MILLISECONDS = 500.0
MAX_MEBIBYTES = 60.0
PIECE = 1 << 16

#: A member that each task has once.
MARK = b'"version":'


def read_list(server: Server, expected: int) -> float:
    """Read the list, and return the seconds until its last byte.

    Raises:
        RuntimeError: the list does not have as many tasks as expected.
    """
    connection = HTTPConnection(HOST, server.port, timeout=600)
    tasks = 0
    try:
        start = time.perf_counter()
        connection.request("GET", "/api/tasks")
        response = connection.getresponse()
        overlap = b""
        while piece := response.read(PIECE):
            piece = overlap + piece
            tasks += piece.count(MARK)
            overlap = piece[-len(MARK) + 1 :]
        seconds = time.perf_counter() - start
    finally:
        connection.close()
    if (response.status, tasks) != (200, expected):
        raise RuntimeError(f"The list has status {response.status} and {tasks} tasks, not 200 and {expected}")
    return seconds


def add_tasks(url: str, first: int, last: int) -> None:
    """Insert tasks, and update the planner's statistics, as autovacuum does within a minute."""
    insert(url, first, last)
    analyze(url)


def measure(kind: str) -> dict[str, float]:
    """Measure the lists on a new database."""
    with new_database(kind) as url:
        add_tasks(url, 1, WARM_UP_TASKS)
        with running_service(url, WORKERS="1") as server:
            read_list(server, WARM_UP_TASKS)
            at_rest = current_memory(server)
            add_tasks(url, WARM_UP_TASKS + 1, TIMED_TASKS)
            read_list(server, TIMED_TASKS)
            milliseconds = [1000 * read_list(server, TIMED_TASKS) for _ in range(REPEATS)]
            add_tasks(url, TIMED_TASKS + 1, MANY_TASKS)
            reset_peak(server)
            seconds = read_list(server, MANY_TASKS)
            peak = peak_memory(server)
    return {
        "median": statistics.median(milliseconds),
        "longest": max(milliseconds),
        "seconds": seconds,
        "at rest": at_rest,
        "peak": peak,
        "growth": peak - at_rest,
    }


def main() -> None:
    """Measure, print a table, and exit."""
    options = argument_parser(__doc__).parse_args()
    results = {kind: measure(kind) for kind in selected_databases(options.database)}
    print_table(
        ("database", "10,000: median ms", "longest ms", "200,000: s", "at rest MiB", "peak MiB", "growth MiB"),
        [(kind, *(f"{value:.1f}" for value in result.values())) for kind, result in results.items()],
    )
    sys.exit(
        any(result["median"] > MAX_MILLISECONDS or result["growth"] > MAX_MEBIBYTES for result in results.values())
    )


if __name__ == "__main__":
    main()
