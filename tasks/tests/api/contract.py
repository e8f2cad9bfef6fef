"""What the contract says of a task, of a problem and of the headers, in a form that ``==`` can compare with."""

from rest.problems.types import Problem

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
PROBLEM_JSON = "application/problem+json"

MAX_BODY_BYTES = 64 * 1024

ALLOWED_ON_LIST = {"GET", "POST", "HEAD", "OPTIONS"}
ALLOWED_ON_TASK = {"GET", "PATCH", "DELETE", "HEAD", "OPTIONS"}
ALLOWED_ON_TOGGLE = ALLOWED_ON_RESTORE = {"POST", "OPTIONS"}
ALLOWED_ON_TRASH = {"GET", "HEAD", "OPTIONS"}
ALLOWED_ON_TRASHED = {"GET", "DELETE", "HEAD", "OPTIONS"}

TITLES = {
    "validation_error": (400, "Validation Error"),
    "parse_error": (400, "Parse Error"),
    "not_authenticated": (401, "Not Authenticated"),
    "authentication_failed": (401, "Authentication Failed"),
    "not_found": (404, "Not Found"),
    "method_not_allowed": (405, "Method Not Allowed"),
    "not_acceptable": (406, "Not Acceptable"),
    "conflict": (409, "Conflict"),
    "precondition_failed": (412, "Precondition Failed"),
    "payload_too_large": (413, "Payload Too Large"),
    "unsupported_media_type": (415, "Unsupported Media Type"),
}
USUAL_DETAILS = {problem.default_code: problem.default_detail for problem in Problem.__subclasses__()}

#: Headers that the contract speaks of, but for ``Allow`` and ``X-Request-ID``, which have tests of their own.
HEADERS = {
    "Cache-Control",
    "Content-Type",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
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
    """The contract's headers of a response: those that are there, and so those that are not."""
    return {name: response.headers[name] for name in HEADERS if name in response.headers}


def json_headers(**more):
    return {**EVERYWHERE, "Content-Type": JSON, **more}


def problem_headers(**more):
    return {**EVERYWHERE, "Content-Type": PROBLEM_JSON, **more}


def allowed(response):
    return set(response.headers["Allow"].split(", "))


def path(task):
    return f"/api/tasks/{task.id}"


def trash_path(task):
    return f"/api/tasks/trash/{task.id}"


def moment(value):
    """RFC 3339 in UTC, with six digits and a ``Z``."""
    return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def task_body(task):
    return {
        "id": str(task.id),
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "user_id": task.user_id,
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        "version": task.version,
    }


def problem(code, instance, *, detail=None, errors=None):
    status, title = TITLES[code]
    detail = detail or (errors[0]["detail"] if errors else USUAL_DETAILS[code])
    body = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    }
    return {**body, "errors": errors} if errors else body
