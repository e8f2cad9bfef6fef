"""Requests that the scenarios share, and the tasks that they need."""

from collections.abc import Callable, Sequence

from testing.api_clients import RecordingClient, RequestRecord, create_task
from testing.postgresql import PostgreSQL

Operation = Callable[[RecordingClient], RequestRecord]


def create_trashed_task(client: RecordingClient) -> str:
    """Create a task, move it to the trash, and return its path among live tasks."""
    path = create_task(client)
    assert client.send("DELETE", path).status == 200
    return path


def trash_path(path: str) -> str:
    """Return the path in the trash of a task."""
    return path.replace("/api/tasks/", "/api/tasks/trash/")


def create_and_change(client: RecordingClient, number: int) -> Sequence[RequestRecord]:
    """Create a task, and change it twice."""
    created = client.send("POST", "/api/tasks", {"title": f"By {number}"})
    if created.status != 201:
        return [created]
    path = created.headers["location"]
    patched = client.send("PATCH", path, {"title": f"By {number}, and changed"})
    return [created, patched, client.send("POST", f"{path}/toggle")]


def prepare_operations(client: RecordingClient) -> dict[str, Operation]:
    """Create the tasks for every operation of the API, and return the operations by name."""
    task, deleted = create_task(client), create_task(client)
    trashed, removed = create_trashed_task(client), create_trashed_task(client)
    return {
        "list": lambda client: client.send("GET", "/api/tasks"),
        "page": lambda client: client.send("GET", "/api/tasks?limit=2&completed=false&q=water"),
        "create": lambda client: client.send("POST", "/api/tasks", {"title": "New"}),
        "retrieve": lambda client: client.send("GET", task),
        "patch": lambda client: client.send("PATCH", task, {"title": "Water the garden"}),
        "toggle": lambda client: client.send("POST", f"{task}/toggle"),
        "delete": lambda client: client.send("DELETE", deleted),
        "trash": lambda client: client.send("GET", "/api/tasks/trash"),
        "trashed": lambda client: client.send("GET", trash_path(trashed)),
        "restore": lambda client: client.send("POST", f"{trashed}/restore"),
        "remove": lambda client: client.send("DELETE", trash_path(removed)),
        "readyz": lambda client: client.send("GET", "/readyz"),
    }


def insert_tasks(postgresql: PostgreSQL, database: str, number: int = 30_000) -> None:
    """Insert tasks with long descriptions for the user ``default``."""
    postgresql.execute(
        f"""
        INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version)
        SELECT (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, 'default', 'Task ' || n,
            repeat('x', 500), false, now(), now(), 1
        FROM generate_series(1, {number}) AS n
        """,
        database,
    )
