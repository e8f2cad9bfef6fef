"""The problem types of this API (RFC 9457).

A view raises a problem, and ``rest/problems/responses.py`` renders it. ``/problems/{code}`` shows its docstring.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, TypedDict
from urllib.parse import quote

from rest_framework.exceptions import APIException

#: The most faults in one problem. Without a limit, a body of 64 KiB could be answered with megabytes.
MAX_FAULTS = 32

#: Characters that need no escape in a URI fragment (RFC 3986, section 3.5).
FRAGMENT_CHARACTERS = "!$&'()*+,;=:@?"


class Fault(TypedDict, total=False):
    """A fault of a request, located by one of ``pointer`` (body), ``parameter`` (query) and ``header``."""

    pointer: str
    parameter: str
    header: str
    code: str
    detail: str


HOST_FAULT = Fault(header="Host", code="not_allowed", detail="This Host is not served here")


def json_pointer(*tokens: str) -> str:
    """Return a JSON Pointer as a URI fragment (RFC 6901, section 6): of ``"a/b"`` it is ``"#/a~1b"``."""
    escaped = (token.replace("~", "~0").replace("/", "~1") for token in tokens)
    return "#" + "".join("/" + quote(token, safe=FRAGMENT_CHARACTERS, errors="replace") for token in escaped)


def body_fault(path: Iterable[str], code: str, detail: str) -> Fault:
    """Return the fault of the value at ``path`` in a body."""
    return Fault(pointer=json_pointer(*path), code=code, detail=detail)


def body_faults(detail: Any, *path: str) -> Iterator[Fault]:
    """Yield the faults in a serializer's ``{field: [error, …]}``, which may nest."""
    match detail:
        case dict():
            for field, errors in detail.items():
                yield from body_faults(errors, *path, str(field))
        case list():
            for error in detail:
                yield from body_faults(error, *path)
        case _:
            yield body_fault(path, detail.code, str(detail))


class Problem(APIException):
    """A problem type, whose ``status_code``, ``default_code`` and ``title`` are constant.

    Args:
        detail: a sentence about this occurrence; by default the detail of the first fault, or ``default_detail``.
        faults: everything wrong with the request.
        headers: more headers of the response.
        max_faults: the most faults that the response names.
    """

    title: ClassVar[str]
    description: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.description = " ".join((cls.__doc__ or "").split())

    def __init__(
        self,
        detail: str | None = None,
        *,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        max_faults: int = MAX_FAULTS,
    ) -> None:
        self.faults = list(islice(faults, max_faults))
        self.headers = dict(headers)
        super().__init__(detail or next((fault["detail"] for fault in self.faults), None))


class InvalidRequest(Problem):
    """A field of the body, a query parameter or a header breaks a rule.

    `errors` names each fault and its place. Correct the faults and send the request again.
    """

    status_code = 400
    default_code = "validation_error"
    title = "Validation Error"
    default_detail = "The request is not valid"


class UnreadableBody(Problem):
    """The body is not UTF-8 JSON, is incomplete, or is empty although the operation needs a body.

    A byte order mark, NaN, Infinity, a number beyond double precision, a repeated key and nesting past 32 levels are
    refused too.
    """

    status_code = 400
    default_code = "parse_error"
    title = "Parse Error"
    default_detail = "The body is not valid JSON"


class NotAuthenticated(Problem):
    """The request carries no token. Send one: `Authorization: Bearer <token>`."""

    status_code = 401
    default_code = "not_authenticated"
    title = "Not Authenticated"
    default_detail = "Authentication credentials were not provided"
    auth_header = "Bearer"


class AuthenticationFailed(Problem):
    """The token is not valid: for example, it has expired or is for another service. Get a new token."""

    status_code = 401
    default_code = "authentication_failed"
    title = "Authentication Failed"
    default_detail = "The token is not valid"
    auth_header = 'Bearer error="invalid_token"'


class PermissionDenied(Problem):
    """A page of another origin sent the request, or the request came over http instead of https.

    Only single-user mode refuses other origins. `detail` says which, and what to change.
    """

    status_code = 403
    default_code = "permission_denied"
    title = "Permission Denied"
    default_detail = "You do not have permission to perform this action"


class NotFound(Problem):
    """The path does not exist, or the caller has no such task."""

    status_code = 404
    default_code = "not_found"
    title = "Not Found"
    default_detail = "There is nothing at this address"


