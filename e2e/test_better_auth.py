"""The service behind a real Better Auth: people sign up, fetch their tokens, and each has tasks of their own.

``make test-e2e`` installs Better Auth and runs this. It needs Node 20 or newer, and is skipped without it.
"""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener
from uuid import uuid4

import pytest

from testing.ports import free_port
from testing.servers import running_service

HERE = Path(__file__).parent
AUDIENCE = "https://todo.example.org"
PASSWORD = "correct horse battery staple"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is missing: Better Auth was NOT tried"),
    pytest.mark.skipif(
        not (HERE / "node_modules").exists(), reason="Run make test-e2e, which installs Better Auth: it was NOT tried"
    ),
]

opener = build_opener(ProxyHandler({}))


def ask(method, url, body=None, **headers):
    """Status, headers and JSON body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json", **headers} if data else headers, method=method)
    try:
        response = opener.open(request, timeout=10)
    except HTTPError as error:
        response = error
    with response:
        content = response.read()
        return response.status, response.headers, json.loads(content) if content else None


class IdentityProvider:
    """Better Auth in a process of its own."""

    def __init__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.settings = {
            "AUTH_MODE": "jwt",
            "JWT_JWKS_URL": f"{self.url}/api/auth/jwks",
            "JWT_ISSUER": self.url,
            "JWT_AUDIENCE": AUDIENCE,
        }
        self.process = subprocess.Popen(
            ["node", "identity_provider.mjs"],
            cwd=HERE,
            env={**os.environ, "PORT": str(port), "BETTER_AUTH_SECRET": uuid4().hex},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def rotate(self):
        assert ask("POST", f"{self.url}/rotate")[0] == 200


class Person:
    """Somebody who has signed up, with the session that Better Auth keeps of them."""

    def __init__(self, provider, name):
        body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD}
        status, headers, answer = ask("POST", f"{provider.url}/api/auth/sign-up/email", body, Origin=provider.url)
        assert status == 200
        self.provider, self.id = provider, answer["user"]["id"]
        self.session = headers["Set-Cookie"].partition(";")[0]

    def token(self):
        status, _, answer = ask("GET", f"{self.provider.url}/api/auth/token", Cookie=self.session)
        assert status == 200
        return answer["token"]


class Client:
    """The service, as somebody with a token uses it."""

    def __init__(self, server, token=None):
        self.url = server.url
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method, path, body=None):
        status, _, answer = ask(method, self.url + path, body, **self.headers)
        return status, answer


@contextmanager
def running():
    provider = IdentityProvider()
    try:
        yield provider
    finally:
        provider.stop()


@pytest.fixture
def provider():
    with running() as provider:
        yield provider


@pytest.fixture
def server(database_url, provider):
    with running_service(database_url, WORKERS="1", **provider.settings) as server:
        yield server


def problem(status, code, title, detail, instance):
    return status, {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    }


def not_found(path):
    return problem(404, "not_found", "Not Found", "There is nothing at this address", path)


def refused(path="/api/tasks"):
    return problem(401, "authentication_failed", "Authentication Failed", "The token is not valid", path)


def without_token(path="/api/tasks"):
    detail = "Authentication credentials were not provided"
    return problem(401, "not_authenticated", "Not Authenticated", detail, path)


def answers(client, expected, seconds):
    """How long it took until a GET of the list was answered so."""
    start = time.monotonic()
    while client("GET", "/api/tasks") != expected:
        assert time.monotonic() - start < seconds
        time.sleep(0.05)
    return time.monotonic() - start


def test_two_people_each_have_tasks_of_their_own(server, provider):
    alice, bob = Person(provider, "alice"), Person(provider, "bob")
    as_alice, as_bob, as_nobody = Client(server, alice.token()), Client(server, bob.token()), Client(server)

    status, task = as_alice("POST", "/api/tasks", {"title": "Buy milk", "user_id": bob.id})
    assert (status, task["user_id"], task["title"], task["version"]) == (201, alice.id, "Buy milk", 1)
    one = f"/api/tasks/{task['id']}"
    in_trash = f"/api/tasks/trash/{task['id']}"

    assert as_alice("GET", "/api/tasks") == (200, [task])
    assert as_alice("GET", one) == (200, task)
    assert as_bob("GET", "/api/tasks") == (200, [])
    for method, path in (
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/toggle"),
        ("POST", f"{one}/restore"),
        ("GET", in_trash),
        ("DELETE", in_trash),
    ):
        body = {"title": "Mine"} if method == "PATCH" else None
        assert as_bob(method, path, body) == not_found(path)
        assert as_nobody(method, path, body) == without_token(path)
    assert as_nobody("GET", "/api/tasks") == without_token()
    assert as_nobody("POST", "/api/tasks", {"title": "Mine"}) == without_token()

    for version, (method, path, body, changes) in enumerate(
        [
            ("PATCH", one, {"title": "Buy oat milk"}, {"title": "Buy oat milk"}),
            ("POST", f"{one}/toggle", None, {"completed": True}),
            ("DELETE", one, None, {}),
            ("POST", f"{one}/restore", None, {}),
            ("DELETE", one, None, {}),
        ],
        start=2,
    ):
        status, written = as_alice(method, path, body)
        assert written["updated_at"] > task["updated_at"]
        task = {**task, **changes, "version": version, "updated_at": written["updated_at"]}
        assert (status, written) == (200, task)
        assert as_bob("GET", "/api/tasks/trash") == (200, [])
    assert as_alice("GET", "/api/tasks") == (200, [])
    assert as_alice("GET", "/api/tasks/trash") == (200, [task])
    assert as_bob("DELETE", in_trash) == not_found(in_trash)
    assert as_alice("DELETE", in_trash) == (200, task)
    assert as_alice("GET", "/api/tasks/trash") == (200, [])


def test_a_new_key_is_taken_and_the_old_one_is_not(server, provider):
    alice = Person(provider, "alice")
    old = Client(server, alice.token())
    assert old("GET", "/api/tasks") == (200, [])
    provider.rotate()
    new = Client(server, alice.token())
    # At once, or 5 s after the fetch before; and whoever comes with an unknown key has the old one forgotten.
    answers(new, (200, []), seconds=10)
    assert old("GET", "/api/tasks") == refused()


def test_who_is_known_is_served_after_the_providers_death(server, provider):
    alice, bob = Person(provider, "alice"), Person(provider, "bob")
    alices, bobs = alice.token(), bob.token()
    assert Client(server, alices)("GET", "/api/tasks") == (200, [])
    provider.stop()
    assert Client(server, alices)("POST", "/api/tasks", {"title": "Buy milk"})[0] == 201
    assert Client(server, bobs)("GET", "/api/tasks") == (200, [])
    assert Client(server, f"{bobs[:-4]}AAAA")("GET", "/api/tasks") == refused()


def test_a_service_that_starts_after_the_providers_death_says_so_in_time(database_url, provider):
    token = Person(provider, "alice").token()
    provider.stop()
    with running_service(database_url, WORKERS="1", LOG_LEVEL="CRITICAL", **provider.settings) as server:
        start = time.monotonic()
        status, answer = Client(server, token)("GET", "/api/tasks")
        assert time.monotonic() - start < 1.5
        assert (status, answer["code"]) == (503, "service_unavailable")
        assert Client(server)("GET", "/api/tasks") == without_token()
        assert server.get("/readyz")[0] == 200
