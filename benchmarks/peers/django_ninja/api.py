"""The endpoints; they write with the methods of the QuerySet, because the model does not save a stored task whole."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from ninja import Field, FilterLookup, FilterSchema, NinjaAPI, Query, Schema

from tasks.models import Task
from tasks.querysets import TaskQuerySet

USER = "default"
api = NinjaAPI()


class TaskIn(Schema):
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=2000)] = ""
    completed: bool = False


class TaskPatch(Schema):
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    completed: bool | None = None


class TaskOut(Schema):
    id: UUID
    title: str
    description: str
    completed: bool
    user_id: str
    created_at: datetime
    updated_at: datetime
    version: int


class TaskFilter(FilterSchema):
    completed: bool | None = None
    created_before: Annotated[datetime | None, FilterLookup("created_at__lt")] = None
    q: Annotated[str | None, FilterLookup(["title__icontains", "description__icontains"])] = None


def tasks() -> TaskQuerySet:
    return Task.objects.owned_by(USER).live()


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
    task = Task.objects.create(user_id=USER, **payload.dict())
    response["Location"] = f"/api/tasks/{task.id}"
    return 201, task


@api.get("/tasks/{uuid:task_id}", response=TaskOut)
def get_task(request: HttpRequest, task_id: UUID) -> Task:
    return get_object_or_404(tasks(), id=task_id)


@api.patch("/tasks/{uuid:task_id}", response=TaskOut)
def update_task(request: HttpRequest, task_id: UUID, payload: TaskPatch) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).change(**payload.dict(exclude_unset=True)))


@api.post("/tasks/{uuid:task_id}/toggle", response=TaskOut)
def toggle_task(request: HttpRequest, task_id: UUID) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).toggle())


@api.delete("/tasks/{uuid:task_id}", response=TaskOut)
def delete_task(request: HttpRequest, task_id: UUID) -> Task:
    return read_written(task_id, tasks().filter(id=task_id).move_to_trash())


urlpatterns = [path("api/", api.urls), path("readyz", lambda request: HttpResponse("ok"))]
