"""The middleware, which handles every request."""

import json
import re
from uuid import UUID

import pytest

from tasks.tests.api.contract import EVERYWHERE, problem
from tasks.tests.factories import TaskFactory
from testing.python_processes import json_output_of

pytestmark = pytest.mark.django_db

PATHS = [
    ("GET", "/", 302),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/api/tasks", 200),
    ("PUT", "/api/tasks", 405),
    ("OPTIONS", "/api/tasks", 200),
    ("HEAD", "/api/tasks", 200),
    ("POST", "/api/tasks", 400),
    ("GET", "/api/tasks?nope=1", 400),
    ("GET", "/api/tasks/1", 404),
    ("GET", "/api/nowhere", 404),
    ("OPTIONS", "/api/nowhere", 404),
    ("GET", "/api/", 404),
    ("GET", "/api/schema", 200),
    ("GET", "/api/docs", 200),
    ("POST", "/api/docs", 405),
    ("GET", "/api/redoc", 200),
    ("GET", "/problems/conflict", 200),
    ("GET", "/problems/nowhere", 404),
    ("GET", "/admin/login/", 200),
    ("GET", "/admin/", 302),
    ("GET", "/static/nowhere.css", 404),
    ("GET", "/nowhere", 404),
]
API_PATHS = [row for row in PATHS if row[1].startswith("/api")]
PAGES = [path for method, path, _ in PATHS if method == "GET" and not path.startswith(("/static/", "/api/tasks"))]


@pytest.fixture
def ids():
    return {"id": TaskFactory().id}


# The request id


@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_request_id_of_caller_is_in_every_response(client, method, path, status):
    response = client.generic(method, path, headers={"x-request-id": "a-1"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (status, "a-1")


def test_request_id_of_caller_is_in_every_failure(client, fail_with):
    fail_with(RuntimeError("secret"))
    for path in ("/api/rest-framework", "/api/django", "/django"):
        response = client.get(path, headers={"x-request-id": "a-1"})
        assert (response.status_code, response.headers["X-Request-ID"]) == (500, "a-1")
        assert response.json()["request_id"] == "a-1"


@pytest.mark.parametrize(
    "sent", ["a", "0", "-", ".", "_", "a" * 128, "A-Za-z0-9._-", "01a1fae6-0000-7000-8000-000000000000", "1.2.3"]
)
def test_request_id_of_allowed_form_is_kept(client, sent):
    assert client.get("/healthz", headers={"x-request-id": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        *(None, "", " ", "a" * 129, "a b", " a", "a\n", "a\nX-Admin: 1", "a\r\n", "\n", "a\0", "a,b", "a:b", "a/b"),
        *("{a}", "%s", "é", "\u0661", "\uff41", "<script>"),
    ],
)
def test_request_id_of_other_form_is_replaced(client, sent):
    headers = {} if sent is None else {"x-request-id": sent}
    ids = [client.get("/healthz", headers=headers).headers["X-Request-ID"] for _ in range(2)]
    assert [(UUID(each).version, str(UUID(each))) for each in ids] == [(7, each) for each in ids]
    assert ids[0] != ids[1]


# Caching


def private_headers(response):
    """Return the headers that keep shared caches away, and a cookie, which no response of the API has."""
    return {name: response.headers[name] for name in (*EVERYWHERE, "Set-Cookie") if name in response.headers}


@pytest.mark.parametrize(("method", "path", "status"), API_PATHS)
def test_api_response_is_private(client, method, path, status):
    response = client.generic(method, path)
    assert (response.status_code, private_headers(response)) == (status, EVERYWHERE)


@pytest.mark.parametrize("path", ["/api/rest-framework", "/api/django"])
def test_api_failure_is_private(client, fail_with, path):
    fail_with(RuntimeError("secret"))
    response = client.get(path)
    assert (response.status_code, private_headers(response)) == (500, EVERYWHERE)


def test_api_request_with_session_cookie_reads_no_session(client, django_assert_num_queries):
    client.cookies["sessionid"] = "a" * 32
    with django_assert_num_queries(1):
        assert json.loads(client.get("/api/tasks").getvalue()) == []


# The slash at the end


@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api/schema", "/api/docs", "/api/redoc", "/api/tasks/{id}", "/api/tasks?nope=1"]
)
def test_trailing_slash_changes_only_instance(client, ids, path):
    path = path.format(**ids)
    before, question_mark, query = path.partition("?")
    without, with_slash = client.get(path), client.get(f"{before}/{question_mark}{query}")
    assert with_slash.status_code == without.status_code
    assert with_slash.getvalue().replace(f"{before}/".encode(), before.encode()) == without.getvalue()
    assert {**with_slash.headers, "X-Request-ID": ""} == {**without.headers, "X-Request-ID": ""}


@pytest.mark.parametrize("path", ["/api/tasks//", "/api//tasks", "/api/tasks/{id}//", "/api//"])
def test_second_slash_is_not_found(client, ids, path):
    path = path.format(**ids)
    response = client.get(path)
    assert (response.status_code, response.json()["instance"]) == (404, path)


# The path as sent


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/api/nowhere/", None),
        ("/api/nowhere//", None),
        ("/api/nowhere?q=1", "/api/nowhere"),
        ("/api/tasks/1/", None),
        ("/api/B%C3%A4ume", None),
        ("/api/Bäume", "/api/B%C3%A4ume"),
        ("/api/%F0%9F%8C%B3/", None),
        ("/api/a%20b", None),
        ("/api/%FF%FE", None),
        ("/api/%C3", None),
        ("/api/%25", None),
        ("/api/%2525", None),
        ("/api/%3Cscript%3E", None),
        ("/api/a%22b", None),
        ("/api/a%3Fb%23c", None),
        ("/api/a%0Ab", None),
        ("/api/a%00b", None),
        ("/api/a;b=c,d:e@f!$&'()*+~-._", None),
        ("/api/%5B%5D%7B%7D%5C%5E%60%7C", None),
    ],
)
def test_instance_is_path_as_sent(client, path, instance):
    response = client.get(path)
    assert (response.status_code, response.json()) == (404, problem("not_found", instance or path))


