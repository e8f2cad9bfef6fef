"""Requests that the API refuses, each with the whole problem that answers it.

A path may name ``{live}``, a live task of the caller's at version 1 with ``LIVE_ID``; ``{trashed}``, one in the trash
with ``TRASHED_ID``; ``{foreign}``, a task of another user; ``{absent}``, an id of no task; and ``{uuid_4}``, a UUID of
version 4. ``USED_KEY`` was used before, for another request.
"""

import json
import re
from itertools import combinations
from typing import NamedTuple
from uuid import UUID

from changes.models import BEGINNING
from changes.states import State
from identity.same_origin import DETAIL
from rest.tests.json_texts import REPEATED_KEY, REPEATED_KEYS, UNREADABLE, arrays, objects
from tasks.tests.api.contract import (
    ALLOW,
    JSON,
    MAX_AUTHORIZATION_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADER_BYTES,
    MERGE_PATCH,
    ROUTES,
    TASK_REQUESTS,
    TASK_WRITES,
    Route,
    fault,
    invalid_parameter,
    known_parameters,
    malformed,
    problem,
    unknown_parameter,
)

LIVE_ID = "019bac32-0000-7000-8000-00000000abcd"
TRASHED_ID = "019bac32-0000-7000-8000-00000000dcba"
USED_KEY = "used-before"

#: A state of ``default`` in another database.
OTHER_HISTORY = State(bytes(8), BEGINNING, BEGINNING).write("default")

EMPTY_BODY = "The body is empty, and a JSON object is needed"
NEW_ID_RULE = "The id of a new task must be a lower-case UUID of version 7"
ID_IN_USE = "The id of the new task is in use, or was the id of a removed task"
CUT_OFF_BODY, CUT_OFF = UNREADABLE["cut-off"]
ENCODING = "must be percent-encoded UTF-8, such as %C3%BC for ü and %25 for %"
NOT_IN_TRASH = "The task is not in the trash"
HOST = fault("not_allowed", "This Host is not served here", header="Host")

NO_TYPE = "The body has no Content-Type"
OTHER_TYPE = "The Content-Type is not accepted here"
OTHER_CHARSET = "The Content-Type has a charset other than UTF-8"
ENCODED = "The body has a Content-Encoding: leave the header out, and do not compress the body"


def send_json(reason, route):
    """Return the detail of a 415."""
    also = f" or {MERGE_PATCH}" if route.method == "PATCH" else ""
    return f"{reason}. Send Content-Type: {JSON}{also}"


class Refusal(NamedTuple):
    """A request, and the code, detail and errors of the problem that answers it."""

    name: str
    code: str
    method: str
    path: str
    headers: dict
    body: bytes
    detail: str | None = None
    errors: tuple = ()

    def problem(self, path):
        """Return the whole problem for the request at ``path``."""
        return problem(self.code, path.partition("?")[0], detail=self.detail, errors=list(self.errors))

    @property
    def allow(self):
        """The ``Allow`` header of the path."""
        return ALLOW[re.sub(r"\{\w+\}", "{id}", self.path.partition("?")[0]).removesuffix("/")]


def refuse(name, code, request, *, detail=None, errors=(), **parts):
    """Change some parts of a request that succeeds, such as ``query``, ``headers`` or ``body``."""
    route = request if isinstance(request, Route) else ROUTES[request]
    address = parts.get("id", "{absent}" if route.new else "{trashed}" if route.trashed else "{live}")
    headers = {**({"Content-Type": JSON} if route.body else {}), **route.headers, **parts.get("headers", {})}
    return Refusal(
        name,
        code,
        parts.get("method", route.method),
        parts.get("path", route.path).replace("{id}", address) + parts.get("query", ""),
        {name: value for name, value in headers.items() if value is not None},
        parts.get("body", route.body),
        detail,
        tuple(errors),
    )


# One fault, and two


class Fault(NamedTuple):
    """One thing wrong with a request: ``parts`` are what ``refuse`` changes."""

    name: str
    code: str
    parts: dict
    errors: tuple = ()
    detail: str | None = None


def wrong_header(name, value, error):
    return Fault(name, "validation_error", {"headers": {name: value}}, (error,))


def too_large(route):
    size = route.max_body_bytes
    return Fault("size", "payload_too_large", {"body": b" " * (size + 1)}, detail=too_large_detail(route))


def too_large_detail(route):
    return f"The body is larger than {route.max_body_bytes // 1024} KiB"


def empty_body(route):
    return EMPTY_BODY.replace("object", "array") if route == ROUTES["bulk"] else EMPTY_BODY


def wrong_field(route):
    """Return the fault of an unknown field, which is in the first operation of a bulk."""
    if route == ROUTES["bulk"]:
        error = fault("unknown_field", "This field is unknown", pointer="#/0/y")
        return Fault(
            "field", "validation_error", {"body": b'[{"op": "create", "task": {"title": "x"}, "y": 1}]'}, (error,)
        )
    return Fault("field", "validation_error", {"body": b'{"title": "x", "y": 1}'}, (unknown_field("y"),))


