"""Rate limits: how many requests each client may send, and the headers and refusals it receives."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings as project
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.views import APIView

from tasks.models import Task
from tasks.tests.api.contract import JSON, headers, problem_headers
from throttling import throttles
from throttling.models import Window

pytestmark = pytest.mark.django_db


@pytest.fixture
def limit(settings, monkeypatch):
    """Return a function that sets quotas as ``THROTTLE_READ`` and ``THROTTLE_WRITE`` do."""

    def set_quotas(**quotas):
        settings.THROTTLES = quotas
        settings.MIDDLEWARE = ["throttling.throttles.rate_limit_middleware", *project.MIDDLEWARE]
        monkeypatch.setattr(APIView, "throttle_classes", [throttles.Throttle])

    return set_quotas


def read_rate_limit(response):
    """Return the policy and the remaining requests, and assert that the window has just begun."""
    policy, scope, remaining, seconds_left = re.fullmatch(
        r'("(?:read|write)";q=\d+;w=\d+), ("(?:read|write)");r=(\d+);t=(\d+)',
        f"{response.headers['RateLimit-Policy']}, {response.headers['RateLimit']}",
    ).groups()
    assert policy.startswith(scope)
    window = int(policy.rpartition("=")[2])
    assert window - 10 < int(seconds_left) <= window
    return policy, int(remaining)


def statuses(client, number, path="/api/tasks", **options):
    return [client.get(path, **options).status_code for _ in range(number)]


def create(client):
    return client.post("/api/tasks", {"title": "a"}, content_type=JSON)


def test_service_without_limits_counts_nothing(as_user):
    with CaptureQueriesContext(connection) as queries:
        response = as_user.get("/api/tasks")
    assert len(queries) == 1
    assert [name for name in response.headers if "Rate" in name] == []
    assert Window.objects.count() == 0


def test_headers_tell_the_remaining_requests(as_user, limit):
    limit(read=(3, 60))
    answers = [as_user.get("/api/tasks") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [read_rate_limit(answer) for answer in answers] == [
        ('"read";q=3;w=60', remaining) for remaining in (2, 1, 0, 0)
    ]


def test_request_over_the_quota_is_refused(as_user, limit):
    limit(write=(1, 3600))
    assert create(as_user).status_code == 201
    response = create(as_user)
    assert response.status_code == 429
    assert response.json() == {
        "type": "/problems/throttled",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Too many requests",
        "instance": "/api/tasks",
        "code": "throttled",
    }
    seconds = response.headers["Retry-After"]
    assert headers(response) == problem_headers(**{"Retry-After": seconds})
    assert (read_rate_limit(response), response.headers["RateLimit"]) == (
        ('"write";q=1;w=3600', 0),
        f'"write";r=0;t={seconds}',
    )
    assert Task.objects.count() == 1


def test_window_is_shown_as_its_client():
    assert str(Window(client="one")) == "one"


def test_reads_and_writes_have_separate_quotas(as_user, limit):
    limit(read=(3, 60), write=(1, 60))
    assert create(as_user).status_code == 201
    assert create(as_user).status_code == 429
    assert as_user.get("/api/tasks/count").status_code == 200
    assert [as_user.get("/api/tasks").status_code, as_user.head("/api/tasks").status_code] == [200, 200]
    assert as_user.options("/api/tasks").status_code == 429


def test_scope_without_a_limit_is_not_counted(as_user, limit):
    limit(write=(1, 60))
    assert statuses(as_user, 3) == [200, 200, 200]
    assert Window.objects.count() == 0


def test_counting_a_request_takes_one_statement(as_user, limit):
    limit(read=(2, 60))
    for expected in (200, 200, 429):
        with CaptureQueriesContext(connection) as queries:
            assert as_user.get("/api/tasks").status_code == expected
        counting = [query["sql"] for query in queries if "throttling_window" in query["sql"]]
        assert [sql.split()[0] for sql in counting if not sql.startswith("DELETE")] == ["INSERT"]


def test_request_after_the_window_starts_a_new_one(as_user, limit):
    limit(read=(1, 60))
    assert statuses(as_user, 2) == [200, 429]
    Window.objects.update(ends=time.time())
    response = as_user.get("/api/tasks")
    assert (response.status_code, read_rate_limit(response)) == (200, ('"read";q=1;w=60', 0))
    assert Window.objects.get().used == 1


def test_refused_request_does_not_extend_the_window(as_user, limit):
    limit(read=(1, 60))
    assert statuses(as_user, 1) == [200]
    ends = Window.objects.get().ends
    assert statuses(as_user, 3) == [429] * 3
    assert Window.objects.get().ends == ends


# Clients


def test_each_user_has_a_quota(client_of, limit):
    limit(read=(1, 60))
    alice, bob = client_of("alice"), client_of("bob")
    assert (statuses(alice, 2), statuses(bob, 2)) == ([200, 429], [200, 429])
    assert statuses(alice, 1, REMOTE_ADDR="192.0.2.1") == [429]


def test_tokens_of_a_user_share_a_quota(client_of, provider, limit):
    limit(read=(1, 60))
    assert statuses(client_of("alice"), 1) == [200]
    assert statuses(Client(headers={"Authorization": f"Bearer {provider.token('alice', jti='2')}"}), 1) == [429]


def test_request_without_a_token_is_not_counted(client_of, limit):
    limit(read=(1, 60))
    assert statuses(client_of(), 3) == [401] * 3
    assert Window.objects.count() == 0


def test_each_address_has_a_quota_in_single_user_mode(as_user, limit):
    limit(read=(1, 60))
    assert statuses(as_user, 2, REMOTE_ADDR="192.0.2.1") == [200, 429]
    assert statuses(as_user, 2, REMOTE_ADDR="192.0.2.2") == [200, 429]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("unix:", "unix:", True),
        ("fe80::1%eth0", "192.0.2.1", False),
    ],
)
def test_addresses_of_an_ipv6_network_share_a_quota(as_user, limit, first, second, same):
    limit(read=(1, 60))
    assert statuses(as_user, 1, REMOTE_ADDR=first) == [200]
    assert statuses(as_user, 1, REMOTE_ADDR=second) == [429 if same else 200]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "198.51.100.1", "192.0.2.1"),
        (1, None, "192.0.2.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "forged, 198.51.100.1", "198.51.100.1"),
        (2, "forged, 198.51.100.1, 203.0.113.1", "198.51.100.1"),
        (1, "x" * 8_000, "x" * 8_000),
    ],
)
def test_client_address_is_the_one_the_outermost_proxy_saw(as_user, limit, settings, proxies, forwarded, seen):
    limit(read=(1, 60))
    settings.THROTTLE_PROXIES = proxies
    header = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert statuses(as_user, 1, REMOTE_ADDR="192.0.2.1", **header) == [200]
    settings.THROTTLE_PROXIES = 0
    assert statuses(as_user, 1, REMOTE_ADDR=seen) == [429]
    assert statuses(as_user, 1, REMOTE_ADDR="203.0.113.9") == [200]


def test_table_stores_no_user_id(client_of, limit):
    limit(read=(1, 60))
    statuses(client_of("alice"), 1)
    assert "alice" not in json.dumps(list(Window.objects.values()))


# Requests without a limit


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs", "/problems/throttled", "/healthz", "/readyz"])
def test_public_pages_have_no_limit(as_user, limit, path):
    limit(read=(1, 60))
    assert statuses(as_user, 3, path) == [200] * 3


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/nowhere", 404), ("PUT", "/api/tasks", 405)])
def test_unknown_path_or_method_is_not_counted(as_user, limit, method, path, status):
    limit(read=(1, 60), write=(1, 60))
    assert [as_user.generic(method, path).status_code for _ in range(3)] == [status] * 3
    assert Window.objects.count() == 0


def test_429_precedes_all_other_refusals(as_user, limit):
    limit(read=(1, 60))
    statuses(as_user, 1)
    assert as_user.get("/api/tasks?colour=red", headers={"Accept": "text/html"}).status_code == 429


# The table


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_are_each_counted_once():
    """Each thread has a connection of its own, as workers do."""

    def count(_):
        try:
            return Window.objects.count_request("somebody", 60).used
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(count, range(100))) == list(range(1, 101))


#: Names, and seconds from now until the window ends.
WINDOWS = [("long ago", -86_400), ("just now", -0.1), ("running", 30)]


def test_ended_windows_are_deleted_once_per_interval(as_user, limit, monkeypatch):
    limit(read=(9, 60))
    monkeypatch.setattr(throttles.Throttle, "last_purge", time.monotonic())
    Window.objects.bulk_create([Window(client=name, used=1, ends=time.time() + ends) for name, ends in WINDOWS])
    statuses(as_user, 1, REMOTE_ADDR="192.0.2.1")
    assert Window.objects.count() == 4
    monkeypatch.setattr(throttles.Throttle, "last_purge", time.monotonic() - throttles.PURGE_INTERVAL_SECONDS - 1)
    statuses(as_user, 1, REMOTE_ADDR="192.0.2.2")
    assert Window.objects.count() == 3
    assert set(Window.objects.values_list("client", flat=True)) > {"running"}


@pytest.mark.skipif("postgresql" not in project.DATABASES["default"]["ENGINE"], reason="SQLite has no unlogged tables")
def test_table_is_unlogged():
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'throttling_window'")
        assert cursor.fetchone() == ("u",)
