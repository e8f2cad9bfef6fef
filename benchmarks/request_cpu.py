"""Measure the processor time of one request in the application.

The benchmark calls the application in its own process, without a server and without waiting. So the time contains only
the project's code, Django, REST framework and the driver. ``--profile get`` prints the time of each function.
``--metrics`` measures without and with ``METRICS_PORT`` in turn, and prints the least time of each.
"""

import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Callable
from io import BytesIO
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from benchmarks.command_line import argument_parser, print_table, selected_databases
from testing.databases import database_copy, new_database
from testing.python_processes import python_output

REQUESTS = 2000
ROUNDS = 5
NEW_TASK = b'{"title": "Buy milk", "description": "Two litres, and something for the cat"}'

Environ = dict[str, Any]


def make_environ(
    method: str, path: str, body: bytes = b"", query: str = "", make_key: Callable[[], str] | None = None
) -> Environ:
    """Return the WSGI environment of a request, with the ``Idempotency-Key`` that ``make_key`` returns."""
    content = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"} if body else {}
    key = {"HTTP_IDEMPOTENCY_KEY": make_key()} if make_key else {}
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8000",
        "HTTP_ACCEPT": "*/*",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        **content,
        **key,
    }


def send(application: Callable[..., Any], environ: Environ) -> bytes:
    """Call the application, and return the body of its response."""
    statuses: list[str] = []
    body = b"".join(application(environ, lambda status, _: statuses.append(status)))
    if not statuses[0].startswith("2"):
        raise RuntimeError(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {statuses[0]} {body[:200]!r}")
    return body


def measure(application: Callable[..., Any], *request: Any) -> float:
    """Return the µs of one request: the minimum of the rounds, because other load can only add time."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(REQUESTS // ROUNDS):
            send(application, make_environ(*request))
        rounds.append((time.process_time() - start) / (REQUESTS // ROUNDS) * 1e6)
    return min(rounds)


def measure_operations(profiled: str | None) -> None:
    """Print a line for each operation, on the database of this process."""
    from todo_project.wsgi import application

    created = [json.loads(send(application, make_environ("POST", "/api/tasks", NEW_TASK))) for _ in range(100)]
    path = f"/api/tasks/{created[0]['id']}"
    operations = {
        "healthz": ("GET", "/healthz"),
        "get": ("GET", path),
        "page of 20": ("GET", "/api/tasks", b"", "limit=20"),
        "create": ("POST", "/api/tasks", NEW_TASK),
        "patch": ("PATCH", path, b'{"title": "Buy oat milk"}'),
        "toggle": ("POST", f"{path}/toggle"),
        "toggle, a new Idempotency-Key": ("POST", f"{path}/toggle", b"", "", lambda: str(uuid4())),
        "toggle, a known Idempotency-Key": ("POST", f"{path}/toggle", b"", "", lambda: "known"),
    }
    for name, request in operations.items():
        print(f"{name}\t{measure(application, *request):.0f}", flush=True)
    if profiled:
        with cProfile.Profile() as profiler:
            measure(application, *operations[profiled])
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)


def measure_in_process(url: str, *arguments: str, **variables: str) -> dict[str, int]:
    """Return the µs of each operation, measured in another process."""
    output = python_output("-m", "benchmarks.request_cpu", "--here", *arguments, DATABASE_URL=url, **variables)
    return {name: int(microseconds) for name, microseconds in (line.split("\t") for line in output.splitlines())}


def compare_metrics(url: str, rounds: int) -> dict[str, tuple[object, ...]]:
    """Return the least µs of each operation without and with metrics, and the difference."""
    off, on = [], []
    for _ in range(rounds):
        with TemporaryDirectory() as directory:
            metrics = {"METRICS_PORT": "1", "PROMETHEUS_MULTIPROC_DIR": directory}
            for measured, variables in ((off, {}), (on, metrics)):
                with database_copy(url) as copy:
                    measured.append(measure_in_process(copy, **variables))
    without, least = ({name: min(times[name] for times in each) for name in each[0]} for each in (off, on))
    return {name: (time, least[name], f"{least[name] / time - 1:+.1%}") for name, time in without.items()}


def main() -> None:
    """Measure in a process for each database, and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--profile", metavar="OPERATION")
    parser.add_argument("--metrics", type=int, metavar="ROUNDS")
    options = parser.parse_args()
    columns: dict[str, list[object]] = {}
    kinds = selected_databases(options.database)
    for kind in kinds:
        with new_database(kind) as url:
            if options.metrics:
                measured = compare_metrics(url, options.metrics)
            else:
                arguments = ("--profile", options.profile) if options.profile else ()
                measured = {name: (time,) for name, time in measure_in_process(url, *arguments).items()}
        for name, cells in measured.items():
            columns.setdefault(name, []).extend(cells)
    header = [[kind, f"{kind}, metrics", "difference"] if options.metrics else [kind] for kind in kinds]
    print_table(("CPU µs", *chain(*header)), [(name, *row) for name, row in columns.items()])


if __name__ == "__main__":
    if "--here" in sys.argv:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
        measure_operations(sys.argv[-1] if "--profile" in sys.argv else None)
    else:
        main()
