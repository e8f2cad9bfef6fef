"""Single-user mode refuses requests of other origins' pages."""

import json

import pytest

from identity.same_origin import DETAIL
from tasks.models import Task
from tasks.tests.api.contract import ROUTES, headers, problem, problem_headers, send
from tasks.tests.factories import TaskFactory, make_task
from testing.python_processes import json_output_of

pytestmark = pytest.mark.django_db

ALLOWED = "https://app.example.org"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

#: Requests, with ``Host: testserver``, and whether they are served. The first rule that matches decides.
REQUESTS = {
    "no browser": ({}, True),
    "an allowed origin": ({"Origin": ALLOWED}, True),
    "an allowed origin of another site": ({"Origin": ALLOWED, "Sec-Fetch-Site": "cross-site"}, True),
    "a page of this origin": ({"Sec-Fetch-Site": "same-origin"}, True),
    "an address that a person typed": ({"Sec-Fetch-Site": "none"}, True),
    "a page behind a development proxy": (
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:3000"},
        True,
    ),
    "this origin, without Sec-Fetch-Site": ({"Origin": "http://testserver"}, True),
    "this origin behind a proxy with TLS": ({"Origin": "https://testserver"}, True),
    "this origin with its default port": ({"Origin": "http://testserver:80"}, True),
    "this origin, with the port in Host": ({"Origin": "https://testserver", "Host": "testserver:443"}, True),
    "this origin in upper case": ({"Origin": "http://TESTSERVER"}, True),
    "this scheme in upper case": ({"Origin": "HTTP://testserver:80"}, True),
    "this host in upper case": ({"Origin": "http://testserver", "Host": "TestServer:80"}, True),
    "this origin with the default port of https": ({"Origin": "https://testserver:443"}, True),
    "this origin with another port": ({"Origin": "http://testserver:8000", "Host": "testserver:8000"}, True),
    "this origin at an IPv6 address": ({"Origin": "http://[::1]:8000", "Host": "[::1]:8000"}, True),
    "this origin at an IPv6 address and default port": ({"Origin": "http://[::1]", "Host": "[::1]:80"}, True),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "another port": ({"Sec-Fetch-Site": "same-site"}, False),
    "another site with its origin": (CROSS_SITE, False),
    "another site with this origin": ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, False),
    "an empty Sec-Fetch-Site": ({"Sec-Fetch-Site": ""}, False),
    "an unknown Sec-Fetch-Site": ({"Sec-Fetch-Site": "Same-Origin"}, False),
    "another origin": ({"Origin": "http://evil.example"}, False),
    "another port of this host": ({"Origin": "http://testserver:8080"}, False),
    "the default port of another scheme": ({"Origin": "http://testserver:443"}, False),
    "an allowed host over http": ({"Origin": ALLOWED.replace("https", "http")}, False),
    "a subdomain of this host": ({"Origin": "http://a.testserver"}, False),
    "an origin that ends with this host": ({"Origin": "http://eviltestserver"}, False),
    "a sandboxed page": ({"Origin": "null"}, False),
    "a sandboxed page, without Host": ({"Origin": "null", "Host": ""}, False),
    "an empty origin": ({"Origin": ""}, False),
    "this host and port without a scheme": ({"Origin": "testserver:80"}, False),
    "this host without a scheme": ({"Origin": "testserver"}, False),
    "this host without a scheme's name": ({"Origin": "://testserver"}, False),
    "a scheme alone": ({"Origin": "http://", "Host": ""}, False),
    "a scheme and a port alone": ({"Origin": "http://:80", "Host": ""}, False),
    "two schemes": ({"Origin": "http://http://testserver"}, False),
    "a page of a browser's extension": ({"Origin": "chrome-extension://testserver"}, False),
    "a file with this host": ({"Origin": "file://testserver"}, False),
    "this origin with a path": ({"Origin": "http://testserver/"}, False),
    "this origin with a query": ({"Origin": "http://testserver?"}, False),
    "this origin with a user": ({"Origin": "http://a@testserver"}, False),
    "this origin without its port's digits": ({"Origin": "http://testserver:"}, False),
    "this origin and a blank": ({"Origin": "http://testserver "}, False),
    "two origins": ({"Origin": "http://testserver,http://testserver"}, False),
    "no origin in upper case": ({"Origin": "NULL", "Host": "null"}, False),
    "a host named null": ({"Origin": "null", "Host": "null"}, False),
}
REFUSED = {name: sent for name, (sent, served) in REQUESTS.items() if not served}


