"""Describe a change feed in the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from changes.feed import DEFAULT_LIMIT, LIMIT, SINCE

STATE_EXAMPLE = "S3jj6pcMlrsAAAAAAAAAAgGiGQZGc3bWlL1XMlP_J_cAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACFHefvA_4lyg"

DESCRIPTION = """Return the changes after the state in `since`, or all tasks if there is no `since`.

Apply the changes in their order: delete each `removed` one, and replace each other one unless your `version` is higher.
Follow with `since` until `more` is false, and keep the last `state`. A change comes at least once, and may come some
time after its write was answered. None is left out."""

FEED_PARAMETERS = [
    OpenApiParameter(
        "since", SINCE.schema, description="The `state` of an earlier answer. Without it, the feed starts again."
    ),
    OpenApiParameter(
        "limit",
        LIMIT.schema,
        description="Return at most this many changes.",
        examples=[OpenApiExample("An example", DEFAULT_LIMIT)],
    ),
]


def feed_schema(name: str, component: str) -> dict[str, Any]:
    """Return the schema of a page of the feed; a change has the row, a ``component``, under ``name``."""
    change = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "state": {"type": "string", "enum": ["live", "trashed", "removed"]},
            name: {"oneOf": [{"$ref": f"#/components/schemas/{component}"}, {"type": "null"}]},
        },
        "required": ["id", "state", name],
    }
    return {
        "type": "object",
        "properties": {
            "changes": {"type": "array", "items": change},
            "state": {"type": "string", "description": "The value of `since` in the next request."},
            "more": {"type": "boolean", "description": "Whether changes were left out, because of `limit`."},
        },
        "required": ["changes", "state", "more"],
    }
