"""The shape of a task in JSON, and what a client may send of it."""

from datetime import datetime
from typing import Any

from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from tasks.characters import WHITE_SPACE
from tasks.models import (
    COMPLETED_MESSAGES,
    DESCRIPTION_MESSAGES,
    TITLE_MESSAGES,
    Task,
    validate_description,
    validate_title,
)
from todo_project.exceptions import Fault, InvalidRequest, pointer

NOT_AN_OBJECT = Fault(pointer=pointer(), code="not_an_object", detail="The body must be a JSON object")
UNKNOWN_FIELD = ErrorDetail("This field is unknown", code="unknown_field")


class TitleField(serializers.CharField):
    """A trimmed JSON string; REST framework's own field takes numbers too."""

    def run_validation(self, data: Any = empty) -> Any:
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        title = data.strip(WHITE_SPACE)
        validate_title(title)
        return title


class DescriptionField(serializers.CharField):
    """A JSON string, kept as sent; ``null`` means an empty one."""

    def run_validation(self, data: Any = empty) -> Any:
        return serializers.Field.run_validation(self, "" if data is None else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        validate_description(data)
        return data


class CompletedField(serializers.BooleanField):
    """JSON ``true`` or ``false``; REST framework's own field takes ``"yes"`` and ``1`` too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


def timestamp(moment: datetime) -> str:
    """RFC 3339, in UTC, always with six digits of microseconds and a ``Z``."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class TaskSerializer(serializers.ModelSerializer[Task]):
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TitleField,
        models.TextField: DescriptionField,
        models.BooleanField: CompletedField,
    }

    class Meta:
        model = Task
        fields = ("id", "title", "description", "completed", "user_id", "created_at", "updated_at", "version")
        read_only_fields = ("id", "user_id", "created_at", "updated_at", "version")
        extra_kwargs = {
            "title": {"error_messages": TITLE_MESSAGES},
            "description": {"error_messages": DESCRIPTION_MESSAGES},
            "completed": {"error_messages": COMPLETED_MESSAGES},
        }

    def run_validation(self, data: Any = empty) -> Any:
        if not isinstance(data, dict):
            raise InvalidRequest(faults=[NOT_AN_OBJECT])
        return super().run_validation(data)

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        unknown = {name: [UNKNOWN_FIELD] for name in data if name not in self.fields}
        try:
            values: dict[str, Any] = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **unknown}) from None  # type: ignore[dict-item]
        if unknown:
            raise serializers.ValidationError(unknown)
        return values

    def to_representation(self, task: Task) -> dict[str, Any]:
        """The eight fields, written out: every answer passes here, and asking each field for its part is slow."""
        return {
            "id": str(task.id),
            "title": task.title,
            "description": task.description,
            "completed": task.completed,
            "user_id": task.user_id,
            "created_at": timestamp(task.created_at),
            "updated_at": timestamp(task.updated_at),
            "version": task.version,
        }
