"""Requests that are refused, and what for.

``path`` may name ``{task}``, a live task of the caller's at version 1; ``{trashed}``, one of theirs in the trash;
``{foreign}``, one of another user; and ``{absent}``, an id of no task. ``errors`` are the places that are named, and
nothing but them: ``#/title`` in the body, ``?limit`` in the query, ``If-Match`` among the headers.
"""

from typing import NamedTuple

from tasks.tests.api.contract import JSON, MAX_BODY_BYTES, MERGE_PATCH

LIST = "/api/tasks"
TASK = "/api/tasks/{task}"
TRASHED = "/api/tasks/{trashed}"
FOREIGN = "/api/tasks/{foreign}"
ABSENT = "/api/tasks/{absent}"
TOGGLE = f"{TASK}/toggle"
RESTORE = f"{TRASHED}/restore"
TRASH = "/api/tasks/trash"
IN_TRASH = "/api/tasks/trash/{trashed}"

AS_JSON = {"Content-Type": JSON}
AS_MERGE_PATCH = {"Content-Type": MERGE_PATCH}
AS_TEXT = {"Content-Type": "text/plain"}

GOOD = b'{"title": "Buy milk"}'
TOO_LARGE = b'{"title": "Buy milk"}'.ljust(MAX_BODY_BYTES + 1)
BROKEN = b'{"title": '


class BadRequest(NamedTuple):
    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    code: str
    errors: tuple[str, ...] = ()


def accepting(media_types, headers=AS_JSON):
    return {**headers, "Accept": media_types}


def if_match(tags, headers=AS_JSON):
    return {**headers, "If-Match": tags}


def typed(content_type):
    return {"Content-Type": content_type}


def nested(levels):
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def created(name, body, code, *errors, headers=AS_JSON):
    return BadRequest(name, "POST", LIST, headers, body, 400, code, errors)


def patched(name, body, code, *errors, headers=AS_JSON):
    return BadRequest(name, "PATCH", TASK, headers, body, 400, code, errors)