def not_utf_8(route):
    """Return queries that are not percent-encoded UTF-8, and the errors; not every route knows ``q``."""
    value = invalid_parameter("q", ENCODING) if "q" in known_parameters(route) else unknown_parameter("q", route)
    return [("?q=%FF", value), ("?%FF=1", invalid_parameter("%FF", ENCODING))]


def faults(route):
    """Return the faults of a route's requests by rank. The first rank decides the response."""
    has_body, conditional = bool(route.body), route.writes and route.has_id
    return [
        [Fault("head", "header_fields_too_large", {"headers": {"X-Long": "x" * (MAX_HEADER_BYTES + 1)}})],
        [
            Fault("another origin", "permission_denied", {"headers": {"Sec-Fetch-Site": "cross-site"}}, detail=DETAIL),
            Fault("no origin", "permission_denied", {"headers": {"Origin": "null"}}, detail=DETAIL),
        ],
        [Fault("path", "not_found", {"path": "/api/tasks/x/y"})]
        + [Fault("id", "not_found", {"id": "x"})] * route.has_id,
        [Fault("method", "method_not_allowed", {"method": "TRACE"})],
        [Fault("Accept", "not_acceptable", {"headers": {"Accept": "text/html"}})],
        [too_large(route)],
        [
            wrong_header("If-Match", "1", malformed("If-Match")),
            wrong_header("If-None-Match", "1", malformed("If-None-Match")),
            wrong_header("Host", "evil.example", HOST),
        ]
        + [wrong_header("Idempotency-Key", "a b", malformed("Idempotency-Key"))] * route.writes,
        [
            Fault(
                "Content-Type",
                "unsupported_media_type",
                {"headers": {"Content-Type": "text/plain"}},
                detail=send_json(OTHER_TYPE, route),
            )
        ]
        * has_body,
        [Fault("used key", "idempotency_key_reused", {"headers": {"Idempotency-Key": USED_KEY}})] * route.writes,
        [Fault("parameter", "validation_error", {"query": "?x=1"}, (unknown_parameter("x", route),))]
        + [
            Fault(f"parameter {query}", "validation_error", {"query": query}, (error,))
            for query, error in not_utf_8(route)
        ]
        + [
            Fault("empty body", "parse_error", {"body": b""}, detail=empty_body(route)),
            Fault("cut-off body", "parse_error", {"body": CUT_OFF_BODY}, detail=CUT_OFF),
            wrong_field(route),
        ]
        * has_body,
        [Fault("state", "state_expired", {"query": f"?since={OTHER_HISTORY}"})] * (route == ROUTES["changes"]),
        [Fault(name, "not_found", {"id": f"{{{name}}}"}) for name in ("absent", "foreign")] * route.has_id
        + [Fault("version of the id", "not_found", {"id": "{uuid_4}"}, detail=NEW_ID_RULE)] * route.new,
        [Fault("live task", "conflict", {"id": "{live}"}, detail=NOT_IN_TRASH)] * (route == ROUTES["restore"]),
        [Fault("version", "precondition_failed", {"headers": {"If-Match": '"9"'}})] * conditional
        + [Fault("id in use", "precondition_failed", {"id": "{live}"}, detail=ID_IN_USE)] * route.new,
    ]


def two_faults(name, more=()):
    """Return the requests of a route with two faults of different ranks.

    The ranks of ``more`` follow the method's rank.
    """
    ranks = faults(ROUTES[name])
    ranks[4:4] = more
    pairs = combinations(ranks, 2)
    return [both(name, one, other) for earlier, later in pairs for one in earlier for other in later]


def both(name, one, other):
    """Return a request with two faults; where both change the same part, only ``one`` is left."""
    parts = {**other.parts, **one.parts}
    parts["headers"] = {**other.parts.get("headers", {}), **one.parts.get("headers", {})}
    label = f"{name}: {one.name} before {other.name}"
    return refuse(label, one.code, name, detail=one.detail, errors=one.errors, **parts)


# The head

LONG_VALUES = {
    "X-Long": "x" * (MAX_HEADER_BYTES + 1),
    "Accept": "a/b," * 2049,
    "Content-Type": 'a/b;"' + ";" * MAX_HEADER_BYTES,
    "Cookie": 'csrftoken="' + "\\" * MAX_HEADER_BYTES,
    "Host": "a." * 4097,
    "If-Match": '"1",' * 2049,
    "Idempotency-Key": "k" * (MAX_HEADER_BYTES + 1),
    "X-Request-ID": "a" * (MAX_HEADER_BYTES + 1),
    "Authorization": "Bearer".ljust(MAX_AUTHORIZATION_BYTES + 1, "a"),
}
LONG_HEADS = [
    refuse(f"{name}: long {header}", "header_fields_too_large", name, headers={header: value})
    for name in ("list", "create")
    for header, value in LONG_VALUES.items()
] + [
    refuse(
        "four headers of 7 KiB", "header_fields_too_large", "list", headers={f"X-{n}": "x" * 7168 for n in range(4)}
    ),
    refuse("a long query", "header_fields_too_large", "list", query="?q=".ljust(MAX_HEAD_BYTES, "x")),
]


