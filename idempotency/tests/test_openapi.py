"""``Idempotency-Key`` in the OpenAPI document."""

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


def replayed_statuses(operation):
    return {status for status, each in operation["responses"].items() if "Idempotency-Replayed" in each["headers"]}


def test_key_is_documented_for_every_write(operations):
    writes = {name for name, (method, _) in operations.items() if method in ("post", "put", "patch", "delete")}
    assert writes >= {"createTask", "updateTask", "deleteTask", "toggleTask", "restoreTask", "removeTask"}
    assert {name for name, (_, operation) in operations.items() if documents_key(operation)} == writes
    assert {name for name, (_, operation) in operations.items() if "422" in operation["responses"]} == writes


def test_replay_is_documented_for_kept_statuses(operations):
    statuses = {name: replayed_statuses(operation) for name, (_, operation) in operations.items()}
    assert {name: replayed for name, replayed in statuses.items() if replayed} == {
        "createTask": {"201"},
        "putTask": {"201", "404", "412"},
        "bulkTasks": {"200", "404", "409", "412"},
        "updateTask": {"200", "404", "412"},
        "deleteTask": {"200", "404", "412"},
        "toggleTask": {"200", "404", "412"},
        "restoreTask": {"200", "404", "409", "412"},
        "removeTask": {"200", "404", "412"},
    }
