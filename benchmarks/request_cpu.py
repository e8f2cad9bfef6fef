"""Measure the processor time of one request in the application.

The benchmark calls the application in its own process, without a server and without waiting. So the time contains only
the project's code, Django, REST framework and the driver. ``--profile get`` prints the time of each function.
``--metrics`` measures a GET and a page with and without metrics in turn, in the same process.
"""

import cProfile
import json
import os
import pstats
import random
import sys
import time
from collections.abc import Callable
from io import BytesIO
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import override_settings

from benchmarks.command_line import argument_parser, print_table, selected_databases
from testing.databases import new_database
from testing.python_processes import python_output

REQUESTS = 2000
ROUNDS = 5

#: The requests without metrics, and as many with metrics.
METRICS_ROUNDS = 6000
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
    return min(measure_round(application, REQUESTS // ROUNDS, *request) for _ in range(ROUNDS))


def measure_round(application: Callable[..., Any], number: int, *request: Any) -> float:
    """Return the mean µs of ``number`` requests."""
    start = time.process_time()
    for _ in range(number):
        send(application, make_environ(*request))
    return (time.process_time() - start) / number * 1e6


def compare_metrics(application: Callable[..., Any], *request: Any) -> tuple[float, float]:
    """Return the µs of a request without and with metrics, from single requests in random order.

    So other load meets both alike. The first decile counts, because other load can only add time. A thread of the
    worker records the requests later, so that time is added.
    """
    from observability.metrics import noted, record_noted
    from todo_project import wsgi

    metered = wsgi.django_application
    with override_settings(MIDDLEWARE=settings.MIDDLEWARE[1:]):
        plain = get_wsgi_application()
    plain.request_class = metered.request_class
    times: dict[Any, list[float]] = {plain: [], metered: []}
    for _ in range(METRICS_ROUNDS):
        # In a fixed order, the garbage collector could meet the requests of one kind more often.
        for handler in random.sample([*times], 2):
            wsgi.django_application = handler
            times[handler].append(measure_round(application, 1, *request))
    without, with_metrics = (quantiles(rounds, n=10)[0] for rounds in times.values())
    noted.extend([(("GET", "measured", 200), 0.001)] * METRICS_ROUNDS)
    start = time.process_time()
    record_noted()
    return without, with_metrics + (time.process_time() - start) / METRICS_ROUNDS * 1e6


def measure_operations(profiled: str | None, *, metrics: bool) -> None:
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
    if metrics:
        for name in ("get", "page of 20"):
            without, with_metrics = compare_metrics(application, *operations[name])
            print(f"{name}\t{without:.1f}, {with_metrics:.1f}, {with_metrics / without - 1:+.1%}", flush=True)
        return
    for name, request in operations.items():
        print(f"{name}\t{measure(application, *request):.0f}", flush=True)
    if profiled:
        with cProfile.Profile() as profiler:
            measure(application, *operations[profiled])
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)


def main() -> None:
    """Measure in a process for each database, and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--profile", metavar="OPERATION")
    parser.add_argument("--metrics", action="store_true")
    options = parser.parse_args()
    columns: dict[str, list[str]] = {}
    kinds = selected_databases(options.database)
    for kind in kinds:
        with new_database(kind) as url, TemporaryDirectory() as directory:
            arguments = ("--profile", options.profile) if options.profile else ()
            variables = {"METRICS_PORT": "1", "PROMETHEUS_MULTIPROC_DIR": directory} if options.metrics else {}
            for line in python_output(
                "-m", "benchmarks.request_cpu", "--here", *arguments, DATABASE_URL=url, **variables
            ).splitlines():
                name, microseconds = line.split("\t")
                columns.setdefault(name, []).append(microseconds)
    print_table(("CPU µs", *kinds), [(name, *row) for name, row in columns.items()])


if __name__ == "__main__":
    if "--here" in sys.argv:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
        profiled = sys.argv[-1] if "--profile" in sys.argv else None
        measure_operations(profiled, metrics="METRICS_PORT" in os.environ)
    else:
        main()
