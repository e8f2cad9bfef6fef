"""Carry out many operations at one moment, all or none: ``POST /api/tasks/bulk``.

``Bulk`` reads the form of each operation, locks the addressed tasks in the order of their ids, and stores the new
tasks. Then it names every fault. Without a fault, one statement writes all tasks that change alike.
"""

import json
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from django.urls.converters import UUIDConverter
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from database.advisory_locks import lock_until_commit
from rest.problems.types import (
    MAX_FAULTS,
    Conflict,
    Fault,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Problem,
    body_fault,
    body_faults,
)
from tasks.api import statements
from tasks.api.serializers import CHANGES, LABEL_CHANGES, NEW_TASK, UNKNOWN_FIELD, count_labels
from tasks.models import Task
from tasks.rules import LABELS_MAX_NUMBER, MESSAGES
from throttling.throttles import max_writes

MAX_OPERATIONS = 100

#: The required and the optional keys of each operation.
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "create": (("op", "task"), ("id",)),
    "update": (("op", "id", "task"), ("if_match",)),
    **dict.fromkeys(("toggle", "delete", "restore", "remove"), (("op", "id"), ("if_match",))),
}
SERIALIZERS = {"create": NEW_TASK, "update": CHANGES}

SIZE = f"The body must be a JSON array of 1 to {MAX_OPERATIONS} operations"
NO_TASK = "There is no such task"
NOT_IN_TRASH = "The task is not in the trash"
OTHER_VERSION = "The task has another version than if_match"

UUID_VERSION = 7
NEW_ID_RULE = "The id of a new task must be a lower-case UUID of version 7"
ID_IN_USE = "The id of the new task is in use, or was the id of a removed task"

#: The one form of an id in a path and in a body.
UUID_PATTERN = re.compile(UUIDConverter.regex)


class StoredTask(NamedTuple):
    """The properties of a stored task that decide whether an operation can be carried out."""

    version: int
    trashed: bool
    labels: str


class Operation:
    """One element of the body, with its faults.

    Attributes:
        id: the id of the task; ``None`` in a new task whose id the server makes.
        values: the values of a new task, or the changes of an update.
        refusals: each fault, with the problem that answers an operation with no other fault.
    """

    def __init__(self, index: int, data: Any, ids: set[str]) -> None:
        self.index = index
        self.refusals: list[tuple[type[Problem], Fault]] = []
        self.op = ""
        self.id: str | None = None
        self.values: dict[str, Any] = {}
        self.version: int | None = None
        if isinstance(data, dict):
            self._read_op(data)
            self._read_id(data, ids)
            self._read_task(data)
            self._read_version(data)
        else:
            self._refuse([], "not_an_object", "An operation must be a JSON object")

    def _refuse(self, path: Sequence[str], code: str, detail: str, problem: type[Problem] = InvalidRequest) -> None:
        self.refusals.append((problem, body_fault([str(self.index), *path], code, detail)))

    def _read_op(self, data: Mapping[str, Any]) -> None:
        op = data.get("op")
        if not isinstance(op, str) or op not in KEYS:
            self._refuse(["op"], "invalid" if "op" in data else "required", f"Op must be {', '.join(KEYS)}")
            return
        self.op = op
        required, optional = KEYS[op]
        for key in required:
            if key not in data:
                self._refuse([key], "required", f"{key.capitalize()} is required")
        for key in data:
            if key not in (*required, *optional):
                self._refuse([key], str(UNKNOWN_FIELD.code), str(UNKNOWN_FIELD))

    def _read_id(self, data: Mapping[str, Any], ids: set[str]) -> None:
        text = data.get("id")
        if not isinstance(text, str):
            if "id" in data:
                self._refuse(["id"], "invalid", "Id must be a string")
            return
        if text in ids:
            self._refuse(["id"], "duplicate", "Id is in an earlier operation too")
        ids.add(text)
        self.id = text if UUID_PATTERN.fullmatch(text) else None
        if self.op == "create" and (self.id is None or UUID(self.id).version != UUID_VERSION):
            self._refuse(["id"], NotFound.default_code, NEW_ID_RULE, NotFound)
        elif self.op and self.id is None:
            self._refuse(["id"], NotFound.default_code, NO_TASK, NotFound)

    def _read_task(self, data: Mapping[str, Any]) -> None:
        serializer = SERIALIZERS.get(self.op)
        if serializer is None or "task" not in data:
            return
        if not isinstance(data["task"], dict):
            self._refuse(["task"], "not_an_object", "Task must be a JSON object")
            return
        try:
            self.values = serializer.run_validation(data["task"])
        except ValidationError as error:
            faults = islice(body_faults(error.detail, str(self.index), "task"), MAX_FAULTS)
            self.refusals.extend((InvalidRequest, fault) for fault in faults)

    def _read_version(self, data: Mapping[str, Any]) -> None:
        if self.op == "create" or "if_match" not in data:
            return
        self.version = data["if_match"]
        if type(self.version) is not int or self.version < 1:
            self._refuse(["if_match"], "invalid", "If_match must be a version: an integer of 1 or more")

    def check(self, task: StoredTask | None) -> None:
        """Add the faults that the addressed task makes."""
        is_in_place = task is not None and task.trashed is (self.op in statements.TRASH_OPERATIONS)
        if task is None or (not is_in_place and self.op != "restore"):
            self._refuse(["id"], NotFound.default_code, NO_TASK, NotFound)
        elif not is_in_place:
            self._refuse(["id"], Conflict.default_code, NOT_IN_TRASH, Conflict)
        else:
            if self._changes_labels and count_labels(json.loads(task.labels), self.values) > LABELS_MAX_NUMBER:
                self._refuse(["task", "labels"], "max_number", MESSAGES["labels"]["max_number"])
            if self.version not in (None, task.version):
                self._refuse(["if_match"], PreconditionFailed.default_code, OTHER_VERSION, PreconditionFailed)

    @property
    def _changes_labels(self) -> bool:
        return self.op == "update" and not self.values.keys().isdisjoint(LABEL_CHANGES)

    def check_new(self, *, is_stored: bool) -> None:
        """Add a fault if the new task could not be stored."""
        if not is_stored:
            self._refuse(["id"], PreconditionFailed.default_code, ID_IN_USE, PreconditionFailed)


