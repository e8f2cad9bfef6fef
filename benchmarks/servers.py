"""``python -m benchmarks.servers``: granian and gunicorn side by side, threads per worker, and SQLite's synchronous.

Needs ``wrk``. What is compared runs on one database in alternating rounds; the figures are medians of the rounds.
Server, database and load share the machine, so that the ratios hold and the figures do not.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from testing.servers import (
    HOST,
    SERVE,
    Server,
    argument_parser,
    chosen,
    database,
    free_port,
    print_table,
    processor_ticks,
    served,
)

WORKERS = 2
THREADS = 4
THREAD_NUMBERS = (1, 2, 4, 8, 16)
CONNECTIONS = (32, 100)
MOST = max(CONNECTIONS)
PARTS = ("servers", "threads", "synchronous")

READ, CREATE, HELLO = "GET one task", "POST", "GET /healthz"
CREATE_SCRIPT = """
wrk.method = "POST"
wrk.body = '{"title": "Water the plants", "description": "Those on the balcony too, and the neighbours\\' while away"}'
wrk.headers["Content-Type"] = "application/json"
"""

MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Contender:
    """One way to run the project."""

    name: str
    gunicorn: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @contextmanager
    def serving(self, url: str) -> Iterator[Server]:
        port = free_port()
        variables = {"WORKERS": str(WORKERS), "THREADS": str(THREADS), **self.variables}
        with served(url, gunicorn(port) if self.gunicorn else SERVE, port, **variables) as server:
            yield server


@dataclass(frozen=True)
class Load:
    request: str
    connections: int


@dataclass(frozen=True)
class Sample:
    """Requests a second, 99th percentile in ms, the workers' processor time for a request in µs, and what failed."""

    rate: float
    slowest: float
    processor: float
    errors: int


Results = dict[tuple[Contender, Load], list[Sample]]


def gunicorn(port: int) -> Sequence[str]:
    return (
        sys.executable,
        "-m",
        "gunicorn",
        "--worker-class=gthread",
        f"--workers={WORKERS}",
        f"--threads={THREADS}",
        f"--bind={HOST}:{port}",
        "--log-level=warning",
        "--no-control-socket",
        "todo_project.wsgi:application",
    )


def wrk(server: Server, load: Load, path: str, script: Path, seconds: int) -> Sample:
    threads = min(2, load.connections)
    arguments = ["wrk", "--latency", f"-t{threads}", f"-c{load.connections}", f"-d{seconds}s", "--timeout=10s"]
    if load.request == CREATE:
        arguments.append(f"--script={script}")
    before = processor_seconds(server)
    printed = subprocess.run(
        [*arguments, server.url + path], check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 60
    ).stdout
    return sample(printed, processor_seconds(server) - before)


def sample(printed: str, processor: float) -> Sample:
    """Read what wrk printed."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", printed)
    requests = re.search(r"(\d+) requests in", printed)
    if not rate or not slowest or not requests:
        raise RuntimeError(f"wrk printed what is not understood:\n{printed}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    return Sample(
        float(rate[1]),
        float(slowest[1]) * MILLISECONDS[slowest[2]],
        processor * 1e6 / max(1, int(requests[1])),
        sum(int(number) for match in (refused, broken) if match for number in match.groups()),
    )


def processor_seconds(server: Server) -> float:
    return sum(map(processor_ticks, server.workers())) / os.sysconf("SC_CLK_TCK")


def measure(
    url: str, contenders: Sequence[Contender], loads: Sequence[Load], *, rounds: int, seconds: int, script: Path
) -> Results:
    """Every contender under every load, in rounds that go forth and back."""
    results: Results = defaultdict(list)
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            with contender.serving(url) as server:
                paths = {READ: new_task(server), CREATE: "/api/tasks", HELLO: "/healthz"}
                wrk(server, Load(READ, MOST), paths[READ], script, 1)
                for load in loads:
                    results[contender, load].append(wrk(server, load, paths[load.request], script, seconds))
    return results


def new_task(server: Server) -> str:
    """The path of a task that was made for it."""
    connection = HTTPConnection(HOST, server.port, timeout=10)
    try:
        connection.request("POST", "/api/tasks", '{"title": "Water the plants"}', {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 201:
            raise RuntimeError(f"A task could not be made: {response.status}")
        return response.headers["Location"]
    finally:
        connection.close()


def medians(samples: Sequence[Sample]) -> Sample:
    return Sample(
        statistics.median(each.rate for each in samples),
        statistics.median(each.slowest for each in samples),
        statistics.median(each.processor for each in samples),
        sum(each.errors for each in samples),
    )


def show(kind: str, contenders: Sequence[Contender], loads: Sequence[Load], results: Results) -> None:
    """A row for every load and contender: medians, the median of each round's ratio to the first, and all errors."""
    rows = []
    for load in loads:
        first = results[contenders[0], load]
        for contender in contenders:
            samples = results[contender, load]
            own = medians(samples)
            ratio = statistics.median(each.rate / other.rate for each, other in zip(samples, first, strict=True))
            rows.append(
                (
                    kind,
                    load.request,
                    load.connections,
                    contender.name,
                    f"{own.rate:,.0f}",
                    f"{ratio:.2f}",
                    f"{own.slowest:.0f}",
                    f"{own.processor:.0f}",
                    own.errors,
                )
            )
    print_table(
        ("database", "request", "connections", "what", "requests/s", "ratio", "p99 ms", "CPU µs", "errors"), rows
    )


def parts(kind: str) -> dict[str, tuple[Sequence[Contender], Sequence[Load]]]:
    """What is compared under which loads."""
    compared: dict[str, tuple[Sequence[Contender], Sequence[Load]]] = {
        "servers": (
            (Contender("granian"), Contender("gunicorn", gunicorn=True)),
            [Load(request, connections) for request in (READ, CREATE, HELLO) for connections in CONNECTIONS],
        ),
        "threads": (
            [threads(number) for number in THREAD_NUMBERS],
            [Load(READ, MOST), Load(CREATE, MOST)],
        ),
    }
    if kind == "sqlite":
        full = Contender("FULL", variables={"DJANGO_SETTINGS_MODULE": "benchmarks.full_sync_settings"})
        compared["synchronous"] = (Contender("NORMAL"), full), [Load(CREATE, number) for number in (1, *CONNECTIONS)]
    return compared


def threads(number: int) -> Contender:
    """A connection for each thread, so that none waits for one."""
    return Contender(
        f"{number} thread{'s' * (number > 1)}", variables={"THREADS": str(number), "DB_POOL_SIZE": str(max(number, 8))}
    )


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is needed: https://github.com/wg/wrk")
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        script = Path(directory, "create.lua")
        script.write_text(CREATE_SCRIPT)
        for part in PARTS if options.part == "all" else (options.part,):
            for kind in chosen(options.database):
                if part not in parts(kind):
                    continue
                contenders, loads = parts(kind)[part]
                with database(kind) as url:
                    results = measure(
                        url, contenders, loads, rounds=options.rounds, seconds=options.seconds, script=script
                    )
                show(kind, contenders, loads, results)


if __name__ == "__main__":
    main()
