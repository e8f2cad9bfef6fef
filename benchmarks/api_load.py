"""Clients of the API that read and change their tasks while an operator's job runs."""

import statistics
from itertools import cycle

from benchmarks.rows import Rows, task_id
from testing.api_clients import BackgroundClients, RecordingClient, RequestRecord
from testing.servers import Server

CLIENTS = 4
HEADER = ("the API", "requests", "failed", "median, ms", "p99, ms", "longest, ms")


def use_api(server: Server, size: int) -> BackgroundClients:
    """Return clients with tasks of their own in one database of ``size`` tasks."""
    live = [n for n in Rows(size, shared=True).own if n > size // 100]
    numbers = [cycle(live[client::CLIENTS]) for client in range(CLIENTS)]

    def send_requests(client: RecordingClient, number: int) -> list[RequestRecord]:
        path = f"/api/tasks/{task_id(next(numbers[number]))}"
        return [
            client.send("GET", path),
            client.send("PATCH", path, {"description": "Changed"}),
            client.send("GET", "/api/tasks?limit=20"),
        ]

    return BackgroundClients(server.port, CLIENTS, send_requests, timeout=30)


def count_failed(records: list[RequestRecord]) -> int:
    """Return how many requests have no response with status 200."""
    return sum(record.status != 200 for record in records)


def format_row(name: str, records: list[RequestRecord]) -> tuple[str, ...]:
    """Format the response times, for a table with ``HEADER``."""
    seconds = sorted(record.seconds for record in records)
    columns = statistics.median(seconds), seconds[int(len(seconds) * 0.99)], seconds[-1]
    return name, f"{len(records):,}", f"{count_failed(records)}", *(f"{1000 * each:.1f}" for each in columns)