UNPARSED = [
    created("no body", b"", "parse_error"),
    created("no body but a length by another name", b"", "parse_error", headers={**AS_JSON, "Content_Length": "15"}),
    created("white space alone", b" \r\n\t", "parse_error"),
    created("no JSON", b"title=Buy+milk", "parse_error"),
    created("half an object", BROKEN, "parse_error"),
    created("more after the object", GOOD + b"{}", "parse_error"),
    created("two lines of JSON", GOOD + b"\n" + GOOD, "parse_error"),
    created("a comma too many", b'{"title": "x",}', "parse_error"),
    created("single quotes", b"{'title': 'x'}", "parse_error"),
    created("a key without quotes", b'{title: "x"}', "parse_error"),
    created("a key that is no string", b'{1: "x"}', "parse_error"),
    created("a comment", b'{"title": "x" /* milk */}', "parse_error"),
    created("a raw line break in a string", b'{"title": "a\nb"}', "parse_error"),
    created("a raw NUL in a string", b'{"title": "a\0b"}', "parse_error"),
    created("a raw NUL after the object", GOOD + b"\0", "parse_error"),
    created("a wrong escape", rb'{"title": "\x41"}', "parse_error"),
    created("a broken Unicode escape", rb'{"title": "\u12"}', "parse_error"),
    created("a form feed as white space", b"\f" + GOOD, "parse_error"),
    created("a no-break space as white space", "\u00a0".encode() + GOOD, "parse_error"),
    created("a byte order mark", b"\xef\xbb\xbf" + GOOD, "parse_error"),
    created("Latin-1", '{"title": "Grüße"}'.encode("latin-1"), "parse_error"),
    created("UTF-16", '{"title": "x"}'.encode("utf-16"), "parse_error"),
    created("UTF-16 without a mark", '{"title": "x"}'.encode("utf-16-le"), "parse_error"),
    created("UTF-32", '{"title": "x"}'.encode("utf-32"), "parse_error"),
    created("a surrogate in UTF-8", b'{"title": "\xed\xa0\x80"}', "parse_error"),
    created("overlong UTF-8", b'{"title": "\xc0\xaf"}', "parse_error"),
    created("a cut off character", b'{"title": "\xf0\x9f\x92"}', "parse_error"),
    created("beyond Unicode", b'{"title": "\xf4\x90\x80\x80"}', "parse_error"),
    created("gzip", b"\x1f\x8b\x08\x00", "parse_error"),
    created("NaN", b'{"title": NaN}', "parse_error"),
    created("NaN in a field that is ignored", b'{"title": "x", "version": NaN}', "parse_error"),
    created("Infinity", b'{"title": Infinity}', "parse_error"),
    created("-Infinity", b'{"title": -Infinity}', "parse_error"),
    created("NaN alone", b"NaN", "parse_error"),
    created("1e400", b'{"title": 1e400}', "parse_error"),
    created("-1e400", b'{"title": -1e400}', "parse_error"),
    created("1e400 in a field that is ignored", b'{"title": "x", "version": [1e400]}', "parse_error"),
    created("1e400 in an array", b"[1e400]", "parse_error"),
    created("a number of 5000 digits", b'{"title": ' + b"9" * 5000 + b"}", "parse_error"),
    created("a leading zero", b'{"title": 01}', "parse_error"),
    created("a plus sign", b'{"title": +1}', "parse_error"),
    created("a hexadecimal number", b'{"title": 0x1}', "parse_error"),
    created("a bare point", b'{"title": .5}', "parse_error"),
    created("True", b'{"title": "x", "completed": True}', "parse_error"),
    created("33 objects", nested(33), "parse_error"),
    created("an object of 33 levels of arrays", b'{"version":' + b"[" * 32 + b"]" * 32 + b"}", "parse_error"),
    created("33 arrays", b"[" * 33 + b"]" * 33, "parse_error"),
    created("5000 arrays", b"[" * 5000 + b"]" * 5000, "parse_error"),
    created("60000 open brackets", b"[" * 60_000, "parse_error"),
    created("10000 open objects", b'{"a":' * 10_000, "parse_error"),
    created("a repeated key", b'{"title": "a", "title": "b"}', "parse_error", "#/title"),
    created("a repeated key, the same value", b'{"title": "a", "title": "a"}', "parse_error", "#/title"),
    created("a repeated key, escaped", rb'{"title": "a", "\u0074itle": "b"}', "parse_error", "#/title"),
    created("a key three times", b'{"title": 1, "title": 2, "title": 3}', "parse_error", "#/title"),
    created("a repeated empty key", b'{"": 1, "": 2}', "parse_error", "#/"),
    created("a repeated unknown key", b'{"a/b": 1, "a/b": 2}', "parse_error", "#/a~1b"),
    created("a repeated tilde", b'{"~": 1, "~": 2}', "parse_error", "#/~0"),
    created("a repeated key beyond ASCII", '{"ü": 1, "ü": 2}'.encode(), "parse_error", "#/%C3%BC"),
    created("a repeated key inside", b'{"version": {"a": 1, "a": 2}}', "parse_error", "#/version/a"),
    created("a repeated key in an array", b'{"id": [0, {"a": 1, "a": 2}]}', "parse_error", "#/id/1/a"),
    created("a repeated key in an outer array", b'[{"a": 1, "a": 2}]', "parse_error", "#/0/a"),
    created("two repeated keys", b'{"a": 1, "b": 1, "b": 2, "a": 2}', "parse_error", "#/a", "#/b"),
    created("a repeated key and a wrong field", b'{"title": "", "title": 1, "x": 1}', "parse_error", "#/title"),
    patched("no body to patch with", b"", "parse_error"),
    patched("no merge patch", b"", "parse_error", headers=AS_MERGE_PATCH),
    patched("a broken patch", BROKEN, "parse_error"),
    patched("a broken merge patch", BROKEN, "parse_error", headers=AS_MERGE_PATCH),
    patched("a repeated key in a merge patch", b'{"id":1,"id":2}', "parse_error", "#/id", headers=AS_MERGE_PATCH),
    BadRequest("no body and no type", "POST", LIST, {}, b"", 400, "parse_error"),
    BadRequest("no patch and no type", "PATCH", TASK, {}, b"", 400, "parse_error"),
]

