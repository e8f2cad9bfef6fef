"""Malformed HTTP/1.1 messages (RFC 9112), and the answers of the running server.

If a row has no ``code``, the response has no body. If a row has no ``status``, the server closes the connection without
a response. ``half_close`` ends the client's side, so that the server does not wait for more bytes.
"""

from typing import NamedTuple

GET = "GET /api/tasks HTTP/1.1"
POST = "POST /api/tasks HTTP/1.1"
LONG_GET = f"GET /api/tasks?q={'x' * 13_000} HTTP/1.1"
URL_GET = "GET http://localhost/api/tasks HTTP/1.1"
OTHER_URL_GET = "GET http://evil.example/api/tasks HTTP/1.1"
HOST_HEADER = "Host: localhost"
CLOSE = "Connection: close"
JSON = "Content-Type: application/json"
BODY = b'{"title": "x"}'
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
BODY_IN_CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


class Row(NamedTuple):
    name: str
    request: bytes
    status: int | None
    code: str | None = None
    half_close: bool = False


def message(*head, body=b""):
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def get(name, *headers, line=GET, status=400, code=None):
    return Row(name, message(line, HOST_HEADER, CLOSE, *headers), status, code)


def post(name, *headers, body=BODY, line=POST, status=400, code=None):
    return Row(name, message(line, HOST_HEADER, CLOSE, JSON, *headers, body=body), status, code)


def chunks(name, body, status=400, code="parse_error"):
    return post(name, CHUNKED, body=body, status=status, code=code)


def long(name, *headers, line=GET):
    return get(name, *headers, line=line, status=431, code="header_fields_too_large")


def hosts(name, *headers, line=GET, status=400, code="validation_error"):
    return Row(name, message(line, CLOSE, *headers), status, code)


LENGTHS = [
    post("two different lengths", LENGTH, "Content-Length: 15"),
    post("two lengths in one line", f"{LENGTH}, {len(BODY)}"),
    post("a negative length", "Content-Length: -1"),
    post("a length with a sign", "Content-Length: +14"),
    post("a length in hexadecimal", "Content-Length: 0xe"),
    post("a length with a space", "Content-Length: 1 4"),
    post("an empty length", "Content-Length: "),
    post("a length beyond 64 bits", f"Content-Length: {'9' * 23}"),
    post("a length of 70,000 and no body", "Content-Length: 70000", body=b"", status=413, code="payload_too_large"),
    post("5,000 zeros", f"Content-Length: {'0' * 5000}14", status=413, code="payload_too_large"),
    post("a body shorter than its length", "Content-Length: 15", code="parse_error")._replace(half_close=True),
    post("no length", body=b"", code="parse_error"),
    post("a length by another name", "Content_Length: 14", body=b"", code="parse_error"),
]

