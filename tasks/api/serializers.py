"""The shape of a task in JSON, and the limits of the fields that a client sends."""

from typing import Any

from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from rest.problems.types import InvalidRequest, body_fault
from rest.timestamps import TimestampField
from tasks.models import Task
from tasks.rules import MESSAGES, WHITE_SPACE

UNKNOWN_FIELD = ErrorDetail("This field is unknown", code="unknown_field")


class TextField(serializers.CharField):
    """A JSON string; REST framework's own field takes numbers too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The model's validators refuse these characters together with all other forbidden ones.
        duplicates = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)
        self.validators = [validator for validator in self.validators if not isinstance(validator, duplicates)]

    def run_validation(self, data: Any = empty) -> Any:
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class LineField(TextField):
    """A text on one line, which is trimmed before validation."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).strip(WHITE_SPACE)


class MultilineField(TextField):
    """A text that is stored as sent; ``null`` means an empty text."""

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation("" if data is None else data)


class StrictBooleanField(serializers.BooleanField):
    """JSON ``true`` or ``false``; REST framework's own field takes ``"yes"`` and ``1`` too."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class TaskSerializer(serializers.ModelSerializer[Task]):
    """A task, each field by the class of the model's field."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: LineField,
        models.TextField: MultilineField,
        models.BooleanField: StrictBooleanField,
        models.DateTimeField: TimestampField,
    }

    class Meta:
        model = Task
        fields = Task.PUBLIC_FIELDS
        read_only_fields = tuple(name for name in Task.PUBLIC_FIELDS if name not in Task.WRITABLE_FIELDS)
        extra_kwargs = {name: {"error_messages": messages} for name, messages in MESSAGES.items()}

    def run_validation(self, data: Any = empty) -> Any:
        if not isinstance(data, dict):
            raise InvalidRequest(faults=[body_fault([], "not_an_object", "The body must be a JSON object")])
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


#: Built once per process, because validation stores nothing in them.
NEW_TASK = TaskSerializer()
CHANGES = TaskSerializer(partial=True)