@pytest.fixture(autouse=True)
def allowed_origins(settings):
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED]
    settings.ALLOWED_HOSTS = ["testserver", "[::1]"]


def is_refusal(response, path):
    """Return whether the response is the whole problem of another origin."""
    refused = response.status_code == 403
    if refused:
        assert headers(response) == problem_headers()
        assert json.loads(response.content) == problem("permission_denied", path, detail=DETAIL)
    return refused


@pytest.mark.parametrize(("sent", "served"), REQUESTS.values(), ids=REQUESTS)
def test_page_is_served_or_refused_by_its_origin(client, sent, served):
    assert "CORS_ALLOWED_ORIGINS" in DETAIL
    task = TaskFactory()
    path = f"/api/tasks/{task.id}/toggle"
    response = client.post(path, headers={"Host": "testserver", **sent})
    assert is_refusal(response, path) is not served
    assert (Task.objects.get().version, response.status_code) == ((2, 200) if served else (1, 403))


@pytest.mark.parametrize("name", ROUTES)
def test_page_of_another_origin_is_refused_everywhere(client, name):
    task = make_task(ROUTES[name])
    before = list(Task.objects.values_list("id", "version"))
    response = send(client, ROUTES[name], task, **CROSS_SITE)
    assert is_refusal(response, ROUTES[name].path.format(id=task.id))
    assert list(Task.objects.values_list("id", "version")) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/api/tasks"),
        ("OPTIONS", "/api/tasks"),
        ("GET", "/api/tasks/"),
        ("GET", "/api/tasks/count"),
        ("PUT", "/api/tasks/nowhere/nowhere"),
    ],
)
def test_other_paths_and_methods_of_tasks_are_refused(client, method, path):
    response = client.generic(method, path, headers=CROSS_SITE)
    assert (response.status_code, headers(response)) == (403, problem_headers())


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/schema", "/admin/login/", "/problems/conflict", "/healthz"])
def test_page_of_another_origin_reaches_other_paths(client, path):
    assert client.get(path, headers=CROSS_SITE).status_code in {200, 302}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_control_without_middleware_toggles(client, settings, sent):
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "same_origin" not in each]
    settings.ALLOWED_HOSTS = ["*"]
    task = TaskFactory()
    assert client.post(f"/api/tasks/{task.id}/toggle", headers={**sent, "Host": "testserver"}).status_code == 200


RESPONSES = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
sent = {"sec-fetch-site": "cross-site", "origin": "https://evil.example", "host": "localhost"}
response = Client(headers=sent).delete("/api/tasks/x/y")
print(json.dumps([response.status_code, "identity.same_origin.same_origin_middleware" in settings.MIDDLEWARE]))
"""
JWT = {
    "AUTH_MODE": "jwt",
    "JWT_JWKS_URL": "https://auth.example.org/jwks",
    "JWT_ISSUER": "https://auth.example.org",
    "JWT_AUDIENCE": "https://todo.example.org",
}


@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "outcome"),
    [({"AUTH_MODE": "single-user"}, [403, True]), ({"API_TOKEN": "t" * 32}, [403, True]), (JWT, [404, False])],
    ids=["single-user", "with a token", "jwt"],
)
def test_only_single_user_mode_has_the_rule(variables, outcome):
    assert json_output_of(RESPONSES, **variables) == outcome


PREFLIGHTS = """
import json, django
django.setup()
from django.test import Client
def preflight(origin):
    sent = {"origin": origin, "sec-fetch-site": "cross-site", "host": "localhost"}
    response = Client(headers=sent).options("/api/tasks", headers={"access-control-request-method": "PATCH"})
    return [response.status_code, response.headers.get("access-control-allow-origin")]
print(json.dumps([preflight("https://app.example.org"), preflight("https://evil.example")]))
"""


@pytest.mark.once
def test_preflight_is_answered_for_allowed_origins_only():
    assert json_output_of(PREFLIGHTS, CORS_ALLOWED_ORIGINS=ALLOWED) == [[200, ALLOWED], [403, None]]
