"""Spans of requests and statements: their parents, their attributes, and the texts that none contains."""

import json
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from django.db import DatabaseError, IntegrityError, connection

from observability import tracing
from observability.request_id import current_request
from observability.tests.conftest import ACCESS_LOG_MIDDLEWARE
from observability.tests.test_trace_context import PARENT_ID, TRACE_ID, VALID
from tasks.tests.api.contract import JSON
from tasks.tests.factories import TaskFactory
from testing.otlp import ReceivedSpan, running_receiver
from testing.python_processes import REQUIRED_SETTINGS, json_output_of, run_python

SECRET = "a-secret-that-nobody-should-read"
TRACING_MIDDLEWARE = "observability.tracing.tracing_middleware"
RESOURCE = {
    "service.instance.id": ANY,
    "service.name": "todo",
    "service.version": ANY,
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": ANY,
}


@pytest.fixture
def receiver():
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def traced(receiver, settings):
    """Trace the requests of this process, and return a function that sends the spans and returns them."""
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = f"{receiver.url}/"
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], TRACING_MIDDLEWARE, ACCESS_LOG_MIDDLEWARE, *settings.MIDDLEWARE[1:]]
    tracing.tracer.cache_clear()

    def spans():
        tracing.tracer().span_processor.force_flush()
        return receiver.spans

    yield spans
    tracing.tracer().span_processor.shutdown()
    tracing.tracer.cache_clear()
    connection.execute_wrappers.remove(tracing.trace_statement)


def statement_span(sql, request, **others):
    operation = sql.split()[0]
    attributes = {"db.system.name": connection.vendor, "db.operation.name": operation, "db.query.text": sql}
    values = {"trace_id": request.trace_id, "parent_id": request.span_id, "resource": RESOURCE, "failed": False}
    return ReceivedSpan(name=operation, span_id=ANY, attributes=attributes, **{**values, **others})


def request_span(method, route, status, **others):
    attributes = {"http.request.method": method, "url.scheme": "http", "http.response.status_code": status}
    if route:
        attributes["http.route"] = route
    values = {"name": f"{method} {route}" if route else method, "trace_id": ANY, "parent_id": ""}
    values |= {"resource": RESOURCE, "failed": False, "attributes": attributes}
    return ReceivedSpan(span_id=ANY, **{**values, **others})


@pytest.mark.django_db
def test_request_and_statement_are_one_trace_with_the_log(as_user, traced, events):
    task = TaskFactory()
    statements = []
    with connection.execute_wrapper(lambda run, sql, *rest: (statements.append(sql), run(sql, *rest))[1]):
        as_user.get(f"/api/tasks/{task.id}", headers={"traceparent": VALID})
    [statement, request] = traced()
    assert request == request_span("GET", "/api/tasks/<uuid:id>", 200, trace_id=TRACE_ID, parent_id=PARENT_ID)
    assert [statement] == [statement_span(sql, request) for sql in statements]
    assert "%s" in statement.attributes["db.query.text"]
    [access] = events()
    assert (access["trace_id"], access["parent_id"], access["span_id"]) == (TRACE_ID, PARENT_ID, request.span_id)


@pytest.mark.django_db
def test_request_without_traceparent_begins_a_trace(client, traced, events):
    for traceparent in ("", VALID.upper()):
        client.get("/api/docs", headers={"traceparent": traceparent} if traceparent else {})
    spans = traced()
    assert spans == [request_span("GET", "/api/docs", 200)] * 2
    assert len({span.trace_id for span in spans} | {TRACE_ID}) == 3
    assert [(event["trace_id"], event["span_id"]) for event in events()] == [
        (span.trace_id, span.span_id) for span in spans
    ]
    assert not any("parent_id" in event for event in events())


