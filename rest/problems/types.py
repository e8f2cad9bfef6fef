"""The problem types of this API (RFC 9457): what may be raised, and what ``/problems/{code}`` says of it.

``rest/problems/responses.py`` renders them.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypedDict
from urllib.parse import quote

from rest_framework.exceptions import APIException

#: Faults that one problem names, or 64 KiB of them would come back as megabytes.
MAX_FAULTS = 32

#: What may stand unescaped in a URI fragment (RFC 3986, section 3.5).
FRAGMENT_CHARACTERS = "!$&'()*+,;=:@?"


class Fault(TypedDict, total=False):
    """One thing wrong with a request, and where: in the body, the query or a header."""

    pointer: str
    parameter: str
    header: str
    code: str
    detail: str


HOST_FAULT = Fault(header="Host", code="not_allowed", detail="This Host is not served here")


def pointer(*tokens: str) -> str:
    """A JSON Pointer as a URI fragment (RFC 6901, section 6): ``pointer("a/b")`` is ``"#/a~1b"``."""
    escaped = (token.replace("~", "~0").replace("/", "~1") for token in tokens)
    return "#" + "".join("/" + quote(token, safe=FRAGMENT_CHARACTERS, errors="replace") for token in escaped)


class Problem(APIException):
    """A problem type.

    ``status_code``, ``default_code`` and ``title`` are constant for a type; ``detail`` tells of this occurrence, and
    ``faults`` of each thing that is wrong.
    """

    title: str
    description: str

    def __init__(
        self,
        detail: str | None = None,
        *,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.faults = list(islice(faults, MAX_FAULTS))
        self.headers = dict(headers or {})
        super().__init__(detail or next((fault["detail"] for fault in self.faults), None))


class InvalidRequest(Problem):
    status_code = 400
    default_code = "validation_error"
    title = "Validation Error"
    default_detail = "The request is not valid"
    description = (
        "A field of the body, a query parameter or a header breaks a rule. "
        "`errors` names each fault and where it is; mend them and send the request again."
    )


class UnreadableBody(Problem):
    status_code = 400
    default_code = "parse_error"
    title = "Parse Error"
    default_detail = "The body is not valid JSON"
    description = (
        "The body is not UTF-8 JSON, or is empty where one is needed. A byte order mark, NaN, Infinity, a number "
        "beyond double precision, a repeated key and nesting past 32 levels are refused too."
    )


class NotAuthenticated(Problem):
    status_code = 401
    default_code = "not_authenticated"
    title = "Not Authenticated"
    default_detail = "Authentication credentials were not provided"
    description = "The request carries no token. Send one: `Authorization: Bearer <token>`."
    auth_header = "Bearer"


class AuthenticationFailed(Problem):
    status_code = 401
    default_code = "authentication_failed"
    title = "Authentication Failed"
    default_detail = "The token is not valid"
    description = "The token does not hold: it may have expired, or be meant for another service. Get a new one."
    auth_header = 'Bearer error="invalid_token"'


class PermissionDenied(Problem):
    status_code = 403
    default_code = "permission_denied"
    title = "Permission Denied"
    default_detail = "You do not have permission to perform this action"
    description = "Who is asking is known, and may not do this."


class NotFound(Problem):
    status_code = 404
    default_code = "not_found"
    title = "Not Found"
    default_detail = "There is nothing at this address"
    description = "The path leads nowhere, or to no task of the caller's."


class MethodNotAllowed(Problem):
    status_code = 405
    default_code = "method_not_allowed"
    title = "Method Not Allowed"
    default_detail = "This method is not allowed here"
    description = "The path is right, the method is not. `Allow` lists those that are."


class NotAcceptable(Problem):
    status_code = 406
    default_code = "not_acceptable"
    title = "Not Acceptable"
    default_detail = "Only application/json and application/problem+json can be answered"
    description = "`Accept` admits neither `application/json` nor `application/problem+json`."


class Conflict(Problem):
    status_code = 409
    default_code = "conflict"
    title = "Conflict"
    default_detail = "The task is not in a state that allows this"
    description = "The request is right in itself, but not for the task as it is now."


class PreconditionFailed(Problem):
    status_code = 412
    default_code = "precondition_failed"
    title = "Precondition Failed"
    default_detail = "The task has changed since the version that If-Match names"
    description = "`If-Match` does not name the task's current version, which `ETag` gives. Nothing was changed."


class PayloadTooLarge(Problem):
    status_code = 413
    default_code = "payload_too_large"
    title = "Payload Too Large"
    default_detail = "The body is larger than 64 KiB"
    description = "No request body may be larger than 64 KiB."


class UnsupportedMediaType(Problem):
    status_code = 415
    default_code = "unsupported_media_type"
    title = "Unsupported Media Type"
    default_detail = "The body must be UTF-8 JSON, sent with its Content-Type and without a Content-Encoding"
    description = (
        "A body is `application/json` (for PATCH `application/merge-patch+json` too), in UTF-8, without a "
        "`Content-Encoding`."
    )


class IdempotencyKeyReused(Problem):
    status_code = 422
    default_code = "idempotency_key_reused"
    title = "Idempotency Key Reused"
    default_detail = "This Idempotency-Key was used for another request"
    description = "The same `Idempotency-Key` came with another request before. Nothing was done."


class Throttled(Problem):
    status_code = 429
    default_code = "throttled"
    title = "Too Many Requests"
    default_detail = "Too many requests"
    description = "Wait for as many seconds as `Retry-After` says, then send the request again."

    def __init__(self, wait: int = 1) -> None:
        super().__init__()
        self.wait = wait


class ServerError(Problem):
    status_code = 500
    default_code = "server_error"
    title = "Server Error"
    default_detail = "The server failed to answer this request"
    description = "A fault of the server, which has been logged under the `request_id`."


class ServiceUnavailable(Problem):
    status_code = 503
    default_code = "service_unavailable"
    title = "Service Unavailable"
    default_detail = "The service cannot answer for the moment"
    description = "Something that the service depends on is away. Wait as long as `Retry-After` says and try again."
    wait = 1


PROBLEMS = {problem.default_code: problem for problem in Problem.__subclasses__()}
