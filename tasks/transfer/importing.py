"""Tasks from the lines of a file into the database: each is checked as the API would, and stored once."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone
from rest_framework import serializers

from rest.problems.types import Fault, InvalidRequest, pointer
from tasks.api.listing import instant
from tasks.api.serializers import TaskSerializer, TimestampField
from tasks.maintenance.verification import CLOCK_SKEW
from tasks.models import MAX_VERSION, USER_ID_RULE, Task, TaskQuerySet, validate_user_id
from tasks.transfer.file_formats import Line, faults_of

#: What one who may write the task may change of it, and whether it is in the trash.
CHANGEABLE = ("title", "description", "completed", "deleted_at")
UUID_7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME_RULE = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"

#: What ``on_conflict`` may be.
SKIP, UPDATE, FAIL = ON_CONFLICT = ("skip", "update", "fail")


def messages(field: str, rule: str) -> dict[str, Any]:
    sentence = f"{field} {rule}"
    return {
        "required": f"{field} is required",
        "future": f"{field} must not be in the future",
        **dict.fromkeys(("null", "invalid"), sentence),
    }


class IdentifierField(serializers.Field[UUID, str, str, Any]):
    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not UUID_7.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class OwnerField(serializers.Field[str, str, str, Any]):
    def to_internal_value(self, data: Any) -> str:
        try:
            validate_user_id(data)
        except (TypeError, ValidationError):
            self.fail("invalid")
        return cast("str", data)


class InstantField(TimestampField):
    def to_internal_value(self, data: Any) -> datetime:
        try:
            moment = instant(data)
        except (TypeError, ValueError):
            self.fail("invalid")
        if moment > timezone.now() + CLOCK_SKEW:
            self.fail("future")
        return moment


class VersionField(serializers.Field[int, int, int, Any]):
    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or not 1 <= data <= MAX_VERSION:
            self.fail("invalid")
        return data


class StoredTaskSerializer(TaskSerializer):
    """A task with all that the server gave it: what ``TaskSerializer`` reads, and what it only shows."""

    id = IdentifierField(error_messages=messages("Id", "must be a UUID of version 7, in lower case with dashes"))
    user_id = OwnerField(error_messages=messages("User_id", USER_ID_RULE))
    created_at = InstantField(error_messages=messages("Created_at", TIME_RULE))
    updated_at = InstantField(error_messages=messages("Updated_at", TIME_RULE))
    version = VersionField(error_messages=messages("Version", "must be a whole number from 1 to 2^53"))
    deleted_at = InstantField(required=False, allow_null=True, error_messages=messages("Deleted_at", TIME_RULE))

    class Meta(TaskSerializer.Meta):
        fields = (*TaskSerializer.Meta.fields, "deleted_at")  # type: ignore[assignment]
        read_only_fields = ()  # type: ignore[assignment]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["updated_at"] < attrs["created_at"]:
            raise serializers.ValidationError({"updated_at": "Updated_at must not be before created_at"})
        return attrs


STORED_TASK = StoredTaskSerializer()


class ConflictError(Exception):
    """``on_conflict`` is ``fail``, and a task of that id is there."""


class Taken(NamedTuple):
    """A line that is as it should be: its number, the task that it tells of, and which members it says."""

    number: int
    task: Task
    said: Collection[str]


@dataclass
class Outcome:
    added: int = 0
    updated: int = 0
    skipped: int = 0
    refused: int = 0


class Import:
    """Takes lines, and stores them in whole batches; ids decide what is there already.

    Attributes:
        owner: whose the tasks become; ``None`` for whom each line names.
        on_conflict: what becomes of a line whose task is there: ``skip`` leaves the stored one, ``update`` writes to
            it what the line says and differs, as any write does, and ``fail`` raises ``ConflictError``.
        refuse: is called with the number of a line that breaks a rule, and its faults.
    """

    def __init__(
        self,
        *,
        owner: str | None,
        on_conflict: str,
        batch_size: int,
        dry_run: bool,
        refuse: Callable[[int, Sequence[Fault]], None],
    ) -> None:
        self.owner = owner
        self.on_conflict = on_conflict
        self.batch_size = batch_size
        self.dry_run = dry_run
        self._refuse = refuse
        self._batch: dict[UUID, Taken] = {}
        self.outcome = Outcome()

    def take(self, line: Line) -> None:
        """Check a line, and store the batch that it makes full."""
        try:
            task = self._task(line)
        except InvalidRequest as error:
            return self.refuse(line.number, faults_of(error))
        if task.id in self._batch:
            self.store()
        self._batch[task.id] = Taken(line.number, task, line.values.keys())
        if len(self._batch) == self.batch_size:
            self.store()
        return None

    def store(self) -> None:
        """Store what has been taken, in one transaction.

        Raises:
            ConflictError: see ``on_conflict``; nothing of the batch is stored.
        """
        batch, self._batch = self._batch, {}
        with transaction.atomic():
            stored = self._stored().in_bulk(list(batch))
            for id_, taken in batch.items():
                if id_ in stored:
                    self._meet(taken, stored[id_])
            self._add([taken for id_, taken in batch.items() if id_ not in stored])

    def refuse(self, number: int, faults: Sequence[Fault]) -> None:
        self.outcome.refused += 1
        self._refuse(number, faults)

    def _stored(self) -> TaskQuerySet:
        """The tasks that may be there; nobody else writes one between its comparison and its change."""
        changes = self.on_conflict == UPDATE and not self.dry_run
        return Task.objects.select_for_update() if changes else Task.objects.all()

    def _task(self, line: Line) -> Task:
        if line.faults:
            raise InvalidRequest(faults=line.faults)
        values = line.values
        if self.owner is not None and isinstance(values, dict):
            values = {**values, "user_id": self.owner}
        try:
            return Task(**STORED_TASK.run_validation(values))
        except serializers.ValidationError as error:
            raise InvalidRequest(faults=_faults(error.detail)) from None

    def _meet(self, taken: Taken, there: Task) -> None:
        """A line whose task is there."""
        if there.user_id != taken.task.user_id:
            self.refuse(taken.number, [_fault("id", "owner", "Id is that of another user's task")])
        elif self.on_conflict == FAIL:
            raise ConflictError(f"Line {taken.number}: there is a task {there.id} already")
        elif self.on_conflict == UPDATE and (differing := _differing(taken, there)):
            self.outcome.updated += 1 if self.dry_run else len(Task.objects.addressed(there.id).change(**differing))
        else:
            self.outcome.skipped += 1

    def _add(self, lines: list[Taken]) -> None:
        """The lines at once; if the database refuses them, one by one, to know which."""
        refusal = None if self.dry_run or not lines else _refusal([line.task for line in lines])
        if refusal is None:
            self.outcome.added += len(lines)
        elif len(lines) == 1:
            self.refuse(lines[0].number, [_fault(None, "constraint", f"The database refuses the task: {refusal}")])
        else:
            for line in lines:
                self._add([line])


def _differing(taken: Taken, there: Task) -> dict[str, Any]:
    """What is to be changed: a line that does not say something has nothing against what is there."""
    said = {name: getattr(taken.task, name) for name in CHANGEABLE if name in taken.said}
    return {name: value for name, value in said.items() if value != getattr(there, name)}


def _refusal(tasks: list[Task]) -> str | None:
    """Why the database does not take the tasks, or ``None`` when it has."""
    try:
        with transaction.atomic():
            Task.objects.insert(tasks)
    except (IntegrityError, DataError) as error:
        return str(error).partition("\n")[0]
    return None


def _faults(detail: Any) -> list[Fault]:
    return [_fault(name, error.code, str(error)) for name, errors in detail.items() for error in errors]


def _fault(name: str | None, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer(*([] if name is None else [name])), code=code, detail=detail)
