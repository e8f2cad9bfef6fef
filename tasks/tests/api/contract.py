"""The contract as the tests know it: fields, routes, headers and problem bodies."""

from datetime import datetime
from typing import NamedTuple

from jsonschema import Draft202012Validator

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
PROBLEM_JSON = "application/problem+json"

MAX_BODY_BYTES = 64 * 1024
MAX_BULK_BYTES = 512 * 1024
MAX_HEAD_BYTES = 24 * 1024
MAX_HEADER_BYTES = 8 * 1024
MAX_AUTHORIZATION_BYTES = 8300

#: A task with each field as the API shows it, in order. Add a new field here, and to ``DEFAULTS`` or ``READ_ONLY``.
EXAMPLE = {
    "id": "019bac32-0000-7000-8000-00000000abcd",
    "title": "Buy milk",
    "description": "Two litres",
    "completed": True,
    "due": "2026-12-24T18:00:00[Europe/Berlin]",
    "priority": "high",
    "labels": {"home": True},
    "user_id": "default",
    "created_at": "2026-01-11T09:30:00.000000Z",
    "updated_at": "2026-01-12T09:30:00.123456Z",
    "completed_at": "2026-01-12T09:30:00.123456Z",
    "version": 3,
}
FIELDS = list(EXAMPLE)

#: Fields that may be ``null``.
NULLABLE = {"due", "priority", "completed_at"}

#: Fields that a new task may omit, and the values that they then have.
DEFAULTS = {"description": "", "completed": False, "due": None, "priority": None, "labels": {}}

#: Fields that no client can write, with values that the server must ignore.
READ_ONLY = {
    "id": "01890000-0000-7000-8000-000000000000",
    "user_id": "somebody-else",
    "created_at": "1999-12-31T23:59:59Z",
    "updated_at": ["neither", "a", "time"],
    "completed_at": "1999-12-31T23:59:59Z",
    "version": "many",
}


class Route(NamedTuple):
    """A request that succeeds.

    Attributes:
        path: where ``{id}`` is the id of a task, which is in the trash if ``trashed``, or of no task if ``new``.
        versions: how many versions the write adds.
        headers: the headers that the request needs.
    """

    method: str
    path: str
    body: bytes = b""
    trashed: bool = False
    status: int = 200
    versions: int = 0
    new: bool = False
    headers: dict = {}

    @property
    def has_id(self):
        return "{id}" in self.path and not self.new

    @property
    def max_body_bytes(self):
        return MAX_BULK_BYTES if self.path.endswith("bulk") else MAX_BODY_BYTES

    @property
    def writes(self):
        return self.method != "GET"


ROUTES = {
    "list": Route("GET", "/api/tasks"),
    "count": Route("GET", "/api/tasks/count"),
    "changes": Route("GET", "/api/tasks/changes"),
    "create": Route("POST", "/api/tasks", b'{"title": "Buy milk"}', status=201),
    "put": Route(
        "PUT", "/api/tasks/{id}", b'{"title": "Buy milk"}', status=201, new=True, headers={"If-None-Match": "*"}
    ),
    "bulk": Route("POST", "/api/tasks/bulk", b'[{"op": "create", "task": {"title": "Buy milk"}}]'),
    "retrieve": Route("GET", "/api/tasks/{id}"),
    "update": Route("PATCH", "/api/tasks/{id}", b'{"title": "Buy bread"}', versions=1),
    "delete": Route("DELETE", "/api/tasks/{id}", versions=1),
    "toggle": Route("POST", "/api/tasks/{id}/toggle", versions=1),
    "restore": Route("POST", "/api/tasks/{id}/restore", trashed=True, versions=1),
    "list-trash": Route("GET", "/api/tasks/trash", trashed=True),
    "retrieve-trashed": Route("GET", "/api/tasks/trash/{id}", trashed=True),
    "remove": Route("DELETE", "/api/tasks/trash/{id}", trashed=True),
}
COUNT = ROUTES["count"]
LISTS = {name: route for name, route in ROUTES.items() if name.startswith("list")}