INVALID = [
    created("null", b"null", "validation_error", "#"),
    created("true", b"true", "validation_error", "#"),
    created("a number", b"12", "validation_error", "#"),
    created("a string", b'"Buy milk"', "validation_error", "#"),
    created("an array", b"[]", "validation_error", "#"),
    created("an array of tasks", b"[" + GOOD + b"]", "validation_error", "#"),
    created("32 arrays", b"[" * 32 + b"]" * 32, "validation_error", "#"),
    created("an empty object", b"{}", "validation_error", "#/title"),
    created("an empty title", b'{"title": ""}', "validation_error", "#/title"),
    created("a title of spaces", b'{"title": "   "}', "validation_error", "#/title"),
    created("a title of NUL", rb'{"title": "\u0000"}', "validation_error", "#/title"),
    created("a title with NUL", rb'{"title": "a\u0000b"}', "validation_error", "#/title"),
    created("a title of zero width", rb'{"title": "\u200b\u200d\ufeff"}', "validation_error", "#/title"),
    created("a title of tags", rb'{"title": "\udb40\udc01\udb40\udc7f"}', "validation_error", "#/title"),
    created("a title with a line break", rb'{"title": "a\nb"}', "validation_error", "#/title"),
    created("a title with U+2028", rb'{"title": "a\u2028b"}', "validation_error", "#/title"),
    created("a title with U+0085", rb'{"title": "a\u0085b"}', "validation_error", "#/title"),
    created("a title with a lone surrogate", rb'{"title": "a\ud800"}', "validation_error", "#/title"),
    created("a title of 201", b'{"title": "%s"}' % (b"x" * 201), "validation_error", "#/title"),
    created("a title of 201 emoji", b'{"title": "%s"}' % (b"\xf0\x9f\x92\xa9" * 201), "validation_error", "#/title"),
    created("a title of null", b'{"title": null}', "validation_error", "#/title"),
    created("a title of a number", b'{"title": 1}', "validation_error", "#/title"),
    created("a title of a fraction", b'{"title": 1.5}', "validation_error", "#/title"),
    created("a title of true", b'{"title": true}', "validation_error", "#/title"),
    created("a title of an array", b'{"title": ["x"]}', "validation_error", "#/title"),
    created("a title of an object", b'{"title": {"x": 1}}', "validation_error", "#/title"),
    created(
        "a description of 2001",
        b'{"title": "x", "description": "%s"}' % (b"x" * 2001),
        "validation_error",
        "#/description",
    ),
    created("a description of 1", b'{"title": "x", "description": 1}', "validation_error", "#/description"),
    created("a description of false", b'{"title": "x", "description": false}', "validation_error", "#/description"),
    created("a description with NUL", rb'{"title": "x", "description": "\u0000"}', "validation_error", "#/description"),
    created("a description with DEL", b'{"title": "x", "description": "\x7f"}', "validation_error", "#/description"),
    created(
        "a description with a lone surrogate",
        rb'{"title": "x", "description": "\udfff"}',
        "validation_error",
        "#/description",
    ),
    created("completed yes", b'{"title": "x", "completed": "yes"}', "validation_error", "#/completed"),
    created('completed "true"', b'{"title": "x", "completed": "true"}', "validation_error", "#/completed"),
    created("completed 1", b'{"title": "x", "completed": 1}', "validation_error", "#/completed"),
    created("completed 0", b'{"title": "x", "completed": 0}', "validation_error", "#/completed"),
    created("completed null", b'{"title": "x", "completed": null}', "validation_error", "#/completed"),
    created("an unknown field", b'{"title": "x", "colour": "red"}', "validation_error", "#/colour"),
    created("an inner field", b'{"title": "x", "deleted_at": null}', "validation_error", "#/deleted_at"),
    created("a field in capitals", b'{"title": "x", "TITLE": "x"}', "validation_error", "#/TITLE"),
    created("an empty field", b'{"title": "x", "": 1}', "validation_error", "#/"),
    created("a field to escape", b'{"title": "x", "a/~b": 1}', "validation_error", "#/a~1~0b"),
    created("a field beyond ASCII", '{"title": "x", "größe": 1}'.encode(), "validation_error", "#/gr%C3%B6%C3%9Fe"),
    created("a field of NUL", rb'{"title": "x", "\u0000": 1}', "validation_error", "#/%00"),
    created("a field called __proto__", b'{"title": "x", "__proto__": {}}', "validation_error", "#/__proto__"),
    created(
        "a fault in every field",
        b'{"completed": 1, "description": 1, "title": 1, "x": 1}',
        "validation_error",
        "#/title",
        "#/description",
        "#/completed",
        "#/x",
    ),
    created("32 objects", nested(32), "validation_error", "#/title", "#/a"),
    patched("a patch of null", b"null", "validation_error", "#"),
    patched("a patch of operations", b'[{"op": "remove", "path": "/title"}]', "validation_error", "#"),
    patched("a merge patch of an array", b"[]", "validation_error", "#", headers=AS_MERGE_PATCH),
    patched("a title removed", b'{"title": null}', "validation_error", "#/title", headers=AS_MERGE_PATCH),
    patched("a title blanked", b'{"title": " "}', "validation_error", "#/title"),
    patched("completed removed", b'{"completed": null}', "validation_error", "#/completed", headers=AS_MERGE_PATCH),
    patched("one good field and one bad", b'{"title": "x", "completed": "on"}', "validation_error", "#/completed"),
    patched("an unknown field patched", b'{"user": "me"}', "validation_error", "#/user"),
]