# Paths, ids and methods

NO_ROUTES = [
    refuse(f"no route {path[:50]}", "not_found", "retrieve", path=path)
    for path in (
        "/api/",
        "/api//tasks",
        "/api/task",
        "/api/tasks.json",
        "/api/tasks//",
        "/api/tasks/{absent}/",
        "/api/tasks/{live}//",
        "/api/tasks/{live}/x",
        "/api/tasks/{live}/toggle/x",
        "/api/tasks/trash/{trashed}/toggle",
        "/api/tasks/1",
        "/api/tasks/null",
        "/api/tasks/%C3%A9",
        "/api/tasks/%E6%97%A5%E6%9C%AC",
        "/api/tasks/%F0%9F%92%A9",
        "/api/tasks/%FF",
        "/api/tasks/a%3Fb%23c",
        "/api/tasks/" + "x" * 5000,
    )
]

#: Other spellings of the id of an existing task.
BAD_IDS = {
    "in upper case": str.upper,
    "without dashes": lambda own: own.replace("-", ""),
    "as a URN": "urn:uuid:{}".format,
    "as a number": lambda own: str(UUID(own).int),
    "in braces": "%7B{}%7D".format,
    "in quotes": "%22{}%22".format,
    "cut off": lambda own: own[:-1],
    "with a digit more": "{}0".format,
    "with a suffix": "{}.json".format,
    "with a space before": "%20{}".format,
    "with a line feed": "{}%0A".format,
    "with NUL": "{}%00".format,
    "of another digit": lambda own: f"{own[:-1]}g",
}
TAGS = (None, "*", '"1"', '"9"', 'W/"1"')

NO_TASKS = [
    refuse(f"{name}: id {kind}", "not_found", route, id=spell(TRASHED_ID if route.trashed else LIVE_ID))
    for name, route in TASK_REQUESTS.items()
    for kind, spell in BAD_IDS.items()
] + [
    refuse(f"{name}: {address} If-Match {tags}", "not_found", route, id=address, headers={"If-Match": tags})
    for name, route in TASK_REQUESTS.items()
    for address in ("{absent}", "{foreign}", "{live}" if route.trashed else "{trashed}")
    for tags in TAGS
    if (name, address) != ("restore", "{live}")
]
CONFLICTS = [
    refuse(
        f"restore: live If-Match {tags}",
        "conflict",
        "restore",
        id="{live}",
        headers={"If-Match": tags},
        detail=NOT_IN_TRASH,
    )
    for tags in TAGS
]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "post", "delete")
NO_METHODS = [
    refuse(
        f"{method} {route.path}", "method_not_allowed", route, method=method, headers={"Content-Type": None}, body=b""
    )
    for route in {route.path: route for route in ROUTES.values()}.values()
    for method in METHODS
    if method not in ALLOW[route.path].split(", ")
] + [refuse("PUT with a slash", "method_not_allowed", "list", method="PUT", path="/api/tasks/")]


# Headers

#: Values of ``Accept`` that admit no JSON.
NOT_ACCEPTED = [
    "text/html",
    "text/*",
    "application/xml",
    "image/png, application/xml;q=0.9",
    "application/yaml, text/csv",
    "application/jsonp",
    "application/jsonx",
    "application/ld+json",
    "application/merge-patch+json",
    "application/json;q=0",
    "application/json; q=0.000",
    "APPLICATION/JSON;Q=0",
    "application/*;q=0",
    "application/*;q=0.000",
    "*/*;q=0",
    "text/html, */*;q=0",
    "*/*, application/*;q=0",
    "*/*;q=0.5, application/json;q=0, application/problem+json;q=0",
    "application/json;q=0, application/problem+json;q=0, */*",
    "application/*, application/json;q=0, application/problem+json;q=0",
    "application/json; charset=utf-16",
    "garbage",
    "json",
    "*",
    "application",
    "application/",
    "/json",
    "/",
    ";",
    "text/html;q*=bogus''1",
    "application/json; q*=bogus''1",
    "application/json; x*=bogus''1",
    "a" * 8_000,
    "text/html," * 800,
    "application/json; x=".ljust(1025, "a"),
]

#: Values of ``Content-Type`` that are not JSON.
NOT_JSON = [
    "text/plain",
    "text/plain; charset=utf-8",
    "text/json",
    "application/jsonp",
    "application/ld+json",
    "application/problem+json",
    "application/json-patch+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/json, text/plain",
    "application/*",
    "*/*",
    "json",
    "application",
    "application/json; x=".ljust(257, "a"),
]
#: Values of ``Content-Type`` that are JSON in another charset.
NOT_IN_UTF_8 = [
    "application/json; charset=utf-16",
    "application/json; charset=UTF-16LE",
    "application/json; charset=utf-32",
    "application/json; charset=utf-7",
    "application/json; charset=latin-1",
    "application/json; charset=iso-8859-1",
    "application/json; charset=us-ascii",
    "application/json; charset=bogus",
    "application/json; charset=hex",
    "application/json; charset=",
    'application/json; charset=""',
    "application/json; CHARSET=latin-1",
    "application/json; charset=utf-8; charset=latin-1",
    "application/json; charset*=utf-8''utf-16",
]
ENCODINGS = ["gzip", "GZIP", "br, gzip", "deflate", "identity", "bogus"]

