"""With ``HTTPS=on`` the API refuses requests over http, and other requests are redirected to https."""

import json
from tempfile import TemporaryDirectory

import pytest

from tasks.tests.api.contract import EVERYWHERE, problem
from testing.python_processes import json_output_of

pytestmark = pytest.mark.once

#: Requests without ``X-Forwarded-Proto``, and the answers with ``HTTPS=on``.
REQUESTS = [
    ("GET", "/api/tasks?limit=1"),
    ("POST", "/api/tasks"),
    ("DELETE", "/api/tasks/x/"),
    ("OPTIONS", "/api/tasks"),
    ("GET", "/api/nowhere"),
    ("GET", "/api/"),
    ("GET", "/api"),
    ("GET", "/api/docs"),
    ("GET", "/"),
    ("GET", "/apis"),
    ("POST", "/admin/login/?next=/admin/"),
    ("GET", "/static/nowhere.css"),
    ("GET", "/problems/conflict"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]

RESPONSES = """
import json, django
django.setup()
from django.conf import settings
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
{change}
sent = {{"host": "localhost", "x-request-id": "a-1", **{headers}}}
responses = [Client(headers=sent).generic(*request) for request in {requests}]
print(json.dumps([[each.status_code, dict(each.headers), each.getvalue().decode()] for each in responses]))
"""


def responses(requests=REQUESTS, change="", **headers):
    script = RESPONSES.format(requests=requests, change=change, headers=headers)
    with TemporaryDirectory() as directory:  # /readyz asks the database from another thread
        answers = json_output_of(script, HTTPS="on", DATABASE_URL=f"sqlite:///{directory}/db.sqlite3")
    return dict(zip(requests, answers, strict=True))


@pytest.fixture(scope="module")
def over_http():
    return responses()


@pytest.mark.parametrize(("method", "path"), REQUESTS[:8])
def test_api_request_over_http_is_refused(over_http, method, path):
    status, headers, body = over_http[method, path]
    assert status == 403
    assert json.loads(body) == problem("permission_denied", path.partition("?")[0], detail="Use https")
    assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE
    assert (headers["X-Request-ID"], headers.get("Location")) == ("a-1", None)


@pytest.mark.parametrize(("method", "path"), REQUESTS[8:13])
def test_page_over_http_is_redirected_with_its_method(over_http, method, path):
    status, headers, _ = over_http[method, path]
    assert (status, headers["Location"], headers["X-Request-ID"]) == (308, f"https://localhost{path}", "a-1")


@pytest.mark.parametrize(("method", "path"), REQUESTS[13:])
def test_probe_over_http_is_answered(over_http, method, path):
    assert over_http[method, path][0] == 200


def test_request_over_https_is_answered():
    requests = [("GET", "/api/tasks"), ("GET", "/"), ("GET", "/admin/login/"), ("GET", "/healthz")]
    over_https = responses(requests, **{"x-forwarded-proto": "https"})
    assert [status for status, *_ in over_https.values()] == [200, 302, 200, 200]


def test_control_without_middleware_http_is_accepted():
    change = "settings.MIDDLEWARE.remove('rest.https.https_middleware')"
    over_http = responses([("GET", "/api/tasks"), ("POST", "/api/docs")], change)
    assert [(status, headers.get("Location")) for status, headers, _ in over_http.values()] == [
        (200, None),
        (301, "https://localhost/api/docs"),
    ]
