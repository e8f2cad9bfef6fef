"""``python -m benchmarks.concurrency``: is any write lost, doubled or refused when 100 clients write at once?

The clients talk to the running server with several workers, over connections that stay open. Nothing is retried and
everything is counted. Exits with 1 when anything differs from what the contract promises.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Barrier
from typing import Any, Self

from testing.servers import HOST, Server, argument_parser, chosen, database, print_table, served

TOGGLES = 2000
PAIRS = 500
CONDITIONAL = 1000
CREATES = 2000
BARRIER_SECONDS = 60
REQUEST_SECONDS = 60


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """``status`` is the exception's name when there was no answer."""

    status: int | str
    etag: str | None = None
    body: Any = None


@dataclass(frozen=True)
class Check:
    name: str
    expected: object
    seen: object
    seconds: float

    @property
    def held(self) -> bool:
        return self.expected == self.seen


class Clients:
    """Clients of one server, each with a thread and a connection that stays open."""

    def __init__(self, server: Server, number: int) -> None:
        self.connections = [HTTPConnection(HOST, server.port, timeout=REQUEST_SECONDS) for _ in range(number)]
        self.barrier = Barrier(number)
        self.threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.shutdown()
        for connection in self.connections:
            connection.close()

    def send(self, requests: Sequence[Request]) -> list[Answer]:
        """Deal the requests out to the clients, and release all at once; each sends its share one after another."""
        number = len(self.connections)
        shares = [requests[client::number] for client in range(number)]
        return [answer for share in self.threads.map(self._send_share, self.connections, shares) for answer in share]

    def send_one(self, request: Request) -> Answer:
        return exchange(self.connections[0], request)

    def _send_share(self, connection: HTTPConnection, share: Sequence[Request]) -> list[Answer]:
        if connection.sock is None:
            connection.connect()
        self.barrier.wait(BARRIER_SECONDS)
        return [exchange(connection, request) for request in share]


def exchange(connection: HTTPConnection, request: Request) -> Answer:
    content = None if request.body is None else json.dumps(request.body)
    headers = {"Content-Type": "application/json"} if content else {}
    try:
        connection.request(request.method, request.path, content, headers | request.headers)
        response = connection.getresponse()
        return Answer(response.status, response.getheader("ETag"), json.loads(response.read()))
    except (OSError, HTTPException, ValueError) as error:
        connection.close()
        return Answer(type(error).__name__)


def statuses(answers: Sequence[Answer]) -> str:
    """Such as ``200: 1, 412: 99``."""
    counts = Counter(str(answer.status) for answer in answers)
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def create(clients: Clients) -> str:
    """The path of a new task."""
    answer = clients.send_one(Request("POST", "/api/tasks", {"title": "Water the plants"}))
    if answer.status != 201:
        raise RuntimeError(f"A task could not be made: {answer}")
    return f"/api/tasks/{answer.body['id']}"


def bodies(answers: Sequence[Answer], status: int) -> list[dict[str, Any]]:
    return [answer.body for answer in answers if answer.status == status]


def toggles(clients: Clients) -> Iterator[Check]:
    """All toggle one task."""
    path = create(clients)
    start = time.perf_counter()
    answers = clients.send([Request("POST", f"{path}/toggle")] * TOGGLES)
    seconds = time.perf_counter() - start
    task = clients.send_one(Request("GET", path)).body
    written = bodies(answers, 200)
    balance = sum(1 if body["completed"] else -1 for body in written)
    yield Check(f"{TOGGLES} toggles of one task", f"200: {TOGGLES}", statuses(answers), seconds)
    yield Check("… its version", 1 + TOGGLES, task["version"], seconds)
    yield Check("… completed", TOGGLES % 2 == 1, task["completed"], seconds)
    yield Check("… answers true less answers false", TOGGLES % 2, abs(balance), seconds)
    yield Check("… different versions answered", TOGGLES, len({body["version"] for body in written}), seconds)
    yield Check("… different updated_at answered", TOGGLES, len({body["updated_at"] for body in written}), seconds)