class MethodNotAllowed(Problem):
    """The path exists, but not with this method. `Allow` lists the methods that exist."""

    status_code = 405
    default_code = "method_not_allowed"
    title = "Method Not Allowed"
    default_detail = "This method is not allowed here"


class NotAcceptable(Problem):
    """`Accept` admits neither `application/json` nor `application/problem+json`."""

    status_code = 406
    default_code = "not_acceptable"
    title = "Not Acceptable"
    default_detail = "Only application/json and application/problem+json can be answered"


class Conflict(Problem):
    """The request is valid, but the task's present state does not allow it."""

    status_code = 409
    default_code = "conflict"
    title = "Conflict"
    default_detail = "The task is not in a state that allows this"


class StateExpired(Problem):
    """The `state` in `since` is too old, or from before the database was restored or failed over.

    Start again: send the request without `since`, and replace everything that you have stored.
    """

    status_code = 410
    default_code = "state_expired"
    title = "State Expired"
    default_detail = "The changes since this state are not known; start again without since"


class PreconditionFailed(Problem):
    """`If-Match` does not name the task's current version, or the id of a new task is in use.

    Nothing was changed. `ETag` has the current version of the caller's task.
    """

    status_code = 412
    default_code = "precondition_failed"
    title = "Precondition Failed"
    default_detail = "The task has changed since the version that If-Match names"


class PayloadTooLarge(Problem):
    """The body is larger than 64 KiB, or than 512 KiB at `/api/tasks/bulk`."""

    status_code = 413
    default_code = "payload_too_large"
    title = "Payload Too Large"
    default_detail = "The body is larger than 64 KiB"


class UnsupportedMediaType(Problem):
    """The body is not `application/json` in UTF-8, or has a `Content-Encoding`.

    `detail` says which, and what to send. For PATCH, `application/merge-patch+json` is accepted too.
    """

    status_code = 415
    default_code = "unsupported_media_type"
    title = "Unsupported Media Type"
    default_detail = "The Content-Type is not accepted here. Send Content-Type: application/json"


class IdempotencyKeyReused(Problem):
    """An earlier request with the same `Idempotency-Key` was different. Nothing was done."""

    status_code = 422
    default_code = "idempotency_key_reused"
    title = "Idempotency Key Reused"
    default_detail = "This Idempotency-Key was used for another request"


class Throttled(Problem):
    """The caller has used up the rate limit.

    Wait for the seconds that `Retry-After` gives, then send the request again.
    """

    status_code = 429
    default_code = "throttled"
    title = "Too Many Requests"
    default_detail = "Too many requests"

    def __init__(self, wait: int = 1) -> None:
        super().__init__()
        self.wait = wait


class HeaderFieldsTooLarge(Problem):
    """The request line and headers are longer than 24 KiB together, or one header is longer than 8 KiB.

    For `Authorization` the limit is 8,300 bytes.
    """

    status_code = 431
    default_code = "header_fields_too_large"
    title = "Request Header Fields Too Large"
    default_detail = "The request line and headers are longer than 24 KiB, or one header is longer than 8 KiB"


class ServerError(Problem):
    """The server failed. Its log has the reason under the `request_id`."""

    status_code = 500
    default_code = "server_error"
    title = "Server Error"
    default_detail = "The server failed to answer this request"


class ServiceUnavailable(Problem):
    """The service is busy, or needs something that is unavailable, such as its database.

    Wait for the seconds that `Retry-After` gives, then send the request again.
    """

    status_code = 503
    default_code = "service_unavailable"
    title = "Service Unavailable"
    default_detail = "The service cannot answer for the moment"
    wait = 1

    def __init__(self, detail: str | None = None, *, cause: str = "other") -> None:
        super().__init__(detail)
        self.cause = cause


class Busy(ServiceUnavailable):
    """The refusal of a request for which the service has no thread; nothing has failed."""

    def __init__(self) -> None:
        super().__init__(cause="busy")


class Moving(ServiceUnavailable):
    """The refusal of a write while the user's data moves to another database; nothing has failed."""

    default_detail = "Your data is moving to another database; it can be read, and changed again in a few minutes"
    wait = 10

    def __init__(self) -> None:
        super().__init__(cause="moving")


PROBLEMS = {problem.default_code: problem for problem in Problem.__subclasses__()}
