"""Import tasks from the lines of a file: check each line as the API does, and store each task once."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, NoReturn, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models, transaction
from django.utils import timezone
from rest_framework import serializers

from database.errors import is_moving
from identity.user_ids import USER_ID_RULE
from rest.problems.types import Fault, InvalidRequest, body_fault, body_faults
from rest.timestamps import TIMESTAMP_RULE, parse_timestamp
from tasks.api.serializers import TaskSerializer
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import CLOCK_SKEW, MAX_VERSION, validate_user_id
from tasks.transfer.file_formats import FIELDS, Line, line_faults

#: The fields that ``update`` writes to a stored task.
UPDATABLE_FIELDS = (*Task.WRITABLE_FIELDS, "deleted_at")

#: The values of ``on_conflict``.
SKIP, UPDATE, FAIL = ON_CONFLICT = ("skip", "update", "fail")

#: Receives the number of a line, and the faults of the line or what is left out.
ReportLine = Callable[[int, Sequence[Fault]], None]

UUID_7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class ServerField(serializers.Field[Any, Any, Any, Any]):
    """A field that only the server sets and an import restores; messages begin with its name."""

    rule: str

    def fail(self, key: str, **_: Any) -> NoReturn:
        reasons = {"required": "is required", "future": "must not be in the future"}
        name = cast("str", self.field_name).capitalize()
        raise serializers.ValidationError(f"{name} {reasons.get(key, self.rule)}", code=key)


class UUID7Field(ServerField):
    """The id of a task."""

    rule = "must be a UUID of version 7, in lower case with dashes"

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not UUID_7.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class UserIdField(ServerField):
    """An owner."""

    rule = USER_ID_RULE

    def to_internal_value(self, data: Any) -> str:
        try:
            validate_user_id(data)
        except (TypeError, ValidationError):
            self.fail("invalid")
        return cast("str", data)


class PastTimestampField(ServerField):
    """A time that is not in the future, apart from the difference between two servers' clocks."""

    rule = TIMESTAMP_RULE

    def to_internal_value(self, data: Any) -> datetime:
        try:
            time = parse_timestamp(data)
        except (TypeError, ValueError):
            self.fail("invalid")
        if time > timezone.now() + CLOCK_SKEW:
            self.fail("future")
        return time


class VersionField(ServerField):
    """A version that later writes can still raise."""

    rule = "must be a whole number from 1 to 2^53"

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or not 1 <= data <= MAX_VERSION:
            self.fail("invalid")
        return data


#: The fields that read what only the server sets, by the class of the model's field.
SERVER_FIELDS: dict[type, type[serializers.Field[Any, Any, Any, Any]]] = {models.DateTimeField: PastTimestampField}


