"""Every operation of the API, as a request that succeeds while nothing is wrong."""

from collections.abc import Callable

from resilience.clients import Client, Exchange

Operation = Callable[[Client], Exchange]


def new_task(client: Client, title: str = "Water the plants") -> str:
    """The path of a new task."""
    made = client.send("POST", "/api/tasks", {"title": title})
    assert made.status == 201, made
    return str(made.headers["location"])


def trashed_task(client: Client) -> str:
    """The path, among the live, of a task that is in the trash."""
    path = new_task(client)
    assert client.send("DELETE", path).status == 200
    return path


def in_trash(path: str) -> str:
    return path.replace("/api/tasks/", "/api/tasks/trash/")


def every_operation(client: Client) -> dict[str, Operation]:
    """By name, each on a task of its own."""
    task, deleted, trashed, removed = new_task(client), new_task(client), trashed_task(client), trashed_task(client)
    return {
        "list": lambda client: client.send("GET", "/api/tasks"),
        "page": lambda client: client.send("GET", "/api/tasks?limit=2&completed=false&q=water"),
        "create": lambda client: client.send("POST", "/api/tasks", {"title": "New"}),
        "retrieve": lambda client: client.send("GET", task),
        "patch": lambda client: client.send("PATCH", task, {"title": "Water the garden"}),
        "toggle": lambda client: client.send("POST", f"{task}/toggle"),
        "delete": lambda client: client.send("DELETE", deleted),
        "trash": lambda client: client.send("GET", "/api/tasks/trash"),
        "trashed": lambda client: client.send("GET", in_trash(trashed)),
        "restore": lambda client: client.send("POST", f"{trashed}/restore"),
        "remove": lambda client: client.send("DELETE", in_trash(removed)),
        "readyz": lambda client: client.send("GET", "/readyz"),
    }
