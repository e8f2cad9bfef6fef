"""A session with the client of openapi-python-client: ``session.py URL TOKEN``. Print each step."""

import json
import sys
from typing import Any
from uuid import UUID

from todo_client import AuthenticatedClient
from todo_client.api.tasks import (
    bulk_tasks,
    count_tasks,
    create_task,
    delete_task,
    list_changes,
    list_tasks,
    put_task,
    toggle_task,
    update_task,
)
from todo_client.models import (
    ChangePage,
    CountTasksPriority,
    CreateOperation,
    LabelPatch,
    Labels,
    ListTasksOrdering,
    Priority,
    Problem,
    Task,
    TaskCount,
    TaskPatch,
    TaskRequest,
    ToggleOperation,
    UpdateOperation,
)
from todo_client.types import Response

url, token = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token)
steps: list[list[Any]] = []


def record(step: str, answer: Response[Any], *tasks: Task) -> None:
    rows = [
        [task.title, task.completed, task.priority and task.priority.value, list(task.labels.to_dict()), task.version]
        for task in tasks
    ]
    steps.append([step, answer.status_code.value, rows])


beginning = list_changes.sync(client=client)
assert isinstance(beginning, ChangePage)

labels = Labels.from_dict({"home": True})
body = TaskRequest(title="Buy milk", due="2026-12-24", priority=Priority.HIGH, labels=labels)
created = create_task.sync_detailed(client=client, body=body)
assert isinstance(created.parsed, Task)
key = created.parsed.id
record("create", created, created.parsed)

chosen_id = UUID("01890000-0000-7000-8000-000000000001")
put = put_task.sync_detailed(chosen_id, client=client, body=TaskRequest(title="Call the plumber"))
assert isinstance(put.parsed, Task)
record("put", put, put.parsed)

listed = list_tasks.sync_detailed(client=client, ordering=ListTasksOrdering.TITLE_DESCENDING, completed=False, limit=10)
assert isinstance(listed.parsed, list)
record("list", listed, *listed.parsed)

count = count_tasks.sync_detailed(client=client, priority=CountTasksPriority.NONE)
assert isinstance(count.parsed, TaskCount)
steps.append(["count", count.status_code.value, count.parsed.count])

etag = created.headers["ETag"]
patch = TaskPatch.from_dict(created.parsed.to_dict())
patch.priority = None
patch.labels = LabelPatch.from_dict({"home": None, "shop": True})
changed = update_task.sync_detailed(key, client=client, body=patch, if_match=etag)
assert isinstance(changed.parsed, Task)
record("patch", changed, changed.parsed)

stale = update_task.sync_detailed(key, client=client, body=TaskPatch(title="Buy tea"), if_match=etag)
assert isinstance(stale.parsed, Problem)
steps.append(["stale patch", stale.status_code.value, stale.parsed.code.value])

refused = create_task.sync_detailed(client=client, body=TaskRequest(title=""))
assert isinstance(refused.parsed, Problem)
steps.append(
    ["refused", refused.status_code.value, [[fault.pointer, fault.code] for fault in refused.parsed.errors or []]]
)

toggled = toggle_task.sync_detailed(key, client=client)
assert isinstance(toggled.parsed, Task)
record("toggle", toggled, toggled.parsed)

bulk = bulk_tasks.sync_detailed(
    client=client,
    body=[
        CreateOperation(op="create", task=TaskRequest(title="Water the plants")),
        UpdateOperation(op="update", id=chosen_id, task=TaskPatch(labels=["phone"]), if_match=1),
        ToggleOperation(op="toggle", id=key),
    ],
)
assert isinstance(bulk.parsed, list)
record("bulk", bulk, *bulk.parsed)

deleted = delete_task.sync_detailed(key, client=client)
assert isinstance(deleted.parsed, Task)
record("delete", deleted, deleted.parsed)

changes = list_changes.sync_detailed(client=client, since=beginning.state)
assert isinstance(changes.parsed, ChangePage)
states = [[change.state.value, change.task and change.task.title] for change in changes.parsed.changes]
steps.append(["changes", changes.status_code.value, sorted(states), changes.parsed.more])

print(json.dumps(steps))
