"""Compare granian with gunicorn, numbers of threads per worker, and SQLite's ``synchronous`` settings.

The variants run on one database in alternating rounds, and the results are medians of the rounds. Server, database and
load share the machine: compare ratios, not rates.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.command_line import argument_parser, print_table, selected_databases
from benchmarks.contenders import OURS, Contender, gunicorn
from benchmarks.load import Load, send_load
from benchmarks.operations import task_body
from testing.api_clients import RecordingClient, create_task
from testing.databases import new_database
from testing.process_tree import cpu_seconds
from testing.servers import Server

THREAD_NUMBERS = (1, 2, 4, 8, 16)
CONNECTIONS = (32, 100)
PARTS = ("servers", "threads", "synchronous")

READ, CREATE, HEALTHZ = "GET one task", "POST", "GET /healthz"

#: The label of a load and its number of connections.
Key = tuple[str, int]


@dataclass(frozen=True)
class VariantResult:
    """The rate, the 99th percentile in ms, the server's CPU µs for one request, and the failed requests."""

    rate: float
    p99: float
    microseconds: float
    errors: int


VariantResults = dict[tuple[str, Key], list[VariantResult]]


def measure(
    url: str, variants: Sequence[Contender], keys: Sequence[Key], *, rounds: int, seconds: int
) -> VariantResults:
    """Measure every variant under every load; odd rounds go through the variants backwards."""
    results: VariantResults = defaultdict(list)
    for number in range(rounds):
        for variant in variants[:: -1 if number % 2 else 1]:
            with variant.serve(url) as server:
                loads = make_loads(server)
                send_load(server, loads[READ], max(CONNECTIONS), 1)
                for label, connections in keys:
                    result = measure_load(server, loads[label], connections, seconds)
                    results[variant.name, (label, connections)].append(result)
    return results


def make_loads(server: Server) -> dict[str, Load]:
    """Create a task, and return the loads by their labels."""
    with RecordingClient(server.port) as client:
        path = create_task(client)
    return {
        READ: Load("GET", [(path, "")]),
        CREATE: Load("POST", [("/api/tasks", task_body("Water the plants"))]),
        HEALTHZ: Load("GET", [("/healthz", "")]),
    }


def measure_load(server: Server, load: Load, connections: int, seconds: int) -> VariantResult:
    """Send a load, and measure the server's processor time, too."""
    before = cpu_seconds(server.pid)
    sample = send_load(server, load, connections, seconds)
    microseconds = 1e6 * (cpu_seconds(server.pid) - before) / max(1, sample.requests)
    return VariantResult(sample.rate, sample.p99, microseconds, sample.errors)


def print_results(kind: str, variants: Sequence[Contender], keys: Sequence[Key], results: VariantResults) -> None:
    """Print a row for every load and variant: medians, the ratio to the first variant, and all errors."""
    rows = []
    for label, connections in keys:
        first = results[variants[0].name, (label, connections)]
        for variant in variants:
            measured = results[variant.name, (label, connections)]
            rate = statistics.median(each.rate for each in measured)
            p99 = statistics.median(each.p99 for each in measured)
            microseconds = statistics.median(each.microseconds for each in measured)
            ratio = statistics.median(each.rate / other.rate for each, other in zip(measured, first, strict=True))
            numbers = f"{rate:,.0f}", f"{ratio:.2f}", f"{p99:.0f}", f"{microseconds:.0f}"
            rows.append((kind, label, connections, variant.name, *numbers, sum(each.errors for each in measured)))
    header = ("database", "request", "connections", "variant", "requests/s", "ratio", "p99 ms", "CPU µs", "errors")
    print_table(header, rows)


def list_parts(kind: str) -> dict[str, tuple[Sequence[Contender], Sequence[Key]]]:
    """Return the variants and loads of each part that a database has."""
    parts: dict[str, tuple[Sequence[Contender], Sequence[Key]]] = {
        "servers": (
            (
                replace(OURS, name="granian"),
                replace(OURS, name="gunicorn", command=gunicorn("todo_project.wsgi:application")),
            ),
            [(label, connections) for label in (READ, CREATE, HEALTHZ) for connections in CONNECTIONS],
        ),
        "threads": (
            [with_threads(number) for number in THREAD_NUMBERS],
            [(READ, max(CONNECTIONS)), (CREATE, max(CONNECTIONS))],
        ),
    }
    if kind == "sqlite":
        settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.full_sync_settings"}
        variants = replace(OURS, name="NORMAL"), replace(OURS, name="FULL", variables=settings)
        parts["synchronous"] = variants, [(CREATE, connections) for connections in (1, *CONNECTIONS)]
    return parts


def with_threads(number: int) -> Contender:
    """Return this project with a number of threads per worker, and a connection for each."""
    variables = {"THREADS": str(number), "DB_POOL_SIZE": str(max(number + 1, 8))}
    return replace(OURS, name=f"{number} thread{'s' * (number > 1)}", variables=variables)


def main() -> None:
    """Measure the chosen parts, and print a table for each part and database."""
    parser = argument_parser(__doc__)
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--seconds", type=int, default=5, help="for each load")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for part in PARTS if options.part == "all" else (options.part,):
        for kind in selected_databases(options.database):
            if part in list_parts(kind):
                variants, keys = list_parts(kind)[part]
                with new_database(kind) as url:
                    results = measure(url, variants, keys, rounds=options.rounds, seconds=options.seconds)
                print_results(kind, variants, keys, results)


if __name__ == "__main__":
    main()
