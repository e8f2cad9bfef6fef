"""The access log: one event per request, with its client, its user and the size of its response."""

from contextlib import closing
from unittest.mock import ANY

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.crypto import salted_hmac
from django.utils.functional import SimpleLazyObject

from observability.access_log import access_log_middleware, hash_user
from observability.tests.conftest import ACCESS_LOG_MIDDLEWARE
from tasks.tests.factories import TaskFactory
from testing.python_processes import json_output_of, run_python

PASSWORD = "correct horse battery staple"


@pytest.fixture
def access(events):
    """Return a function that returns the newest event of the access log, without what every event has."""

    def newest():
        event = events()[-1]
        assert event.pop("logger") == "todo_project.access"
        return {
            name: value for name, value in event.items() if name not in ("time", "level", "request_id", "duration_ms")
        }

    return newest


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_access_log_has_one_event_per_request(client, events):
    for method, path, status in (("GET", "/api/tasks", 200), ("PUT", "/api/tasks", 405), ("GET", "/api/nowhere", 404)):
        response = client.generic(method, f"{path}?x=1" if status == 405 else path)
        size = len(response.getvalue())
        assert events()[-1] == {
            "time": ANY,
            "level": "INFO",
            "logger": "todo_project.access",
            "request_id": response["X-Request-ID"],
            "method": method,
            "path": path,
            "status": status,
            "bytes": size,
            "duration_ms": ANY,
            **({"user_hash": hash_user("default")} if status == 200 else {}),
            "address": "127.0.0.1",
            "message": f"{method} {path} {status}",
        }


@pytest.mark.once
@pytest.mark.parametrize("on", ["off", "on", None])
def test_access_log_is_off_unless_the_setting_is_on(on):
    code = f"from django.conf import settings; print(str('{ACCESS_LOG_MIDDLEWARE}' in settings.MIDDLEWARE).lower())"
    assert json_output_of(code, ACCESS_LOG=on) is (on == "on")


# The user


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
@pytest.mark.parametrize(
    ("setting", "user"),
    [("hashed", {"user_hash": hash_user("alice")}), ("plain", {"user": "alice"}), ("none", {})],
)
def test_access_log_shows_the_user_as_the_setting_says(client_of, access, log, settings, setting, user):
    settings.ACCESS_LOG_USER = setting
    client_of("alice").get("/api/tasks?limit=1")
    seen = access()
    assert {name: seen[name] for name in seen.keys() & {"user", "user_hash"}} == user
    assert ("alice" in log()[-1]) is (setting == "plain")


@pytest.mark.once
def test_hash_of_a_user_needs_the_secret_key(settings):
    assert hash_user("alice") == salted_hmac("observability.access_log", "alice", algorithm="sha256").hexdigest()[:16]
    assert hash_user("alice") != hash_user("bob")
    code = "from observability.access_log import hash_user; import json; print(json.dumps(hash_user('alice')))"
    assert json_output_of(code) == json_output_of(code) != json_output_of(code, SECRET_KEY="k" * 50)


@pytest.mark.once
def test_user_is_hashed_unless_the_setting_says_otherwise():
    code = "import json; from django.conf import settings; print(json.dumps(settings.ACCESS_LOG_USER))"
    assert json_output_of(code) == "hashed"
    assert json_output_of(code, ACCESS_LOG_USER="plain") == "plain"
    process = run_python("manage.py", "check", ACCESS_LOG_USER="shown", SECRET_KEY="k" * 50, AUTH_MODE="single-user")
    assert process.stderr.endswith("Must be one of: hashed, plain, none.']\n")
    assert process.returncode == 2


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_refused_token_leaves_no_user(client_of, access):
    client_of().get("/api/tasks")
    assert access() == {
        "method": "GET",
        "path": "/api/tasks",
        "status": 401,
        "bytes": ANY,
        "address": "127.0.0.1",
        "message": "GET /api/tasks 401",
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_operator_is_logged_by_user_name(client, access, settings):
    settings.ACCESS_LOG_USER = "plain"
    client.force_login(User.objects.create_superuser("olga"), "django.contrib.auth.backends.ModelBackend")
    client.get("/admin/")
    assert (access()["user"], access()["status"]) == ("olga", 200)


@pytest.mark.once
def test_unread_operator_is_not_read_for_the_log(rf, access):
    """For example, the database may be unavailable."""
    request = rf.get("/admin/")
    request.user = SimpleLazyObject(lambda: pytest.fail("the user was read"))
    access_log_middleware(lambda _: HttpResponse())(request)
    assert "user_hash" not in access()


# The client


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_access_log_names_address_and_user_agent(client, access, settings):
    settings.HTTPS = True
    headers = {"X-Forwarded-For": "198.51.100.7, 192.0.2.1", "User-Agent": f"app/1.0 \n\x1b[2J{'x' * 300}"}
    response = client.get("/healthz", headers=headers)
    assert access() == {
        "method": "GET",
        "path": "/healthz",
        "status": 200,
        "bytes": len(response.content),
        "address": "192.0.2.1",
        "user_agent": f"app/1.0 \n\x1b[2J{'x' * 300}"[:256],
        "message": "GET /healthz 200",
    }


# The size


@pytest.mark.django_db
@pytest.mark.usefixtures("access_log")
def test_streamed_list_is_logged_when_its_stream_ends(as_user, events, access):
    TaskFactory.create_batch(3)
    response = as_user.get("/api/tasks")
    assert (response.streaming, events()) == (True, [])
    assert access_size(response) == access()["bytes"] > 300


def access_size(response):
    return len(b"".join(response.streaming_content))


def answer(rf, response, method="GET"):
    return access_log_middleware(lambda _: response)(rf.generic(method, "/"))


@pytest.mark.django_db  # a closed response ends Django's use of the connection
def test_stream_that_nobody_reads_is_logged_when_closed(rf, events, access):
    response = answer(rf, StreamingHttpResponse(iter([b"one", b"two"])))
    assert events() == []
    response.close()
    assert access()["bytes"] == 0


@pytest.mark.django_db  # a closed response ends Django's use of the connection
def test_stream_that_breaks_off_is_logged_with_the_bytes_sent(rf, events, access):
    with closing(answer(rf, StreamingHttpResponse(iter([b"one", b"two"])))) as response:
        assert next(iter(response)) == b"one"
        assert events() == []
    assert access()["bytes"] == 3


@pytest.mark.django_db  # a closed response ends Django's use of the connection
def test_stream_of_known_length_is_logged_at_once(rf, access):
    answer(rf, StreamingHttpResponse(iter([b"one"]), headers={"Content-Length": "3"})).close()
    assert access()["bytes"] == 3


@pytest.mark.once
def test_response_to_head_has_no_bytes(rf, access):
    answer(rf, HttpResponse(b"not sent"), "HEAD")
    assert access()["bytes"] == 0
