"""The endpoints of ``/api/tasks``."""

from collections.abc import Callable, Container, Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import status as http
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from idempotency.replay import KeyedRequest
from rest import request_checks
from rest.entity_tags import entity_tag
from rest.problems.types import Conflict, MethodNotAllowed, NotFound, PreconditionFailed
from tasks.api import statements
from tasks.api.listing import Listing
from tasks.api.openapi import document_tasks, document_trash
from tasks.api.serializers import CHANGES, NEW_TASK, TaskSerializer
from tasks.api.statements import Compiled, ShownTask
from tasks.models import Task

JSON = "application/json"

#: The actions whose request has a body that is read.
READ_THE_BODY = {"create", "partial_update"}


class TaskEndpoints(GenericViewSet[Task]):
    """What the endpoints of live tasks and those of the trash have in common.

    Each operation is one statement of ``statements.py``, which answers with the task as JSON. A write names the
    task, its owner and the versions that ``If-Match`` admits; only when it finds no such task is a second look taken,
    to tell why.
    """

    serializer_class = TaskSerializer
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    #: Whether the operation is on tasks in the trash.
    trashed = False

    format_kwarg = None
    if_match: frozenset[int] | None
    if_none_match: Container[int]
    keyed: KeyedRequest | None

    @property
    def user_id(self) -> str:
        return str(self.request.user.pk)

    def get_parsers(self) -> list[BaseParser]:
        """A merge patch is for PATCH alone."""
        patching = getattr(self.request, "method", None) == "PATCH"
        return [parser for parser in super().get_parsers() if patching or parser.media_type == "application/json"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what is wrong with the request, in the order in which the contract answers."""
        # Django takes a method in any case; by RFC 9110, section 9.1, `delete` is none that there is.
        if self.action is None or request.META["REQUEST_METHOD"] != request.method:
            raise MethodNotAllowed
        self.perform_authentication(request)
        self.check_permissions(request)
        self.check_throttles(request)
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        request_checks.refuse_large_body(request)
        self.if_match, self.if_none_match, key = request_checks.read_headers(request)
        self.keyed = KeyedRequest(request, self.user_id, key) if key else None
        if self.action in READ_THE_BODY:
            request_checks.refuse_media_type(request)
        if self.keyed is None:
            self.refuse_content()

    def refuse_content(self) -> None:
        """Refuse what an ``Idempotency-Key`` is bound to, and so only when the key is not that of another request."""
        if self.action in READ_THE_BODY:
            request_checks.refuse_empty_body(self.request)
        if self.action != "list":
            request_checks.refuse_parameters(self.request)

    def list(self, request: Request) -> HttpResponseBase:
        """The caller's tasks: all of them, newest first, or those, and as many, as the parameters ask for."""
        listing = Listing(request.path_info, request_checks.parameters(request), self.user_id, trashed=self.trashed)
        if listing.limit is None:
            return StreamingHttpResponse(listing.stream(), content_type=JSON)
        page, link = listing.page(listing.limit)
        return HttpResponse(page, content_type=JSON, headers={"Link": link})

    def retrieve(self, request: Request, id: UUID) -> HttpResponse:
        """One task."""
        task = self.stored()
        if task.version in self.if_none_match:
            return HttpResponseNotModified(headers={"ETag": entity_tag(task.version)})
        return self.show(task)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Nothing but ``Allow``, which every answer carries."""
        return Response()

    def once(self, operation: Callable[[], HttpResponse]) -> HttpResponse:
        """What ``operation`` comes to; what it came to before, if the request has an ``Idempotency-Key`` of then."""
        if self.keyed is None:
            return operation()

        def carry_out() -> HttpResponse:
            self.refuse_content()
            return operation()

        return self.keyed.once(carry_out)

    def stored(self) -> ShownTask:
        """The addressed task as it is.

        Raises:
            NotFound: the caller has none of that id.
        """
        for task in statements.show.execute(self.trashed, user_id=self.user_id, id=self.kwargs["id"]):
            return task
        raise NotFound

    def written(self, statement: Compiled, *parts: Any, **values: Any) -> HttpResponse:
        """What ``statement`` made of the addressed task, if it is at a version that ``If-Match`` admits.

        Raises:
            NotFound: the caller has no such task.
            PreconditionFailed: it is at another version.
        """
        if self.if_match is not None:
            values["versions"] = list(self.if_match)
        for task in statement.execute(*parts, user_id=self.user_id, id=self.kwargs["id"], **values):
            return self.show(task)
        if self.if_match is None:
            raise NotFound
        raise PreconditionFailed(headers={"ETag": entity_tag(self.stored().version)})

    def show(
        self, task: ShownTask, status: int = http.HTTP_200_OK, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        headers = {"ETag": entity_tag(task.version), **(headers or {})}
        return HttpResponse(task.json, content_type=JSON, status=status, headers=headers)


@document_tasks
class TaskViewSet(TaskEndpoints):
    """The caller's tasks, but for those in the trash."""

    def create(self, request: Request) -> HttpResponse:
        """A new task of the caller's."""
        return self.once(self.created)

    def created(self) -> HttpResponse:
        task = Task(user_id=self.user_id, **NEW_TASK.run_validation(self.request.data))
        [shown] = statements.create.execute(**task.columns())
        return self.show(shown, http.HTTP_201_CREATED, {"Location": f"{self.request.path_info}/{task.id}"})

    def partial_update(self, request: Request, id: UUID) -> HttpResponse:
        """Change the fields that are sent, and no others."""
        return self.once(self.changed)

    def changed(self) -> HttpResponse:
        if changes := CHANGES.run_validation(self.request.data):
            return self.written(statements.change, changes=changes)
        return self.written(statements.show, self.trashed)

    def destroy(self, request: Request, id: UUID) -> HttpResponse:
        """Move a task to the trash, and answer with what it was last."""
        return self.once(lambda: self.written(statements.move_to_trash))

    @action(detail=True, methods=["post"])
    def toggle(self, request: Request, id: UUID) -> HttpResponse:
        """Flip ``completed``."""
        return self.once(lambda: self.written(statements.toggle))

    @action(detail=True, methods=["post"], trashed=True)
    def restore(self, request: Request, id: UUID) -> HttpResponse:
        """Bring a task back from the trash."""
        return self.once(self.restored)

    def restored(self) -> HttpResponse:
        try:
            return self.written(statements.restore)
        except NotFound:
            # Wherever it is by now: if it is anywhere, it was not in the trash.
            if statements.show.execute(None, user_id=self.user_id, id=self.kwargs["id"]):
                raise Conflict("The task is not in the trash") from None
            raise


@document_trash
class TrashViewSet(TaskEndpoints):
    """What the caller has deleted."""

    trashed = True

    def destroy(self, request: Request, id: UUID) -> HttpResponse:
        """Remove a task from the trash for good, and answer with what it was."""
        return self.once(lambda: self.written(statements.remove))