class Bulk:
    """The operations of a body.

    Raises:
        InvalidRequest: the body is no array, or has too many operations.
    """

    def __init__(self, user_id: str, body: Any) -> None:
        if not isinstance(body, list) or not 1 <= len(body) <= MAX_OPERATIONS:
            raise InvalidRequest(faults=[body_fault([], "number_of_operations", SIZE)])
        limit = max_writes()
        if limit is not None and len(body) > limit:
            detail = f"The body has {len(body)} operations, and the rate limit allows {limit} writes; send fewer"
            raise InvalidRequest(faults=[body_fault([], "rate_limit", detail)])
        ids: set[str] = set()
        self.user_id = user_id
        self.operations = [Operation(index, data, ids) for index, data in enumerate(body)]

    def carry_out(self) -> str:
        """Carry out the operations inside a transaction, and return the tasks as a JSON array.

        Raises:
            Problem: an operation has a fault. Then the caller must roll the transaction back.
        """
        valid = [operation for operation in self.operations if not operation.refusals]
        new = [operation for operation in valid if operation.op == "create"]
        others = [operation for operation in valid if operation.op != "create"]
        self._lock_and_check(others)
        # Later than the lock, so that no locked task has been written after this time.
        now = timezone.now()
        tasks = self._create(new, now)
        self._refuse_faults()
        tasks.update(self._write(others, now))
        return f"[{','.join(tasks[operation.index] for operation in self.operations)}]"

    def _lock_and_check(self, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        # Bulks over the same tasks wait here, in turn. No bulk waits here with another lock, so none deadlocks.
        smallest = min(operation.id for operation in operations if operation.id)
        lock_until_commit(f"{smallest} {self.user_id}")
        rows = statements.lock.fetch(user_id=self.user_id, ids=_join_ids(operations))
        tasks: dict[str | None, StoredTask] = {
            task_id: StoredTask(version, trashed_at is not None, labels)
            for task_id, version, trashed_at, labels in rows
        }
        for operation in operations:
            operation.check(tasks.get(operation.id))

    def _create(self, operations: Sequence[Operation], now: datetime) -> dict[int, str]:
        """Store the new tasks, and return their JSON."""
        if not operations:
            return {}
        rows = [self._new_columns(operation, now) for operation in operations]
        stored = {task_id: text for text, task_id in statements.insert.fetch(rows, user_id=self.user_id)}
        texts = {operation.index: stored.get(str(row["id"])) for operation, row in zip(operations, rows, strict=True)}
        for operation in operations:
            operation.check_new(is_stored=texts[operation.index] is not None)
        return {index: text for index, text in texts.items() if text is not None}

    def _new_columns(self, operation: Operation, now: datetime) -> dict[str, Any]:
        chosen = {} if operation.id is None else {"id": UUID(operation.id)}
        return Task.new_columns(**chosen, user_id=self.user_id, created_at=now, **operation.values)

    def _refuse_faults(self) -> None:
        """Raise the first problem in the contract's order, with every fault in the order of the operations."""
        refusals = [refusal for operation in self.operations for refusal in operation.refusals]
        if not refusals:
            return
        problem, fault = min(refusals, key=lambda refusal: refusal[0].status_code)
        faults = [fault for _, fault in refusals]
        raise problem(fault["detail"], faults=faults, max_faults=len(faults))

    def _write(self, operations: Sequence[Operation], now: datetime) -> dict[int, str]:
        """Write the tasks, those with equal changes in one statement, and return their JSON."""
        alike: dict[Hashable, list[Operation]] = defaultdict(list)
        for operation in operations:
            alike[operation.op, tuple(sorted(operation.values.items()))].append(operation)
        tasks: dict[int, str] = {}
        for group in alike.values():
            indexes = {operation.id: operation.index for operation in group}
            [first, *_] = group
            rows = statements.write.fetch(
                first.op, user_id=self.user_id, ids=_join_ids(group), now=now, changes=first.values
            )
            tasks.update({indexes[task_id]: text for text, task_id in rows})
        return tasks


def _join_ids(operations: Iterable[Operation]) -> str:
    return ",".join(operation.id for operation in operations if operation.id)