NOT_TAKEN = [
    refuse(
        f"{name}: {label[:60]}",
        "unsupported_media_type",
        name,
        headers=headers,
        detail=send_json(reason, ROUTES[name]),
    )
    for name, merge_patch_fault in (("create", OTHER_TYPE), ("update", OTHER_CHARSET))
    for label, headers, reason in (
        ("without Content-Type", {"Content-Type": None}, NO_TYPE),
        *((f"as {value!r}", {"Content-Type": value}, NO_TYPE) for value in ("", " ")),
        *((f"as {value}", {"Content-Type": value}, OTHER_TYPE) for value in NOT_JSON),
        *((f"as {value}", {"Content-Type": value}, OTHER_CHARSET) for value in NOT_IN_UTF_8),
        *((f"in {value}", {"Content-Encoding": value}, ENCODED) for value in ENCODINGS),
        ("merge patch in latin-1", {"Content-Type": f"{MERGE_PATCH}; charset=latin-1"}, merge_patch_fault),
        ("merge patch in gzip", {"Content-Type": MERGE_PATCH, "Content-Encoding": "gzip"}, ENCODED),
    )
] + [
    refuse(
        "create: as a merge patch",
        "unsupported_media_type",
        "create",
        headers={"Content-Type": MERGE_PATCH},
        detail=send_json(OTHER_TYPE, ROUTES["create"]),
    )
]

NOT_ANSWERED = [
    refuse(f"Accept: {value[:60]}", "not_acceptable", "list", headers={"Accept": value}) for value in NOT_ACCEPTED
]

MALFORMED_HEADERS = [
    refuse(f"{name}: {header} {value[:20]!r}", "validation_error", name, headers={header: value}, errors=[error])
    for name, header, value, error in (
        ("retrieve", "If-None-Match", "", malformed("If-None-Match")),
        ("retrieve", "If-None-Match", 'w/"1"', malformed("If-None-Match")),
        ("retrieve", "If-None-Match", '*, "1"', malformed("If-None-Match")),
        ("retrieve", "If-None-Match", '"1" "2"', malformed("If-None-Match")),
        ("retrieve", "If-Match", '"1', malformed("If-Match")),
        ("delete", "If-Match", ",", malformed("If-Match")),
        ("delete", "If-Match", "W/1", malformed("If-Match")),
        ("toggle", "If-Match", '"1" x', malformed("If-Match")),
        ("toggle", "If-Match", '*, "1"', malformed("If-Match")),
        ("toggle", "If-Match", "\u201c1\u201d".encode().decode("latin-1"), malformed("If-Match")),
        (
            "toggle",
            "If-Match",
            '"1",' * 101,
            fault("malformed", "If-Match must not name more than 100 entity tags", header="If-Match"),
        ),
        ("create", "Idempotency-Key", "\t", malformed("Idempotency-Key")),
        ("toggle", "Idempotency-Key", "", malformed("Idempotency-Key")),
        ("restore", "Idempotency-Key", "k" * 256, malformed("Idempotency-Key")),
        ("remove", "Idempotency-Key", "\xe9", malformed("Idempotency-Key")),
        ("list", "Host", "testserver.evil.example", HOST),
        ("list", "Host", "testserver/x", HOST),
        ("delete", "Host", "evil.example:443", HOST),
        ("toggle", "Host", "testserver@evil.example", HOST),
    )
] + [
    refuse(
        "update: every header malformed",
        "validation_error",
        "update",
        headers={"Host": "evil.example", "If-Match": "1", "If-None-Match": "2", "Idempotency-Key": "a b"},
        errors=[HOST, malformed("If-Match"), malformed("If-None-Match"), malformed("Idempotency-Key")],
    )
]

#: Values of ``If-Match`` that do not name version 1 strongly.
OTHER_VERSIONS = [
    '"2"',
    '"2", "3"',
    'W/"1"',
    'W/"1", W/"2"',
    '"W/1"',
    '""',
    '"x"',
    '"*"',
    '"0"',
    '"01"',
    '"+1"',
    '"1.0"',
    '"1_2"',
    '"99999999999999999999"',
    f'"{"1" * 100}"',
]
STALE = [
    refuse(f"{name}: If-Match {tags[:25]}", "precondition_failed", route, headers={"If-Match": tags})
    for name, route in TASK_WRITES.items()
    for tags in OTHER_VERSIONS
]


# Parameters


def unknown_in_list(*names):
    return [unknown_parameter(name, ROUTES["list"]) for name in names]