@pytest.mark.django_db
def test_trace_that_the_caller_does_not_sample_is_not_sent(client, traced, events):
    client.get("/api/tasks?limit=1", headers={"traceparent": VALID.removesuffix("1") + "0"})
    assert traced() == []
    [event] = events()
    assert (event["trace_id"], event["parent_id"]) == (TRACE_ID, PARENT_ID)


@pytest.mark.django_db
def test_statements_of_a_stream_belong_to_its_request(as_user, traced, monkeypatch):
    monkeypatch.setattr("tasks.api.listing.FIRST_CHUNK", 2)
    TaskFactory.create_batch(5)
    response = as_user.get("/api/tasks")
    first = traced()
    assert len(json.loads(response.getvalue())) == 5
    *statements, request = traced()
    assert statements[: len(first)] == first
    assert len(first) < len(statements)
    assert request == request_span("GET", "/api/tasks", 200)
    assert {(span.trace_id, span.parent_id) for span in statements} == {(request.trace_id, request.span_id)}


@pytest.mark.django_db
def test_failed_request_is_an_error(client, fail_with, traced):
    fail_with(RuntimeError(SECRET))
    client.get("/api/rest-framework")
    [span] = traced()
    expected = request_span("GET", "/api/rest-framework", 500, failed=True)
    expected.attributes["error.type"] = "500"
    assert span == expected


@pytest.mark.django_db
def test_unknown_method_and_path_name_no_span(client, traced):
    client.generic("SECRET", "/nowhere/secret")
    [span] = traced()
    assert span == request_span("_OTHER", "", 404)


@pytest.mark.django_db
def test_probe_has_no_span(client, traced):
    client.get("/api/docs")
    for path in ("/healthz", "/readyz"):
        client.get(path)
    assert traced() == [request_span("GET", "/api/docs", 200)]


@pytest.mark.django_db
def test_failed_statement_is_an_error_without_its_message(as_user, traced, rf):
    as_user.get("/api/tasks?limit=1")
    *_, request = traced()

    def refuse(*_):
        raise IntegrityError(f"DETAIL: {SECRET}")

    with pytest.raises(DatabaseError, match=SECRET):
        tracing.trace_statement(refuse, "UPDATE x", [SECRET], False, {"connection": connection})
    *_, span = traced()
    expected = statement_span("UPDATE x", request, failed=True)
    expected.attributes["error.type"] = "IntegrityError"
    assert span == expected


@pytest.mark.django_db
def test_statement_outside_of_requests_has_no_span(client, traced):
    client.get("/api/docs")
    for request in (None, current_request.get().request):
        if request:
            del request.META[tracing.SPAN]
        token = current_request.set(current_request.get()._replace(request=request))
        assert tracing.trace_statement(lambda sql, *_: sql, "SELECT 1", (), False, {}) == "SELECT 1"
        current_request.reset(token)
    assert len(traced()) == 1


# Texts


def use_every_text(client):
    """Send the secret wherever a client can send a text, and return the ids of the tasks."""
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": SECRET, "User-Agent": SECRET, "Cookie": SECRET}
    body = {"title": SECRET, "description": SECRET, "labels": {SECRET: True}}
    created = client.post("/api/tasks", body, content_type=JSON, headers=headers)
    path = created["Location"]
    client.patch(path, {"title": f"{SECRET} 2", "labels": {SECRET: None, f"{SECRET}2": True}}, content_type=JSON)
    client.patch(path, {"labels": [f"{SECRET}3"], SECRET: 1}, content_type=JSON)
    bulk = [{"op": "create", "task": body}, {"op": "update", "id": created.json()["id"], "task": body}]
    client.post("/api/tasks/bulk", bulk, content_type=JSON)
    for query in (f"q={SECRET}", f"label={SECRET}", f"limit=1&cursor={SECRET}", f"{SECRET}=1", f"limit=1&q={SECRET}"):
        client.get(f"/api/tasks?{query}").getvalue()
    client.get(f"/api/tasks/{SECRET}")
    client.get(f"/{quote(SECRET)}")
    client.generic(SECRET, "/api/tasks")
    client.delete(path)
    client.get(f"/api/tasks/trash?q={SECRET}").getvalue()
    return [created.json()["id"]]


