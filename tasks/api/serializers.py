"""The shape of a task in JSON, and what a client may send of it."""

from datetime import datetime
from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from rest.problems.types import Fault, InvalidRequest, pointer
from tasks.models import (
    COMPLETED_MESSAGES,
    DESCRIPTION_MESSAGES,
    TITLE_MESSAGES,
    Task,
)
from tasks.rules import WHITE_SPACE

NOT_AN_OBJECT = Fault(pointer=pointer(), code="not_an_object", detail="The body must be a JSON object")
UNKNOWN_FIELD = ErrorDetail("This field is unknown", code="unknown_field")


class TextField(serializers.CharField):
    """A JSON string; REST framework's own field takes numbers too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The model's validators refuse these characters with all others that are forbidden.
        doubled = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)
        self.validators = [validator for validator in self.validators if not isinstance(validator, doubled)]

    def run_validation(self, data: Any = empty) -> Any:
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class TitleField(TextField):
    """Trimmed before anything is asked of it."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).strip(WHITE_SPACE)


class DescriptionField(TextField):
    """Kept as sent; ``null`` means an empty one."""

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation("" if data is None else data)


class CompletedField(serializers.BooleanField):
    """JSON ``true`` or ``false``; REST framework's own field takes ``"yes"`` and ``1`` too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class TimestampField(serializers.DateTimeField):
    """RFC 3339, in UTC, always with six digits of microseconds and a ``Z``."""

    def to_representation(self, value: datetime) -> str:
        return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class TaskSerializer(serializers.ModelSerializer[Task]):
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TitleField,
        models.TextField: DescriptionField,
        models.BooleanField: CompletedField,
        models.DateTimeField: TimestampField,
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


#: Built once for the process: validating keeps nothing in them.
NEW_TASK = TaskSerializer()
CHANGES = TaskSerializer(partial=True)
