"""The operations that are measured: the requests of each, and a check of their responses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.contenders import PAGE_SIZE, Contender
from benchmarks.load import Load
from benchmarks.rows import FIELDS, PLANNING, Rows, insert_spare, is_sqlite, plan, row_number, task_id
from testing.api_clients import RecordingClient
from testing.servers import Server

OPERATIONS = ("get", "create", "patch", "toggle", "delete", "page", "deep", "filtered", "search", "all")
WRITES = ("create", "patch", "toggle", "delete")
LABELS = {
    "get": "GET one task",
    "create": "POST",
    "patch": "PATCH",
    "toggle": "POST toggle",
    "delete": "DELETE",
    "page": f"page of {PAGE_SIZE}",
    "deep": f"page of {PAGE_SIZE}, deep",
    "filtered": f"page of {PAGE_SIZE}, completed",
    "search": "search",
    "all": "all tasks",
}

#: Pages by the filters and orderings that only this project has, and their queries.
PLANNING_PAGES = {
    "due-after": "due_after=2026-06-01",
    "due-none": "due=none",
    "priority-high": "priority=high",
    "label": "label=errands",
    "completed-after": "completed_after=2020-01-01T00:05:00Z",
    "by-due": "ordering=due",
    "by-due-descending": "ordering=-due",
    "by-priority": "ordering=priority",
    "by-priority-descending": "ordering=-priority",
}
LABELS |= {name: f"page of {PAGE_SIZE}, {query}" for name, query in PLANNING_PAGES.items()}

#: Pages of changes, and the number of changes in each. Only this project has them.
CHANGES_PAGES = {"no-news": 0, "changes": 100}
LABELS |= {"no-news": "changes, no news", "changes": "page of 100 changes, deep"}
OWN_OPERATIONS = (*PLANNING_PAGES, *CHANGES_PAGES)
NEW_DESCRIPTION = "Those on the balcony too, and the neighbours' while they are away"
MAX_REQUESTS = 50_000

#: More tasks than any contender deletes per second.
SPARE_PER_SECOND = 25_000


@dataclass(frozen=True)
class Target:
    """A running contender and its filled database."""

    contender: Contender
    server: Server
    url: str
    rows: Rows

    @property
    def on_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return is_sqlite(self.url)


def make_load(target: Target, operation: str, seconds: float) -> Load:
    """Return the requests of one measurement."""
    numbers = target.rows.sample(MAX_REQUESTS)
    match operation:
        case "get":
            return Load("GET", [(task_path(n), "") for n in numbers])
        case "create":
            return Load("POST", [("/api/tasks", task_body(f"Water the plants ({n})", plan(n))) for n in numbers[:1000]])
        case "patch":
            return Load("PATCH", [(task_path(n), json.dumps({"title": f"Call the plumber ({n})"})) for n in numbers])
        case "toggle":
            return Load("POST", [(f"{task_path(n)}/toggle", "") for n in numbers])
        case "delete":
            spare = insert_spare(target.url, target.contender.table, round(seconds * SPARE_PER_SECOND))
            return Load("DELETE", [(task_path(n), "") for n in spare], once=True)
        case _:
            return Load("GET", [(path, "") for path in list_paths(target, operation)])


def list_paths(target: Target, operation: str) -> list[str]:
    """Return the paths of lists and pages."""
    match operation:
        case "deep":
            return target.contender.list_deep_pages(target.server, target.rows)
        case "filtered":
            return [f"/api/tasks?limit={PAGE_SIZE}&completed=true", f"/api/tasks?limit={PAGE_SIZE}&completed=false"]
        case "search":
            return [f"/api/tasks?limit={PAGE_SIZE}&q={quote(f'({n})')}" for n in target.rows.sample(1000)]
        case "page":
            return [f"/api/tasks?limit={PAGE_SIZE}"]
        case name if name in PLANNING_PAGES:
            return [f"/api/tasks?limit={PAGE_SIZE}&{PLANNING_PAGES[name]}"]
        case name if name in CHANGES_PAGES:
            return [changes_path(target, CHANGES_PAGES[name])]
        case _:
            return ["/api/tasks"]


def changes_path(target: Target, number: int) -> str:
    """Return the path of a page with this number of changes: after the last change, or after half of them."""
    passed, more, since = 0, True, ""
    limit = min(1000, len(target.rows.own) // 4) if number else 1000
    with RecordingClient(target.server.port, timeout=60) as client:
        while more and (number == 0 or passed < len(target.rows.own) // 2):
            page = client.send("GET", f"/api/tasks/changes?limit={limit}{since}").body
            passed, more, since = passed + len(page["changes"]), page["more"], f"&since={page['state']}"
    return f"/api/tasks/changes?limit=100{since}"


def task_path(n: int) -> str:
    """Return the path of a row."""
    return f"/api/tasks/{task_id(n)}"


def task_body(title: str, planned: Mapping[str, object] | None = None) -> str:
    """Return the JSON of a new task, with the planned fields that have a value."""
    sent = {name: value for name, value in (planned or {}).items() if value}
    return json.dumps({"title": title, "description": NEW_DESCRIPTION, **sent})


def check_response(target: Target, operation: str, requests: Sequence[tuple[str, str]]) -> None:
    """Send the first request, and check the tasks' number, fields, and values that no load changes."""
    with RecordingClient(target.server.port, timeout=60) as client:
        record = client.send("GET", requests[0][0])
    tasks = record.body
    if operation in CHANGES_PAGES:
        tasks = [change["task"] for change in tasks["changes"]]
    elif isinstance(tasks, dict):
        tasks = tasks.get("results", [tasks])
    expected = {"get": 1, "search": 1, "all": len(target.rows.own), **CHANGES_PAGES}.get(operation, PAGE_SIZE)
    if record.status != 200 or len(tasks) != expected or not all(map(is_complete, tasks)):
        raise RuntimeError(f"{target.contender.name} gave a wrong response to {operation}: {str(record)[:500]}")


def is_complete(task: Mapping[str, object]) -> bool:
    """Return whether a task of ``insert`` has all fields, its plan, and ``completed_at`` if completed."""
    if set(task) != set(FIELDS) or task["completed"] == (task["completed_at"] is None):
        return False
    return {name: task[name] for name in PLANNING} == plan(row_number(str(task["id"])))
