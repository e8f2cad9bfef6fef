"""The endpoints of ``/api/tasks``."""

import builtins
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import status as http
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from changes.feed import Feed
from database.compiled_statements import CompiledStatement
from database.errors import retry_once_on_conflict
from database.row_security import rows_of
from idempotency.viewsets import IdempotentViewSet
from rest.entity_tags import entity_tag
from rest.parameters import query_parameters
from rest.problems.responses import respond
from rest.problems.types import Conflict, InvalidRequest, NotFound, PreconditionFailed, Throttled, body_fault
from rest.request_checks import HeaderReader
from rest.viewsets import JSON
from tasks.api import statements
from tasks.api.bulk import ID_IN_USE, NEW_ID_RULE, UUID_VERSION, Bulk
from tasks.api.listing import Listing, count_tasks
from tasks.api.openapi import document_tasks, document_trash
from tasks.api.serializers import CHANGES, LABEL_CHANGES, NEW_TASK, TaskSerializer, count_labels
from tasks.models import Task
from tasks.rules import LABELS_MAX_NUMBER, MESSAGES
from throttling.concurrency import ConcurrencyLimit
from throttling.throttles import count_writes


def no_such_task(request: HttpRequest, id: str) -> HttpResponse:
    """Answer a path whose id is no UUID in lower case."""
    return respond(request, NotFound(NEW_ID_RULE if request.method == "PUT" else None))


class TaskEndpoints(IdempotentViewSet[Task]):
    """The endpoints that live and trashed tasks share.

    Each operation is one statement of ``tasks/api/statements.py``, which returns the task as JSON. A write names the
    task, its owner and the versions that ``If-Match`` admits. If no task matches, a second statement finds the reason.

    Attributes:
        trashed: whether the endpoints address tasks in the trash.
    """

    serializer_class = TaskSerializer
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"
    trashed = False

    def get_throttles(self) -> builtins.list[BaseThrottle]:
        """Let each request wait for a slot first, because counting it needs the database."""
        return [ConcurrencyLimit(), *super().get_throttles()]

    def list(self, request: Request) -> HttpResponseBase:
        """Answer with all of the caller's tasks, or with the tasks that the parameters select."""
        listing = Listing(request.path_info, query_parameters(request), self.user_id, trashed=self.trashed)
        if listing.limit is None:
            return StreamingHttpResponse(listing.stream(), content_type=JSON)
        page, link = listing.page(listing.limit)
        return HttpResponse(page, content_type=JSON, headers={"Link": link})

    def retrieve(self, request: Request, id: UUID) -> HttpResponse:
        """Answer with one task."""
        return self.respond_unless_known(*self._current())

    def _current(self) -> tuple[str, int]:
        """Return the JSON and the version of the addressed task.

        Raises:
            NotFound: the caller has no such task.
        """
        for task, version in statements.show.fetch(self.trashed, user_id=self.user_id, id=self.kwargs["id"]):
            return task, version
        raise NotFound

    def _write(self, statement: CompiledStatement[Any], *parts: Any, **values: Any) -> HttpResponse:
        """Run a statement on the addressed task, if ``If-Match`` admits its version.

        Raises:
            NotFound: the caller has no such task.
            PreconditionFailed: the task has another version.
        """
        versions = None if self.if_match is None else [*self.if_match]
        for response in self.respond_with(statement, *parts, id=self.kwargs["id"], versions=versions, **values):
            return response
        if versions is None:
            raise NotFound
        _, version = self._current()
        raise PreconditionFailed(headers={"ETag": entity_tag(version)})