PARAMETERS = [
    refuse(f"?{query[:30]}", "validation_error", "list", query=f"?{query}", errors=unknown_in_list(*names))
    for query, names in (
        ("x", ["x"]),
        ("=1", [""]),
        ("x=1&x=2", ["x"]),
        ("x=1&y=2", ["x", "y"]),
        ("format=json", ["format"]),
        ("%C3%BC=1", ["\xfc"]),
        ("%00", ["\0"]),
        ("&".join(["x=1"] * 2000), ["x"]),
        ("&".join(["x=1", "y=2"] * 1000), ["x", "y"]),
        ("&" * 2000 + "x=1", ["x"]),
    )
] + [
    refuse(f"?x {label}", "validation_error", "list", query="?x", errors=[error], **parts)
    for label, error, parts in (
        ("in UTF-16", *unknown_in_list("x"), {"headers": {"Content-Type": "text/plain; charset=utf-16"}}),
        ("of OPTIONS", unknown_parameter("x"), {"method": "OPTIONS"}),
    )
]


WALL_CLOCK = "must be a date such as 2026-12-24, or a local time such as 2026-12-24T18:00:00"
TIME = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"
PLUS = "must have %2B for the + of its offset; send %2B01:00"
PRIORITY = "must be one of none, low, medium, high"
LABEL = "must be a label: A label"

#: Queries that lists and the count refuse, with the parameter and the rule.
REFUSED_QUERIES = [
    ("due=soon", "due", "must be one of any, none"),
    ("due=null", "due", "must be one of any, none"),
    ("due=2026-12-24", "due", "must be one of any, none"),
    ("due_after=today", "due_after", WALL_CLOCK),
    ("due_after=2026-02-30", "due_after", WALL_CLOCK),
    ("due_after=2026-12-24T18:00", "due_after", WALL_CLOCK),
    ("due_after=2026-12-24T17:00:00Z", "due_after", WALL_CLOCK),
    ("due_before=2026-12-24T18:00:00%5BEurope/Berlin%5D", "due_before", WALL_CLOCK),
    ("due_before=2026-12-24T24:00:00", "due_before", WALL_CLOCK),
    ("due_before=2026-12-24%20", "due_before", WALL_CLOCK),
    ("due_before=2026-12-24%0A", "due_before", WALL_CLOCK),
    ("priority=urgent", "priority", PRIORITY),
    ("priority=High", "priority", PRIORITY),
    ("priority=null", "priority", PRIORITY),
    ("priority=3", "priority", PRIORITY),
    ("priority=low,high", "priority", PRIORITY),
    ("label=%20", "label", f"{LABEL} must not be blank"),
    ("label=%E2%80%8B", "label", f"{LABEL} must not be blank"),
    (f"label={'x' * 51}", "label", f"{LABEL} exceeds the maximum length of 50 characters"),
    *(
        (
            f"label=a{character}b",
            "label",
            f'{LABEL} must not contain ", \\, commas, control characters, line breaks or lone surrogates',
        )
        for character in ("%22", "%5C", ",", "%00", "%0A", "%C2%85", "%E2%80%A8")
    ),
    ("label=__proto__", "label", f"{LABEL} must not be __proto__"),
    ("label=home&label=work", "label", "must appear only once"),
    ("completed_after=2026-01-11", "completed_after", TIME),
    ("completed_after=null", "completed_after", TIME),
    ("completed_before=2026-01-11T09:30:00", "completed_before", TIME),
    ("completed_before=2026-01-11T09:30:00+01:00", "completed_before", PLUS),
]
PARAMETERS += [
    refuse(f"{name}: ?{query[:40]}", "validation_error", name, query=f"?{query}", errors=[invalid_parameter(*fault)])
    for name in ("list", "list-trash", "count")
    for query, *fault in REFUSED_QUERIES
] + [
    refuse(
        f"count: ?{name}",
        "validation_error",
        "count",
        query=f"?{name}={value}",
        errors=[unknown_parameter(name, ROUTES["count"])],
    )
    for name, value in (("limit", "5"), ("cursor", "x"), ("ordering", "title"))
]


# Bodies

LARGE = [
    refuse(f"create: {label}", "payload_too_large", "create", body=body)
    for label, body in (("a megabyte", ROUTES["create"].body.ljust(2**20)), ("large without JSON", b"[" * 70_000))
]


def invalid(field, code, detail):
    return fault(code, detail, pointer=f"#/{field}")


def unknown_field(escaped):
    return invalid(escaped, "unknown_field", "This field is unknown")