# Browsers of other origins

ORIGIN = "https://app.example.org"

CORS_RESPONSES = """
import json, django
django.setup()
from django.test import Client
client = Client(headers={"origin": "%s", "host": "localhost"})
answers = [
    client.options("/api/tasks", headers={"access-control-request-method": "PATCH"}),
    client.get("/api/nowhere"),
    Client(headers={"origin": "https://elsewhere.example", "host": "localhost"}).get("/api/nowhere"),
    client.get("/api/nowhere", headers={"x-long": "x" * 10_000}),
    client.options("/api/tasks", headers={"access-control-request-method": "PATCH", "x-long": "x" * 10_000}),
    Client(headers={"origin": "https://elsewhere.example", "x-long": "x" * 10_000}).get("/api/nowhere"),
]
print(json.dumps([[answer.status_code, dict(answer.headers)] for answer in answers]))
"""


def elements(value):
    return {element.strip().lower() for element in value.split(",")}


def cors_headers(headers):
    return [name for name in headers if name.lower().startswith("access-control-")]


@pytest.mark.once
def test_cors_with_allowed_origin_admits_browser():
    preflight, answer, elsewhere, *too_large = json_output_of(CORS_RESPONSES % ORIGIN, CORS_ALLOWED_ORIGINS=ORIGIN)

    status, headers = preflight
    assert (status, headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert elements(headers["access-control-allow-methods"]) >= {"get", "post", "patch", "delete"}
    assert elements(headers["access-control-allow-headers"]) >= {
        "authorization",
        "content-type",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-request-id",
    }
    assert headers["X-Request-ID"]
    assert "access-control-allow-credentials" not in headers

    status, headers = answer
    assert (status, headers["access-control-allow-origin"]) == (404, ORIGIN)
    assert elements(headers["access-control-expose-headers"]) >= {"etag", "location", "link", "x-request-id"}
    assert elements(headers["access-control-expose-headers"]) >= {"retry-after", "idempotency-replayed"}
    assert elements(headers["Vary"]) == {"origin", "accept", "authorization"}

    status, headers = elsewhere
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert cors_headers(headers) == []

    answers = [(status, headers.get("access-control-allow-origin")) for status, headers in too_large]
    assert answers == [(431, ORIGIN), (431, ORIGIN), (431, None)]
    assert too_large[0][1]["access-control-expose-headers"] == answer[1]["access-control-expose-headers"]
    assert elements(too_large[0][1]["Vary"]) == {"origin", "accept", "authorization"}


def test_cors_without_allowed_origins_admits_no_browser(client):
    sent = {"origin": ORIGIN, "access-control-request-method": "PATCH"}
    for response in (client.options("/api/tasks", headers=sent), client.get("/api/tasks", headers=sent)):
        assert (response.status_code, cors_headers(response.headers)) == (403, [])


# Security headers

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def security_headers(headers):
    names = {*SECURITY_HEADERS, "Strict-Transport-Security"}
    return {name: value for name, value in headers.items() if name in names}


@pytest.mark.parametrize("path", ["/api/tasks", *PAGES])
def test_page_has_security_headers(client, path):
    assert security_headers(client.get(path).headers) == SECURITY_HEADERS


@pytest.mark.parametrize("path", ["/api/rest-framework", "/api/django", "/django", "/admin/django"])
def test_failure_has_security_headers(client, fail_with, path):
    fail_with(RuntimeError())
    response = client.get(path)
    assert (response.status_code, security_headers(response.headers)) == (500, SECURITY_HEADERS)


BEHIND_PROXY = """
import json, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
client = Client(headers={"host": "localhost", "x-forwarded-proto": "https"})
pages = [client.get(path) for path in ("/api/tasks", "/api/docs", "/admin/login/")]
cookies = {name: cookie["secure"] for name, cookie in client.cookies.items()}
print(json.dumps([[dict(page.headers) for page in pages], cookies]))
"""


@pytest.mark.once
def test_https_on_keeps_browsers_to_https():
    pages, cookies = json_output_of(BEHIND_PROXY, HTTPS="on", DATABASE_URL="sqlite:///:memory:")
    strict = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload"}
    assert [security_headers(headers) for headers in pages] == [SECURITY_HEADERS | strict] * 3
    assert cookies == {"__Secure-csrftoken": True}


# The files of the pages


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/admin/login/"])
@pytest.mark.parametrize("directory", ["", "missing"])
def test_page_without_collected_files_is_answered(client, settings, tmp_path, path, directory):
    """Without collected files, as in a new checkout, a page names its files without hashes."""
    settings.STATIC_ROOT = tmp_path / directory
    response = client.get(path)
    assert response.status_code == 200
    assert b"/static/" in response.content


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/admin/login/"])
def test_page_loads_nothing_from_other_servers(client, path):
    page = client.get(path).content.decode()
    assert re.findall(r"""(?:src|href)=["']([a-z]+:)?//""", page) == []
