"""The endpoints, which are synchronous, because the writes of the model's QuerySet are."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Q
from django_bolt import BoltAPI
from django_bolt.exceptions import NotFound
from django_bolt.responses import JSON
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from benchmarks.peers import DUE_FORMS
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import Priority

USER = "default"
api = BoltAPI()
urlpatterns: list[object] = []

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=2000)]
Due = Annotated[str, Meta(max_length=65, pattern=DUE_FORMS)]
PriorityName = Literal["low", "medium", "high"]
Labels = dict[str, bool]


class TaskIn(Struct):
    title: Title
    description: Description = ""
    completed: bool = False
    due: Due | None = None
    priority: PriorityName | None = None
    labels: Labels = {}


class TaskPatch(Struct):
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    completed: bool | UnsetType = UNSET
    due: Due | UnsetType | None = UNSET
    priority: PriorityName | UnsetType | None = UNSET
    labels: Labels | UnsetType = UNSET


class TaskOut(Struct):
    id: UUID
    title: str
    description: str
    completed: bool
    due: str | None
    priority: str | None
    labels: Labels
    user_id: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int


def show(task: Task) -> TaskOut:
    values = {name: getattr(task, name) for name in TaskOut.__struct_fields__}
    values["priority"] = Priority(task.priority).label if task.priority else None
    values["labels"] = dict.fromkeys(sorted(task.labels), True)
    return TaskOut(**values)


def tasks() -> TaskQuerySet:
    return Task.objects.owned_by(USER).live()


def columns(payload: Struct) -> dict[str, Any]:
    """Return the sent fields as the model stores them."""
    values = {name: value for name, value in structs.asdict(payload).items() if value is not UNSET}
    if "priority" in values:
        values["priority"] = Priority[(values["priority"] or "none").upper()].value
    if "labels" in values:
        values["labels"] = frozenset(values["labels"])
    return values


def read_written(task_id: UUID, count: int) -> TaskOut:
    """Return the task after a write that found ``count`` tasks."""
    if not count:
        raise NotFound
    return show(Task.objects.get(id=task_id))


@api.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@api.get("/api/tasks")
def list_tasks(
    limit: Annotated[int, Meta(ge=1, le=1000)] | None = None,
    created_before: datetime | None = None,
    completed: bool | None = None,  # noqa: FBT001
    q: str | None = None,
) -> list[TaskOut]:
    found = tasks().order_by("-created_at", "-id")
    if created_before is not None:
        found = found.filter(created_at__lt=created_before)
    if completed is not None:
        found = found.filter(completed=completed)
    if q is not None:
        found = found.filter(Q(title__icontains=q) | Q(description__icontains=q))
    return [show(task) for task in found[:limit]]


@api.post("/api/tasks", status_code=201)
def create_task(payload: TaskIn) -> TaskOut:
    task = Task.objects.create(user_id=USER, **columns(payload))
    return JSON(show(task), status_code=201, headers={"Location": f"/api/tasks/{task.id}"})


@api.get("/api/tasks/{task_id}")
def get_task(task_id: UUID) -> TaskOut:
    task = tasks().filter(id=task_id).first()
    if task is None:
        raise NotFound
    return show(task)


@api.patch("/api/tasks/{task_id}")
def update_task(task_id: UUID, payload: TaskPatch) -> TaskOut:
    return read_written(task_id, tasks().filter(id=task_id).change(**columns(payload)))


@api.post("/api/tasks/{task_id}/toggle")
def toggle_task(task_id: UUID) -> TaskOut:
    return read_written(task_id, tasks().filter(id=task_id).toggle())


@api.delete("/api/tasks/{task_id}")
def delete_task(task_id: UUID) -> TaskOut:
    return read_written(task_id, tasks().filter(id=task_id).move_to_trash())