TITLE_REQUIRED = invalid("title", "required", "Title is required")
TITLE_BLANK = invalid("title", "blank", "Title must not be blank")
TITLE_TOO_LONG = invalid("title", "max_length", "Title exceeds maximum length of 200 characters")
TITLE_NULL = invalid("title", "null", "Title must be a string")
TITLE_NO_STRING = invalid("title", "invalid", "Title must be a string")
TITLE_CHARACTER = invalid(
    "title", "forbidden_character", "Title must not contain control characters, line breaks or lone surrogates"
)
DESCRIPTION_TOO_LONG = invalid("description", "max_length", "Description exceeds maximum length of 2000 characters")
DESCRIPTION_NO_STRING = invalid("description", "invalid", "Description must be a string")
DESCRIPTION_CHARACTER = invalid(
    "description",
    "forbidden_character",
    "Description must not contain control characters other than tab and line breaks, or lone surrogates",
)
COMPLETED_NULL = invalid("completed", "null", "Completed must be true or false")
COMPLETED_NO_BOOLEAN = invalid("completed", "invalid", "Completed must be true or false")
DUE_INVALID = invalid("due", "invalid", "Due must be a date, a local time, an instant or a local time with a zone")
DUE_ZONE = invalid("due", "unknown_time_zone", "Due names an unknown time zone")
DUE_OFFSET = invalid("due", "wrong_offset", "Due has an offset that its time zone does not have then")
PRIORITY_INVALID = invalid("priority", "invalid", "Priority must be low, medium, high or null")
LABELS_INVALID = invalid("labels", "invalid", "Labels must be an object of names to true, or an array of names")
TOO_MANY_LABELS = invalid("labels", "max_number", "Labels exceed the maximum number of 20")
NOT_AN_OBJECT = fault("not_an_object", "The body must be a JSON object", pointer="#")

EMOJI = "\N{PILE OF POO}"
BLANKS = ("", " ", "   ", "\t\r\n", "\0", "\x1f", "\x7f", "\x85", "\xa0\u3000", "\u2028", "\u200b\xad", "\ufeff")

#: Invalid values of each field and the error; an escaped lone surrogate is JSON already.
INVALID_VALUES = [
    ("title", TITLE_BLANK, [*BLANKS, "\u200b\u200d\ufeff", "\U000e0041", "\U000e0001\U000e007f"]),
    ("title", TITLE_TOO_LONG, ["x" * 201, EMOJI * 201, "x" * 60_000]),
    ("title", TITLE_NULL, [None]),
    ("title", TITLE_NO_STRING, [1, 1.5, True, [], ["x"], {"x": 1}]),
    (
        "title",
        TITLE_CHARACTER,
        [
            *(f"a{character}b" for character in "\0\t\n\r\x1b\x7f\x85\u2028\u2029"),
            *("\ud800", "\udfff", "\ude00\ud83d", "x\ud83d"),
        ],
    ),
    ("description", DESCRIPTION_TOO_LONG, ["x" * 2001]),
    ("description", DESCRIPTION_NO_STRING, [0, 1, 2.5, False, [], {}]),
    ("description", DESCRIPTION_CHARACTER, [*"\0\x08\x0b\x0c\x1b\x7f\x85\x9f\udc00\udfff"]),
    ("completed", COMPLETED_NULL, [None]),
    ("completed", COMPLETED_NO_BOOLEAN, ["yes", "on", "true", "", 0, 1, 1.0, [], {}]),
    (
        "due",
        DUE_INVALID,
        [
            *(1, 1.5, True, [], {}, "", " ", "now", "x" * 60_000),
            # Dates
            *(
                "2026-12",
                "20261224",
                "2026-W52-4",
                "2026-358",
                "24.12.2026",
                "2026-12-24 ",
                " 2026-12-24",
                "2026-12-24\n",
            ),
            *("2026-00-24", "2026-13-24", "2026-12-00", "2026-12-32", "2026-02-30", "2025-02-29", "1900-02-29"),
            *("0000-12-24", "10000-12-24", "-2026-12-24", "2026-12-24\0", "\N{ARABIC-INDIC DIGIT TWO}026-12-24"),
            # Local times
            *("2026-12-24T18:00", "2026-12-24T18", "2026-12-24t18:00:00", "2026-12-24 18:00:00", "T18:00:00"),
            *("2026-12-24T24:00:00", "2026-12-24T18:60:00", "2026-12-24T23:59:60", "2026-12-24T18:00:00.5"),
            # Instants
            *("2026-12-24Z", "2026-12-24T17:00:00z", "2026-12-24T17:00:00-00:00", "2026-12-24T17:00:00+01"),
            *("2026-12-24T17:00:00+0100", "2026-12-24T17:00:00+24:00", "2026-12-24T17:00:00+01:60"),
            *("2026-12-24T17:00:00.Z", "2026-12-24T17:00:00,5Z", "2026-12-31T23:59:60Z", "2026-12-24T17:00Z"),
            *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-12-24T18:00:00\N{MINUS SIGN}01:00"),
            # Local times with a zone
            *("2026-12-24[Europe/Berlin]", "2026-12-24T18:00[Europe/Berlin]", "2026-12-24T18:00:00[]"),
            *("2026-12-24T18:00:00[Europe/Berlin", "2026-12-24T18:00:00 [Europe/Berlin]", "2026-12-24T18:00:00.5[UTC]"),
            *("2026-12-24T18:00:00[Europe/Berlin]Z", "2026-12-24T18:00:00[Europe/Berlin][u-ca=hebrew]"),
            *("9999-12-31T23:59:59Z[Europe/Berlin]", "0001-01-01T00:00:00Z[America/New_York]"),
        ],
    ),
    (
        "due",
        DUE_ZONE,
        [
            f"2026-12-24T18:00:00[{zone}]"
            for zone in (
                *("Europe/Atlantis", "Europe", "europe/berlin", "Europe/Berlin ", "EUROPE/BERLIN", "CEST", "localtime"),
                *("Factory", "posix/Europe/Berlin", "right/UTC", "+01:00", "Z", "!Europe/Berlin", "u-ca=hebrew"),
                *(
                    "GMT+2",
                    "/usr/share/zoneinfo/UTC",
                    "../zoneinfo/UTC",
                    "Europe/../UTC",
                    "Europe\\Berlin",
                    "\0",
                    "x" * 9999,
                ),
            )
        ],
    ),
    (
        "due",
        DUE_OFFSET,
        [
            "2026-12-24T18:00:00+02:00[Europe/Berlin]",
            "2026-12-24T18:00:00-01:00[Europe/Berlin]",
            "2026-10-25T02:30:00+00:00[Europe/Berlin]",
            "2026-03-29T02:30:00+01:00[Europe/Berlin]",
            "2026-03-29T02:30:00+02:00[Europe/Berlin]",
        ],
    ),
    (
        "priority",
        PRIORITY_INVALID,
        ["", "none", "urgent", "High", "LOW", " high", 0, 1, 3, 1.0, True, [], {}, ["high"]],
    ),
    ("labels", LABELS_INVALID, ["", "home", 1, 1.5, True, [1], [None], ["home", 1], [["home"]], [{"home": True}]]),
    ("labels", TOO_MANY_LABELS, [[str(number) for number in range(21)], dict.fromkeys(map(str, range(21)), True)]),
]