def pairs(clients: Clients) -> Iterator[Check]:
    """Two clients patch one task at once, one its title and the other its description; many such pairs a round."""
    half = len(clients.connections) // 2
    paths = [create(clients) for _ in range(PAIRS)]
    answers: list[Answer] = []
    start = time.perf_counter()
    for first in range(0, PAIRS, half):
        at_once = paths[first : first + half]
        answers += clients.send(
            [Request("PATCH", path, {name: f"{name} of {path}"}) for path in at_once for name in FIELDS]
        )
    seconds = time.perf_counter() - start
    tasks = [clients.send_one(Request("GET", path)).body for path in paths]
    kept = [all(task[name] == f"{name} of {path}" for name in FIELDS) for path, task in zip(paths, tasks, strict=True)]
    yield Check(f"{PAIRS} pairs of PATCHes of two fields", f"200: {2 * PAIRS}", statuses(answers), seconds)
    yield Check("… pairs that both survived", PAIRS, sum(kept), seconds)
    yield Check("… versions reached", {3: PAIRS}, dict(Counter(task["version"] for task in tasks)), seconds)


FIELDS = ("title", "description")


def conditional(clients: Clients) -> Iterator[Check]:
    """All patch one task at the version that it has."""
    number = len(clients.connections)
    rounds = CONDITIONAL // number
    path = create(clients)
    outcomes: Counter[str] = Counter()
    told = won = 0
    start = time.perf_counter()
    for _ in range(rounds):
        tag = clients.send_one(Request("GET", path)).etag or ""
        answers = clients.send(
            [Request("PATCH", path, {"title": f"By client {n}"}, {"If-Match": tag}) for n in range(number)]
        )
        after = clients.send_one(Request("GET", path))
        outcomes[statuses(answers)] += 1
        told += sum(answer.status == 412 and answer.etag == after.etag for answer in answers)
        won += [after.body] == bodies(answers, 200)
    seconds = time.perf_counter() - start
    one = f"200: 1, 412: {number - 1}"
    yield Check(f"{rounds} rounds of {number} PATCHes, one If-Match", {one: rounds}, dict(outcomes), seconds)
    yield Check("… 412 with the ETag that is current", rounds * (number - 1), told, seconds)
    yield Check("… rounds whose task is as its 200 said", rounds, won, seconds)


def creates(clients: Clients) -> Iterator[Check]:
    """All create tasks."""
    before = len(clients.send_one(Request("GET", "/api/tasks")).body)
    requests = [Request("POST", "/api/tasks", {"title": f"Task {n}", "description": "New"}) for n in range(CREATES)]
    start = time.perf_counter()
    answers = clients.send(requests)
    seconds = time.perf_counter() - start
    listed = clients.send_one(Request("GET", "/api/tasks")).body
    ids = {body["id"] for body in bodies(answers, 201)}
    counts = Counter(task["id"] for task in listed)
    yield Check(f"{CREATES} creates", f"201: {CREATES}", statuses(answers), seconds)
    yield Check("… different ids", CREATES, len(ids), seconds)
    yield Check("… listed exactly once", CREATES, sum(counts[each] == 1 for each in ids), seconds)
    yield Check("… listed in all", before + CREATES, len(listed), seconds)


CHECKS: tuple[Callable[[Clients], Iterator[Check]], ...] = (toggles, pairs, conditional, creates)


def check(kind: str, number: int, workers: int) -> list[Check]:
    with (
        database(kind) as url,
        served(url, WORKERS=str(workers)) as server,
        Clients(server, number) as clients,
    ):
        return [result for checks in CHECKS for result in checks(clients)]


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--clients", type=int, default=100, help="an even number")
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    if options.clients < 2 or options.clients % 2 or options.clients > CONDITIONAL:
        parser.error(f"--clients must be an even number from 2 to {CONDITIONAL}")
    results = [
        (kind, result) for kind in chosen(options.database) for result in check(kind, options.clients, options.workers)
    ]
    print_table(
        ("database", "check", "expected", "seen", "seconds", ""),
        [
            (kind, check.name, check.expected, check.seen, f"{check.seconds:.1f}", "" if check.held else "DIFFERS")
            for kind, check in results
        ],
    )
    sys.exit(not all(result.held for _, result in results))


if __name__ == "__main__":
    main()
