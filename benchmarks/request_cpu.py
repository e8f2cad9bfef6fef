"""``python -m benchmarks.request_cpu``: the processor time that one request costs the application.

Calls the WSGI application in this process, without a server and without waiting, so that the figure is the project's
own code, Django, REST framework and the driver. ``--profile get`` shows where it goes.
"""

import cProfile
import os
import pstats
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import uuid4

from testing.servers import argument_parser, chosen, database, print_table, run

REQUESTS = 2000
ROUNDS = 5
NEW = b'{"title": "Buy milk", "description": "Two litres, and something for the cat"}'


def environ(
    method: str, path: str, body: bytes = b"", query: str = "", key: Callable[[], str] | None = None
) -> dict[str, Any]:
    length = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"} if body else {}
    keyed = {"HTTP_IDEMPOTENCY_KEY": key()} if key else {}
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
        **length,
        **keyed,
    }


def send(application: Callable[..., Any], request: dict[str, Any]) -> bytes:
    statuses: list[str] = []
    body = b"".join(application(request, lambda status, _: statuses.append(status)))
    if not statuses[0].startswith("2"):
        raise RuntimeError(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}: {statuses[0]} {body[:200]!r}")
    return body


def microseconds(application: Callable[..., Any], *request: Any) -> float:
    """The least of a few rounds: what else the machine does can only add to it."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(REQUESTS // ROUNDS):
            send(application, environ(*request))
        rounds.append((time.process_time() - start) / (REQUESTS // ROUNDS) * 1e6)
    return min(rounds)


def measure(profile: str | None) -> None:
    """Print a line an operation; for a process whose environment has a database of its own."""
    import json

    from todo_project.wsgi import application

    created = [json.loads(send(application, environ("POST", "/api/tasks", NEW))) for _ in range(100)]
    path = f"/api/tasks/{created[0]['id']}"
    operations = {
        "healthz": ("GET", "/healthz"),
        "get": ("GET", path),
        "page of 20": ("GET", "/api/tasks", b"", "limit=20"),
        "create": ("POST", "/api/tasks", NEW),
        "patch": ("PATCH", path, b'{"title": "Buy oat milk"}'),
        "toggle": ("POST", f"{path}/toggle"),
        "toggle, a new Idempotency-Key": ("POST", f"{path}/toggle", b"", "", lambda: str(uuid4())),
        "toggle, a known Idempotency-Key": ("POST", f"{path}/toggle", b"", "", lambda: "known"),
    }
    for name, request in operations.items():
        print(f"{name}\t{microseconds(application, *request):.0f}", flush=True)
    if profile:
        with cProfile.Profile() as profiler:
            microseconds(application, *operations[profile])
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--profile", metavar="OPERATION")
    options = parser.parse_args()
    figures: dict[str, list[str]] = {}
    kinds = chosen(options.database)
    for kind in kinds:
        with database(kind) as url:
            arguments = ("--profile", options.profile) if options.profile else ()
            for line in run("-m", "benchmarks.request_cpu", "--here", *arguments, DATABASE_URL=url).splitlines():
                name, figure = line.split("\t")
                figures.setdefault(name, []).append(figure)
    print_table(("µs of CPU", *kinds), [(name, *row) for name, row in figures.items()])


if __name__ == "__main__":
    if "--here" in sys.argv:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
        measure(sys.argv[-1] if "--profile" in sys.argv else None)
    else:
        main()
