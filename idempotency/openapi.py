"""What the OpenAPI document says of ``Idempotency-Key``, alike for every operation that writes."""

from datetime import timedelta
from typing import Any

from idempotency.models import KEPT_FOR, KEY_MAX_LENGTH
from rest.openapi import problem_response
from rest.problems.types import IdempotencyKeyReused

WRITING = ("post", "patch", "delete")
KEPT_STATUSES = ("200", "201", "404", "409", "412")

HOURS = KEPT_FOR // timedelta(hours=1)

PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_LENGTH, "pattern": "^[!-~]+$"},
    "description": (
        "A key of your own for this request, such as a new UUID. Sent again with the same key, it is not carried out "
        f"again: for {HOURS} hours the answer is the first one's. With another request under that key it is a 422."
    ),
    "examples": {"AUUID": {"value": "8e03978e-40d5-43dd-bc93-6894a57f9324", "summary": "A UUID"}},
}
REPLAYED = {
    "schema": {"type": "string", "enum": ["true"]},
    "description": "The request came with this `Idempotency-Key` before; this is what it came to then.",
}


def document_keys(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give each operation that writes the key, the problem of one that is reused, and the header of a replay."""
    result["components"]["headers"]["Idempotency-Replayed"] = REPLAYED
    for path, operations in result["paths"].items():
        for method in operations.keys() & WRITING:
            _document_key(operations[method], path)
    return result


def _document_key(operation: dict[str, Any], path: str) -> None:
    operation["parameters"] = sorted([*operation.get("parameters", ()), PARAMETER], key=lambda each: each["name"])
    responses = operation["responses"]
    for status in responses.keys() & KEPT_STATUSES:
        responses[status]["headers"]["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    responses["422"] = problem_response(IdempotencyKeyReused.status_code, [IdempotencyKeyReused], path)
    operation["responses"] = dict(sorted(responses.items()))
