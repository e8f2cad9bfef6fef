"""The metrics of requests: their labels, their durations, and the causes of refusals."""

import re

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from prometheus_client import REGISTRY, generate_latest
from psycopg_pool import PoolTimeout
from rest_framework.views import APIView

from database.connections import BoundedConnection
from observability import metrics
from observability.metrics import metrics_middleware, record_noted
from rest.problems.types import Busy, ServiceUnavailable
from tasks.tests.factories import TaskFactory
from throttling import concurrency
from throttling.concurrency import Slots, worker_slots
from throttling.throttles import Throttle

MIDDLEWARE = "observability.metrics.metrics_middleware"
COUNT = "http_request_duration_seconds_count"
SECRET = "zebra-secret"


@pytest.fixture
def metered(settings):
    """Return a client of a service with metrics."""
    settings.MIDDLEWARE = [MIDDLEWARE, *settings.MIDDLEWARE]
    return Client(raise_request_exception=False)


def value(name, **labels):
    record_noted()
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture
def added():
    """Return a function that sends a request, and returns by how much a sample grew."""

    def added(send, name, **labels):
        before = value(name, **labels)
        send()
        return value(name, **labels) - before

    return added


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/api/tasks", {"method": "GET", "route": "/api/tasks", "status": "200"}),
        ("GET", "/api/tasks/", {"method": "GET", "route": "/api/tasks", "status": "200"}),
        ("HEAD", "/api/tasks/count", {"method": "HEAD", "route": "/api/tasks/count", "status": "200"}),
        (
            "GET",
            "/api/tasks/01a219ad-e289-7194-8000-000000000000",
            {"method": "GET", "route": "/api/tasks/<uuid:id>", "status": "404"},
        ),
        ("POST", "/api/tasks", {"method": "POST", "route": "/api/tasks", "status": "400"}),
        ("GET", "/", {"method": "GET", "route": "/", "status": "302"}),
        ("GET", "/nowhere", {"method": "GET", "route": "none", "status": "404"}),
        ("GET", "/api/nowhere", {"method": "GET", "route": "/^api(?:/|$)", "status": "404"}),
        ("ZEBRA", "/healthz", {"method": "other", "route": "/healthz", "status": "405"}),
    ],
)
def test_request_is_counted_by_method_route_and_status(metered, added, method, path, labels):
    assert added(lambda: list(metered.generic(method, path)), COUNT, **labels) == 1


@pytest.mark.django_db
def test_request_without_metrics_is_not_counted(client, added):
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    assert added(lambda: client.get("/healthz"), COUNT, **labels) == 0


@pytest.mark.django_db
def test_duration_has_a_bucket_and_a_sum(metered, added):
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    assert added(lambda: metered.get("/healthz"), "http_request_duration_seconds_sum", **labels) > 0
    assert added(lambda: metered.get("/healthz"), "http_request_duration_seconds_bucket", le="10.0", **labels) == 1


@pytest.mark.parametrize(("seconds", "bucket"), [(0.001, "0.001"), (0.0011, "0.0025"), (10, "10.0"), (11, "+Inf")])
def test_duration_counts_in_the_first_bucket_that_holds_it(added, seconds, bucket):
    labels = {"method": "GET", "route": "/bucket", "status": "200"}
    bounds = [*map(str, map(float, metrics.BUCKETS)), "+Inf"]

    def note():
        metrics.noted.append((("GET", "bucket", 200), seconds))

    before = [value("http_request_duration_seconds_bucket", le=bound, **labels) for bound in bounds]
    note()
    after = [value("http_request_duration_seconds_bucket", le=bound, **labels) for bound in bounds]
    grown = [bound for bound, old, new in zip(bounds, before, after, strict=True) if new > old]
    assert grown == bounds[bounds.index(bucket) :]
    assert added(note, "http_request_duration_seconds_sum", **labels) == pytest.approx(seconds)


