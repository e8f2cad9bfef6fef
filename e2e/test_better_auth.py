"""The service behind a real Better Auth: users sign up, fetch tokens, and have tasks of their own.

``make test-e2e`` installs Better Auth and runs these tests. They need Node 20 or newer.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from tasks.tests.api.contract import PROBLEMS
from testing.api_clients import RecordingClient
from testing.ports import free_port
from testing.servers import running_service
from testing.waiting import wait_for

HERE = Path(__file__).parent
AUDIENCE = "https://todo.example.org"
PASSWORD = "correct horse battery staple"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="NOT TESTED WITH BETTER AUTH: install Node"),
    pytest.mark.skipif(
        not (HERE / "node_modules").exists(),
        reason="NOT TESTED WITH BETTER AUTH: run make test-e2e, which installs Better Auth",
    ),
]

#: Stands for the time of the write.
NOW = object()


class BetterAuth:
    """Better Auth in a process of its own."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "AUTH_MODE": "jwt",
            "JWT_JWKS_URL": f"{self.url}/api/auth/jwks",
            "JWT_ISSUER": self.url,
            "JWT_AUDIENCE": AUDIENCE,
        }
        self.process = subprocess.Popen(
            ["node", "identity_provider.mjs"],
            cwd=HERE,
            env={**os.environ, "PORT": str(self.port), "BETTER_AUTH_SECRET": uuid4().hex},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def send(self, method, path, body=None, **headers):
        with RecordingClient(self.port) as client:
            record = client.send(method, path, body, Origin=self.url, **headers)
        assert record.status == 200
        return record

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def rotate_keys(self):
        self.send("POST", "/rotate")


class User:
    """A user who has signed up, and their session with Better Auth."""

    def __init__(self, better_auth, name):
        body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD}
        sign_up = better_auth.send("POST", "/api/auth/sign-up/email", body)
        self.better_auth, self.id = better_auth, sign_up.body["user"]["id"]
        self.session = sign_up.headers["set-cookie"].partition(";")[0]

    def fetch_token(self):
        return self.better_auth.send("GET", "/api/auth/token", Cookie=self.session).body["token"]


class ApiClient:
    """A client of the service, with a token or without."""

    def __init__(self, server, token=None):
        self.port = server.port
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method, path, body=None):
        """Send a request, and return the status and the body of the response."""
        with RecordingClient(self.port) as client:
            record = client.send(method, path, body, **self.headers)
        return record.status, record.body


@pytest.fixture
def better_auth():
    better_auth = BetterAuth()
    yield better_auth
    better_auth.stop()


@pytest.fixture
def server(database_url, better_auth):
    with running_service(database_url, WORKERS="1", **better_auth.settings) as server:
        yield server


def problem(code, path="/api/tasks"):
    """Return the status and the body of a problem."""
    status, title, detail = PROBLEMS[code]
    body = {"type": f"/problems/{code}", "title": title, "status": status, "detail": detail}
    return status, {**body, "instance": path, "code": code}


def test_users_see_and_change_only_their_own_tasks(server, better_auth):
    alice, bob = User(better_auth, "alice"), User(better_auth, "bob")
    as_alice, as_bob = ApiClient(server, alice.fetch_token()), ApiClient(server, bob.fetch_token())
    as_nobody = ApiClient(server)

    status, task = as_alice("POST", "/api/tasks", {"title": "Buy milk", "user_id": bob.id})
    assert (status, task["user_id"], task["title"], task["version"]) == (201, alice.id, "Buy milk", 1)
    path, trash_path = f"/api/tasks/{task['id']}", f"/api/tasks/trash/{task['id']}"

    assert as_alice("GET", "/api/tasks") == (200, [task])
    assert as_alice("GET", path) == (200, task)
    assert as_bob("GET", "/api/tasks") == (200, [])
    for method, target, body in (
        ("GET", path, None),
        ("PATCH", path, {"title": "Mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/toggle", None),
        ("POST", f"{path}/restore", None),
        ("GET", trash_path, None),
        ("DELETE", trash_path, None),
    ):
        assert as_bob(method, target, body) == problem("not_found", target)
        assert as_nobody(method, target, body) == problem("not_authenticated", target)
    assert as_nobody("GET", "/api/tasks") == problem("not_authenticated")
    assert as_nobody("POST", "/api/tasks", {"title": "Mine"}) == problem("not_authenticated")

    for version, (method, target, body, changes) in enumerate(
        [
            ("PATCH", path, {"title": "Buy oat milk"}, {"title": "Buy oat milk"}),
            ("POST", f"{path}/toggle", None, {"completed": True, "completed_at": NOW}),
            ("DELETE", path, None, {}),
            ("POST", f"{path}/restore", None, {}),
            ("DELETE", path, None, {}),
        ],
        start=2,
    ):
        status, changed = as_alice(method, target, body)
        assert changed["updated_at"] > task["updated_at"]
        values = {name: changed["updated_at"] if value is NOW else value for name, value in changes.items()}
        task = {**task, **values, "version": version, "updated_at": changed["updated_at"]}
        assert (status, changed) == (200, task)
        assert as_bob("GET", "/api/tasks/trash") == (200, [])
    assert as_alice("GET", "/api/tasks") == (200, [])
    assert as_alice("GET", "/api/tasks/trash") == (200, [task])
    assert as_bob("DELETE", trash_path) == problem("not_found", trash_path)
    assert as_alice("DELETE", trash_path) == (200, task)
    assert as_alice("GET", "/api/tasks/trash") == (200, [])


def test_key_rotation_accepts_new_tokens_and_rejects_old(server, better_auth):
    alice = User(better_auth, "alice")
    with_old_token = ApiClient(server, alice.fetch_token())
    assert with_old_token("GET", "/api/tasks") == (200, [])
    better_auth.rotate_keys()
    with_new_token = ApiClient(server, alice.fetch_token())
    # The service fetches the keys of an unknown key id at most every 5 s.
    wait_for(lambda: with_new_token("GET", "/api/tasks") == (200, []), "the new token is accepted", 10)
    assert with_old_token("GET", "/api/tasks") == problem("authentication_failed")


def test_tokens_stay_valid_during_outage_of_better_auth(server, better_auth):
    alices_token, bobs_token = (User(better_auth, name).fetch_token() for name in ("alice", "bob"))
    assert ApiClient(server, alices_token)("GET", "/api/tasks") == (200, [])
    better_auth.stop()
    assert ApiClient(server, alices_token)("POST", "/api/tasks", {"title": "Buy milk"})[0] == 201
    assert ApiClient(server, bobs_token)("GET", "/api/tasks") == (200, [])
    assert ApiClient(server, f"{bobs_token[:-4]}AAAA")("GET", "/api/tasks") == problem("authentication_failed")


def test_service_started_during_outage_returns_503_in_time(database_url, better_auth):
    token = User(better_auth, "alice").fetch_token()
    better_auth.stop()
    with running_service(database_url, WORKERS="1", LOG_LEVEL="CRITICAL", **better_auth.settings) as server:
        start = time.monotonic()
        status, body = ApiClient(server, token)("GET", "/api/tasks")
        assert time.monotonic() - start < 1.5
        assert (status, body["code"]) == (503, "service_unavailable")
        assert ApiClient(server)("GET", "/api/tasks") == problem("not_authenticated")
        assert server.get("/readyz")[0] == 200
