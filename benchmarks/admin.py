"""Measure the pages of the admin, and the delay of the API by “select all, mark completed”."""

import re
import statistics
import time
from http.cookiejar import CookieJar
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from benchmarks.api_load import CLIENTS, HEADER, format_row, use_api
from benchmarks.command_line import argument_parser, print_table, selected_databases
from benchmarks.memory import current_memory, peak_memory, reset_peak
from benchmarks.rows import insert_shared_tasks, task_id
from testing.databases import new_database
from testing.python_processes import python_output
from testing.servers import Server, running_service

SIZES = {"postgresql": 1_000_000, "sqlite": 100_000}
ROUNDS = 9
SECONDS_AT_REST = 5
LIST = "/admin/tasks/task/"
PASSWORD = "a-password-of-the-benchmarks"
TIME_STATISTICS = """
import time
from tasks.statistics import collect_statistics
seconds = []
for _ in range(9):
    start = time.perf_counter()
    collect_statistics(30)
    seconds.append(time.perf_counter() - start)
print(sorted(seconds)[4] * 1000)
"""


def list_pages(size: int) -> dict[str, str]:
    """Return the path of each page."""
    return {
        "list": LIST,
        "filtered: completed": f"{LIST}?completed__exact=1",
        "filtered: created in the last month": f"{LIST}?created=month",
        "trash": f"{LIST}?where=trash",
        "one owner": f"{LIST}?q=user-17",
        "search by id": f"{LIST}?q={task_id(size // 2)}",
        "search, a rare word": f"{LIST}?q={quote(f'({size // 2})')}",
        "search, a common word": f"{LIST}?q=milk",
        "search, two words": f"{LIST}?q={quote(f'passport {size // 6 * 3}')}",
        "search, no result": f"{LIST}?q=nothing-of-the-kind",
        "page 1,000": f"{LIST}?p=1000",
        "page 2,000": f"{LIST}?p=2000",
        "front page, statistics cached": "/admin/",
        "a task": f"{LIST}{task_id(size // 2)}/change/",
    }


def main() -> None:
    """Measure on the chosen databases."""
    parser = argument_parser(__doc__)
    parser.add_argument("--size", type=int, help="tasks; by default a million on PostgreSQL, 100,000 on SQLite")
    options = parser.parse_args()
    for kind in selected_databases(options.database):
        size = options.size or SIZES[kind]
        with new_database(kind) as url:
            insert_shared_tasks(url, size)
            create_operator(url)
            with running_service(url) as server:
                operator = log_in(server)
                measure_pages(kind, size, url, server, operator)
                measure_bulk_action(size, server, operator)


def create_operator(url: str) -> None:
    """Create a superuser."""
    account = {"USERNAME": "olga", "EMAIL": "olga@example.org", "PASSWORD": PASSWORD}
    account = {f"DJANGO_SUPERUSER_{name}": value for name, value in account.items()}
    python_output("manage.py", "createsuperuser", "--no-input", DATABASE_URL=url, **account)


def log_in(server: Server) -> OpenerDirector:
    """Return a browser that is logged in."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    token = read_csrf_token(browser.open(f"{server.url}/admin/login/").read())
    values = {"csrfmiddlewaretoken": token, "username": "olga", "password": PASSWORD, "next": "/admin/"}
    browser.open(f"{server.url}/admin/login/", urlencode(values).encode()).read()
    return browser


def read_csrf_token(page: bytes) -> str:
    """Return the token of a page's form."""
    return re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())[0]


def measure_pages(kind: str, size: int, url: str, server: Server, operator: OpenerDirector) -> None:
    """Print the response times of the pages, and the time of statistics that are not cached."""
    print(f"## Pages of the admin among {size:,} tasks, {kind}\n")
    rows = []
    for name, path in list_pages(size).items():
        times = sorted(measure_page(operator, server.url + path) for _ in range(ROUNDS))
        rows.append((name, f"{1000 * statistics.median(times):.0f}", f"{1000 * times[-1]:.0f}"))
    printed = python_output("manage.py", "shell", "--verbosity=0", "--command", TIME_STATISTICS, DATABASE_URL=url)
    rows.append(("the statistics of the front page", f"{float(printed):.0f}", ""))
    print_table(("page", "median, ms", "longest"), rows)


def measure_page(browser: OpenerDirector, url: str) -> float:
    """Return the seconds until the last byte of a page."""
    start = time.perf_counter()
    browser.open(url).read()
    return time.perf_counter() - start


def measure_bulk_action(size: int, server: Server, operator: OpenerDirector) -> None:
    """Print the progress of a bulk action on all tasks, and the API's response times before and during it."""
    print(f"## “Select all {size:,}, mark completed”, with {CLIENTS} clients of the API\n")
    values = {
        "csrfmiddlewaretoken": read_csrf_token(operator.open(server.url + LIST).read()),
        "action": "complete",
        "select_across": "1",
        "_selected_action": task_id(1),
        "confirmed": "yes",
    }
    with use_api(server, size) as before:
        time.sleep(SECONDS_AT_REST)
    at_rest = current_memory(server)
    reset_peak(server)
    start = time.perf_counter()
    with use_api(server, size) as during:
        page = list(map(bytes.decode, operator.open(server.url + LIST, urlencode(values).encode())))
    seconds = time.perf_counter() - start
    growth = peak_memory(server) - at_rest
    progress = [re.sub("<[^>]*>", "", line).strip() for line in page if "<progress" in line]
    for line in (progress[0], progress[len(progress) // 2], progress[-1]):
        print(f"    {line}")
    print(f"\n{seconds:.0f} s, {len(progress) - 1:,} batches; the worker grew by {growth:.1f} MiB at its peak.\n")
    print_table(HEADER, [format_row("at rest", before.records), format_row("during the action", during.records)])


if __name__ == "__main__":
    main()
