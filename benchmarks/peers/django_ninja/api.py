"""The endpoints, which write with the QuerySet, because the model saves no stored task whole."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from ninja import Field, FilterLookup, FilterSchema, NinjaAPI, Query, Schema

from benchmarks.peers import DUE_FORMS
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import Priority

USER = "default"
api = NinjaAPI()

Due = Annotated[str, Field(max_length=65, pattern=DUE_FORMS)]
PriorityName = Literal["low", "medium", "high"]
Labels = dict[str, Literal[True]]


class TaskIn(Schema):
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=2000)] = ""
    completed: bool = False
    due: Due | None = None
    priority: PriorityName | None = None
    labels: Labels = {}


class TaskPatch(Schema):
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    completed: bool | None = None
    due: Due | None = None
    priority: PriorityName | None = None
    labels: Labels = {}


class TaskOut(Schema):
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

    @staticmethod
    def resolve_priority(task: Task) -> str | None:
        return Priority(task.priority).label if task.priority else None

    @staticmethod
    def resolve_labels(task: Task) -> dict[str, bool]:
        return dict.fromkeys(sorted(task.labels), True)


class TaskFilter(FilterSchema):
    completed: bool | None = None
    created_before: Annotated[datetime | None, FilterLookup("created_at__lt")] = None
    q: Annotated[str | None, FilterLookup(["title__icontains", "description__icontains"])] = None


def tasks() -> TaskQuerySet:
    return Task.objects.owned_by(USER).live()


def columns(payload: Schema) -> dict[str, Any]:
    """Return the sent fields as the model stores them."""
    values = payload.dict(exclude_unset=True)
    if "priority" in values:
        values["priority"] = Priority[(values["priority"] or "none").upper()].value
    if "labels" in values:
        values["labels"] = frozenset(values["labels"])
    return values


def read_written(task_id: UUID, count: int) -> Task:
    """Return the task after a write that found ``count`` tasks."""
    if not count:
        raise Http404
    return Task.objects.get(id=task_id)


@api.get("/tasks", response=list[TaskOut])
def list_tasks(
    request: HttpRequest, filters: Query[TaskFilter], limit: Annotated[int | None, Field(ge=1, le=1000)] = None
) -> TaskQuerySet:
    return filters.filter(tasks()).order_by("-created_at", "-id")[:limit]


@api.post("/tasks", response={201: TaskOut})
def create_task(request: HttpRequest, payload: TaskIn, response: HttpResponse) -> tuple[int, Task]:
    task = Task.objects.create(user_id=USER, **columns(payload))
    response["Location"] = f"/api/tasks/{task.id}"
    return 201, task


@api.get("/tasks/{uuid:task_id}", response=TaskOut)
def get_task(request: HttpRequest, task_id: UUID) -> Task:
    return get_object_or_404(tasks(), id=task_id)


@api.patch("/tasks/{uuid:task_id}", response=TaskOut)
def update_task(request: HttpRequest, task_id: UUID, payload: TaskPatch) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).change(**columns(payload)))


@api.post("/tasks/{uuid:task_id}/toggle", response=TaskOut)
def toggle_task(request: HttpRequest, task_id: UUID) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).toggle())


@api.delete("/tasks/{uuid:task_id}", response=TaskOut)
def delete_task(request: HttpRequest, task_id: UUID) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).move_to_trash())


urlpatterns = [path("api/", api.urls), path("readyz", lambda request: HttpResponse("ok"))]
