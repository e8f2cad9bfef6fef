"""``python -m benchmarks.listing``: how long is a list of 10,000 tasks, and how much memory takes one of 200,000?

One worker, so that it is known which one answers. Exits with 1 when the list of 10,000 takes over 500 ms, or the
worker grows by more than 60 MiB during the list of 200,000.
"""

import json
import statistics
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from testing.servers import HOST, Server, argument_parser, chosen, database, print_table, run, served, status_of

SMALL = 10
TIMED = 10_000
LARGE = 200_000
REPEATS = 10
MOST_MILLISECONDS = 500.0
MOST_MEBIBYTES = 60.0
PIECE = 1 << 16


def read_list(server: Server) -> tuple[float, int]:
    """Seconds until the last byte, and how many tasks it had."""
    connection = HTTPConnection(HOST, server.port, timeout=600)
    tasks = 0
    try:
        start = time.perf_counter()
        connection.request("GET", "/api/tasks")
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"The list was answered with {response.status}")
        overlap = b""
        while piece := response.read(PIECE):
            piece = overlap + piece
            tasks += piece.count(MARK)
            overlap = piece[-len(MARK) + 1 :]
        return time.perf_counter() - start, tasks
    finally:
        connection.close()


MARK = b'"version":'


def times(server: Server) -> list[float]:
    """Milliseconds of each list of ``TIMED`` tasks, after one to warm up."""
    length = len(json.loads(server.get("/api/tasks")[1]))
    if length != TIMED:
        raise RuntimeError(f"The list has {length} tasks, not {TIMED}")
    return [read_list(server)[0] * 1000 for _ in range(REPEATS)]


def memory(server: Server, field: str) -> float:
    """``VmRSS`` or ``VmHWM``, its peak, of the largest worker, in MiB."""
    return max(int(status_of(Path(f"/proc/{worker}/status"))[field].split()[0]) for worker in server.workers()) / 1024


def forget_peaks(server: Server) -> None:
    """Set ``VmHWM`` back to ``VmRSS`` (proc(5), clear_refs)."""
    for worker in server.workers():
        Path(f"/proc/{worker}/clear_refs").write_text("5")


def measure(kind: str) -> dict[str, float]:
    with database(kind) as url:
        run("-m", "benchmarks.filling", str(SMALL), DATABASE_URL=url)
        with served(url, WORKERS="1") as server:
            read_list(server)
            at_rest = memory(server, "VmRSS")
            run("-m", "benchmarks.filling", str(TIMED - SMALL), DATABASE_URL=url)
            milliseconds = times(server)
            run("-m", "benchmarks.filling", str(LARGE - TIMED), DATABASE_URL=url)
            forget_peaks(server)
            seconds, tasks = read_list(server)
            peak = memory(server, "VmHWM")
    if tasks != LARGE:
        raise RuntimeError(f"The list had {tasks} tasks, not {LARGE}")
    return {
        "median": statistics.median(milliseconds),
        "largest": max(milliseconds),
        "seconds": seconds,
        "at rest": at_rest,
        "peak": peak,
        "growth": peak - at_rest,
    }


def main() -> None:
    options = argument_parser(__doc__).parse_args()
    results = {kind: measure(kind) for kind in chosen(options.database)}
    print_table(
        ("database", "10,000: median ms", "largest ms", "200,000: s", "at rest MiB", "peak MiB", "growth MiB"),
        [(kind, *(f"{value:.1f}" for value in result.values())) for kind, result in results.items()],
    )
    sys.exit(
        any(result["median"] > MOST_MILLISECONDS or result["growth"] > MOST_MEBIBYTES for result in results.values())
    )


if __name__ == "__main__":
    main()
