"""What every request passes through, whatever it asks for."""

import json
import re
from uuid import UUID

import pytest

from tasks.tests.factories import TaskFactory
from testing.python_processes import json_output_of

pytestmark = pytest.mark.django_db

# X-Request-ID

EVERYWHERE = [
    ("get", "/", 302),
    ("get", "/healthz", 200),
    ("get", "/readyz", 200),
    ("get", "/api/tasks", 200),
    ("put", "/api/tasks", 405),
    ("options", "/api/tasks", 200),
    ("head", "/api/tasks", 200),
    ("post", "/api/tasks", 415),
    ("get", "/api/nowhere", 404),
    ("get", "/api/schema", 200),
    ("get", "/api/docs", 200),
    ("get", "/api/redoc", 200),
    ("get", "/problems/conflict", 200),
    ("get", "/problems/nowhere", 404),
    ("get", "/admin/login/", 200),
    ("get", "/admin/", 302),
    ("get", "/static/nowhere.css", 404),
    ("get", "/nowhere", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERYWHERE)
def test_every_response_carries_the_callers_request_id(client, method, path, status):
    data = {"data": "a", "content_type": "text/plain"} if method == "post" else {}
    response = getattr(client, method)(path, headers={"x-request-id": "a-1"}, **data)
    assert (response.status_code, response.headers["X-Request-ID"]) == (status, "a-1")


def test_a_failure_carries_the_callers_request_id(client, fail_with):
    fail_with(RuntimeError("secret"))
    for path in ("/api/rest-framework", "/api/django", "/django"):
        response = client.get(path, headers={"x-request-id": "a-1"})
        assert (response.status_code, response.headers["X-Request-ID"]) == (500, "a-1")
        assert response.json()["request_id"] == "a-1"


def test_the_redirect_to_https_carries_the_callers_request_id(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    response = client.get("/api/tasks", headers={"x-request-id": "a-1"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (301, "a-1")


@pytest.mark.parametrize(
    "sent", ["a", "0", "-", ".", "_", "a" * 128, "A-Za-z0-9._-", "01a1fae6-0000-7000-8000-000000000000", "1.2.3"]
)
def test_a_sound_request_id_is_kept(client, sent):
    assert client.get("/healthz", headers={"x-request-id": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        " ",
        "a" * 129,
        "a b",
        " a",
        "a\n",
        "a\nX-Admin: 1",
        "a\r\n",
        "\n",
        "a\0",
        "a,b",
        "a:b",
        "a/b",
        "{a}",
        "%s",
        "é",
        "\u0661",
        "\uff41",
        "<script>",
    ],
)
def test_any_other_request_id_is_replaced(client, sent):
    headers = {} if sent is None else {"x-request-id": sent}
    answered = client.get("/healthz", headers=headers).headers["X-Request-ID"]
    assert UUID(answered).version == 7
    assert answered == str(UUID(answered))


def test_each_request_has_an_id_of_its_own(client):
    assert len({client.get("/healthz").headers["X-Request-ID"] for _ in range(10)}) == 10


# Caching, and what a browser may make of an answer.

UNDER_API = [
    ("get", "/api/tasks", 200),
    ("head", "/api/tasks", 200),
    ("options", "/api/tasks", 200),
    ("put", "/api/tasks", 405),
    ("get", "/api/tasks?nope=1", 400),
    ("get", "/api/tasks/1", 404),
    ("get", "/api/nowhere", 404),
    ("get", "/api/", 404),
    ("options", "/api/nowhere", 404),
    ("get", "/api/schema", 200),
    ("get", "/api/docs", 200),
    ("get", "/api/redoc", 200),
    ("post", "/api/docs", 405),
]


def check_private(response, status):
    assert response.status_code == status
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Accept, Authorization"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(("method", "path", "status"), UNDER_API)
def test_no_answer_under_api_is_anybody_elses(client, method, path, status):
    check_private(getattr(client, method)(path), status)


def test_no_answer_about_a_task_is_anybody_elses(client):
    check_private(client.post("/api/tasks", {"title": "a"}, "application/json"), 201)
    path = f"/api/tasks/{TaskFactory().id}"
    check_private(client.get(path), 200)
    check_private(client.get(path, headers={"if-none-match": '"1"'}), 304)
    check_private(client.get(path, headers={"accept": "text/html"}), 406)
    check_private(client.patch(path, {"title": "b"}, "application/json"), 200)
    check_private(client.patch(path, {"title": ""}, "application/json"), 400)
    check_private(client.patch(path, "a", "text/plain"), 415)
    check_private(client.post(f"{path}/toggle", "a" * 65_537, "text/plain"), 413)
    check_private(client.post(f"{path}/toggle"), 200)
    check_private(client.delete(path, headers={"if-match": '"9"'}), 412)
    check_private(client.delete(path), 200)


def test_no_failure_under_api_is_anybody_elses(client, fail_with):
    fail_with(RuntimeError("secret"))
    check_private(client.get("/api/rest-framework"), 500)
    check_private(client.get("/api/django"), 500)


def test_no_redirect_under_api_is_anybody_elses(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    check_private(client.get("/api/tasks"), 301)


def test_the_admin_may_not_be_framed(client):
    assert client.get("/admin/login/").headers["X-Frame-Options"] == "DENY"


def test_a_request_to_the_api_opens_no_session(client, django_assert_num_queries):
    client.cookies["sessionid"] = "a" * 32
    with django_assert_num_queries(1):
        response = client.get("/api/tasks")
        assert json.loads(response.getvalue()) == []


# The slash at the end.


@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api/schema", "/api/docs", "/api/redoc", "/api/tasks/{id}", "/api/tasks?nope=1"]
)
def test_a_slash_at_the_end_changes_nothing(client, path):
    path = path.format(id=TaskFactory().id)
    before, question_mark, query = path.partition("?")
    without, with_slash = client.get(path), client.get(f"{before}/{question_mark}{query}")
    assert with_slash.status_code == without.status_code
    assert with_slash.getvalue().replace(f"{before}/".encode(), before.encode()) == without.getvalue()
    assert dict(with_slash.headers, **{"X-Request-ID": ""}) == dict(without.headers, **{"X-Request-ID": ""})


def test_a_slash_at_the_end_changes_nothing_of_a_write(client):
    created = client.post("/api/tasks/", {"title": "a"}, "application/json")
    path = f"/api/tasks/{created.json()['id']}"
    assert (created.status_code, created.headers["Location"]) == (201, path)
    assert client.patch(f"{path}/", {"title": "b"}, "application/json").json()["version"] == 2
    assert client.post(f"{path}/toggle/").json()["version"] == 3
    assert client.delete(f"{path}/").json()["version"] == 4
    assert client.options("/api/tasks/").headers["Allow"] == client.options("/api/tasks").headers["Allow"]


@pytest.mark.parametrize("path", ["/api/tasks//", "/api//tasks", "/api/tasks/{id}//", "/api//"])
def test_one_slash_alone_is_optional(client, path):
    path = path.format(id=TaskFactory().id)
    response = client.get(path)
    assert (response.status_code, response.json()["instance"]) == (404, path)


# The path as sent.


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
def test_instance_is_the_path_as_sent(client, path, instance):
    response = client.get(path)
    assert response.json() == {
        "type": "/problems/not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address",
        "instance": instance or path,
        "code": "not_found",
    }
    assert response.status_code == 404


# Browsers of other origins.

ORIGIN = "https://app.example.org"

ANSWERS = """
import json, django
django.setup()
from django.test import Client
client = Client(headers={"origin": "%s", "host": "localhost"})
answers = [
    client.options("/api/tasks", headers={"access-control-request-method": "PATCH"}),
    client.get("/api/nowhere"),
    Client(headers={"origin": "https://elsewhere.example", "host": "localhost"}).get("/api/nowhere"),
]
print(json.dumps([[answer.status_code, dict(answer.headers)] for answer in answers]))
"""


def listed(value):
    return {element.strip().lower() for element in value.split(",")}


def test_a_browser_of_an_allowed_origin_may_call_the_api():
    preflight, answer, elsewhere = json_output_of(ANSWERS % ORIGIN, CORS_ALLOWED_ORIGINS=ORIGIN)

    status, headers = preflight
    assert (status, headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert listed(headers["access-control-allow-methods"]) >= {"get", "post", "patch", "delete"}
    assert listed(headers["access-control-allow-headers"]) >= {
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
    assert listed(headers["access-control-expose-headers"]) >= {"etag", "location", "link", "x-request-id"}
    assert listed(headers["access-control-expose-headers"]) >= {"retry-after", "idempotency-replayed"}
    assert listed(headers["Vary"]) == {"origin", "accept", "authorization"}

    status, headers = elsewhere
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert [name for name in headers if name.lower().startswith("access-control-")] == []


def test_without_allowed_origins_no_browser_of_another_origin_may(client):
    asked = {"origin": ORIGIN, "access-control-request-method": "PATCH"}
    for response in (client.options("/api/tasks", headers=asked), client.get("/api/tasks", headers=asked)):
        assert response.status_code == 200
        assert [name for name in response.headers if name.lower().startswith("access-control-")] == []


# What a browser is told of every page and answer.

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SHOWN = [path for method, path, status in EVERYWHERE if method == "get" and not path.startswith("/static/")]


def security_headers(headers):
    names = {*SECURITY_HEADERS, "Strict-Transport-Security"}
    return {name: value for name, value in headers.items() if name in names}


@pytest.mark.parametrize("path", SHOWN)
def test_a_browser_sniffs_frames_and_tells_nothing(client, path):
    assert security_headers(client.get(path).headers) == SECURITY_HEADERS


@pytest.mark.parametrize("path", ["/api/rest-framework", "/api/django", "/django", "/admin/django"])
def test_a_failure_is_no_exception(client, fail_with, path):
    fail_with(RuntimeError())
    response = client.get(path)
    assert (response.status_code, security_headers(response.headers)) == (500, SECURITY_HEADERS)


BEHIND_A_PROXY = """
import json, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
client = Client(headers={"host": "localhost", "x-forwarded-proto": "https"})
pages = [client.get(path) for path in ("/api/tasks", "/api/docs", "/admin/login/")]
cookies = {name: cookie["secure"] for name, cookie in client.cookies.items()}
plain = Client(headers={"host": "localhost"}).get("/api/tasks?limit=1")
print(json.dumps([[dict(page.headers) for page in pages], cookies, [plain.status_code, plain.headers["Location"]]]))
"""


def test_behind_https_a_browser_keeps_to_it():
    pages, cookies, plain = json_output_of(BEHIND_A_PROXY, HTTPS="on", DATABASE_URL="sqlite:///:memory:")
    strict = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload"}
    assert [security_headers(headers) for headers in pages] == [SECURITY_HEADERS | strict] * 3
    assert cookies == {"csrftoken": True}
    assert plain == [301, "https://localhost/api/tasks?limit=1"]


# The files of the pages.


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/admin/login/"])
@pytest.mark.parametrize("directory", ["", "missing"])
def test_the_pages_need_no_collected_files(client, settings, tmp_path, path, directory):
    """With their files collected they name them by their hashes; before, as in a new checkout, by their names."""
    settings.STATIC_ROOT = tmp_path / directory
    response = client.get(path)
    assert response.status_code == 200
    assert b"/static/" in response.content


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/admin/login/"])
def test_the_pages_ask_no_other_server_for_anything(client, path):
    page = client.get(path).content.decode()
    assert re.findall(r"""(?:src|href)=["']([a-z]+:)?//""", page) == []