#: The routes of one task, and PATCHes that change nothing.
TASK_REQUESTS = {
    **{name: route for name, route in ROUTES.items() if route.has_id},
    "update-empty": Route("PATCH", "/api/tasks/{id}", b"{}"),
    "update-read-only": Route("PATCH", "/api/tasks/{id}", b'{"version": 7, "user_id": "somebody-else"}'),
}
TASK_WRITES = {name: route for name, route in TASK_REQUESTS.items() if route.writes}

#: A task of 2026 that each of ``LIST_PARAMETERS`` selects.
SELECTED = {
    "title": "Buy milk",
    "completed": True,
    "due": "2026-12-24",
    "priority": 3,
    "labels": frozenset({"home"}),
}
#: Every parameter of a list except ``cursor``, with a value that selects ``SELECTED``.
LIST_PARAMETERS = {
    "limit": "5",
    "completed": "true",
    "q": "milk",
    "created_after": "2000-01-01T00:00:00Z",
    "created_before": "9999-01-01T00:00:00Z",
    "updated_after": "2000-01-01T00:00:00Z",
    "updated_before": "9999-01-01T00:00:00Z",
    "due": "any",
    "due_after": "2026-12-24",
    "due_before": "2026-12-25T00:00:00",
    "priority": "high",
    "label": "home",
    "completed_after": "2000-01-01T00:00:00Z",
    "completed_before": "9999-01-01T00:00:00Z",
    "ordering": "title",
}
#: Every parameter of the count.
COUNT_PARAMETERS = {name: text for name, text in LIST_PARAMETERS.items() if name not in {"limit", "ordering"}}
ORDERINGS = ["-created_at", "created_at", "-updated_at", "updated_at", "-title", "title"]
ORDERINGS += ["-due", "due", "-priority", "priority"]


def sort_key(ordering, task):
    """Return the key by which an ordering sorts the JSON object of a task, and then its id."""
    name = ordering.removeprefix("-")
    value = task[name]
    if name == "due":
        value = (value or "~")[:19]
    if name == "priority":
        value = [None, "low", "medium", "high"].index(value)
    return value, task["id"]


#: The ``Allow`` header of each path.
ALLOW = {
    "/api/tasks": "GET, POST, HEAD, OPTIONS",
    "/api/tasks/count": "GET, HEAD, OPTIONS",
    "/api/tasks/changes": "GET, HEAD, OPTIONS",
    "/api/tasks/bulk": "POST, OPTIONS",
    "/api/tasks/{id}": "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
    "/api/tasks/{id}/toggle": "POST, OPTIONS",
    "/api/tasks/{id}/restore": "POST, OPTIONS",
    "/api/tasks/trash": "GET, HEAD, OPTIONS",
    "/api/tasks/trash/{id}": "GET, DELETE, HEAD, OPTIONS",
}

#: The code of each problem, with its status, its title and its usual detail.
PROBLEMS = {
    "validation_error": (400, "Validation Error", "The request is not valid"),
    "parse_error": (400, "Parse Error", "The body is not valid JSON"),
    "not_authenticated": (401, "Not Authenticated", "Authentication credentials were not provided"),
    "authentication_failed": (401, "Authentication Failed", "The token is not valid"),
    "permission_denied": (403, "Permission Denied", "You do not have permission to perform this action"),
    "not_found": (404, "Not Found", "There is nothing at this address"),
    "method_not_allowed": (405, "Method Not Allowed", "This method is not allowed here"),
    "not_acceptable": (406, "Not Acceptable", "Only application/json and application/problem+json can be answered"),
    "conflict": (409, "Conflict", "The task is not in a state that allows this"),
    "state_expired": (410, "State Expired", "The changes since this state are not known; start again without since"),
    "precondition_failed": (412, "Precondition Failed", "The task has changed since the version that If-Match names"),
    "payload_too_large": (413, "Payload Too Large", "The body is larger than 64 KiB"),
    "unsupported_media_type": (
        415,
        "Unsupported Media Type",
        "The Content-Type is not accepted here. Send Content-Type: application/json",
    ),
    "idempotency_key_reused": (
        422,
        "Idempotency Key Reused",
        "This Idempotency-Key was used for another request",
    ),
    "throttled": (429, "Too Many Requests", "Too many requests"),
    "header_fields_too_large": (
        431,
        "Request Header Fields Too Large",
        "The request line and headers are longer than 24 KiB, or one header is longer than 8 KiB",
    ),
    "server_error": (500, "Server Error", "The server failed to answer this request"),
    "service_unavailable": (503, "Service Unavailable", "The service cannot answer for the moment"),
}