WRONG_TYPES = [
    BadRequest(f"POST {name}", "POST", LIST, headers, GOOD, 415, "unsupported_media_type")
    for name, headers in {
        "without a type": {},
        "with an empty type": typed(""),
        "as text": AS_TEXT,
        "as a form": typed("application/x-www-form-urlencoded"),
        "as multipart": typed("multipart/form-data; boundary=x"),
        "as bytes": typed("application/octet-stream"),
        "as text/json": typed("text/json"),
        "as problem+json": typed("application/problem+json"),
        "as a merge patch": AS_MERGE_PATCH,
        "as any type": typed("*/*"),
        "as any application": typed("application/*"),
        "as nonsense": typed("json"),
        "as two types": typed("application/json, text/plain"),
        "in Latin-1": typed("application/json; charset=iso-8859-1"),
        "in UTF-16": typed("application/json; charset=utf-16"),
        "in an unknown charset": typed("application/json; charset=bogus"),
        "in a charset that is no text": typed("application/json; charset=hex"),
        "in two charsets": typed("application/json; charset=utf-8; charset=latin-1"),
        "as gzip": {**AS_JSON, "Content-Encoding": "gzip"},
        "as identity": {**AS_JSON, "Content-Encoding": "identity"},
        "as two encodings": {**AS_JSON, "Content-Encoding": "br, gzip"},
    }.items()
] + [
    BadRequest(f"PATCH {name}", "PATCH", TASK, headers, GOOD, 415, "unsupported_media_type")
    for name, headers in {
        "without a type": {},
        "as text": AS_TEXT,
        "as a JSON patch": typed("application/json-patch+json"),
        "as a merge patch in Latin-1": typed(f"{MERGE_PATCH}; charset=latin1"),
        "as gzip": {**AS_MERGE_PATCH, "Content-Encoding": "gzip"},
    }.items()
]

WRONG_HEADERS = [
    BadRequest(
        f"{method} with {header} {value!r}", method, path, {header: value}, b"", 400, "validation_error", (header,)
    )
    for method, path, header, value in [
        ("GET", TASK, "If-None-Match", "1"),
        ("GET", TASK, "If-None-Match", ""),
        ("GET", TASK, "If-None-Match", 'w/"1"'),
        ("GET", TASK, "If-None-Match", '*, "1"'),
        ("GET", TASK, "If-None-Match", '"1" "2"'),
        ("GET", TASK, "If-Match", '"1'),
        ("GET", LIST, "If-None-Match", "x"),
        ("DELETE", TASK, "If-Match", "1"),
        ("DELETE", TASK, "If-Match", ","),
        ("DELETE", TASK, "If-Match", "W/1"),
        ("POST", TOGGLE, "If-Match", '"1" x'),
        ("POST", TOGGLE, "If-Match", '"1",' * 101),
        ("POST", TOGGLE, "If-Match", "“1”".encode().decode("latin-1")),
        ("POST", TOGGLE, "Idempotency-Key", ""),
        ("DELETE", TASK, "Idempotency-Key", "a b"),
        ("POST", RESTORE, "Idempotency-Key", "k" * 256),
        ("DELETE", IN_TRASH, "Idempotency-Key", "\xe9"),
        ("GET", TASK, "Host", "evil.example"),
        ("GET", LIST, "Host", "testserver.evil.example"),
        ("GET", LIST, "Host", "testserver/x"),
        ("DELETE", TASK, "Host", "evil.example:443"),
        ("POST", TOGGLE, "Host", "testserver@evil.example"),
    ]
] + [
    patched("a malformed If-Match", GOOD, "validation_error", "If-Match", headers=if_match("1")),
    created("a malformed If-Match at creation", GOOD, "validation_error", "If-Match", headers=if_match('"1')),
    patched(
        "both preconditions malformed",
        GOOD,
        "validation_error",
        "If-Match",
        "If-None-Match",
        headers={**AS_JSON, "If-Match": "1", "If-None-Match": "2"},
    ),
    created(
        "a malformed key", GOOD, "validation_error", "Idempotency-Key", headers={**AS_JSON, "Idempotency-Key": "\t"}
    ),
    created("a Host of another server", GOOD, "validation_error", "Host", headers={**AS_JSON, "Host": "evil.example"}),
]

