"""What the OpenAPI document says of the endpoints beyond what drf-spectacular reads off the viewset."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    Direction,
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from rest.entity_tags import ENTITY_TAGS, OBS_TEXT
from tasks.api.listing import MAX_LIMIT, MAX_SEARCH_LENGTH
from tasks.api.serializers import TaskSerializer
from tasks.models import LAST_WRITTEN_FIRST, NEWEST_FIRST, ORDERINGS, USER_ID_MAX_LENGTH
from tasks.rules import DESCRIPTION_FORBIDDEN, INVISIBLE, NUL, TITLE_FORBIDDEN, WHITE_SPACE

TASK = {
    "id": "019bac10-5b00-7000-8000-000000000000",
    "title": "Buy milk",
    "description": "Two litres, and something for the cat",
    "completed": False,
    "user_id": "default",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-11T09:30:00.000000Z",
    "version": 1,
}
ANOTHER = {**TASK, "id": "019bac0f-7080-7000-8000-000000000000", "title": "Call the plumber"}
CHANGED = {**TASK, "completed": True, "updated_at": "2026-01-11T09:31:12.345678Z", "version": 2}

#: As the server, granian, hands them over: without what is beyond ASCII.
TAGS = {"type": "string", "pattern": ENTITY_TAGS.replace(OBS_TEXT, "")}
IF_MATCH = OpenApiParameter(
    "If-Match",
    TAGS,
    location=OpenApiParameter.HEADER,
    description="Carry this out only if the task is at one of these versions: its `ETag`, a list of them, or `*`.",
    examples=[OpenApiExample("A version", '"1"')],
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    TAGS,
    location=OpenApiParameter.HEADER,
    description="Answer 304 if the task is still at one of these versions.",
    examples=[OpenApiExample("A version", '"1"')],
)


TIME = {"type": "string", "format": "date-time"}


def query_parameter(
    name: str, description: str, example: Any, schema: dict[str, Any] | None = None
) -> OpenApiParameter:
    examples = [] if example is None else [OpenApiExample("An example", example)]
    return OpenApiParameter(name, schema or {"type": "string"}, description=description, examples=examples)


def response_header(name: str, description: str, status: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description, response=[status], required=True
    )


def entity_tag(status: int = 200) -> OpenApiParameter:
    return response_header("ETag", "The task's version, quoted.", status)


def character_class(characters: str) -> str:
    """The inside of a class of a regular expression: ``character_class("abcx")`` is ``\\u0061-\\u0063\\u0078``.

    But for characters past the first plane, which JavaScript has no such words for unless it is told to read Unicode.
    """
    points = sorted({ord(character) for character in characters if ord(character) <= 0xFFFF})
    begins = [point for point in points if point - 1 not in points]
    ends = [point for point in points if point + 1 not in points]
    ranges = zip(begins, ends, strict=True)
    return "".join(rf"\u{begin:04x}" if begin == end else rf"\u{begin:04x}-\u{end:04x}" for begin, end in ranges)


def text(*, forbidden: str, invisible: str) -> str:
    """The pattern of a text without the one, and not of the other alone."""
    rest = f"[^{character_class(forbidden)}]*"
    return f"^{rest}[^{character_class(invisible)}]{rest}$"


TITLE_PATTERN = text(forbidden=TITLE_FORBIDDEN, invisible=INVISIBLE)
DESCRIPTION_PATTERN = f"^[^{character_class(DESCRIPTION_FORBIDDEN)}]*$"
SEARCH_PATTERN = text(forbidden=NUL, invisible=NUL + WHITE_SPACE)

FILTER_PARAMETERS = [
    query_parameter(
        "limit",
        "A page of so many tasks, with a `Link` to the next; without it, all tasks.",
        20,
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    ),
    query_parameter(
        "cursor",
        "Where the page before ended, out of its `Link`; holds for the same filters and order, and needs a `limit`.",
        None,
        {"type": "string", "minLength": 1},
    ),
    query_parameter("completed", "Only tasks that are done, or are not.", "true", {"type": "boolean"}),
    query_parameter(
        "q",
        "Only tasks with each of these words in the title or the description, whatever its case.",
        "milk",
        {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH, "pattern": SEARCH_PATTERN},
    ),
    *(
        query_parameter(f"{column}_{bound}", f"Only tasks {verb} {sense}.", "2026-01-11T09:30:00Z", TIME)
        for column, verb in (("created", "made"), ("updated", "last written"))
        for bound, sense in (("after", "at this instant or later"), ("before", "earlier than this instant"))
    ),
]


def ordering_parameter(default: str) -> OpenApiParameter:
    return query_parameter(
        "ordering",
        "By this, and where it is equal by `id`; `-` is descending. `title` sorts by Unicode code points. A task that "
        "is given another place in this order while the list is read may be shown twice, or not at all; the times of "
        "creation never change.",
        "-updated_at",
        {"type": "string", "enum": list(ORDERINGS), "default": default},
    )


LINK = OpenApiParameter(
    "Link",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description='With a `limit`: the first page and, if there is more, the next one (RFC 8288, `rel="next"`).',
    response=[200],
)


EVERYWHERE = (
    "validation_error",
    "not_authenticated",
    "authentication_failed",
    "not_acceptable",
    "payload_too_large",
    "throttled",
    "server_error",
    "service_unavailable",
)


def problem_codes(*codes: str) -> dict[str, Any]:
    """The problems that an operation can answer: these, and those that all can."""
    return {"x-problem-codes": (*codes, *EVERYWHERE)}


def shown(value: Any, description: str) -> OpenApiResponse:
    example = OpenApiExample("A task", value, response_only=True)
    return OpenApiResponse(TaskSerializer, description, [example])


def sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


document_tasks = extend_schema_view(
    list=extend_schema(
        tags=["tasks"],
        operation_id="listTasks",
        parameters=[*FILTER_PARAMETERS, ordering_parameter(NEWEST_FIRST), LINK],
        extensions=problem_codes(),
        responses=OpenApiResponse(
            TaskSerializer(many=True),
            "The tasks.",
            [OpenApiExample("Two tasks", [CHANGED, ANOTHER], response_only=True)],
        ),
    ),
    create=extend_schema(
        tags=["tasks"],
        operation_id="createTask",
        parameters=[entity_tag(201), response_header("Location", "The path of the new task.", 201)],
        extensions=problem_codes("parse_error", "unsupported_media_type"),
        responses={201: shown(TASK, "The new task.")},
        examples=[sent("A task", {"title": TASK["title"], "description": TASK["description"]})],
    ),
    retrieve=extend_schema(
        tags=["tasks"],
        operation_id="getTask",
        parameters=[IF_NONE_MATCH, entity_tag(200), entity_tag(304)],
        extensions=problem_codes("not_found"),
        responses={200: shown(TASK, "The task."), 304: OpenApiResponse(description="The client has it already.")},
    ),
    partial_update=extend_schema(
        tags=["tasks"],
        operation_id="updateTask",
        parameters=[IF_MATCH, entity_tag()],
        extensions=problem_codes("parse_error", "unsupported_media_type", "not_found", "precondition_failed"),
        responses=shown(CHANGED, "The task as it is now."),
        examples=[sent("Completed", {"completed": True})],
    ),
    destroy=extend_schema(
        tags=["tasks"],
        operation_id="deleteTask",
        parameters=[IF_MATCH, entity_tag()],
        extensions=problem_codes("not_found", "precondition_failed"),
        responses={200: shown({**CHANGED, "completed": False}, "The task as it was last.")},
    ),
    toggle=extend_schema(
        tags=["tasks"],
        operation_id="toggleTask",
        parameters=[IF_MATCH, entity_tag()],
        request=None,
        extensions=problem_codes("not_found", "precondition_failed"),
        responses=shown(CHANGED, "The task as it is now."),
    ),
    restore=extend_schema(
        tags=["trash"],
        operation_id="restoreTask",
        parameters=[IF_MATCH, entity_tag()],
        request=None,
        extensions=problem_codes("not_found", "conflict", "precondition_failed"),
        responses=shown({**CHANGED, "version": 3}, "The task, back among the others."),
    ),
)

document_trash = extend_schema_view(
    list=extend_schema(
        tags=["trash"],
        operation_id="listTrash",
        description="What the caller has deleted, newest deletion first, by the same parameters as the list of tasks.",
        parameters=[*FILTER_PARAMETERS, ordering_parameter(LAST_WRITTEN_FIRST), LINK],
        extensions=problem_codes(),
        responses=OpenApiResponse(
            TaskSerializer(many=True),
            "The tasks.",
            [OpenApiExample("A task", [CHANGED], response_only=True)],
        ),
    ),
    retrieve=extend_schema(
        tags=["trash"],
        operation_id="getTrashedTask",
        description="One task in the trash.",
        parameters=[IF_NONE_MATCH, entity_tag(200), entity_tag(304)],
        extensions=problem_codes("not_found"),
        responses={200: shown(CHANGED, "The task."), 304: OpenApiResponse(description="The client has it already.")},
    ),
    destroy=extend_schema(
        tags=["trash"],
        operation_id="removeTask",
        parameters=[IF_MATCH, entity_tag()],
        extensions=problem_codes("not_found", "precondition_failed"),
        responses={200: shown(CHANGED, "The task as it was.")},
    ),
)


class TaskSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A task that is read has all its fields; of one that is sent, ``description`` may be ``null``."""

    target_class = TaskSerializer

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        properties = schema["properties"]
        properties["title"]["minLength"] = 1
        if direction == "response":
            schema["required"] = list(properties)
            properties["user_id"] |= {"minLength": 1, "maxLength": USER_ID_MAX_LENGTH}
            properties["version"] |= {"minimum": 1, "format": "int64"}
        else:
            schema["additionalProperties"] = False
            schema["description"] = "Read-only fields are accepted and ignored; any other field is refused."
            properties["title"]["pattern"] = TITLE_PATTERN
            properties["description"] |= {"type": ["string", "null"], "pattern": DESCRIPTION_PATTERN}
        return schema


#: What may be done next to the task that an operation answers with.
TO_LIVE = ("getTask", "updateTask", "toggleTask", "deleteTask")
TO_TRASHED = ("getTrashedTask", "restoreTask", "removeTask")
LINKS = {
    **dict.fromkeys(("createTask", "getTask", "updateTask", "toggleTask", "restoreTask"), TO_LIVE),
    **dict.fromkeys(("deleteTask", "getTrashedTask"), TO_TRASHED),
}


def document_links(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say where a task leads, and that a write may be bound to its version."""
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
