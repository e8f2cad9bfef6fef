"""Every operation that writes documents the key, and no other does."""

import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def operations():
    document = SchemaGenerator().get_schema(public=True)
    return {
        operation["operationId"]: (method, operation)
        for operations in document["paths"].values()
        for method, operation in operations.items()
    }


def documents_key(operation):
    return "Idempotency-Key" in [each["name"] for each in operation.get("parameters", ())]


def replayable(operation):
    return {status for status, each in operation["responses"].items() if "Idempotency-Replayed" in each["headers"]}


def test_every_operation_that_writes_has_the_key(operations):
    writing = {name for name, (method, _) in operations.items() if method in ("post", "patch", "delete")}
    assert writing >= {"createTask", "updateTask", "deleteTask", "toggleTask", "restoreTask", "removeTask"}
    assert {name for name, (_, operation) in operations.items() if documents_key(operation)} == writing
    assert {name for name, (_, operation) in operations.items() if "422" in operation["responses"]} == writing


def test_the_responses_that_are_given_again_say_so(operations):
    seen = {name: replayable(operation) for name, (_, operation) in operations.items()}
    assert {name: statuses for name, statuses in seen.items() if statuses} == {
        "createTask": {"201"},
        "updateTask": {"200", "404", "412"},
        "deleteTask": {"200", "404", "412"},
        "toggleTask": {"200", "404", "412"},
        "restoreTask": {"200", "404", "409", "412"},
        "removeTask": {"200", "404", "412"},
    }