@pytest.mark.django_db
def test_span_contains_no_text_of_a_task_and_no_id(as_user, admin_client, traced, receiver):
    ids = use_every_text(as_user)
    admin_client.get(f"/admin/tasks/task/?q={SECRET}")
    admin_client.get(f"/admin/tasks/task/{ids[0]}/change/")
    assert len([span for span in traced() if span.name == "GET /admin/tasks/task/<path:object_id>/change/"]) == 1
    assert len(traced()) > 20
    sent = b"".join(receiver.bodies)
    assert [text for text in (SECRET, SECRET.upper(), *ids) if text.encode() in sent] == []


@pytest.mark.django_db
@pytest.mark.parametrize("attribute", ["parameters", "query", "path"])
def test_control_without_omission_the_texts_are_found(as_user, traced, receiver, attribute):
    def record(execute, sql, params, many, context):
        request = current_request.get().request
        values = {"parameters": str(params), "query": request.META["QUERY_STRING"], "path": request.path}
        request.META[tracing.SPAN].set_attribute(attribute, values[attribute])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        ids = use_every_text(as_user)
    traced()
    sent = b"".join(receiver.bodies)
    assert (ids[0] if attribute == "path" else SECRET).encode() in sent


# Settings

TRACED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
MIDDLEWARE_AND_MODULES = """
import json, sys, django
from django.conf import settings
django.setup()
from todo_project.wsgi import application
loaded = sorted({name.partition('.')[0] for name in sys.modules} & {"opentelemetry", "google"})
print(json.dumps([[name for name in settings.MIDDLEWARE if 'tracing' in name], loaded]))
"""


@pytest.mark.once
def test_nothing_imports_opentelemetry_without_a_receiver():
    assert json_output_of(MIDDLEWARE_AND_MODULES) == [[], []]
    assert json_output_of(MIDDLEWARE_AND_MODULES, **TRACED) == [
        [TRACING_MIDDLEWARE],
        ["google", "opentelemetry"],
    ]


@pytest.mark.once
@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.sdk"])
def test_missing_packages_are_named(missing):
    code = f"""
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)
from django.core.management import execute_from_command_line
from commands.execution import execute
execute(["manage.py", "check"])
"""
    variables = {"DJANGO_SETTINGS_MODULE": "todo_project.settings", **REQUIRED_SETTINGS, **TRACED}
    process = run_python("-c", code, **variables)
    reason = "Install requirements/otel.txt, or unset OTEL_EXPORTER_OTLP_ENDPOINT\n"
    assert (process.stderr, process.returncode) == (reason, 2)


@pytest.mark.django_db
def test_receiver_gets_headers_and_the_name_of_the_service(client, traced, receiver, settings):
    settings.OTEL_EXPORTER_OTLP_HEADERS = ["api-key=a%20b=c", "x-empty="]
    settings.OTEL_SERVICE_NAME = "todo-2"
    settings.BUILD_VERSION = "0.1.0+3f2c9a1"
    client.get("/api/docs")
    [span] = traced()
    assert span.resource == {**RESOURCE, "service.name": "todo-2", "service.version": "0.1.0+3f2c9a1"}
    assert (receiver.headers[0]["api-key"], receiver.headers[0]["x-empty"]) == ("a b=c", "")


@pytest.mark.once
def test_process_that_ends_sends_its_last_spans(receiver):
    code = "import django; django.setup(); from django.test import Client; Client().get('/api/docs')"
    variables = {**REQUIRED_SETTINGS, "DJANGO_SETTINGS_MODULE": "todo_project.settings", "ALLOWED_HOSTS": "testserver"}
    run_python("-c", code, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **variables)
    assert [span.name for span in receiver.spans] == ["GET /api/docs"]