PARAMETERS = [
    BadRequest("GET a list ?x=1", "GET", f"{LIST}?x=1", {}, b"", 400, "validation_error", ("?x",)),
    BadRequest("GET a list ?x", "GET", f"{LIST}?x", {}, b"", 400, "validation_error", ("?x",)),
    BadRequest("GET a list ?=1", "GET", f"{LIST}?=1", {}, b"", 400, "validation_error", ("?",)),
    BadRequest("GET a list ?x=1&x=2", "GET", f"{LIST}?x=1&x=2", {}, b"", 400, "validation_error", ("?x",)),
    BadRequest("GET a list ?x=1&y=2", "GET", f"{LIST}?x=1&y=2", {}, b"", 400, "validation_error", ("?x", "?y")),
    BadRequest("GET a list ?format=json", "GET", f"{LIST}?format=json", {}, b"", 400, "validation_error", ("?format",)),
    BadRequest("GET a list ?%FF", "GET", f"{LIST}?%FF=1", {}, b"", 400, "validation_error", ("?\ufffd",)),
    BadRequest("GET a list ?%C3%BC", "GET", f"{LIST}?%C3%BC=1", {}, b"", 400, "validation_error", ("?ü",)),
    BadRequest("GET a list ?%00", "GET", f"{LIST}?%00", {}, b"", 400, "validation_error", ("?\0",)),
    BadRequest(
        "GET a list ?x=1 in UTF-16",
        "GET",
        f"{LIST}?x=1",
        typed("text/plain; charset=utf-16"),
        b"",
        400,
        "validation_error",
        ("?x",),
    ),
    BadRequest(
        "GET a list with one parameter 2000 times",
        "GET",
        f"{LIST}?{'&'.join(['x=1'] * 2000)}",
        {},
        b"",
        400,
        "validation_error",
        ("?x",),
    ),
    BadRequest(
        "GET a list with two parameters 1000 times",
        "GET",
        f"{LIST}?{'&'.join(['x=1', 'y=2'] * 1000)}",
        {},
        b"",
        400,
        "validation_error",
        ("?x", "?y"),
    ),
    BadRequest(
        "GET a list with a parameter after 2000 ampersands",
        "GET",
        f"{LIST}?{'&' * 2000}x=1",
        {},
        b"",
        400,
        "validation_error",
        ("?x",),
    ),
    BadRequest("GET a task ?x", "GET", f"{TASK}?x", {}, b"", 400, "validation_error", ("?x",)),
    BadRequest("GET a task ?limit=1", "GET", f"{TASK}?limit=1", {}, b"", 400, "validation_error", ("?limit",)),
    BadRequest("POST ?title=x", "POST", f"{LIST}?title=x", AS_JSON, GOOD, 400, "validation_error", ("?title",)),
    BadRequest("PATCH ?id=1", "PATCH", f"{TASK}?id=1", AS_JSON, GOOD, 400, "validation_error", ("?id",)),
    BadRequest("DELETE ?force", "DELETE", f"{TASK}?force", {}, b"", 400, "validation_error", ("?force",)),
    BadRequest("restore ?to", "POST", f"{RESTORE}?to=x", {}, b"", 400, "validation_error", ("?to",)),
    BadRequest("removal ?force", "DELETE", f"{IN_TRASH}?force", {}, b"", 400, "validation_error", ("?force",)),
    BadRequest(
        "GET in the trash ?fields", "GET", f"{IN_TRASH}?fields=id", {}, b"", 400, "validation_error", ("?fields",)
    ),
    BadRequest("the trash, limit 0", "GET", f"{TRASH}?limit=0", {}, b"", 400, "validation_error", ("?limit",)),
    BadRequest(
        "the trash, ordering", "GET", f"{TRASH}?ordering=-deleted_at", {}, b"", 400, "validation_error", ("?ordering",)
    ),
    BadRequest("toggle ?on", "POST", f"{TOGGLE}?on", {}, b"", 400, "validation_error", ("?on",)),
    BadRequest("OPTIONS ?x", "OPTIONS", f"{LIST}?x", {}, b"", 400, "validation_error", ("?x",)),
]

