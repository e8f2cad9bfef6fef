"""The control without atomic writes: read a task, change it in memory, and save the whole row."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.decorators import action

from rest.entity_tags import entity_tag
from rest.problems.types import NotFound, PreconditionFailed
from tasks.api.views import TaskViewSet
from tasks.models import Task


def write(view: TaskViewSet, **changes: Any) -> HttpResponse:
    """Change the addressed task; a callable makes the new value from the task."""
    task = Task.objects.owned_by(view.user_id).live().filter(id=view.kwargs["id"]).first()
    if task is None:
        raise NotFound
    if view.if_match is not None and task.version not in view.if_match:
        raise PreconditionFailed(headers={"ETag": entity_tag(task.version)})
    for name, value in {"version": task.version + 1, **changes}.items():
        setattr(task, name, value(task) if callable(value) else value)
    columns = {field.attname: getattr(task, field.attname) for field in task._meta.concrete_fields}
    Task.objects.filter(id=task.id).update(**columns)
    body = {name: columns[name] for name in ("id", "title", "completed", "updated_at", "version")}
    return JsonResponse(body, headers={"ETag": entity_tag(task.version)})


def partial_update(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    """Set the fields that the request names, and merge labels into those that the task had."""
    changes = dict(request.data)
    if "labels" in changes:
        patch = changes["labels"]
        kept = {name for name, value in patch.items() if value}
        changes["labels"] = lambda task: frozenset(task.labels - patch.keys() | kept)
    return write(view, **changes)


@action(detail=True, methods=["post"])
def toggle(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    """Negate ``completed``."""
    return write(
        view,
        completed=lambda task: not task.completed,
        completed_at=lambda task: task.updated_at if task.completed else None,
    )


def destroy(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    """Move the task to the trash."""
    return write(view, deleted_at=lambda task: task.created_at)


TaskViewSet.partial_update, TaskViewSet.toggle, TaskViewSet.destroy = partial_update, toggle, destroy
