"""The shape of a task in JSON, and the limits of the fields that a client sends."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from rest.openapi import text_pattern
from rest.problems.types import InvalidRequest, body_fault
from rest.timestamps import TimestampField
from tasks import fields
from tasks.due import DUE_EXAMPLES, DUE_FORMS, DUE_MAX_LENGTH, canonical_due
from tasks.fields import label_patch
from tasks.models import Task
from tasks.rules import (
    INVISIBLE,
    LABEL_FORBIDDEN,
    LABEL_MAX_LENGTH,
    LABELS_MAX_NUMBER,
    MESSAGES,
    WHITE_SPACE,
    Priority,
    clean_label,
)

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


@extend_schema_field({"type": "string", "pattern": DUE_FORMS, "maxLength": DUE_MAX_LENGTH, "examples": DUE_EXAMPLES})
class DueField(TextField):
    """A due date, which is stored in canonical form."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return canonical_due(super().to_internal_value(data))
        except ValidationError as error:
            self.fail(str(error.code))


@extend_schema_field({"type": "string"})
class PriorityField(serializers.Field[int, str | None, str | None, Any]):
    """The word of a priority, or ``null``."""

    numbers: ClassVar = {priority.label: priority.value for priority in Priority if priority}

    def run_validation(self, data: Any = empty) -> Any:
        return Priority.NONE.value if data is None else super().run_validation(data)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or data not in self.numbers:
            self.fail("invalid")
        number: int = self.numbers[data]
        return number

    def to_representation(self, value: int) -> str | None:
        return Priority(value).label if value else None


LABEL_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": LABEL_MAX_LENGTH,
    "pattern": text_pattern(forbidden=LABEL_FORBIDDEN, invisible=LABEL_FORBIDDEN + INVISIBLE),
}


@extend_schema_field({"type": "object"})
class LabelsField(serializers.Field[Any, Any, Any, Any]):
    """Labels: a frozenset, or a dict of the names that a change adds and removes.

    Only an object in a change gives a dict. An array, ``null`` or an object in a new task gives the whole set.
    """

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation([] if data is None else data)

    def to_internal_value(self, data: Any) -> frozenset[str] | dict[str, bool | None]:
        is_patch = self.root.partial and isinstance(data, dict)
        labels = self._read(data, {True, None} if is_patch else {True})
        if not self.root.partial and len(labels) > LABELS_MAX_NUMBER:
            self.fail("max_number")
        return labels if is_patch else frozenset(labels)

    def to_representation(self, value: frozenset[str]) -> dict[str, bool]:
        return dict.fromkeys(value, True)

    def _read(self, data: Any, allowed: Container[Any]) -> dict[str, bool | None]:
        labels: dict[str, bool | None] = {}
        faults: dict[str, Any] = {}
        for place, name, value in self._members(data):
            try:
                label = clean_label(name)
                if type(value) not in (bool, type(None)) or value not in allowed:
                    self.fail("not_true_or_null" if None in allowed else "not_true")
                if label in labels:
                    self.fail("duplicate")
                labels[label] = value
            except ValidationError as error:
                faults[place] = [ErrorDetail(str(error.message), error.code)]
            except serializers.ValidationError as error:
                faults[place] = error.detail
        if faults:
            raise serializers.ValidationError(faults)
        return labels

    def _members(self, data: Any) -> Iterator[tuple[str, str, Any]]:
        """Yield the place, the name and the value of each label."""
        if isinstance(data, dict):
            yield from ((name, name, value) for name, value in data.items())
        elif isinstance(data, list) and all(isinstance(name, str) for name in data):
            yield from ((str(index), name, True) for index, name in enumerate(data))
        else:
            self.fail("invalid")


class TaskSerializer(serializers.ModelSerializer[Task]):
    """A task, each field by the class of the model's field."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: LineField,
        models.TextField: MultilineField,
        models.BooleanField: StrictBooleanField,
        models.DateTimeField: TimestampField,
    }

    #: The fields that take only ``own_options`` from the model's field.
    own_fields: ClassVar[dict[type, type[serializers.Field[Any, Any, Any, Any]]]] = {
        fields.DueField: DueField,
        fields.PriorityField: PriorityField,
        fields.LabelsField: LabelsField,
    }
    own_options = ("required", "allow_null", "help_text")

    class Meta:
        model = Task
        fields = Task.PUBLIC_FIELDS
        read_only_fields = tuple(name for name in Task.PUBLIC_FIELDS if name not in Task.WRITABLE_FIELDS)
        extra_kwargs = {name: {"error_messages": messages} for name, messages in MESSAGES.items()}

    def build_standard_field(
        self, field_name: str, model_field: "models.Field[Any, Any]"
    ) -> tuple[type[serializers.Field[Any, Any, Any, Any]], dict[str, Any]]:
        field_class, options = super().build_standard_field(field_name, model_field)
        if own_class := self.own_fields.get(type(model_field)):
            return own_class, {name: options[name] for name in self.own_options if name in options}
        return field_class, options

    @cached_property
    def input_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields that a client sends, by name."""
        return {name: field for name, field in self.fields.items() if not field.read_only}

    def run_validation(self, data: Any = empty) -> Any:
        """Return the values of a JSON object; the serializer has no validators apart from those of its fields."""
        if not isinstance(data, dict):
            raise InvalidRequest(faults=[body_fault([], "not_an_object", "The body must be a JSON object")])
        return self.to_internal_value(data)

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        """Validate the fields that the client sent, and those that a new task requires.

        REST framework would visit each field of the model in eight calls.
        """
        values: dict[str, Any] = {}
        faults: dict[str, Any] = {}
        for name, field in self.input_fields.items():
            if name in data or (field.required and not self.partial):
                try:
                    values[name] = field.run_validation(data.get(name, empty))
                except serializers.ValidationError as error:
                    faults[name] = error.detail
        faults |= {name: [UNKNOWN_FIELD] for name in data if name not in self.fields}
        if faults:
            raise serializers.ValidationError(faults)
        if isinstance(values.get("labels"), dict):
            values["label_patch"] = label_patch(values.pop("labels"))
        return values


#: The names of the changes of labels in the values of ``CHANGES``: a new set, or a merge patch.
LABEL_CHANGES = frozenset({"labels", "label_patch"})


def count_labels(stored: Iterable[str], changes: Mapping[str, Any]) -> int:
    """Return how many labels a task with the ``stored`` ones has after changes of its labels."""
    if "labels" in changes:
        return len(changes["labels"])
    patched = {**dict.fromkeys(stored, True), **json.loads(changes["label_patch"])}
    return sum(value is True for value in patched.values())


#: Built once per process, because validation stores nothing in them.
NEW_TASK = TaskSerializer()
CHANGES = TaskSerializer(partial=True)