@document_tasks
class TaskViewSet(TaskEndpoints):
    """The caller's tasks outside the trash."""

    actions_with_parameters = ("list", "count", "changes")

    def read_headers(self, headers: HeaderReader) -> None:
        super().read_headers(headers)
        if self.action == "update":
            headers.refuse("If-Match", "is not allowed here, because PUT changes no task")
            headers.require("If-None-Match", "*")
        elif self.action == "bulk":
            headers.refuse("If-Match", "is not allowed here; send if_match in each operation instead")

    def create(self, request: Request) -> HttpResponse:
        """Store a new task."""
        return self.idempotently(self._create, one_statement=True)

    def _create(self) -> HttpResponse:
        columns = Task.new_columns(user_id=self.user_id, **NEW_TASK.run_validation(self.request.data))
        headers = {"Location": f"{self.request.path_info}/{columns['id']}"}
        status = http.HTTP_201_CREATED
        [response] = self.respond_with(statements.create, status=status, headers=headers, columns=columns)
        return response

    @action(detail=False)
    def changes(self, request: Request) -> HttpResponse:
        """Answer with what has changed since a state that an earlier answer named."""
        feed = Feed(statements.changes, self.user_id, query_parameters(request))
        return HttpResponse(feed.page(), content_type=JSON)

    def update(self, request: Request, id: UUID) -> HttpResponse:
        """Store a new task under an id that the client made."""
        return self.idempotently(lambda: self._create_with_id(id))

    def _create_with_id(self, id: UUID) -> HttpResponse:
        values = NEW_TASK.run_validation(self.request.data)
        if id.version != UUID_VERSION:
            raise NotFound(NEW_ID_RULE)
        columns = Task.new_columns(id=id, user_id=self.user_id, **values)
        for text, _ in statements.insert.fetch([columns], user_id=self.user_id):
            return self.respond(text, columns["version"], http.HTTP_201_CREATED, {"Location": self.request.path_info})
        live = statements.show.fetch(self.trashed, user_id=self.user_id, id=id)
        raise PreconditionFailed(ID_IN_USE, headers=[("ETag", entity_tag(version)) for _, version in live])

    @action(detail=False, methods=["post"], max_body_bytes=settings.API_MAX_BULK_BODY_BYTES, body_form="a JSON array")
    def bulk(self, request: Request) -> HttpResponse:
        """Carry out up to 100 operations at one moment, all or none."""
        try:
            return self.idempotently(self._bulk)
        except Throttled:
            with suppress(Throttled):
                self._count_operations()  # the rollback of the transaction has undone the count
            raise

    @retry_once_on_conflict
    def _bulk(self) -> HttpResponse:
        operations = Bulk(self.user_id, self.request.data)
        try:
            with transaction.atomic(), rows_of(self.user_id):
                tasks = operations.carry_out()
                self._count_operations()
        except (NotFound, Conflict, PreconditionFailed):
            self._count_operations()
            raise
        return HttpResponse(tasks, content_type=JSON)

    def _count_operations(self) -> None:
        """Count each operation as a write; the request itself has been counted as the first."""
        count_writes(self.request, len(self.request.data) - 1)

    def partial_update(self, request: Request, id: UUID) -> HttpResponse:
        """Change only the fields in the body."""
        return self.idempotently(self._change, one_statement=True)

    def _change(self) -> HttpResponse:
        changes = CHANGES.run_validation(self.request.data)
        if not changes:
            return self._write(statements.show, self.trashed)
        try:
            return self._write(statements.change, changes=changes)
        except (NotFound, PreconditionFailed) as refusal:
            if not changes.keys() & LABEL_CHANGES:
                raise
            self._refuse_excess_labels(changes)
            # The task exists and has room, because another client has removed labels since the write.
            if isinstance(refusal, NotFound):
                return self._change()
            raise

    def destroy(self, request: Request, id: UUID) -> HttpResponse:
        """Move a task to the trash, and answer with its last state."""
        return self.idempotently(lambda: self._write(statements.move_to_trash), one_statement=True)

    def _refuse_excess_labels(self, changes: Mapping[str, Any]) -> None:
        """Refuse changes that lead to too many labels.

        Raises:
            NotFound: the caller has no such task.
            InvalidRequest: the task would have too many labels.
        """
        task, _ = self._current()
        if count_labels(json.loads(task)["labels"], changes) > LABELS_MAX_NUMBER:
            raise InvalidRequest(faults=[body_fault(["labels"], "max_number", MESSAGES["labels"]["max_number"])])

    @action(detail=False, methods=["get"])
    def count(self, request: Request) -> HttpResponse:
        """Answer with the number of the caller's tasks that the parameters select."""
        number = count_tasks(query_parameters(request), self.user_id)
        return HttpResponse(f'{{"count":{number}}}', content_type=JSON)

    @action(detail=True, methods=["post"])
    def toggle(self, request: Request, id: UUID) -> HttpResponse:
        """Flip ``completed``."""
        return self.idempotently(lambda: self._write(statements.toggle), one_statement=True)

    @action(detail=True, methods=["post"], trashed=True)
    def restore(self, request: Request, id: UUID) -> HttpResponse:
        """Bring a task back from the trash."""
        return self.idempotently(self._restore, one_statement=True)

    def _restore(self) -> HttpResponse:
        try:
            return self._write(statements.restore)
        except NotFound:
            if statements.show.fetch(None, user_id=self.user_id, id=self.kwargs["id"]):
                raise Conflict("The task is not in the trash") from None
            raise


@document_trash
class TrashViewSet(TaskEndpoints):
    """The caller's tasks in the trash."""

    trashed = True

    def destroy(self, request: Request, id: UUID) -> HttpResponse:
        """Delete a task for good, and answer with its last state."""
        return self.idempotently(lambda: self._write(statements.remove), one_statement=True)