CODINGS = [
    chunks("a chunk size that is not a number", b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a negative chunk size", b"-e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("a chunk size beyond 64 bits", b"f" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    chunks("chunks separated by bare LF", BODY_IN_CHUNKS.replace(b"\r\n", b"\n")),
    chunks("a chunk extension of 20,000 bytes", b"e;" + b"x" * 20_000 + BODY_IN_CHUNKS[1:]),
    chunks("half an object without a last chunk", b"5\r\n" + BODY[:5] + b"\r\n")._replace(half_close=True),
    chunks(
        "70,000 bytes in a chunk", b"11170\r\n" + BODY.ljust(70_000) + BODY_IN_CHUNKS[-7:], 413, "payload_too_large"
    ),
    post("chunked and another coding", f"{CHUNKED}, identity", body=BODY_IN_CHUNKS),
    post("an unknown coding", "Transfer-Encoding: xchunked", body=BODY_IN_CHUNKS),
    post("a space before the coding's colon", "Transfer-Encoding : chunked", body=BODY_IN_CHUNKS),
    post("chunked in HTTP/1.0", CHUNKED, body=BODY_IN_CHUNKS, line="POST /api/tasks HTTP/1.0"),
]

LINES = [
    get("a bare CR in a header", "X-A: b\rX-C: d"),
    get("a folded header (obs-fold)", "X-A: b\r\n c"),
    Row("a header that begins with a space", message(GET, " X-A: b", HOST_HEADER, CLOSE), 400),
    get("a space before a colon", "X-A : b"),
    get("a header without a colon", "nonsense"),
    get("a header without a name", ": b"),
    get("a control character in a name", "X\x01A: b"),
    get("a NUL in a value", "X-A: \0"),
    get("an entity tag beyond ASCII", 'If-None-Match: "\xe9"', code="validation_error"),
    get("200 headers", *(f"X-{number}: a" for number in range(200)), status=431),
    long("a header of 9 kB", f"X-A: {'b' * 9000}"),
    long("a header of 300 kB", f"X-A: {'b' * 300_000}"),
    long("70 kB of headers", *(f"X-{number}: {'a' * 1000}" for number in range(70))),
    long("a header of 9 kB in lines of 1 kB", *[f"X-A: {'b' * 1000}"] * 9),
    long("a Content-Type of 64 kB", f'Content-Type: a/b;"{";" * 64_000}'),
    long("an Accept of 64 kB", f'Accept: a/b;"{";" * 64_000}'),
    long("a URL and headers of 13 kB each", f"X-A: {'b' * 6500}", f"X-B: {'b' * 6500}", line=LONG_GET),
    long("a long header before a path that does not exist", f"X-A: {'b' * 9000}", line="GET /api/none HTTP/1.1"),
    long("a long header of a probe", f"X-A: {'b' * 9000}", line="GET /healthz HTTP/1.1"),
    long("a long header of the admin", f"X-A: {'b' * 9000}", line="GET /admin/ HTTP/1.1"),
]

HOSTS = [
    hosts("no Host"),
    hosts("no Host in HTTP/1.0", line="GET /api/tasks HTTP/1.0"),
    hosts("an empty Host", "Host: "),
    hosts("two Hosts", HOST_HEADER, "Host: evil.example"),
    hosts("two Hosts in reverse order", "Host: evil.example", HOST_HEADER),
    hosts("the same Host twice", HOST_HEADER, HOST_HEADER),
    hosts("a list of Hosts", f"{HOST_HEADER}, evil.example"),
    hosts("a Host with a user", "Host: evil@localhost"),
    hosts("another Host", "Host: evil.example"),
    hosts("a URL of another Host without Host", line=OTHER_URL_GET),
    hosts("a URL of another Host in HTTP/1.0", line="GET http://evil.example/api/tasks HTTP/1.0"),
    hosts("a URL and another Host", "Host: evil.example", line=URL_GET),
    hosts("a URL and an empty Host", "Host: ", line=URL_GET),
    hosts("another Host with X-Forwarded-Host", "Host: evil.example", "X-Forwarded-Host: localhost"),
]

REQUEST_LINES = [
    get("HTTP/0.9", line="GET /api/tasks"),
    get("HTTP/1.2", line="GET /api/tasks HTTP/1.2"),
    get("HTTP/2.0", line="GET /api/tasks HTTP/2.0"),
    get("http in lower case", line="GET /api/tasks http/1.1"),
    get("two spaces", line="GET  /api/tasks HTTP/1.1"),
    get("tabs", line="GET\t/api/tasks\tHTTP/1.1"),
    get("a space in the path", line="GET /api/ta sks HTTP/1.1"),
    get("a NUL in the path", line="GET /api/tasks\0 HTTP/1.1"),
    get("a path without a slash", line="GET api/tasks HTTP/1.1"),
    get("a control character in the method", line="G\x01T /api/tasks HTTP/1.1"),
    get("a URL of 9 kB", line=f"GET /api/tasks?q={'x' * 9000} HTTP/1.1", code="validation_error"),
    get("a path of 9 kB", line=f"GET /api/tasks/{'x' * 9000} HTTP/1.1", status=404, code="not_found"),
    get("a URL of 70 kB", line=f"GET /api/tasks?q={'x' * 70_000} HTTP/1.1", status=414),
    get("an encoded NUL", line="GET /api/tasks%00 HTTP/1.1", status=404, code="not_found"),
    get("an invalid percent-encoding", line="GET /api/tasks/%zz HTTP/1.1", status=404, code="not_found"),
    get("a path out of the API", line="GET /api/../admin/ HTTP/1.1", status=404, code="not_found"),
    get("an encoded path out of the API", line="GET /api/%2e%2e/admin/ HTTP/1.1", status=404, code="not_found"),
    get("two slashes", line="GET //api/tasks HTTP/1.1", status=404, code="not_found"),
    get("a backslash", line="GET /api\\tasks HTTP/1.1", status=404, code="not_found"),
    get("UTF-8 in the path", line="GET /api/t\xc3\xa4sks HTTP/1.1", status=404, code="not_found"),
    get("Latin-1 in the path", line="GET /api/t\xe4sks HTTP/1.1"),
    get("Latin-1 in the query", line="GET /api/tasks?q=\xe4 HTTP/1.1"),
    get("half of a character in the query", line="GET /api/tasks?q=\xc3 HTTP/1.1"),
    get("OPTIONS of no path", line="OPTIONS * HTTP/1.1", status=404, code="not_found"),
    get("CONNECT", line="CONNECT localhost:80 HTTP/1.1", status=405),
    get("TRACE", line="TRACE /api/tasks HTTP/1.1", status=405, code="method_not_allowed"),
    get("an unknown method", line="BREW /api/tasks HTTP/1.1", status=405, code="method_not_allowed"),
    get("a method in lower case", line="get /api/tasks HTTP/1.1", status=405, code="method_not_allowed"),
    get("a method of 9 kB", line=f"{'A' * 9000} /api/tasks HTTP/1.1", status=405, code="method_not_allowed"),
]

NOT_HTTP = [
    Row("HTTP/2 without an upgrade", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", None),
    Row("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"a" * 50, 400),
    Row("noise", b"\0\xff\xfe noise\r\n\r\n", 400),
    Row("nothing", b"", None, half_close=True),
    Row("half a header", b"GET /api/ta", None, half_close=True),
]

#: Requests that RFC 9112 allows a server to accept, or that contain a part which the server may ignore: bare LF and
#: empty lines before a request (section 2.2), and a length with chunks (section 6.3).
UNUSUAL_PROTOCOL = [
    post("a length with zeros in front", f"Content-Length: {len(BODY):020}", status=201),
    post("the same length twice", LENGTH, LENGTH, status=201),
    post("chunks", CHUNKED, body=BODY_IN_CHUNKS, status=201),
    post("chunks and a length, which is ignored", "Content-Length: 5", CHUNKED, body=BODY_IN_CHUNKS, status=201),
    post("a chunk extension", CHUNKED, body=b"e;x=y" + BODY_IN_CHUNKS[1:], status=201),
    post("a trailer", CHUNKED, body=BODY_IN_CHUNKS[:-2] + b"X-A: b\r\n\r\n", status=201),
    post("an unknown expectation", "Expect: 200-ok", LENGTH, status=201),
    Row("bare LF", message(GET, HOST_HEADER, CLOSE).replace(b"\r\n", b"\n"), 200),
    Row("empty lines before the request", b"\r\n\r\n" + message(GET, HOST_HEADER, CLOSE), 200),
    get("UTF-8 in the query", line="GET /api/tasks?q=m\xc3\xbcll HTTP/1.1", status=200),
    get("a header of 8 kB", f"X-A: {'b' * 8000}", status=200),
    get("23 kB of headers", *(f"X-{number}: {'a' * 1000}" for number in range(23)), status=200),
    get("a Script-Name", "Script-Name: /evil", "SCRIPT_NAME: /evil", status=200),
    get("a Path-Info", "Path-Info: /admin/", "PATH_INFO: /admin/", status=200),
    get("a body of a GET", LENGTH, status=200),
    get("an upgrade to a WebSocket", "Upgrade: websocket", "Sec-WebSocket-Version: 13", status=200),
    get("an upgrade to HTTP/2", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", status=200),
    hosts("a URL of another Host", HOST_HEADER, line=OTHER_URL_GET, status=200, code=None),
    hosts("a URL without Host", line=URL_GET, status=200, code=None),
    hosts("a URL of the same Host", HOST_HEADER, line=URL_GET, status=200, code=None),
]

BAD_PROTOCOL = [*LENGTHS, *CODINGS, *LINES, *HOSTS, *REQUEST_LINES, *NOT_HTTP]
