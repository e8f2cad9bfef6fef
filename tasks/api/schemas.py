"""The named schemas of the OpenAPI document: tasks, labels, operations of a bulk, changes.

Generators make a class from each named schema, and invent a name for each other object.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction

from changes.openapi import feed_schemas
from identity.user_ids import USER_ID_MAX_LENGTH
from rest.openapi import nullable, reference, text_pattern
from tasks.api.bulk import MAX_OPERATIONS
from tasks.api.serializers import LABEL_SCHEMA, TaskSerializer
from tasks.due import ACCEPTED_DUE_FORMS
from tasks.models import Task
from tasks.rules import DESCRIPTION_FORBIDDEN, INVISIBLE, LABELS_MAX_NUMBER, TITLE_FORBIDDEN, Priority

TASK_ID = {"type": "string", "format": "uuid", "description": "The id of a task; an id may appear only once."}

READ_ONLY_FIELDS = TaskSerializer.Meta.read_only_fields
#: Any value, so that a client may send back a task that it read.
IGNORED = {"description": "Accepted and ignored."}

#: No ``format``, because generators map ``int64`` to types that JSON numbers do not fit, such as JavaScript's BigInt.
VERSION = {"type": "integer", "minimum": 1}
IF_VERSION = {**VERSION, "description": "Carry out the operation only on this version."}


#: No ``const``, because openapi-generator makes the text ``"true"`` of it.
TRUE = {"type": "boolean", "not": {"const": False}}


def labels_schema(description: str, value: dict[str, Any], **limits: int) -> dict[str, Any]:
    """Return the schema of an object of labels, each with a ``value``."""
    names = {"type": "object", "propertyNames": reference("Label"), "additionalProperties": value, **limits}
    return {"description": description, **names}


def operation_schema(op: str, optional: dict[str, Any], **required: Any) -> dict[str, Any]:
    """Return the schema of an operation of a bulk."""
    required = {"op": {"type": "string", "const": op}, **required}
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


OPERATIONS = {
    "create": operation_schema(
        "create",
        {"id": {**TASK_ID, "description": "A UUID of version 7; without it, the server makes the id."}},
        task=reference("TaskRequest"),
    ),
    "update": operation_schema("update", {"if_match": IF_VERSION}, id=TASK_ID, task=reference("TaskPatch")),
    **{
        op: operation_schema(op, {"if_match": IF_VERSION}, id=TASK_ID)
        for op in ("toggle", "delete", "restore", "remove")
    },
}
#: The name of each operation's schema: generators choose the class by ``op``.
OPERATION_NAMES = {op: f"{op.capitalize()}Operation" for op in OPERATIONS}

SCHEMAS = {
    **{OPERATION_NAMES[op]: schema for op, schema in OPERATIONS.items()},
    "BulkOperation": {
        "oneOf": [reference(name) for name in OPERATION_NAMES.values()],
        "discriminator": {
            "propertyName": "op",
            "mapping": {op: reference(name)["$ref"] for op, name in OPERATION_NAMES.items()},
        },
    },
    "Label": LABEL_SCHEMA,
    "LabelPatch": labels_schema("`true` adds a label, and `null` removes it.", {**TRUE, "type": ["boolean", "null"]}),
    "Labels": labels_schema(
        f"Up to {LABELS_MAX_NUMBER} names of labels, each with `true`.",
        TRUE,
        maxProperties=LABELS_MAX_NUMBER,
    ),
    "Priority": {"type": "string", "enum": [priority.label for priority in Priority if priority]},
    "TaskCount": {
        "type": "object",
        "properties": {"count": {"type": "integer", "minimum": 0}},
        "required": ["count"],
    },
    **feed_schemas("task", "Task"),
}

BULK_REQUEST = {"type": "array", "minItems": 1, "maxItems": MAX_OPERATIONS, "items": reference("BulkOperation")}
TASK_LIST = {"type": "array", "items": reference("Task")}


def document_schemas(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the named schemas that no serializer has."""
    result["components"]["schemas"] |= SCHEMAS
    return result


class TaskSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """The schema of a task: complete in responses, and strict in requests."""

    target_class = TaskSerializer

    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        if direction == "response":
            return "Task"
        return "TaskPatch" if self.target.partial else "TaskRequest"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        properties = schema["properties"]
        for name in READ_ONLY_FIELDS:
            # Generators omit read-only fields from the type of a task that they also use for requests.
            del properties[name]["readOnly"]
        properties["title"]["minLength"] = 1
        properties["priority"] = {
            **nullable(reference("Priority")),
            "description": properties["priority"]["description"],
        }
        return _response(schema) if direction == "response" else _request(schema, partial=self.target.partial)


def _response(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete the schema of a task in responses."""
    properties = schema["properties"]
    properties["labels"] = reference("Labels")
    properties["user_id"] |= {"minLength": 1, "maxLength": USER_ID_MAX_LENGTH}
    properties["version"] = {**VERSION, "description": properties["version"]["description"]}
    return {**schema, "description": "A task.", "required": list(properties)}


def _request(schema: dict[str, Any], *, partial: bool) -> dict[str, Any]:
    """Complete the schema of a task in requests, which may have read-only fields of any value."""
    properties = {name: schema["properties"][name] for name in Task.WRITABLE_FIELDS}
    properties["title"]["pattern"] = text_pattern(forbidden=TITLE_FORBIDDEN, invisible=INVISIBLE)
    properties["description"] |= {
        "type": ["string", "null"],
        "pattern": text_pattern(forbidden=DESCRIPTION_FORBIDDEN),
    }
    properties["due"]["pattern"] = ACCEPTED_DUE_FORMS
    del properties["due"]["maxLength"]
    properties["labels"] = _labels_request(partial=partial)
    return {
        "type": "object",
        "description": "Read-only fields are accepted and ignored. Unknown fields are refused.",
        "properties": {**properties, **dict.fromkeys(READ_ONLY_FIELDS, IGNORED)},
        "additionalProperties": False,
        **({} if partial else {"required": ["title"]}),
    }


def _labels_request(*, partial: bool) -> dict[str, Any]:
    """Return the schema of labels in a request; a change may remove labels."""
    names = {"type": "array", "items": reference("Label"), "uniqueItems": True, "maxItems": LABELS_MAX_NUMBER}
    return {"anyOf": [reference("LabelPatch" if partial else "Labels"), names, {"type": "null"}]}