def label_fault(code, detail, escaped):
    return invalid(f"labels/{escaped}", code, f"A label {detail}")


NO_LABEL_CHARACTER = 'must not contain ", \\, commas, control characters, line breaks or lone surrogates'

#: Names that no label may have: the code and the detail of the fault, and how a JSON pointer escapes each name.
INVALID_NAMES = [
    ("blank", "must not be blank", {"": "", " ": "%20", "\u200b": "%E2%80%8B", "\t\n": "%09%0A", "\0": "%00"}),
    (
        "max_length",
        "exceeds the maximum length of 50 characters",
        {"x" * 51: "x" * 51, "\N{PILE OF POO}" * 51: "%F0%9F%92%A9" * 51},
    ),
    (
        "forbidden_character",
        NO_LABEL_CHARACTER,
        {
            'a"b': "a%22b",
            "a\\b": "a%5Cb",
            "a,b": "a,b",
            "a\nb": "a%0Ab",
            "a\0b": "a%00b",
            "a\x7fb": "a%7Fb",
            "a\x85b": "a%C2%85b",
            "a\u2028b": "a%E2%80%A8b",
            "a/~,b": "a~1~0,b",
        },
    ),
    ("reserved", "must not be __proto__", {"__proto__": "__proto__", " __proto__ ": "%20__proto__%20"}),
]
#: Names of unknown fields, and how a JSON pointer escapes them.
UNKNOWN_FIELDS = {
    "colour": "colour",
    "deleted_at": "deleted_at",
    "TITLE": "TITLE",
    "": "",
    "a/~b": "a~1~0b",
    "ü %": "%C3%BC%20%25",
    "größe": "gr%C3%B6%C3%9Fe",
    "\0": "%00",
    "__proto__": "__proto__",
}


def body_of(**members):
    """Return a JSON object; only lone surrogates are escaped, because UTF-8 has none."""
    text = json.dumps(members, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda match: rf"\u{ord(match[0]):04x}", text).encode()