@pytest.mark.django_db
def test_stream_is_counted_when_it_is_closed(metered, added):
    labels = {"method": "GET", "route": "/api/tasks", "status": "200"}
    response = None

    def open_stream():
        nonlocal response
        response = metered.get("/api/tasks")

    assert added(open_stream, COUNT, **labels) == 0
    assert added(lambda: list(response.streaming_content), COUNT, **labels) == 1


@pytest.mark.django_db
def test_metrics_have_no_text_of_a_request(metered):
    task = TaskFactory(title=SECRET, user_id="zebra-user", labels=frozenset({SECRET}))
    metered.get(f"/api/tasks/{task.id}")
    metered.get(f"/api/{SECRET}")
    metered.get(f"/{SECRET}")
    metered.get(f"/api/tasks?q={SECRET}")
    metered.generic(SECRET, f"/api/tasks/{SECRET}")
    metered.post("/api/tasks", {"title": SECRET}, "application/json", headers={"X-Request-ID": SECRET})
    record_noted()
    text = generate_latest(REGISTRY).decode()
    assert value(COUNT, method="POST", route="/api/tasks", status="201") >= 1
    for secret in ("zebra", SECRET.upper(), str(task.id), "default"):
        assert secret not in text
    assert set(re.findall(r'method="([^"]*)"', text)) <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"}


def test_control_without_known_methods_metrics_show_text(metered, monkeypatch):
    class EveryMethod:
        def __contains__(self, method):
            return True

    monkeypatch.setattr(metrics, "METHODS", EveryMethod())
    metered.generic("CONTROL", "/healthz")
    record_noted()
    assert "CONTROL" in generate_latest(REGISTRY).decode()
    metrics.DURATION.remove("CONTROL", "/healthz", "405")


# Refusals


def database_error(cause):
    error = OperationalError("no answer")
    error.__cause__ = cause
    return error


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Busy(), "busy"),
        (database_error(PoolTimeout("no connection after 1 s")), "pool"),
        (database_error(None), "database"),
        (ServiceUnavailable(), "other"),
    ],
    ids=["busy", "pool", "database", "other"],
)
def test_503_is_counted_by_cause(metered, added, fail_with, error, cause):
    fail_with(error)
    assert added(lambda: metered.get("/api/django"), "todo_unavailable_responses_total", cause=cause) == 1
    assert added(lambda: metered.get("/api/rest-framework"), "todo_unavailable_responses_total", cause=cause) == 1


@pytest.mark.django_db
def test_503_for_a_pool_in_an_outage_counts_as_database(metered, added, fail_with, monkeypatch):
    monkeypatch.setattr(BoundedConnection, "outage_start", 0.0)
    fail_with(database_error(PoolTimeout("no connection after 1 s")))
    assert added(lambda: metered.get("/api/django"), "todo_unavailable_responses_total", cause="database") == 1


@pytest.mark.django_db
def test_503_of_the_admin_is_counted_by_cause(metered, added, monkeypatch, settings):
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.01)
    settings.THREADS = settings.MAX_CONCURRENT_PER_USER = 1
    worker_slots.cache_clear()
    slots: Slots = worker_slots()
    assert slots.enter("another")
    assert added(lambda: metered.get("/admin/"), "todo_unavailable_responses_total", cause="busy") == 1
    worker_slots.cache_clear()


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "scope"), [("GET", "read"), ("POST", "write")])
def test_refusal_of_a_rate_limit_is_counted(settings, metered, added, monkeypatch, method, scope):
    settings.THROTTLES = {"read": (1, 60), "write": (1, 60)}
    monkeypatch.setattr(APIView, "throttle_classes", [Throttle])

    def send():
        return metered.generic(method, "/api/tasks", b"{}", "application/json").status_code

    sample = {"name": "todo_rate_limit_hits_total", "scope": scope}
    assert (added(send, **sample), added(send, **sample)) == (0, 1)


def test_429_of_the_admin_is_no_rate_limit(added):
    locked = metrics_middleware(lambda _: HttpResponse(status=429))
    request = RequestFactory().post("/admin/login/")
    assert added(lambda: locked(request), "todo_rate_limit_hits_total", scope="write") == 0
    assert value(COUNT, method="POST", route="none", status="429") == 1