#: The headers of the contract, except ``Allow`` and ``X-Request-ID``.
HEADERS = {
    "Cache-Control",
    "Content-Type",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "Set-Cookie",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
}
EVERYWHERE = {
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
    "X-Content-Type-Options": "nosniff",
}


def headers(response):
    """Return those of ``HEADERS`` that the response has."""
    return {name: response.headers[name] for name in HEADERS if name in response.headers}


def common_headers(**more):
    """Return the headers of every response and ``more``.

    A response with an ``ETag`` forbids proxies to change it.
    """
    no_transform = {"Cache-Control": "private, no-cache, no-transform"} if "ETag" in more else {}
    return {**EVERYWHERE, **no_transform, **more}


def json_headers(**more):
    return common_headers(**{"Content-Type": JSON}, **more)


def problem_headers(**more):
    return common_headers(**{"Content-Type": PROBLEM_JSON}, **more)


def send(client, route, task=None, **request):
    """Send the request of a route; ``request`` may have another ``path``, and headers.

    A request without a body has no ``Content-Type``.
    """
    path = request.pop("path", route.path).format(id=getattr(task, "id", None))
    content_type = request.pop("Content-Type", JSON if route.body else "")
    return client.generic(
        route.method, path, route.body, content_type=content_type, headers={**route.headers, **request}
    )


def task_path(task):
    return f"/api/tasks/{task.id}"


def trash_path(task):
    return f"/api/tasks/trash/{task.id}"


def rfc_3339(value):
    """Format a time in UTC with six digits of microseconds and a ``Z``."""
    return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def task_body(task):
    """Return the JSON object that every endpoint shows for a task."""
    priority = {"priority": [None, "low", "medium", "high"][task.priority]}
    return {name: in_json(getattr(task, name)) for name in FIELDS} | priority


def task_values(body):
    """Return the values of a task's columns, from the JSON object that every endpoint shows."""
    numbers = {None: 0, "low": 1, "medium": 2, "high": 3}
    return {**body, "priority": numbers[body["priority"]], "labels": frozenset(body["labels"])}


def in_json(value):
    if isinstance(value, frozenset):
        # In the order that PostgreSQL stores, so that tests can compare texts.
        return dict.fromkeys(sorted(value, key=lambda name: (len(name.encode()), name.encode())), True)
    if isinstance(value, datetime):
        return rfc_3339(value)
    return value if isinstance(value, str | bool | int | None) else str(value)


def fault(code, detail, **place):
    """Return an element of ``errors``; ``place`` is its ``pointer``, ``parameter`` or ``header``."""
    return {**place, "code": code, "detail": detail}


def known_parameters(route):
    """Return the parameters of a route; a count has the filters of a list."""
    if route == COUNT:
        return sorted(COUNT_PARAMETERS)
    if route == ROUTES["changes"]:
        return ["limit", "since"]
    return sorted([*LIST_PARAMETERS, "cursor"]) if route in LISTS.values() else []


def unknown_parameter(name, route=None):
    """Return the fault of a parameter that a route does not have."""
    known = known_parameters(route)
    advice = f"known are {', '.join(known)}" if known else "this request takes none"
    return fault("unknown_parameter", f"This parameter is unknown here; {advice}", parameter=name)


def invalid_parameter(name, rule):
    return fault("invalid_parameter", f"Parameter {name} {rule}", parameter=name)


def malformed(header):
    rule = "1 to 255 visible ASCII characters" if header == "Idempotency-Key" else "* or a list of quoted entity tags"
    return fault("malformed", f"{header} must be {rule}", header=header)


def problem(code, instance, *, detail=None, errors=None, **more):
    """Return the body of a problem; without ``detail`` it has that of the first error, or the usual one."""
    status, title, usual_detail = PROBLEMS[code]
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail or (errors[0]["detail"] if errors else usual_detail),
        "instance": instance,
        "code": code,
        **({"errors": errors} if errors else {}),
        **more,
    }


def validator_of(document, schema):
    """Return a validator for a schema of the OpenAPI document."""
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator({**schema, "components": document["components"]}, format_checker=checker)
