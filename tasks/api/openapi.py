"""Describe the endpoints in the OpenAPI document, beyond what drf-spectacular reads from the viewsets."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view

from changes.openapi import DESCRIPTION as FEED_DESCRIPTION
from changes.openapi import FEED_PARAMETERS, STATE_EXAMPLE
from rest.entity_tags import ENTITY_TAGS, OBS_TEXT
from rest.openapi import reference
from rest.parameters import ParameterType
from tasks.api.filters import FILTERS
from tasks.api.listing import PARAMETERS, SELECTION
from tasks.api.schemas import BULK_REQUEST, TASK_LIST
from tasks.api.serializers import TaskSerializer
from tasks.models import Task
from tasks.querysets import LAST_WRITTEN_FIRST, NEWEST_FIRST

_EXAMPLE = {
    "id": "019bac10-5b00-7000-8000-000000000000",
    "title": "Buy milk",
    "description": "Two litres, and something for the cat",
    "completed": False,
    "due": "2026-01-12",
    "priority": "high",
    "labels": {"home": True},
    "user_id": "default",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-11T09:30:00.000000Z",
    "version": 1,
}
TASK = {name: _EXAMPLE.get(name) for name in Task.PUBLIC_FIELDS}
ANOTHER = {**TASK, "id": "019bac0f-7080-7000-8000-000000000000", "title": "Call the plumber"}
CHANGED = {
    **TASK,
    "completed": True,
    "updated_at": "2026-01-11T09:31:12.345678Z",
    "completed_at": "2026-01-11T09:31:12.345678Z",
    "version": 2,
}

TITLES = (TASK["title"], ANOTHER["title"])

FEED = {
    "changes": [
        {"id": TASK["id"], "state": "live", "task": TASK},
        {"id": ANOTHER["id"], "state": "removed", "task": None},
    ],
    "state": STATE_EXAMPLE,
    "more": False,
}

#: In ASCII, because the server refuses other bytes in headers.
TAGS = {"type": "string", "pattern": ENTITY_TAGS.replace(OBS_TEXT, ""), "examples": ['"1"']}
ID = OpenApiParameter(
    "id",
    {"type": "string", "format": "uuid", "examples": [TASK["id"]]},
    location=OpenApiParameter.PATH,
    description="The id of the task: a UUID in lower case. For a new task, a UUID of version 7.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    TAGS,
    location=OpenApiParameter.HEADER,
    description="Change the task only if it has one of these versions: an `ETag`, a list of `ETag`s, or `*`.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    TAGS,
    location=OpenApiParameter.HEADER,
    description="Answer 304 if the task still has one of these versions.",
)


def response_header(name: str, description: str, status: int) -> OpenApiParameter:
    """Document a header of the responses with this status."""
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description, response=[status], required=True
    )


def etag_header(status: int = 200) -> OpenApiParameter:
    """Document ``ETag``."""
    return response_header("ETag", "The task's version, quoted.", status)


DESCRIPTIONS = {
    "limit": "Return a page of at most this many tasks, with a `Link` to the next page. Without `limit`: all tasks.",
    "cursor": "The end of the previous page, from its `Link`. Valid with the same filters and order. Needs a `limit`.",
    "q": "Only tasks with each of these words in the title or the description, in upper or lower case.",
    "ordering": (
        "Sort by this key, and tasks with equal keys by `id`; `-` means descending. `title` sorts by Unicode code "
        "point. A task whose key changes while the list is read may appear twice or not at all. `created_at` never "
        "changes."
    ),
    **{name: each.description for name, each in FILTERS.items()},
}


def selection_parameters() -> list[OpenApiParameter]:
    """Document the parameters that select tasks."""
    return [parameter for parameter in list_parameters(NEWEST_FIRST) if parameter.name in SELECTION]


def list_parameters(default_ordering: str) -> list[OpenApiParameter]:
    """Document the parameters of a list."""
    schemas = {name: parameter_schema(parameter) for name, parameter in PARAMETERS.items()}
    schemas["ordering"]["default"] = default_ordering
    return [OpenApiParameter(name, schema, description=DESCRIPTIONS[name]) for name, schema in schemas.items()]


def parameter_schema(parameter: ParameterType) -> dict[str, Any]:
    """Return the schema of a parameter with its example, which Swagger UI sends if the parameter has it."""
    examples = {} if parameter.example is None else {"examples": [parameter.example]}
    return {**parameter.schema, **examples}


STAR = OpenApiParameter(
    "If-None-Match",
    # Generators and Swagger UI know an enumeration and a default, and ignore a constant.
    {"type": "string", "enum": ["*"], "x-enum-varnames": ["ANY"], "default": "*"},
    location=OpenApiParameter.HEADER,
    required=True,
    description="Always `*`: the request stores a new task, and changes none.",
)

LINK = OpenApiParameter(
    "Link",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description='With a `limit`: the first page and, if more tasks follow, the next page (RFC 8288, `rel="next"`).',
    response=[200],
)


EVERYWHERE = (
    "validation_error",
    "not_authenticated",
    "authentication_failed",
    "permission_denied",
    "not_acceptable",
    "payload_too_large",
    "throttled",
    "header_fields_too_large",
    "server_error",
    "service_unavailable",
)


def problem_codes(*codes: str) -> dict[str, Any]:
    """Name the problems of an operation: ``codes``, and the problems of all operations."""
    return {"x-problem-codes": (*codes, *EVERYWHERE)}


def task_response(value: Any, description: str) -> OpenApiResponse:
    """Document a response with one task."""
    example = OpenApiExample("A task", value, response_only=True)
    return OpenApiResponse(TaskSerializer, description, [example])


#: drf-spectacular makes an array of the example.
LIST_RESPONSE = OpenApiResponse(
    TaskSerializer(many=True), "The tasks.", [OpenApiExample("One task", CHANGED, response_only=True)]
)


def request_example(name: str, value: Any) -> OpenApiExample:
    """Return an example of a body."""
    return OpenApiExample(name, value, request_only=True)


document_tasks = extend_schema_view(
    list=extend_schema(
        tags=["tasks"],
        operation_id="listTasks",
        summary="List tasks",
        parameters=[*list_parameters(NEWEST_FIRST), LINK],
        extensions=problem_codes(),
        responses=LIST_RESPONSE,
    ),
    count=extend_schema(
        tags=["tasks"],
        operation_id="countTasks",
        summary="Count tasks",
        parameters=selection_parameters(),
        extensions=problem_codes(),
        responses=OpenApiResponse(
            reference("TaskCount"),
            "The number of tasks.",
            [OpenApiExample("Three tasks", {"count": 3}, response_only=True)],
        ),
    ),
    changes=extend_schema(
        tags=["tasks"],
        operation_id="listChanges",
        summary="List changes since a state",
        description=FEED_DESCRIPTION,
        parameters=FEED_PARAMETERS,
        extensions=problem_codes("state_expired"),
        responses=OpenApiResponse(
            reference("ChangePage"), "The changes.", [OpenApiExample("Two changes", FEED, response_only=True)]
        ),
    ),
    create=extend_schema(
        tags=["tasks"],
        operation_id="createTask",
        summary="Create a task",
        parameters=[etag_header(201), response_header("Location", "The path of the new task.", 201)],
        extensions=problem_codes("parse_error", "unsupported_media_type"),
        responses={201: task_response(TASK, "The new task.")},
        examples=[request_example("A task", {"title": TASK["title"], "description": TASK["description"]})],
    ),
    update=extend_schema(
        tags=["tasks"],
        operation_id="putTask",
        summary="Create a task under an id that the client made",
        description=(
            "Store a new task under an id that the client made: a UUID of version 7, in lower case. `created_at` is "
            "the server's. An id that anybody uses, or that was the id of a task of the caller's that was removed for "
            "good in the last 90 days, gets a 412. The 412 has an `ETag` if the id is of the caller's live task: then "
            "an earlier attempt may have succeeded."
        ),
        parameters=[ID, STAR, etag_header(201), response_header("Location", "The path of the new task.", 201)],
        extensions=problem_codes("parse_error", "unsupported_media_type", "not_found", "precondition_failed"),
        responses={201: task_response(TASK, "The new task.")},
        examples=[request_example("A task", {"title": TASK["title"], "description": TASK["description"]})],
    ),
    bulk=extend_schema(
        tags=["tasks"],
        operation_id="bulkTasks",
        summary="Carry out many operations at once",
        description=(
            "Carry out 1 to 100 operations at one moment, all or none. Each operation does what its own endpoint does, "
            "and each element of the response is what that endpoint answers. If an operation cannot be carried out, "
            "`errors` names every fault, and the status is the first of 400, 404, 409 and 412 that applies. The body "
            "may have 512 KiB. Each operation counts as a write for the rate limit. An `If-Match` header is refused."
        ),
        request={"application/json": BULK_REQUEST},
        extensions=problem_codes(
            "parse_error", "unsupported_media_type", "not_found", "conflict", "precondition_failed"
        ),
        responses=OpenApiResponse(
            TASK_LIST,
            "The task of each operation, in the order of the operations.",
            [OpenApiExample("Two tasks", [TASK, ANOTHER], response_only=True)],
        ),
        examples=[
            # Swagger UI sends the first example, so its operations need no stored task.
            request_example("New tasks", [{"op": "create", "task": {"title": title}} for title in TITLES]),
            request_example(
                "Changes of tasks",
                [
                    {"op": "update", "id": TASK["id"], "task": {"completed": True}, "if_match": 1},
                    {"op": "delete", "id": ANOTHER["id"]},
                ],
            ),
        ],
    ),
    retrieve=extend_schema(
        tags=["tasks"],
        operation_id="getTask",
        summary="Get a task",
        parameters=[ID, IF_NONE_MATCH, etag_header(200), etag_header(304)],
        extensions=problem_codes("not_found"),
        responses={
            200: task_response(TASK, "The task."),
            304: OpenApiResponse(description="The client has it already."),
        },
    ),
    partial_update=extend_schema(
        tags=["tasks"],
        operation_id="updateTask",
        summary="Change a task",
        parameters=[ID, IF_MATCH, etag_header()],
        extensions=problem_codes("parse_error", "unsupported_media_type", "not_found", "precondition_failed"),
        responses=task_response(CHANGED, "The task as it is now."),
        examples=[request_example("Completed", {"completed": True})],
    ),
    destroy=extend_schema(
        tags=["tasks"],
        operation_id="deleteTask",
        summary="Move a task to the trash",
        parameters=[ID, IF_MATCH, etag_header()],
        extensions=problem_codes("not_found", "precondition_failed"),
        responses={
            200: task_response({**CHANGED, "completed": False, "completed_at": None}, "The task, now in the trash.")
        },
    ),
    toggle=extend_schema(
        tags=["tasks"],
        operation_id="toggleTask",
        summary="Toggle a task",
        parameters=[ID, IF_MATCH, etag_header()],
        request=None,
        extensions=problem_codes("not_found", "precondition_failed"),
        responses=task_response(CHANGED, "The task as it is now."),
    ),
    restore=extend_schema(
        tags=["trash"],
        operation_id="restoreTask",
        summary="Restore a task from the trash",
        parameters=[ID, IF_MATCH, etag_header()],
        request=None,
        extensions=problem_codes("not_found", "conflict", "precondition_failed"),
        responses=task_response({**CHANGED, "version": 3}, "The restored task."),
    ),
)

document_trash = extend_schema_view(
    list=extend_schema(
        tags=["trash"],
        operation_id="listTrash",
        summary="List the trash",
        description="The caller's deleted tasks, newest deletion first. The parameters are the same as for live tasks.",
        parameters=[*list_parameters(LAST_WRITTEN_FIRST), LINK],
        extensions=problem_codes(),
        responses=LIST_RESPONSE,
    ),
    retrieve=extend_schema(
        tags=["trash"],
        operation_id="getTrashedTask",
        summary="Get a task in the trash",
        description="One task in the trash.",
        parameters=[ID, IF_NONE_MATCH, etag_header(200), etag_header(304)],
        extensions=problem_codes("not_found"),
        responses={
            200: task_response(CHANGED, "The task."),
            304: OpenApiResponse(description="The client has it already."),
        },
    ),
    destroy=extend_schema(
        tags=["trash"],
        operation_id="removeTask",
        summary="Remove a task for good",
        parameters=[ID, IF_MATCH, etag_header()],
        extensions=problem_codes("not_found", "precondition_failed"),
        responses={200: task_response(CHANGED, "The last state of the deleted task.")},
    ),
)


#: The operations that can follow on the task of a response.
TO_LIVE = ("getTask", "updateTask", "toggleTask", "deleteTask")
TO_TRASHED = ("getTrashedTask", "restoreTask", "removeTask")
LINKS = {
    **dict.fromkeys(("createTask", "putTask", "getTask", "updateTask", "toggleTask", "restoreTask"), TO_LIVE),
    **dict.fromkeys(("deleteTask", "getTrashedTask"), TO_TRASHED),
}


def document_links(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Link each response with one task to the operations that can follow, with the task's ``If-Match``."""
    result["components"]["links"] = {name: _link(name) for name in (*TO_LIVE, *TO_TRASHED)}
    operations = [operation for operations in result["paths"].values() for operation in operations.values()]
    for operation in operations:
        if targets := LINKS.get(operation["operationId"]):
            [success] = operation["responses"].keys() & {"200", "201"}
            links = {name: {"$ref": f"#/components/links/{name}"} for name in targets}
            operation["responses"][success]["links"] = links
    return result


def _link(name: str) -> dict[str, Any]:
    parameters = {"path.id": "$response.body#/id"}
    if not name.startswith("get"):
        parameters["header.If-Match"] = "$response.header.ETag"
    return {"operationId": name, "parameters": parameters}
