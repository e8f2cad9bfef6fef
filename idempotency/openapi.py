"""Describe ``Idempotency-Key`` for every write in the OpenAPI document."""

from datetime import timedelta
from typing import Any

from idempotency.models import KEPT_FOR, KEY_MAX_LENGTH
from rest.openapi import problem_response
from rest.problems.types import IdempotencyKeyReused

WRITING = ("post", "put", "patch", "delete")
KEPT_STATUSES = ("200", "201", "404", "409", "412")

HOURS = KEPT_FOR // timedelta(hours=1)

PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": KEY_MAX_LENGTH,
        "pattern": "^[!-~]+$",
        "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    },
    "description": (
        "Your own key for this request, such as a new UUID. If you send the request again with the same key within "
        f"{HOURS} hours, nothing is done and you get the first response. Another request with the same key gets 422."
    ),
}
REPLAYED = {
    "schema": {"type": "string", "enum": ["true"]},
    "description": "This is the response to the first request with this `Idempotency-Key`.",
}


def document_keys(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the key, the problem of a reused key and the header of a replay to each write."""
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
