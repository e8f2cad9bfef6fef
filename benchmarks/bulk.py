"""Compare bulks with single requests, and send bulks over the same tasks at the same time.

The table has the tasks per second of one client, and of several. Then clients toggle the same 100 tasks in bulks, in
random orders. The exit code is 1 if a bulk fails, or if a version is not the number of bulks that succeeded.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.command_line import argument_parser, print_table, selected_databases
from testing.api_clients import RecordingClient, create_task
from testing.databases import new_database
from testing.servers import Server, running_service

SIZE = 100
SECONDS = 4.0
SIMULTANEOUS_CLIENTS = 32
SIMULTANEOUS_SECONDS = 10.0

#: Room for all clients at once, so that no bulk is refused because the service is busy.
ROOM = {"THREADS": "32", "MAX_CONCURRENT_PER_USER": "32", "DB_POOL_SIZE": "33"}
REQUEST_SECONDS = 60

#: A client's method, path and body.
Request = tuple[str, str, Any]


def create(_: list[str]) -> Request:
    """Create one task."""
    return "POST", "/api/tasks", {"title": "Buy milk"}


def create_many(_: list[str]) -> Request:
    """Create ``SIZE`` tasks."""
    return "POST", "/api/tasks/bulk", [{"op": "create", "task": {"title": "Buy milk"}}] * SIZE


def toggle(ids: list[str]) -> Request:
    """Toggle one task."""
    return "POST", f"/api/tasks/{random.choice(ids)}/toggle", None


def toggle_many(ids: list[str]) -> Request:
    """Toggle all tasks, in a random order."""
    return "POST", "/api/tasks/bulk", [{"op": "toggle", "id": task} for task in random.sample(ids, len(ids))]


def send_for(server: Server, number: int, seconds: float, make: Callable[[int], Request]) -> Counter[int | str]:
    """Let ``number`` clients send requests for some seconds, and count the statuses."""
    deadline = time.monotonic() + seconds

    def run(index: int) -> Counter[int | str]:
        statuses: Counter[int | str] = Counter()
        with RecordingClient(server.port, REQUEST_SECONDS) as client:
            while time.monotonic() < deadline:
                record = client.send(*make(index))
                statuses[record.status or str(record.error)] += 1
        return statuses

    with ThreadPoolExecutor(number) as clients:
        return sum(clients.map(run, range(number)), Counter())


def create_tasks(server: Server) -> list[str]:
    """Create ``SIZE`` tasks, and return their ids."""
    with RecordingClient(server.port) as client:
        return [create_task(client).rpartition("/")[2] for _ in range(SIZE)]


def compare(server: Server, clients: int) -> list[tuple[object, ...]]:
    """Return a row for creations and a row for toggles."""
    tasks = [create_tasks(server) for _ in range(clients)]
    rows: list[tuple[object, ...]] = []
    for name, one, many in (("create", create, create_many), ("toggle", toggle, toggle_many)):
        rates = []
        for make, size in ((one, 1), (many, SIZE)):
            statuses = send_for(server, clients, SECONDS, lambda index, make=make: make(tasks[index]))
            rates.append(sum(number for status, number in statuses.items() if status in (200, 201)) * size / SECONDS)
        rows.append((name, clients, f"{rates[0]:,.0f}", f"{rates[1]:,.0f}", f"{rates[1] / rates[0]:.1f}"))
    return rows


def check_simultaneous(server: Server) -> bool:
    """Send bulks over the same tasks, and return whether each succeeded and each version is exact."""
    ids = create_tasks(server)
    statuses = send_for(server, SIMULTANEOUS_CLIENTS, SIMULTANEOUS_SECONDS, lambda _: toggle_many(ids))
    with RecordingClient(server.port) as client:
        versions = {client.send("GET", f"/api/tasks/{task}").body["version"] for task in ids}
    print(f"{SIMULTANEOUS_CLIENTS} clients over the same {SIZE} tasks: {dict(statuses)}, versions {versions}\n")
    return statuses.keys() == {200} and versions == {1 + statuses[200]}


def main() -> int:
    """Measure each database, and return the exit code."""
    options = argument_parser(__doc__).parse_args()
    passed = True
    for database in selected_databases(options.database):
        with new_database(database) as url, running_service(url, **ROOM) as server:
            rows = [row for clients in (1, 8) for row in compare(server, clients)]
            print(f"{database}, tasks per second\n")
            print_table(("operation", "clients", "single", f"bulk of {SIZE}", "ratio"), rows)
            passed = check_simultaneous(server) and passed
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
