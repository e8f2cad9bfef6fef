"""What is measured: the requests of each operation, and whether their answers are what they should be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import quote

from benchmarks.contenders import PAGE, Contender
from benchmarks.load import Load
from benchmarks.rows import FIELDS, Rows, add_spare, task_id
from testing.servers import HOST, Server

OPERATIONS = ("get", "create", "patch", "toggle", "delete", "page", "deep", "filtered", "search", "all")
WRITES = ("create", "patch", "toggle", "delete")
PAGES = ("page", "deep", "filtered", "search")
TITLES = {
    "get": "GET one task",
    "create": "POST",
    "patch": "PATCH",
    "toggle": "POST toggle",
    "delete": "DELETE",
    "page": f"page of {PAGE}",
    "deep": f"page of {PAGE}, deep",
    "filtered": f"page of {PAGE}, completed",
    "search": "search",
    "all": "all tasks",
}
DESCRIPTION = "Those on the balcony too, and the neighbours' while they are away"
MOST = 50_000
DELETES_A_SECOND = 25_000


@dataclass(frozen=True)
class Place:
    """A server that runs on a filled database."""

    contender: Contender
    server: Server
    url: str
    rows: Rows

    @property
    def sqlite(self) -> bool:
        return self.url.startswith("sqlite")


def load(place: Place, operation: str, seconds: float) -> Load:
    """The requests of one measurement."""
    numbers = place.rows.sample(MOST)
    match operation:
        case "get":
            return Load("GET", [(path(n), "") for n in numbers])
        case "create":
            return Load("POST", [("/api/tasks", body(f"Water the plants ({n})")) for n in numbers[:1000]])
        case "patch":
            return Load("PATCH", [(path(n), json.dumps({"title": f"Call the plumber ({n})"})) for n in numbers])
        case "toggle":
            return Load("POST", [(f"{path(n)}/toggle", "") for n in numbers])
        case "delete":
            spare = add_spare(place.url, place.contender.table, round(seconds * DELETES_A_SECOND))
            return Load("DELETE", [(path(n), "") for n in spare], once=True)
        case _:
            return Load("GET", [(each, "") for each in lists(place, operation)])


def lists(place: Place, operation: str) -> list[str]:
    match operation:
        case "deep":
            return place.contender.deep(place.server, place.rows)
        case "filtered":
            return [f"/api/tasks?limit={PAGE}&completed=true", f"/api/tasks?limit={PAGE}&completed=false"]
        case "search":
            return [f"/api/tasks?limit={PAGE}&q={quote(f'({n})')}" for n in place.rows.sample(1000)]
        case "page":
            return [f"/api/tasks?limit={PAGE}"]
        case _:
            return ["/api/tasks"]


def path(n: int) -> str:
    return f"/api/tasks/{task_id(n)}"


def body(title: str) -> str:
    return json.dumps({"title": title, "description": DESCRIPTION})


def check(place: Place, operation: str, requests: Sequence[tuple[str, str]]) -> None:
    """Ask once, and look at the answer.

    Raises:
        RuntimeError: it is not the tasks that were asked for, with their eight fields.
    """
    connection = HTTPConnection(HOST, place.server.port, timeout=60)
    connection.request("GET", requests[0][0])
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    tasks = answer if isinstance(answer, list) else answer.get("results", [answer])
    expected = {"get": 1, "search": 1, "all": len(place.rows.own)}.get(operation, PAGE)
    if response.status != 200 or len(tasks) != expected or any(set(task) != set(FIELDS) for task in tasks):
        raise RuntimeError(f"{place.contender.name} answered {operation} with {response.status}, {len(tasks)} tasks")
