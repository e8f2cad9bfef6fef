"""This project and its peers: how to prepare and serve each, and their pages deep in the list."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psycopg

from benchmarks.rows import TABLE, Rows, created_at
from testing.api_clients import RecordingClient, RequestRecord
from testing.ports import HOST, free_port
from testing.python_processes import ROOT, python_output
from testing.servers import SERVE_COMMAND, Server, running_service

WORKERS = 2
THREADS = 4
POOL_SIZE = 8
PAGE_SIZE = 20
FASTIFY_DIRECTORY = ROOT / "benchmarks" / "peers" / "fastify"

ListPages = Callable[[Server, Rows], list[str]]
Command = Callable[[int], Sequence[str]]


@dataclass(frozen=True)
class Contender:
    """A service that is measured.

    Attributes:
        table: where it stores its tasks.
        prepare: creates the table in the database at a URL.
        command: starts the service on a port.
        list_deep_pages: returns the paths of pages in the older half of the list.
    """

    name: str
    table: str
    prepare: Callable[[str], object]
    command: Command
    list_deep_pages: ListPages
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @contextmanager
    def serve(self, url: str) -> Iterator[Server]:
        """Run the service on the database at ``url``."""
        port = free_port()
        variables = {"WORKERS": str(WORKERS), "THREADS": str(THREADS), "DB_POOL_SIZE": str(POOL_SIZE)}
        with running_service(url, self.command(port), port, **{**variables, **self.variables}) as server:
            yield server


def deep_pages_by_time(_: Server, rows: Rows) -> list[str]:
    """Return pages that begin before a time."""
    older = rows.own[PAGE_SIZE : max(PAGE_SIZE + 1, len(rows.own) // 2)]
    times = [created_at(n).isoformat().replace("+00:00", "Z") for n in older[:: max(1, len(older) // 1000)]]
    return [f"/api/tasks?{urlencode({'limit': PAGE_SIZE, 'created_before': time})}" for time in times]


def deep_pages_by_links(next_page: Callable[[RequestRecord], str | None]) -> ListPages:
    """Make a function that follows the links from page to page."""

    def list_deep_pages(server: Server, rows: Rows) -> list[str]:
        size = min(1000, max(1, len(rows.own) // 25))
        path: str | None = f"/api/tasks?limit={size}"
        found = []
        with RecordingClient(server.port, timeout=60) as client:
            for number in range(len(rows.own) // size * 6 // 10):
                path = next_page(client.send("GET", path or ""))
                if path is None:
                    raise RuntimeError("The list ended too early")
                if number >= len(rows.own) // size // 2:
                    found.append(re.sub(r"\blimit=\d+", f"limit={PAGE_SIZE}", path))
        return found

    return list_deep_pages


def next_in_header(page: RequestRecord) -> str | None:
    """Return the path in the ``Link`` header."""
    found = re.search(r'<([^>]+)>; rel="next"', page.headers.get("link", ""))
    return found[1] if found else None


def next_in_body(page: RequestRecord) -> str | None:
    """Return the path in the member ``next``."""
    url = urlsplit(page.body["next"])
    return f"{url.path}?{url.query}"


def migrate(settings: str) -> Callable[[str], object]:
    """Make a function that runs Django's migrations with a peer's settings."""
    variables = {"DJANGO_SETTINGS_MODULE": settings}
    return lambda url: python_output(
        "-m", "django", "migrate", "--run-syncdb", "--verbosity=0", DATABASE_URL=url, **variables
    )


def prepare_fastify(url: str) -> None:
    """Install Fastify's packages once, and create its table."""
    if not (FASTIFY_DIRECTORY / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FASTIFY_DIRECTORY, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((FASTIFY_DIRECTORY / "schema.sql").read_text())


def python(*arguments: str) -> Command:
    """Make the command of a Python module; ``PORT`` in the arguments stands for the port."""
    return lambda port: (sys.executable, "-m", *(argument.replace("PORT", str(port)) for argument in arguments))


def gunicorn(application: str) -> Command:
    """Make the command that serves an application with gunicorn."""
    return python(
        *("gunicorn", "--worker-class=gthread", f"--workers={WORKERS}", f"--threads={THREADS}"),
        *(f"--bind={HOST}:PORT", "--log-level=warning", "--no-control-socket", application),
    )


OURS = Contender(
    "this project",
    TABLE,
    lambda url: python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url),
    lambda port: SERVE_COMMAND,
    deep_pages_by_links(next_in_header),
)


def earlier_version(directory: str) -> Contender:
    """Return this project at another commit, checked out in ``directory``, with the same fields."""
    manage = str(Path(directory).resolve() / "manage.py")
    return replace(
        OURS,
        name=f"before ({Path(directory).name})",
        prepare=lambda url: python_output(manage, "migrate", "--verbosity=0", DATABASE_URL=url),
        command=lambda port: (sys.executable, manage, "serve"),
    )


FASTAPI = Contender(
    "fastapi_sqlmodel",
    "task",
    lambda url: python_output("-m", "benchmarks.peers.fastapi_sqlmodel.database", DATABASE_URL=url),
    python(
        *("uvicorn", "benchmarks.peers.fastapi_sqlmodel.main:app", f"--host={HOST}", "--port=PORT"),
        *(f"--workers={WORKERS}", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
    ),
    deep_pages_by_time,
)

NINJA = Contender(
    "django_ninja",
    TABLE,
    migrate("benchmarks.peers.django_ninja.settings"),
    python(
        *("granian", "--interface=wsgi", "--no-ws", f"--host={HOST}", "--port=PORT", f"--workers={WORKERS}"),
        *(f"--blocking-threads={THREADS}", "--log-level=warning", "benchmarks.peers.django_ninja.wsgi:application"),
    ),
    deep_pages_by_time,
)

LITESTAR = Contender(
    "litestar",
    "task",
    lambda url: python_output("-m", "benchmarks.peers.litestar.models", DATABASE_URL=url),
    python(
        *("uvicorn", "benchmarks.peers.litestar.main:app", f"--host={HOST}", "--port=PORT"),
        *(f"--workers={WORKERS}", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
    ),
    deep_pages_by_time,
)

BOLT = Contender(
    "django_bolt",
    TABLE,
    migrate("benchmarks.peers.django_bolt.settings"),
    python(
        *("django", "runbolt", "--settings=benchmarks.peers.django_bolt.settings", f"--host={HOST}", "--port=PORT"),
        *(f"--processes={WORKERS}", "--no-admin"),
    ),
    deep_pages_by_time,
)

DRF = Contender(
    "drf_plain",
    "drf_plain_task",
    migrate("benchmarks.peers.drf_plain.settings"),
    gunicorn("benchmarks.peers.drf_plain.wsgi:application"),
    deep_pages_by_links(next_in_body),
)

FASTIFY = Contender(
    "fastify",
    "task",
    prepare_fastify,
    lambda port: ("node", str(FASTIFY_DIRECTORY / "server.js")),
    deep_pages_by_time,
)

PEERS = {peer.name: peer for peer in (FASTAPI, LITESTAR, NINJA, BOLT, DRF, FASTIFY)}


def available_peers(names: Sequence[str]) -> list[Contender]:
    """Return the peers with these names; print a line for each that is skipped."""
    missing = {}
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing[FASTIFY.name] = "node and npm are not installed"
    if sys.version_info < (3, 12):
        missing[BOLT.name] = "it needs Python 3.12"
    for name in names:
        if name in missing:
            print(f"{name} is skipped, because {missing[name]}", file=sys.stderr)
    return [PEERS[name] for name in names if name not in missing]