NOWHERE = [
    BadRequest(f"GET {path}", "GET", path, {}, b"", 404, "not_found")
    for path in [
        "/api/",
        "/api//tasks",
        "/api/task",
        "/api/tasks.json",
        "/api/tasks//",
        "/api/tasks/1",
        "/api/tasks/x",
        "/api/tasks/trash/x",
        "/api/tasks/{absent}",
        "/api/tasks/{absent}/",
        "/api/tasks/{trashed}",
        "/api/tasks/{foreign}",
        "/api/tasks/{task}x",
        "/api/tasks/{task}.json",
        "/api/tasks/{task}//",
        "/api/tasks/{task}/x",
        "/api/tasks/{task}/toggle/x",
        "/api/tasks/%20{task}",
        "/api/tasks/{task}%0A",
        "/api/tasks/{task}%00",
        "/api/tasks/00000000-0000-0000-0000-00000000000g",
        "/api/tasks/%7B{task}%7D",
        "/api/tasks/null",
        "/api/tasks/%C3%A9",
        "/api/tasks/%E6%97%A5%E6%9C%AC",
        "/api/tasks/%F0%9F%92%A9",
        "/api/tasks/%FF",
        "/api/tasks/a%3Fb%23c",
        "/api/tasks/" + "x" * 5000,
    ]
] + [
    BadRequest("PATCH of no task", "PATCH", ABSENT, AS_JSON, GOOD, 404, "not_found"),
    BadRequest("an empty PATCH of no task", "PATCH", ABSENT, AS_JSON, b"{}", 404, "not_found"),
    BadRequest("PATCH in the trash", "PATCH", TRASHED, AS_JSON, GOOD, 404, "not_found"),
    BadRequest("PATCH of another's task", "PATCH", FOREIGN, AS_JSON, GOOD, 404, "not_found"),
    BadRequest("DELETE of no task", "DELETE", ABSENT, {}, b"", 404, "not_found"),
    BadRequest("DELETE in the trash", "DELETE", TRASHED, {}, b"", 404, "not_found"),
    BadRequest("DELETE of another's task", "DELETE", FOREIGN, {}, b"", 404, "not_found"),
    BadRequest("toggle of no task", "POST", f"{ABSENT}/toggle", {}, b"", 404, "not_found"),
    BadRequest("toggle in the trash", "POST", f"{TRASHED}/toggle", {}, b"", 404, "not_found"),
    BadRequest("toggle of another's task", "POST", f"{FOREIGN}/toggle", {}, b"", 404, "not_found"),
    BadRequest("restore of no task", "POST", f"{ABSENT}/restore", {}, b"", 404, "not_found"),
    BadRequest("restore of another's task", "POST", f"{FOREIGN}/restore", {}, b"", 404, "not_found"),
    BadRequest("GET of a live task in the trash", "GET", f"{TRASH}/{{task}}", {}, b"", 404, "not_found"),
    BadRequest("GET of no task in the trash", "GET", f"{TRASH}/{{absent}}", {}, b"", 404, "not_found"),
    BadRequest("GET of another's task in the trash", "GET", f"{TRASH}/{{foreign}}", {}, b"", 404, "not_found"),
    BadRequest("removal of a live task", "DELETE", f"{TRASH}/{{task}}", {}, b"", 404, "not_found"),
    BadRequest("removal of no task", "DELETE", f"{TRASH}/{{absent}}", {}, b"", 404, "not_found"),
    BadRequest("removal of another's task", "DELETE", f"{TRASH}/{{foreign}}", {}, b"", 404, "not_found"),
    BadRequest("toggle in the trash's path", "POST", f"{IN_TRASH}/toggle", {}, b"", 404, "not_found"),
]

CONFLICTS = [
    BadRequest("restore of a live task", "POST", f"{TASK}/restore", {}, b"", 409, "conflict"),
    BadRequest(
        "restore of a live task, its version", "POST", f"{TASK}/restore", {"If-Match": '"1"'}, b"", 409, "conflict"
    ),
    BadRequest(
        "restore of a live task, no version", "POST", f"{TASK}/restore", {"If-Match": '"9"'}, b"", 409, "conflict"
    ),
    BadRequest("restore of a live task, weak", "POST", f"{TASK}/restore", {"If-Match": 'W/"1"'}, b"", 409, "conflict"),
]

METHODS = [
    BadRequest(f"{method} {path}", method, path, {}, b"", 405, "method_not_allowed")
    for path, methods in {
        LIST: ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"),
        f"{LIST}/": ("PUT",),
        TASK: ("POST", "PUT", "TRACE", "CONNECT", "LINK"),
        TOGGLE: ("GET", "PUT", "PATCH", "DELETE", "TRACE"),
        RESTORE: ("GET", "PUT", "PATCH", "DELETE"),
        TRASH: ("POST", "PUT", "PATCH", "DELETE"),
        IN_TRASH: ("POST", "PUT", "PATCH", "TRACE"),
    }.items()
    for method in methods
]

NOT_ACCEPTED = [
    BadRequest(f"Accept: {accept}", "GET", LIST, {"Accept": accept}, b"", 406, "not_acceptable")
    for accept in [
        "text/html",
        "text/*",
        "image/png, application/xml;q=0.9",
        "*/*;q=0",
        "application/*;q=0.000",
        "application/json;q=0",
        "application/json;q=0, application/problem+json;q=0, */*",
        "application/jsonx",
        "json",
        ";",
        "text/html;q*=bogus''1",
    ]
] + [
    BadRequest("POST for HTML", "POST", LIST, accepting("text/html"), GOOD, 406, "not_acceptable"),
    BadRequest("PATCH for HTML", "PATCH", TASK, accepting("text/html"), GOOD, 406, "not_acceptable"),
    BadRequest("DELETE for HTML", "DELETE", TASK, {"Accept": "text/html"}, b"", 406, "not_acceptable"),
    BadRequest("toggle for HTML", "POST", TOGGLE, {"Accept": "text/html"}, b"", 406, "not_acceptable"),
]

