"""Who is measured: this project and its peers, how each is prepared and served, and how each is asked for pages."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import psycopg

from benchmarks.rows import Rows, created_at
from testing.servers import HOST, ROOT, SERVE, Server, free_port, run, served

WORKERS = 2
THREADS = 4
POOL = 8
PAGE = 20
FASTIFY = ROOT / "benchmarks" / "peers" / "fastify"

Deep = Callable[[Server, Rows], list[str]]


@dataclass(frozen=True)
class Contender:
    """A service, the table that it keeps tasks in, and how its deep pages are found."""

    name: str
    table: str
    prepare: Callable[[str], object]
    command: Callable[[int], Sequence[str]]
    deep: Deep

    @contextmanager
    def serving(self, url: str) -> Iterator[Server]:
        port = free_port()
        variables = {"WORKERS": str(WORKERS), "THREADS": str(THREADS), "DB_POOL_SIZE": str(POOL)}
        with served(url, self.command(port), port, **variables) as server:
            yield server


def by_time(_: Server, rows: Rows) -> list[str]:
    """Pages that begin before a time in the older half of the list."""
    older = rows.own[PAGE : max(PAGE + 1, len(rows.own) // 2)]
    times = [created_at(n).isoformat().replace("+00:00", "Z") for n in older[:: max(1, len(older) // 1000)]]
    return [f"/api/tasks?{urlencode({'limit': PAGE, 'created_before': time})}" for time in times]


def by_following(next_page: Callable[[str | None, bytes], str | None]) -> Deep:
    """Pages that begin in the older half of the list, found by going there page by page."""

    def deep(server: Server, rows: Rows) -> list[str]:
        size = min(1000, max(1, len(rows.own) // 25))
        path: str | None = f"/api/tasks?limit={size}"
        found = []
        for number in range(len(rows.own) // size * 6 // 10):
            path = next_page(*_read(server, path or ""))
            if path is None:
                raise RuntimeError("The list ended before its end")
            if number >= len(rows.own) // size // 2:
                found.append(re.sub(r"\blimit=\d+", f"limit={PAGE}", path))
        return found

    return deep


def _read(server: Server, path: str) -> tuple[str | None, bytes]:
    connection = HTTPConnection(HOST, server.port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.headers["Link"], response.read()
    finally:
        connection.close()


def by_link(link: str | None, _: bytes) -> str | None:
    found = re.search(r'<([^>]+)>; rel="next"', link or "")
    return found[1] if found else None


def by_body(_: str | None, body: bytes) -> str | None:
    url = urlsplit(json.loads(body)["next"])
    return f"{url.path}?{url.query}"


def migrate(settings: str) -> Callable[[str], object]:
    variables = {"DJANGO_SETTINGS_MODULE": settings}
    return lambda url: run("-m", "django", "migrate", "--run-syncdb", "--verbosity=0", DATABASE_URL=url, **variables)


def prepare_fastify(url: str) -> None:
    if not (FASTIFY / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FASTIFY, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((FASTIFY / "schema.sql").read_text())


def python(*arguments: str) -> Callable[[int], Sequence[str]]:
    return lambda port: (sys.executable, "-m", *(argument.replace("PORT", str(port)) for argument in arguments))


OURS = Contender(
    "this project",
    "tasks_task",
    lambda url: run("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url),
    lambda port: SERVE,
    by_following(by_link),
)

FASTAPI = Contender(
    "fastapi_sqlmodel",
    "task",
    lambda url: run("-m", "benchmarks.peers.fastapi_sqlmodel.database", DATABASE_URL=url),
    python(
        *("uvicorn", "benchmarks.peers.fastapi_sqlmodel.main:app", f"--host={HOST}", "--port=PORT"),
        *(f"--workers={WORKERS}", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
    ),
    by_time,
)

NINJA = Contender(
    "django_ninja",
    "tasks_task",
    migrate("benchmarks.peers.django_ninja.settings"),
    python(
        *("granian", "--interface=wsgi", "--no-ws", f"--host={HOST}", "--port=PORT", f"--workers={WORKERS}"),
        *(f"--blocking-threads={THREADS}", "--log-level=warning", "benchmarks.peers.django_ninja.wsgi:application"),
    ),
    by_time,
)

DRF = Contender(
    "drf_plain",
    "drf_plain_task",
    migrate("benchmarks.peers.drf_plain.settings"),
    python(
        *("gunicorn", "--worker-class=gthread", f"--workers={WORKERS}", f"--threads={THREADS}"),
        *(f"--bind={HOST}:PORT", "--log-level=warning", "--no-control-socket"),
        "benchmarks.peers.drf_plain.wsgi:application",
    ),
    by_following(by_body),
)

NODE = Contender("fastify", "task", prepare_fastify, lambda port: ("node", str(FASTIFY / "server.js")), by_time)

PEERS = {peer.name: peer for peer in (FASTAPI, NINJA, DRF, NODE)}


def present(names: Sequence[str]) -> list[Contender]:
    """Those of the peers that can run here; the others are told of."""
    missing = shutil.which("node") is None or shutil.which("npm") is None
    if missing and NODE.name in names:
        print("fastify is left out: node and npm are not installed", file=sys.stderr)
    return [PEERS[name] for name in names if not (missing and name == NODE.name)]