class StoredTaskSerializer(TaskSerializer):
    """A task with the values that the server set, which ``TaskSerializer`` ignores in a request."""

    id = UUID7Field()
    user_id = UserIdField()
    version = VersionField()

    class Meta(TaskSerializer.Meta):
        fields = tuple(FIELDS)  # type: ignore[assignment]
        read_only_fields = ()

    def build_standard_field(
        self, field_name: str, model_field: "models.Field[Any, Any]"
    ) -> tuple[type[serializers.Field[Any, Any, Any, Any]], dict[str, Any]]:
        """Return the API's field if requests may write it, and else a field that an import may write."""
        field_class, options = super().build_standard_field(field_name, model_field)
        if field_name in Task.WRITABLE_FIELDS:
            return field_class, options
        field_class = SERVER_FIELDS.get(type(model_field), field_class)
        return field_class, {"required": not model_field.null, "allow_null": model_field.null}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate the fields, and then the times together, which ``TaskSerializer`` does not."""
        return self.validate(super().run_validation(data))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["updated_at"] < attrs["created_at"]:
            raise serializers.ValidationError({"updated_at": ["Updated_at must not be before created_at"]})
        if attrs.get("completed_at") and not attrs.get("completed"):
            raise serializers.ValidationError({"completed_at": ["Completed_at must be null while completed is false"]})
        if attrs.get("completed") and attrs.get("completed_at") is None:
            attrs["completed_at"] = attrs["updated_at"]  # files of earlier versions have no completed_at
        return attrs


STORED_TASK = StoredTaskSerializer()


class ConflictError(Exception):
    """A line whose task exists, while ``on_conflict`` is ``fail``."""


class CheckedLine(NamedTuple):
    """A line that breaks no rule: its number, its task, and the names of the fields that the line has."""

    number: int
    task: Task
    names: Collection[str]


@dataclass
class Outcome:
    """The number of lines by result.

    Attributes:
        partial: the lines of which something was left out, which are counted as added, updated or skipped too.
    """

    added: int = 0
    updated: int = 0
    skipped: int = 0
    refused: int = 0
    partial: int = 0


class Import:
    """An import in batches, each stored whole or not at all; the ids tell which tasks exist.

    Attributes:
        user_id: the owner of all tasks; ``None`` takes the owner from each line.
        on_conflict: what to do with a line whose task exists. ``skip`` keeps the stored task. ``update`` writes the
            fields that the line has and that differ. ``fail`` raises ``ConflictError``.
        report_line: a function to call for each line that is refused, or stored in part.
    """

    def __init__(
        self,
        *,
        user_id: str | None,
        on_conflict: str,
        batch_size: int,
        dry_run: bool,
        report_line: ReportLine,
    ) -> None:
        self.user_id = user_id
        self.on_conflict = on_conflict
        self.batch_size = batch_size
        self.dry_run = dry_run
        self.report_line = report_line
        self.outcome = Outcome()
        self._batch: dict[UUID, CheckedLine] = {}

    def add_line(self, line: Line) -> None:
        """Check a line, and store the batch when it is full."""
        try:
            task = self._check(line)
        except InvalidRequest as error:
            return self._refuse(line.number, line_faults(error))
        if line.left_out:
            self.outcome.partial += 1
            self.report_line(line.number, line.left_out)
        if task.id in self._batch:
            self.store_batch()
        self._batch[task.id] = CheckedLine(line.number, task, line.values.keys())
        if len(self._batch) == self.batch_size:
            self.store_batch()
        return None

    def store_batch(self) -> None:
        """Store the lines that were added since the last batch, in one transaction.

        Raises:
            ConflictError: see ``on_conflict``; nothing of the batch is stored.
        """
        batch, self._batch = self._batch, {}
        with transaction.atomic():
            stored = self._lookup().in_bulk(list(batch))
            for id_, line in batch.items():
                if id_ in stored:
                    self._resolve_conflict(line, stored[id_])
            self._insert([line for id_, line in batch.items() if id_ not in stored])

    def _refuse(self, number: int, faults: Sequence[Fault]) -> None:
        self.outcome.refused += 1
        self.report_line(number, faults)

    def _lookup(self) -> TaskQuerySet:
        """Return all tasks, locked for an update, so that nobody writes a task between comparison and update."""
        updates = self.on_conflict == UPDATE and not self.dry_run
        return Task.objects.select_for_update() if updates else Task.objects.all()

    def _check(self, line: Line) -> Task:
        if line.faults:
            raise InvalidRequest(faults=line.faults)
        values = line.values
        if self.user_id is not None and isinstance(values, dict):
            values = {**values, "user_id": self.user_id}
        try:
            return Task(**STORED_TASK.run_validation(values))
        except serializers.ValidationError as error:
            raise InvalidRequest(faults=body_faults(error.detail)) from None

    def _resolve_conflict(self, line: CheckedLine, stored: Task) -> None:
        if stored.user_id != line.task.user_id:
            detail = "Id is in use by another user's task"
            self._refuse(line.number, [body_fault(["id"], "owner", detail)])
        elif self.on_conflict == FAIL:
            raise ConflictError(f"Line {line.number}: task {stored.id} exists already")
        elif self.on_conflict == UPDATE and (changes := differences(line, stored)):
            self.outcome.updated += 1 if self.dry_run else Task.objects.addressed(stored.id).change(**changes)
        else:
            self.outcome.skipped += 1

    def _insert(self, lines: list[CheckedLine]) -> None:
        """Insert the lines at once; if the database refuses a task, insert line by line to find it."""
        reason = None if self.dry_run or not lines else insert([line.task for line in lines])
        if reason is None:
            self.outcome.added += len(lines)
        elif len(lines) == 1:
            detail = f"The database refuses the task: {reason}"
            self._refuse(lines[0].number, [body_fault([], "constraint", detail)])
        else:
            for line in lines:
                self._insert([line])


def differences(line: CheckedLine, stored: Task) -> dict[str, Any]:
    """Return the values to write to the stored task; a field that the line lacks keeps its value."""
    values = {name: getattr(line.task, name) for name in UPDATABLE_FIELDS if name in line.names}
    return {name: value for name, value in values.items() if value != getattr(stored, name)}


def insert(tasks: list[Task]) -> str | None:
    """Insert all tasks or none, and return ``None``, or the reason why the database refuses a task."""
    try:
        with transaction.atomic():
            Task.objects.insert(tasks)
    except (IntegrityError, DataError) as error:
        if is_moving(error):  # SQLite reports the refusal as an IntegrityError
            raise
        return str(error).partition("\n")[0]
    return None
