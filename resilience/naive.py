"""The control: the service with writes that read the task, change it in memory, and write it back as a whole."""

# isort: off
from todo_project.wsgi import application  # which sets Django up

# isort: on
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from rest.entity_tags import entity_tag
from rest.problems.types import NotFound, PreconditionFailed
from tasks.api import statements
from tasks.api.views import TaskViewSet
from tasks.models import Task

__all__ = ["application"]


def write(view: TaskViewSet, **changes: Any) -> HttpResponse:
    task = Task.objects.owned_by(view.user_id).live().filter(id=view.kwargs["id"]).first()
    if task is None:
        raise NotFound
    if view.if_match is not None and task.version not in view.if_match:
        raise PreconditionFailed(headers={"ETag": entity_tag(task.version)})
    for name, value in {"version": task.version + 1, **changes}.items():
        setattr(task, name, value(task) if callable(value) else value)
    columns = {field.attname: getattr(task, field.attname) for field in task._meta.concrete_fields}
    Task.objects.filter(id=task.id).update(**columns)
    [shown] = statements.show.execute(task.deleted_at is not None, user_id=view.user_id, id=task.id)
    return view.show(shown)


def partial_update(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    return write(view, **request.data)


@action(detail=True, methods=["post"])
def toggle(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    return write(view, completed=lambda task: not task.completed)


def destroy(view: TaskViewSet, request: HttpRequest, id: Any) -> HttpResponse:
    return write(view, deleted_at=lambda task: task.created_at)


TaskViewSet.partial_update, TaskViewSet.toggle, TaskViewSet.destroy = partial_update, toggle, destroy