#: Bodies that neither a new task nor a change may have, and their errors.
INVALID_BODIES = {
    **{
        f"body {text}": (text.encode(), NOT_AN_OBJECT)
        for text in ("null", "true", "12", '"title"', "[]", '[{"title": "x"}]', '[{"op": "remove", "path": "/title"}]')
    },
    "body of 32 arrays": (arrays(32), NOT_AN_OBJECT),
    **{
        f"{field} {value!a:.40}": (body_of(**{"title": "x", field: value}), error)
        for field, error, values in INVALID_VALUES
        for value in values
    },
    **{
        f"unknown field {name!a}": (body_of(title="x", **{name: 1}), unknown_field(escaped))
        for name, escaped in UNKNOWN_FIELDS.items()
    },
    **{
        f"label {name!a:.20} in {kind}": (
            body_of(title="x", labels=labels),
            label_fault(code, detail, escaped if kind == "object" else "0"),
        )
        for code, detail, names in INVALID_NAMES
        for name, escaped in names.items()
        for kind, labels in (("object", {name: True}), ("array", [name]))
    },
    "label twice in object": (
        body_of(title="x", labels={"a": True, " a": True}),
        label_fault("duplicate", "must appear only once", "%20a"),
    ),
    "label twice in array": (
        body_of(title="x", labels=["b", "a", "b ", "a"]),
        label_fault("duplicate", "must appear only once", "2"),
        label_fault("duplicate", "must appear only once", "3"),
    ),
    "every label": (
        body_of(title="x", labels={"a,": True, "b": True, "": True}),
        label_fault("forbidden_character", NO_LABEL_CHARACTER, "a,"),
        label_fault("blank", "must not be blank", ""),
    ),
    "one good field and one bad": (body_of(title="x", completed="on"), COMPLETED_NO_BOOLEAN),
    "every field": (
        body_of(y=1, completed="yes", description="x" * 2001, title=" "),
        TITLE_BLANK,
        DESCRIPTION_TOO_LONG,
        COMPLETED_NO_BOOLEAN,
        unknown_field("y"),
    ),
}
#: Bodies that a new task may not have.
INVALID_NEW = {
    "empty object": (b"{}", TITLE_REQUIRED),
    "no title": (b'{"description": "x"}', TITLE_REQUIRED),
    "32 objects": (objects(32), TITLE_REQUIRED, unknown_field("a")),
}

NO_TRUE = [False, 0, 1, 1.0, "true", "", [], {}]
INVALID_NEW |= {
    f"label with {value!a}": (
        body_of(title="x", labels={"a/b": value}),
        label_fault("not_true", "must have the value true", "a~1b"),
    )
    for value in [None, *NO_TRUE]
}
#: Bodies that a change may not have.
INVALID_CHANGES = {
    f"label with {value!a}": (
        body_of(labels={"a/b": value}),
        label_fault("not_true_or_null", "must have the value true, or null to remove it", "a~1b"),
    )
    for value in NO_TRUE
}

UNREADABLE_REQUESTS = [
    refuse(f"{name}: {text}", "parse_error", name, body=body, detail=detail)
    for name in ("create", "update")
    for text, (body, detail) in UNREADABLE.items()
] + [
    refuse(
        f"{name}: key {text}",
        "parse_error",
        name,
        body=body,
        errors=[fault("repeated_key", REPEATED_KEY, pointer=pointer) for pointer in pointers],
    )
    for name in ("create", "update")
    for text, (body, *pointers) in REPEATED_KEYS.items()
]
INVALID_REQUESTS = [
    refuse(f"{name}: {text}", "validation_error", name, body=body, errors=errors)
    for name, bodies in (("create", INVALID_BODIES | INVALID_NEW), ("update", INVALID_BODIES | INVALID_CHANGES))
    for text, (body, *errors) in bodies.items()
]
EMPTY_REQUESTS = [
    refuse(f"{name}: {label}", "parse_error", name, body=b"", detail=EMPTY_BODY, headers=headers)
    for name in ("create", "update")
    for label, headers in (
        ("neither body nor type", {"Content-Type": None}),
        ("a length of another name", {"Content_Length": "15"}),
    )
]
MERGE_PATCHES = [
    row._replace(name=f"{row.name} in a merge patch", headers={"Content-Type": MERGE_PATCH})
    for row in (*UNREADABLE_REQUESTS, *INVALID_REQUESTS)
    if row.name
    in {f"update: {text}" for text in ("cut-off", "key repeated", "body []", "title None", "completed None")}
] + [
    refuse(
        "update: empty merge patch",
        "parse_error",
        "update",
        body=b"",
        detail=EMPTY_BODY,
        headers={"Content-Type": MERGE_PATCH},
    )
]

ALL = [
    *LONG_HEADS,
    *NO_ROUTES,
    *NO_TASKS,
    *CONFLICTS,
    *NO_METHODS,
    *NOT_ANSWERED,
    *NOT_TAKEN,
    *MALFORMED_HEADERS,
    *STALE,
    *PARAMETERS,
    *LARGE,
    *UNREADABLE_REQUESTS,
    *INVALID_REQUESTS,
    *EMPTY_REQUESTS,
    *MERGE_PATCHES,
    *(
        refuse(f"{name}: {each.name}", each.code, name, detail=each.detail, errors=each.errors, **each.parts)
        for name, route in ROUTES.items()
        for rank in faults(route)
        for each in rank
    ),
]
#: Each request once.
REFUSALS = list({str(row[2:]): row for row in ALL}.values())

#: Headers with which Django fails, or loses the query, before a view has the request.
DJANGO_FAILS = [
    refuse(f"create: {value}", "unsupported_media_type", "create", headers={"Content-Type": value})
    for value in ("application/json; charset*=bogus''utf-8", "text/plain; x*=bogus''y")
] + [
    refuse(
        f"{name}: ?x in charset {charset}",
        "validation_error",
        name,
        query="?x",
        headers={"Content-Type": f"text/plain; charset={charset}"},
        errors=[unknown_parameter("x", ROUTES[name])],
    )
    for name, charset in (("list", "hex"), ("delete", "undefined"))
]
