"""The endpoints of ``/api/tasks``."""

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from tasks import requests
from tasks.models import Task, TaskQuerySet
from tasks.openapi import document_tasks
from tasks.preconditions import entity_tag
from tasks.serializers import TaskSerializer
from todo_project.exceptions import MethodNotAllowed, NotFound, PreconditionFailed


@document_tasks
class TaskViewSet(GenericViewSet[Task]):
    """The caller's tasks.

    A write is one verb of ``TaskQuerySet`` on the task that the path names, at the versions that ``If-Match`` admits.
    The verb returns the task as written, or nothing; only then is a second look taken, to tell why.
    """

    serializer_class = TaskSerializer
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    if_match: frozenset[int] | None
    if_none_match: Container[int]

    @property
    def user_id(self) -> str:
        return str(self.request.user.pk)

    def get_queryset(self) -> TaskQuerySet:
        return Task.objects.owned_by(self.user_id).live()

    def get_parsers(self) -> list[BaseParser]:
        """A merge patch is for PATCH alone."""
        patching = getattr(self.request, "method", None) == "PATCH"
        return [parser for parser in super().get_parsers() if patching or parser.media_type == "application/json"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what is wrong with the request, in the order in which the contract answers."""
        if self.action is None:
            raise MethodNotAllowed
        self.perform_authentication(request)
        self.check_permissions(request)
        super().initial(request, *args, **kwargs)
        requests.refuse_large_body(request)
        self.if_match, self.if_none_match = requests.read_headers(request)
        if self.action in {"create", "partial_update"}:
            requests.refuse_unreadable_body(request)
        requests.refuse_parameters(request)

    def list(self, request: Request) -> HttpResponseBase:
        """All tasks of the caller, newest first."""
        chunks = self.get_queryset().in_chunks()
        # A database that is away must be told of before the answer has begun.
        first = next(chunks, [])
        return StreamingHttpResponse(self.json_array(chain([first], chunks)), content_type=JSONRenderer.media_type)

    def create(self, request: Request) -> Response:
        """A new task of the caller's."""
        task = Task.objects.create(user_id=self.user_id, **self.sent())
        location = reverse("task-detail", kwargs={"id": task.pk})
        return self.show(task, status.HTTP_201_CREATED, {"Location": location})

    def retrieve(self, request: Request, id: UUID) -> HttpResponse:
        """One task."""
        task = self.get_object()
        if task.version in self.if_none_match:
            return HttpResponseNotModified(headers={"ETag": entity_tag(task.version)})
        return self.show(task)

    def partial_update(self, request: Request, id: UUID) -> Response:
        """Change the fields that are sent, and no others."""
        changes = self.sent(partial=True)
        return self.written(self.matching().change(**changes))

    def destroy(self, request: Request, id: UUID) -> Response:
        """Move a task to the trash, and answer with what it was last."""
        return self.written(self.matching().move_to_trash())

    @action(detail=True, methods=["post"])
    def toggle(self, request: Request, id: UUID) -> Response:
        """Flip ``completed``."""
        return self.written(self.matching().toggle())

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Nothing but ``Allow``, which every answer carries."""
        return Response()

    def sent(self, *, partial: bool = False) -> dict[str, Any]:
        """The fields that the body sets, checked."""
        serializer = self.get_serializer(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def matching(self) -> TaskQuerySet:
        return self.get_queryset().named(self.kwargs["id"], self.if_match)

    def written(self, tasks: "Iterable[Task]") -> Response:
        for task in tasks:
            return self.show(task)
        if self.if_match is None:
            raise NotFound
        raise PreconditionFailed(headers={"ETag": entity_tag(self.get_object().version)})

    def show(self, task: Task, status: int = status.HTTP_200_OK, headers: dict[str, str] | None = None) -> Response:
        return Response(
            self.get_serializer(task).data,
            status,
            headers={"ETag": entity_tag(task.version), **(headers or {})},
        )

    def json_array(self, chunks: "Iterable[Iterable[Task]]") -> Iterator[bytes]:
        """One JSON array of all the tasks, a chunk at a time."""
        opening = b"["
        for chunk in filter(None, chunks):
            yield opening + JSONRenderer().render(self.get_serializer(chunk, many=True).data)[1:-1]
            opening = b","
        yield b"[]" if opening == b"[" else b"]"
