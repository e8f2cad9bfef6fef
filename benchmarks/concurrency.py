"""Check that no write is lost or doubled when 100 clients write at once.

The clients send requests to a running server with several workers over persistent connections, and retry only 503s. The
exit code is 1 when a number differs from the contract's promise.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Barrier
from typing import Any, Self

from benchmarks.command_line import argument_parser, print_table, selected_databases
from testing.api_clients import RecordingClient, RequestRecord, create_task
from testing.databases import new_database
from testing.servers import Server, running_service

TOGGLES = 2000
PATCH_PAIRS = 500
CONDITIONAL_PATCHES = 1000
LABEL_PATCHES = 1000
CREATES = 2000

#: The labels that a task has before and after ``check_labels``: at most 20 at a time.
LABELS = 10

BARRIER_SECONDS = 60
REQUEST_SECONDS = 60
PATCHED_FIELDS = ("title", "description")


@dataclass(frozen=True)
class Request:
    """A request that a client shall send."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A number or list of numbers that the contract promises, and the actual one."""

    name: str
    expected: object
    actual: object
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the promise was kept."""
        return self.expected == self.actual


class SimultaneousClients:
    """Clients of one server, each with a thread and a persistent connection."""

    def __init__(self, server: Server, number: int) -> None:
        self.clients = [RecordingClient(server.port, REQUEST_SECONDS) for _ in range(number)]
        self.barrier = Barrier(number)
        self.threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.shutdown()
        for client in self.clients:
            client.connection.close()

    @property
    def first(self) -> RecordingClient:
        """The client that sends single requests."""
        return self.clients[0]

    def send_all(self, requests: Sequence[Request]) -> list[RequestRecord]:
        """Distribute requests to the clients, and start all clients at once; each sends its share in order."""
        number = len(self.clients)
        shares = [requests[client::number] for client in range(number)]
        return [record for records in self.threads.map(self._send_share, self.clients, shares) for record in records]

    def _send_share(self, client: RecordingClient, share: Sequence[Request]) -> list[RequestRecord]:
        if client.connection.sock is None:
            client.connection.connect()
        self.barrier.wait(BARRIER_SECONDS)
        return [send_patiently(client, request) for request in share]


def send_patiently(client: RecordingClient, request: Request) -> RequestRecord:
    """Send a request, and send it again after a 503, as ``Retry-After`` says.

    On a slow machine 100 clients of one address wait longer for their turn than a worker lets them wait. The service
    carries out no request that it refuses so.
    """
    while True:
        record = client.send(request.method, request.path, request.body, **request.headers)
        if record.status != HTTPStatus.SERVICE_UNAVAILABLE:
            return record
        time.sleep(int(record.headers["retry-after"]))


def format_statuses(records: Sequence[RequestRecord]) -> str:
    """Format the number of each status, such as ``200: 1, 412: 99``."""
    counts = Counter(str(record.status or record.error) for record in records)
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def select_bodies(records: Sequence[RequestRecord], status: int) -> list[dict[str, Any]]:
    """Return the bodies of the responses with a status."""
    return [record.body for record in records if record.status == status]


def check_toggles(clients: SimultaneousClients, number: int = TOGGLES) -> Iterator[Check]:
    """Check that each toggle of one task counts, when all clients toggle it."""
    path = create_task(clients.first)
    start = time.perf_counter()
    records = clients.send_all([Request("POST", f"{path}/toggle")] * number)
    seconds = time.perf_counter() - start
    task = clients.first.send("GET", path).body
    toggled = select_bodies(records, 200)
    balance = sum(1 if body["completed"] else -1 for body in toggled)
    yield Check(f"{number} toggles of one task", f"200: {number}", format_statuses(records), seconds)
    yield Check("… its version", 1 + number, task["version"], seconds)
    yield Check("… its completed", number % 2 == 1, task["completed"], seconds)
    yield Check("… responses true minus responses false", number % 2, abs(balance), seconds)
    yield Check("… different versions in responses", number, len({body["version"] for body in toggled}), seconds)
    yield Check("… different updated_at in responses", number, len({body["updated_at"] for body in toggled}), seconds)


def check_patch_pairs(clients: SimultaneousClients, number: int = PATCH_PAIRS) -> Iterator[Check]:
    """Check that both PATCHes survive, when one client changes the title and another the description."""
    half = len(clients.clients) // 2
    paths = [create_task(clients.first) for _ in range(number)]
    records: list[RequestRecord] = []
    start = time.perf_counter()
    for first in range(0, number, half):
        records += clients.send_all(
            [
                Request("PATCH", path, {name: f"{name} of {path}"})
                for path in paths[first : first + half]
                for name in PATCHED_FIELDS
            ]
        )
    seconds = time.perf_counter() - start
    tasks = {path: clients.first.send("GET", path).body for path in paths}
    survived = [all(task[name] == f"{name} of {path}" for name in PATCHED_FIELDS) for path, task in tasks.items()]
    versions = dict(Counter(task["version"] for task in tasks.values()))
    yield Check(f"{number} pairs of PATCHes of two fields", f"200: {2 * number}", format_statuses(records), seconds)
    yield Check("… pairs of which both survived", number, sum(survived), seconds)
    yield Check("… versions", {3: number}, versions, seconds)


def check_conditional_patches(clients: SimultaneousClients, number: int = CONDITIONAL_PATCHES) -> Iterator[Check]:
    """Check that one of the PATCHes with the same ``If-Match`` succeeds and the others get a 412."""
    at_once = len(clients.clients)
    rounds = number // at_once
    path = create_task(clients.first)
    outcomes: Counter[str] = Counter()
    current_etags = current_bodies = 0
    start = time.perf_counter()
    for _ in range(rounds):
        etag = clients.first.send("GET", path).headers.get("etag", "")
        records = clients.send_all(
            [Request("PATCH", path, {"title": f"By client {n}"}, {"If-Match": etag}) for n in range(at_once)]
        )
        after = clients.first.send("GET", path)
        outcomes[format_statuses(records)] += 1
        current_etags += sum(
            record.status == 412 and record.headers.get("etag") == after.headers.get("etag") for record in records
        )
        current_bodies += [after.body] == select_bodies(records, 200)
    seconds = time.perf_counter() - start
    expected = {f"200: 1, 412: {at_once - 1}": rounds}
    yield Check(f"{rounds} rounds of {at_once} PATCHes, one If-Match", expected, dict(outcomes), seconds)
    yield Check("… 412 with the current ETag", rounds * (at_once - 1), current_etags, seconds)
    yield Check("… rounds whose task equals the body of the 200", rounds, current_bodies, seconds)


def check_labels(clients: SimultaneousClients, number: int = LABEL_PATCHES) -> Iterator[Check]:
    """Check that each PATCH counts, when each adds or removes another label of a task with ten labels."""
    paths = [create_task(clients.first) for _ in range(number // (2 * LABELS))]
    before = dict.fromkeys((f"old {n}" for n in range(LABELS)), True)
    after = dict.fromkeys((f"new {n}" for n in range(LABELS)), True)
    for path in paths:
        clients.first.send("PATCH", path, {"labels": before})
    changes = {**dict.fromkeys(before), **after}
    start = time.perf_counter()
    records = clients.send_all(
        [Request("PATCH", path, {"labels": {name: value}}) for path in paths for name, value in changes.items()]
    )
    seconds = time.perf_counter() - start
    tasks = [clients.first.send("GET", path).body for path in paths]
    lost = sum(len(task["labels"].keys() ^ after.keys()) for task in tasks)
    versions = dict(Counter(task["version"] for task in tasks))
    yield Check(f"{len(records)} PATCHes of one label each", f"200: {len(records)}", format_statuses(records), seconds)
    yield Check("… lost changes", 0, lost, seconds)
    yield Check("… versions", {2 + 2 * LABELS: len(paths)}, versions, seconds)


def check_creates(clients: SimultaneousClients, number: int = CREATES) -> Iterator[Check]:
    """Check that each new task is listed exactly once."""
    before = len(clients.first.send("GET", "/api/tasks").body)
    requests = [Request("POST", "/api/tasks", {"title": f"Task {n}", "description": "New"}) for n in range(number)]
    start = time.perf_counter()
    records = clients.send_all(requests)
    seconds = time.perf_counter() - start
    listed = clients.first.send("GET", "/api/tasks").body
    ids = {body["id"] for body in select_bodies(records, 201)}
    counts = Counter(task["id"] for task in listed)
    yield Check(f"{number} creates", f"201: {number}", format_statuses(records), seconds)
    yield Check("… different ids", number, len(ids), seconds)
    yield Check("… listed exactly once", number, sum(counts[each] == 1 for each in ids), seconds)
    yield Check("… listed in all", before + number, len(listed), seconds)


CHECKS: tuple[Callable[[SimultaneousClients], Iterator[Check]], ...] = (
    check_toggles,
    check_patch_pairs,
    check_conditional_patches,
    check_labels,
    check_creates,
)


def run_checks(kind: str, number: int, workers: int) -> list[Check]:
    """Run all checks on a new database."""
    with (
        new_database(kind) as url,
        running_service(url, WORKERS=str(workers)) as server,
        SimultaneousClients(server, number) as clients,
    ):
        return [check for run_check in CHECKS for check in run_check(clients)]


def main() -> None:
    """Run the checks, print them, and exit."""
    parser = argument_parser(__doc__)
    parser.add_argument("--clients", type=int, default=100, help="an even number")
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    if options.clients < 2 or options.clients % 2 or options.clients > CONDITIONAL_PATCHES:
        parser.error(f"--clients must be an even number from 2 to {CONDITIONAL_PATCHES}")
    checks = {kind: run_checks(kind, options.clients, options.workers) for kind in selected_databases(options.database)}
    print_table(
        ("database", "check", "expected", "actual", "seconds", ""),
        [
            (kind, each.name, each.expected, each.actual, f"{each.seconds:.1f}", "" if each.passed else "DIFFERS")
            for kind, of_kind in checks.items()
            for each in of_kind
        ],
    )
    sys.exit(not all(check.passed for of_kind in checks.values() for check in of_kind))


if __name__ == "__main__":
    main()
