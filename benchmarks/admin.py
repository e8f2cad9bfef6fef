"""How long an operator waits for each page of the admin, and what “select all, mark completed” does to the API."""

import http.client
import re
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from benchmarks.listing import forget_peaks, memory
from benchmarks.rows import Rows, fill, fill_sqlite, spread, task_id
from testing.servers import HOST, Server, argument_parser, chosen, database, print_table, run, served

SIZES = {"postgresql": 1_000_000, "sqlite": 100_000}
ROUNDS = 9
CLIENTS = 4
LIST = "/admin/tasks/task/"
PASSWORD = "a-password-of-the-benchmarks"
TIME_FIGURES = """
import time
from tasks.statistics import collect_statistics
took = []
for _ in range(9):
    began = time.perf_counter()
    collect_statistics(30)
    took.append(time.perf_counter() - began)
print(sorted(took)[4] * 1000)
"""


def pages(size: int) -> dict[str, str]:
    return {
        "list": LIST,
        "filtered: completed": f"{LIST}?completed__exact=1",
        "filtered: created lately": f"{LIST}?created=month",
        "trash": f"{LIST}?where=trash",
        "one owner": f"{LIST}?q=user-17",
        "search by id": f"{LIST}?q={task_id(size // 2)}",
        "search, a rare word": f"{LIST}?q={quote(f'({size // 2})')}",
        "search, a common word": f"{LIST}?q=milk",
        "search, two words": f"{LIST}?q={quote(f'passport {size // 6 * 3}')}",
        "search, nothing found": f"{LIST}?q=nothing-of-the-kind",
        "page 1,000": f"{LIST}?p=1000",
        "page 2,000": f"{LIST}?p=2000",
        "front page, figures kept": "/admin/",
        "a task": f"{LIST}{task_id(size // 2)}/change/",
    }


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--size", type=int, help="tasks; by default a million on PostgreSQL, 100,000 on SQLite")
    options = parser.parse_args()
    for kind in chosen(options.database):
        size = options.size or SIZES[kind]
        with database(kind) as url:
            prepare(url, kind, size)
            with served(url) as server:
                operator = logged_in(server)
                show_pages(kind, size, url, server, operator)
                show_action(size, server, operator)


def prepare(url: str, kind: str, size: int) -> None:
    """Tasks of 1,000 users and an operator."""
    rows = Rows(size, shared=True)
    fill(url, "tasks_task", rows) if kind == "postgresql" else fill_sqlite(url.removeprefix("sqlite:///"), rows)
    spread(url, rows)
    account = {"USERNAME": "olga", "EMAIL": "olga@example.org", "PASSWORD": PASSWORD}
    account = {f"DJANGO_SUPERUSER_{name}": value for name, value in account.items()}
    run("manage.py", "createsuperuser", "--no-input", DATABASE_URL=url, **account)


def logged_in(server: Server) -> OpenerDirector:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    token = token_of(browser.open(f"{server.url}/admin/login/").read())
    values = {"csrfmiddlewaretoken": token, "username": "olga", "password": PASSWORD, "next": "/admin/"}
    browser.open(f"{server.url}/admin/login/", urlencode(values).encode()).read()
    return browser


def token_of(page: bytes) -> str:
    return re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())[0]


def show_pages(kind: str, size: int, url: str, server: Server, operator: OpenerDirector) -> None:
    print(f"## The admin's pages among {size:,} tasks, {kind}\n")
    rows = []
    for name, path in pages(size).items():
        times = sorted(seconds(operator, server.url + path) for _ in range(ROUNDS))
        rows.append((name, f"{1000 * statistics.median(times):.0f}", f"{1000 * times[-1]:.0f}"))
    figures = float(run("manage.py", "shell", "--verbosity=0", "--command", TIME_FIGURES, DATABASE_URL=url))
    rows.append(("the front page's figures, taken anew", f"{figures:.0f}", ""))
    print_table(("page", "median, ms", "longest"), rows)


def seconds(browser: OpenerDirector, url: str) -> float:
    began = time.perf_counter()
    browser.open(url).read()
    return time.perf_counter() - began


@dataclass
class Load:
    """Clients of the API, each of which reads and changes tasks of its own, one after the other."""

    server: Server
    size: int
    waits: list[float] = field(default_factory=list)
    failures: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=30)
        live = [n for n in Rows(self.size, shared=True).own if n > self.size // 100]
        own = live[number::CLIENTS]
        turn = 0
        while not self.over.is_set():
            path = f"/api/tasks/{task_id(own[turn % len(own)])}"
            self.ask(connection, "GET", path)
            self.ask(connection, "PATCH", path, f'{{"description": "Turn {turn}"}}')
            self.ask(connection, "GET", "/api/tasks?limit=20")
            turn += 1

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> None:
        began = time.perf_counter()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            response.read()
            self.failures += response.status != http.client.OK
        except (OSError, http.client.HTTPException):
            connection.close()
            self.failures += 1
        self.waits.append(time.perf_counter() - began)


@contextmanager
def load(server: Server, size: int) -> Iterator[Load]:
    load = Load(server, size)
    clients = [threading.Thread(target=load.client, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.over.set()
        for client in clients:
            client.join()


def show_action(size: int, server: Server, operator: OpenerDirector) -> None:
    print(f"## “Select all {size:,}, mark completed”, and {CLIENTS} clients of the API meanwhile\n")
    values = {
        "csrfmiddlewaretoken": token_of(operator.open(server.url + LIST).read()),
        "action": "complete",
        "select_across": "1",
        "_selected_action": task_id(1),
        "confirmed": "yes",
    }
    with load(server, size) as before:
        time.sleep(5)
    at_rest = memory(server, "VmRSS")
    forget_peaks(server)
    began = time.perf_counter()
    with load(server, size) as during:
        told = list(map(bytes.decode, operator.open(server.url + LIST, urlencode(values).encode())))
    took = time.perf_counter() - began
    grown = memory(server, "VmHWM") - at_rest
    lines = [re.sub("<[^>]*>", "", line).strip() for line in told if "<progress" in line]
    for line in (lines[0], lines[len(lines) // 2], lines[-1]):
        print(f"    {line}")
    print(f"\n{took:.0f} s, {len(lines) - 1:,} batches; the worker grew by {grown:.1f} MiB at its peak.\n")
    rows = [(name, *figures(each)) for name, each in (("at rest", before), ("while it runs", during))]
    print_table(("the API", "requests", "failed", "median, ms", "p99, ms", "longest, ms"), rows)


def figures(load: Load) -> tuple[str, ...]:
    waits = sorted(load.waits)
    chosen = statistics.median(waits), waits[int(len(waits) * 0.99)], waits[-1]
    return f"{len(waits):,}", f"{load.failures}", *(f"{1000 * wait:.1f}" for wait in chosen)


if __name__ == "__main__":
    main()