LARGE = [
    BadRequest("a large POST", "POST", LIST, AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a large PATCH", "PATCH", TASK, AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a large merge patch", "PATCH", TASK, AS_MERGE_PATCH, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a large DELETE", "DELETE", TASK, AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a large toggle", "POST", TOGGLE, AS_TEXT, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a large GET", "GET", TASK, AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("a megabyte", "POST", LIST, AS_JSON, GOOD.ljust(2**20), 413, "payload_too_large"),
    BadRequest("a large body that is no JSON", "POST", LIST, AS_JSON, b"[" * 70_000, 413, "payload_too_large"),
]

STALE = [
    BadRequest(f"{name}, If-Match: {tags}", method, path, if_match(tags), body, 412, "precondition_failed")
    for name, method, path, body in [
        ("PATCH", "PATCH", TASK, GOOD),
        ("an empty PATCH", "PATCH", TASK, b"{}"),
        ("DELETE", "DELETE", TASK, b""),
        ("toggle", "POST", TOGGLE, b""),
        ("restore", "POST", RESTORE, b""),
        ("removal", "DELETE", IN_TRASH, b""),
    ]
    for tags in ['"2"', 'W/"1"', '"2", "3"', '"*"', '"01"', f'"{"1" * 100}"']
]

#: Two faults in one request, each pair of neighbours in the order of the contract; the first of them answers.
PRECEDENCE = [
    BadRequest("path before method", "PUT", "/api/tasks/x", {}, b"", 404, "not_found"),
    BadRequest("path before method, no route", "PUT", "/api/x", {}, b"", 404, "not_found"),
    BadRequest("path before Accept", "GET", "/api/x", {"Accept": "text/html"}, b"", 404, "not_found"),
    BadRequest("path before size", "POST", "/api/x", AS_JSON, TOO_LARGE, 404, "not_found"),
    BadRequest("path before Host", "GET", "/api/x", {"Host": "evil.example"}, b"", 404, "not_found"),
    BadRequest("path before parameters", "GET", "/api/tasks/x?x=1", {}, b"", 404, "not_found"),
    BadRequest("method before Accept", "PUT", LIST, {"Accept": "text/html"}, b"", 405, "method_not_allowed"),
    BadRequest("method before size", "PUT", LIST, AS_JSON, TOO_LARGE, 405, "method_not_allowed"),
    BadRequest("method before headers", "PUT", TASK, if_match("1"), GOOD, 405, "method_not_allowed"),
    BadRequest("method before media type", "PUT", TASK, AS_TEXT, GOOD, 405, "method_not_allowed"),
    BadRequest("method before parameters", "PUT", f"{TASK}?x=1", {}, b"", 405, "method_not_allowed"),
    BadRequest("method before task", "PUT", ABSENT, {}, b"", 405, "method_not_allowed"),
    BadRequest("Accept before size", "POST", LIST, accepting("text/html"), TOO_LARGE, 406, "not_acceptable"),
    BadRequest(
        "Accept before headers", "PATCH", TASK, accepting("text/html", if_match("1")), GOOD, 406, "not_acceptable"
    ),
    BadRequest("Accept before media type", "POST", LIST, accepting("text/html", AS_TEXT), GOOD, 406, "not_acceptable"),
    BadRequest("Accept before body", "POST", LIST, accepting("text/html"), BROKEN, 406, "not_acceptable"),
    BadRequest("Accept before task", "GET", ABSENT, {"Accept": "text/html"}, b"", 406, "not_acceptable"),
    BadRequest("size before headers", "PATCH", TASK, if_match("1"), TOO_LARGE, 413, "payload_too_large"),
    BadRequest(
        "size before Host", "POST", LIST, {**AS_JSON, "Host": "evil.example"}, TOO_LARGE, 413, "payload_too_large"
    ),
    BadRequest("size before media type", "POST", LIST, AS_TEXT, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("size before parameters", "POST", f"{LIST}?x=1", AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("size before task", "DELETE", ABSENT, AS_JSON, TOO_LARGE, 413, "payload_too_large"),
    BadRequest("size before version", "DELETE", TASK, if_match('"9"'), TOO_LARGE, 413, "payload_too_large"),
    BadRequest(
        "headers before media type",
        "PATCH",
        TASK,
        if_match("1", AS_TEXT),
        GOOD,
        400,
        "validation_error",
        ("If-Match",),
    ),
    BadRequest(
        "Host before media type",
        "POST",
        LIST,
        {**AS_TEXT, "Host": "evil.example"},
        GOOD,
        400,
        "validation_error",
        ("Host",),
    ),
    BadRequest(
        "headers before parameters",
        "GET",
        f"{TASK}?x=1",
        {"If-None-Match": "1"},
        b"",
        400,
        "validation_error",
        ("If-None-Match",),
    ),
    BadRequest("headers before body", "PATCH", TASK, if_match("1"), BROKEN, 400, "validation_error", ("If-Match",)),
    BadRequest("headers before task", "DELETE", ABSENT, if_match("1", {}), b"", 400, "validation_error", ("If-Match",)),
    BadRequest("media type before parameters", "POST", f"{LIST}?x=1", AS_TEXT, GOOD, 415, "unsupported_media_type"),
    BadRequest("media type before parsing", "POST", LIST, AS_TEXT, BROKEN, 415, "unsupported_media_type"),
    BadRequest("media type before fields", "PATCH", TASK, AS_TEXT, b'{"title": ""}', 415, "unsupported_media_type"),
    BadRequest("media type before no body", "POST", LIST, AS_TEXT, b"", 415, "unsupported_media_type"),
    BadRequest("media type before task", "PATCH", ABSENT, AS_TEXT, GOOD, 415, "unsupported_media_type"),
    BadRequest(
        "media type before version", "PATCH", TASK, if_match('"9"', AS_TEXT), GOOD, 415, "unsupported_media_type"
    ),
    BadRequest("parameters before task", "GET", f"{ABSENT}?x=1", {}, b"", 400, "validation_error", ("?x",)),
    BadRequest(
        "parameters before another's task", "DELETE", f"{FOREIGN}?x=1", {}, b"", 400, "validation_error", ("?x",)
    ),
    BadRequest(
        "parameters before version", "POST", f"{TOGGLE}?x=1", if_match('"9"', {}), b"", 400, "validation_error", ("?x",)
    ),
    BadRequest("parsing before task", "PATCH", ABSENT, AS_JSON, BROKEN, 400, "parse_error"),
    BadRequest("no body before task", "PATCH", ABSENT, AS_JSON, b"", 400, "parse_error"),
    BadRequest("fields before task", "PATCH", ABSENT, AS_JSON, b'{"title": ""}', 400, "validation_error", ("#/title",)),
    BadRequest(
        "fields before another's task", "PATCH", FOREIGN, AS_JSON, b'{"x": 1}', 400, "validation_error", ("#/x",)
    ),
    BadRequest("parsing before version", "PATCH", TASK, if_match('"9"'), BROKEN, 400, "parse_error"),
    BadRequest("fields before version", "PATCH", TASK, if_match('"9"'), b'{"x": 1}', 400, "validation_error", ("#/x",)),
    BadRequest("task before version, PATCH", "PATCH", ABSENT, if_match('"9"'), GOOD, 404, "not_found"),
    BadRequest("task before version, a star", "PATCH", ABSENT, if_match("*"), GOOD, 404, "not_found"),
    BadRequest("task before version, DELETE", "DELETE", TRASHED, if_match('"9"', {}), b"", 404, "not_found"),
    BadRequest("task before version, toggle", "POST", f"{FOREIGN}/toggle", if_match('"9"', {}), b"", 404, "not_found"),
    BadRequest("task before version, weak", "DELETE", ABSENT, if_match('W/"1"', {}), b"", 404, "not_found"),
]

BAD_REQUESTS = [
    *UNPARSED,
    *INVALID,
    *WRONG_TYPES,
    *WRONG_HEADERS,
    *PARAMETERS,
    *NOWHERE,
    *METHODS,
    *NOT_ACCEPTED,
    *LARGE,
    *CONFLICTS,
    *STALE,
    *PRECEDENCE,
]

#: What Django stumbles over, or loses, before a middleware or a view has the request: the application can help.
STUMBLING_BLOCKS = [
    BadRequest(
        "POST in a charset of an unknown encoding",
        "POST",
        LIST,
        typed("application/json; charset*=bogus''utf-8"),
        GOOD,
        415,
        "unsupported_media_type",
    ),
    BadRequest(
        "POST in a parameter of an unknown encoding",
        "POST",
        LIST,
        typed("text/plain; x*=bogus''y"),
        GOOD,
        415,
        "unsupported_media_type",
    ),
    BadRequest(
        "GET ?x=1 in a charset that is no text",
        "GET",
        f"{LIST}?x=1",
        typed("text/plain; charset=hex"),
        b"",
        400,
        "validation_error",
        ("?x",),
    ),
    BadRequest(
        "DELETE ?x=1 in a charset that decodes nothing",
        "DELETE",
        f"{TASK}?x=1",
        typed("text/plain; charset=undefined"),
        b"",
        400,
        "validation_error",
        ("?x",),
    ),
]
