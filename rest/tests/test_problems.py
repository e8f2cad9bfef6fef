"""Every error as a problem (RFC 9457): its whole body, its headers, and what never stands in it."""

import json
import logging

import pytest
from django.core import exceptions as django_exceptions
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.http import Http404
from django.test import Client
from rest_framework import exceptions as drf_exceptions

from identity.authentication import SingleUserAuthentication
from rest.problems import types
from rest.problems.types import PROBLEMS, Fault
from tasks.tests.factories import TaskFactory

#: code: (status, title, the sentence where nothing more is known)
TYPES = {
    "validation_error": (400, "Validation Error", "The request is not valid"),
    "parse_error": (400, "Parse Error", "The body is not valid JSON"),
    "not_authenticated": (401, "Not Authenticated", "Authentication credentials were not provided"),
    "authentication_failed": (401, "Authentication Failed", "The token is not valid"),
    "permission_denied": (403, "Permission Denied", "You do not have permission to perform this action"),
    "not_found": (404, "Not Found", "There is nothing at this address"),
    "method_not_allowed": (405, "Method Not Allowed", "This method is not allowed here"),
    "not_acceptable": (
        406,
        "Not Acceptable",
        "Only application/json and application/problem+json can be answered",
    ),
    "conflict": (409, "Conflict", "The task is not in a state that allows this"),
    "precondition_failed": (
        412,
        "Precondition Failed",
        "The task has changed since the version that If-Match names",
    ),
    "payload_too_large": (413, "Payload Too Large", "The body is larger than 64 KiB"),
    "unsupported_media_type": (
        415,
        "Unsupported Media Type",
        "The body must be UTF-8 JSON, sent with its Content-Type and without a Content-Encoding",
    ),
    "idempotency_key_reused": (
        422,
        "Idempotency Key Reused",
        "This Idempotency-Key was used for another request",
    ),
    "throttled": (429, "Too Many Requests", "Too many requests"),
    "server_error": (500, "Server Error", "The server failed to answer this request"),
    "service_unavailable": (503, "Service Unavailable", "The service cannot answer for the moment"),
}

#: The headers that the table of errors speaks of.
TELLING_HEADERS = ("WWW-Authenticate", "Retry-After", "Allow", "ETag")

REST_FRAMEWORK = "/api/rest-framework"
DJANGO = "/api/django"

SECRET = "SELECT secret FROM /etc/passwd"


def problem(code, instance, **others):
    status, title, detail = TYPES[code]
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    } | others


def validation_error(instance, fault):
    return problem("validation_error", instance, detail=fault["detail"], errors=[fault])


def check(response, body, headers=None):
    """The response is this problem, with these of the telling headers and no others."""
    assert response.json() == body
    assert response.status_code == body["status"]
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Accept, Authorization"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert {name: response.headers[name] for name in TELLING_HEADERS if name in response.headers} == (headers or {})


def check_server_error(response, instance, code="server_error", headers=None):
    request_id = response.headers["X-Request-ID"]
    assert request_id
    check(response, problem(code, instance, request_id=request_id), headers)


def test_the_catalogue_is_that_of_the_contract():
    assert {code: (problem.status_code, problem.title) for code, problem in PROBLEMS.items()} == {
        code: (status, title) for code, (status, title, _) in TYPES.items()
    }


# What the API itself answers.

TASKS = "/api/tasks"
TASK = "/api/tasks/01a1fae6-0000-7000-8000-000000000000"
OF_TASKS = {"Allow": "GET, POST, HEAD, OPTIONS"}
OF_A_TASK = {"Allow": "GET, PATCH, DELETE, HEAD, OPTIONS"}
JSON = {"content_type": "application/json"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "request_", "expected"),
    [
        pytest.param(
            "post",
            TASKS,
            {"data": json.dumps({"title": "a" * 201}), **JSON},
            validation_error(
                TASKS,
                {
                    "pointer": "#/title",
                    "code": "max_length",
                    "detail": "Title exceeds maximum length of 200 characters",
                },
            ),
            id="field",
        ),
        pytest.param(
            "get",
            f"{TASKS}?nope=1",
            {},
            validation_error(
                TASKS,
                {
                    "parameter": "nope",
                    "code": "unknown_parameter",
                    "detail": "This parameter is unknown here",
                },
            ),
            id="parameter",
        ),
        pytest.param(
            "delete",
            TASK,
            {"headers": {"if-match": "1"}},
            validation_error(
                TASK,
                {
                    "header": "If-Match",
                    "code": "malformed",
                    "detail": "If-Match must be * or a list of quoted entity tags",
                },
            ),
            id="header",
        ),
        pytest.param(
            "get",
            TASKS,
            {"headers": {"host": "elsewhere.example"}},
            validation_error(
                TASKS,
                {"header": "Host", "code": "not_allowed", "detail": "This Host is not served here"},
            ),
            id="host",
        ),
        pytest.param(
            "post",
            TASKS,
            {"data": '{"title": ', **JSON},
            problem("parse_error", TASKS, detail="The body is not valid JSON: line 1, column 11"),
            id="broken-json",
        ),
        pytest.param(
            "post",
            TASKS,
            {"data": "", **JSON, "CONTENT_TYPE": "application/json"},
            problem("parse_error", TASKS, detail="The body is empty, and a JSON object is needed"),
            id="empty",
        ),
        pytest.param(
            "post",
            TASKS,
            {"data": "", **JSON},  # the client leaves the type out
            problem("parse_error", TASKS, detail="The body is empty, and a JSON object is needed"),
            id="no-body-and-no-type",
        ),
        pytest.param(
            "post",
            TASKS,
            {"data": '{"title": "a", "title": "b"}', **JSON},
            problem(
                "parse_error",
                TASKS,
                detail="A key stands more than once",
                errors=[
                    {"pointer": "#/title", "code": "repeated_key", "detail": "A key stands more than once"},
                ],
            ),
            id="repeated-key",
        ),
        pytest.param("get", TASK, {}, problem("not_found", TASK), id="no-task"),
        pytest.param("put", TASKS, {}, problem("method_not_allowed", TASKS), id="method"),
        pytest.param("get", TASKS, {"headers": {"accept": "text/html"}}, problem("not_acceptable", TASKS), id="accept"),
        pytest.param("post", TASKS, {"data": " " * 65_537, **JSON}, problem("payload_too_large", TASKS), id="large"),
        pytest.param(
            "post",
            TASKS,
            {"data": '{"title": "a"}', "content_type": "text/plain"},
            problem("unsupported_media_type", TASKS),
            id="media-type",
        ),
    ],
)
def test_the_api_answers_an_error_as_a_problem(client, method, path, request_, expected):
    response = getattr(client, method)(path, **request_)
    check(response, expected, OF_A_TASK if path == TASK else OF_TASKS)


def test_a_path_that_leads_nowhere_is_not_found(client):
    check(client.get("/api/nowhere"), problem("not_found", "/api/nowhere"))


@pytest.mark.django_db
def test_a_precondition_that_fails_tells_the_current_entity_tag(client):
    path = f"/api/tasks/{TaskFactory().id}"
    response = client.delete(path, headers={"if-match": '"2"'})
    check(response, problem("precondition_failed", path), {**OF_A_TASK, "ETag": '"1"'})


# What it is translated from.

SERIALIZER_ERRORS = drf_exceptions.ValidationError(
    {
        "title": [drf_exceptions.ErrorDetail("No title", code="required")],
        "status": [
            drf_exceptions.ErrorDetail("No number", code="invalid"),
            drf_exceptions.ErrorDetail("Too small", code="min_value"),
        ],
        "type": [drf_exceptions.ErrorDetail("No type", code="null")],
    }
)

OWN_PROBLEMS = [
    (types.NotAuthenticated(), "not_authenticated", {"WWW-Authenticate": "Bearer"}),
    (
        types.AuthenticationFailed(),
        "authentication_failed",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    ),
    (types.PermissionDenied(), "permission_denied", {}),
    (types.NotFound(), "not_found", {}),
    (types.NotAcceptable(), "not_acceptable", {}),
    (types.Conflict(), "conflict", {}),
    (types.PreconditionFailed(headers={"ETag": '"7"'}), "precondition_failed", {"ETag": '"7"'}),
    (types.PayloadTooLarge(), "payload_too_large", {}),
    (types.UnsupportedMediaType(), "unsupported_media_type", {}),
    (types.IdempotencyKeyReused(), "idempotency_key_reused", {}),
    (types.Throttled(7), "throttled", {"Retry-After": "7"}),
    (types.Throttled(), "throttled", {"Retry-After": "1"}),
]

OF_REST_FRAMEWORK = [
    (drf_exceptions.ParseError(SECRET), "parse_error", {}),
    (drf_exceptions.NotAuthenticated(SECRET), "not_authenticated", {"WWW-Authenticate": "Bearer"}),
    (
        drf_exceptions.AuthenticationFailed(SECRET),
        "authentication_failed",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    ),
    (drf_exceptions.PermissionDenied(SECRET), "permission_denied", {}),
    (drf_exceptions.NotFound(SECRET), "not_found", {}),
    (drf_exceptions.MethodNotAllowed("GET"), "method_not_allowed", {}),
    (drf_exceptions.NotAcceptable(SECRET), "not_acceptable", {}),
    (drf_exceptions.UnsupportedMediaType("text/plain"), "unsupported_media_type", {}),
    (drf_exceptions.Throttled(6.1), "throttled", {"Retry-After": "7"}),
    (drf_exceptions.Throttled(), "throttled", {"Retry-After": "1"}),
]

OF_DJANGO = [
    (Http404(SECRET), "not_found", {}),
    (django_exceptions.PermissionDenied(SECRET), "permission_denied", {}),
    (django_exceptions.RequestDataTooBig(SECRET), "payload_too_large", {}),
    (django_exceptions.SuspiciousOperation(SECRET), "validation_error", {}),
    (django_exceptions.TooManyFieldsSent(SECRET), "validation_error", {}),
    (django_exceptions.BadRequest(SECRET), "validation_error", {}),
]


def name(value):
    return type(value).__name__ if isinstance(value, Exception) else ""


@pytest.mark.parametrize(("error", "code", "headers"), OWN_PROBLEMS + OF_REST_FRAMEWORK + OF_DJANGO, ids=name)
def test_an_error_of_an_api_view_is_its_problem(client, fail_with, error, code, headers):
    fail_with(error)
    check(client.get(REST_FRAMEWORK), problem(code, REST_FRAMEWORK), {"Allow": "GET, HEAD, OPTIONS", **headers})


@pytest.mark.parametrize(("error", "code", "headers"), OF_DJANGO, ids=name)
def test_an_error_of_a_plain_view_is_its_problem(client, fail_with, error, code, headers):
    fail_with(error)
    check(client.get(DJANGO), problem(code, DJANGO), headers)


@pytest.mark.parametrize(("error", "code", "headers"), OF_DJANGO, ids=name)
def test_an_error_of_a_middleware_is_its_problem(client, fail_with, settings, error, code, headers):
    fail_with(error)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "rest.tests.urls.failing_middleware"]
    check(client.get(TASKS), problem(code, TASKS), headers)


def test_the_errors_of_fields_called_like_a_problems_members_are_kept(client, fail_with):
    fail_with(SERIALIZER_ERRORS)
    check(
        client.get(REST_FRAMEWORK),
        problem(
            "validation_error",
            REST_FRAMEWORK,
            detail="No title",
            errors=[
                {"pointer": "#/title", "code": "required", "detail": "No title"},
                {"pointer": "#/status", "code": "invalid", "detail": "No number"},
                {"pointer": "#/status", "code": "min_value", "detail": "Too small"},
                {"pointer": "#/type", "code": "null", "detail": "No type"},
            ],
        ),
        {"Allow": "GET, HEAD, OPTIONS"},
    )


@pytest.mark.parametrize(
    ("detail", "errors"),
    [
        ("Wrong", [{"pointer": "#", "code": "invalid", "detail": "Wrong"}]),
        (
            ["Wrong", "Worse"],
            [
                {"pointer": "#", "code": "invalid", "detail": "Wrong"},
                {"pointer": "#", "code": "invalid", "detail": "Worse"},
            ],
        ),
        ({"a": {"b": ["Wrong"]}}, [{"pointer": "#/a/b", "code": "invalid", "detail": "Wrong"}]),
    ],
)
def test_a_validation_error_of_any_form_names_where_it_is(client, fail_with, detail, errors):
    fail_with(drf_exceptions.ValidationError(detail))
    check(
        client.get(REST_FRAMEWORK),
        problem("validation_error", REST_FRAMEWORK, detail="Wrong", errors=errors),
        {"Allow": "GET, HEAD, OPTIONS"},
    )


def test_a_problem_may_tell_more_of_its_occurrence(client, fail_with):
    fail_with(types.Conflict("It is live", faults=[Fault(header="If-Match", code="a", detail="b")]))
    check(
        client.get(REST_FRAMEWORK),
        problem(
            "conflict",
            REST_FRAMEWORK,
            detail="It is live",
            errors=[{"header": "If-Match", "code": "a", "detail": "b"}],
        ),
        {"Allow": "GET, HEAD, OPTIONS"},
    )


# The server's own failures: nothing of them in the response, everything in the log, once.

FAILURES = [
    RuntimeError(SECRET),
    KeyError(SECRET),
    RecursionError(SECRET),
    IntegrityError(SECRET),
    DataError(SECRET),
    ProgrammingError(SECRET),
    django_exceptions.ValidationError(SECRET),
    django_exceptions.ImproperlyConfigured(SECRET),
]


def sql_error(error, sqlstate):
    """A database error as Django wraps it, around one of the driver's that has a ``sqlstate``."""
    cause = type("DriverError", (Exception,), {"sqlstate": sqlstate})(SECRET)
    error.__cause__ = cause
    return error


FAILURES_OF_THE_DATABASE = [
    sql_error(InternalError(SECRET), "XX000"),
    sql_error(IntegrityError(SECRET), "23505"),
]

AWAY = [
    OperationalError(SECRET),
    InterfaceError(SECRET),
    sql_error(InternalError(SECRET), "25006"),
    sql_error(InternalError(SECRET), "25P03"),
]

IN_A_VIEW = [(REST_FRAMEWORK, {"Allow": "GET, HEAD, OPTIONS"}), (DJANGO, {})]


def check_nothing_leaks(response):
    for leak in (SECRET, "secret", "passwd", "Error(", "Traceback"):
        assert leak not in response.content.decode()
        assert leak not in str(response.headers)


def check_reported_once(error, response, caplog, got_request_exceptions):
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]
    assert caplog.text.count(SECRET) >= 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert [request.path for request in got_request_exceptions] == [response.request["PATH_INFO"]]


@pytest.mark.parametrize("error", FAILURES + FAILURES_OF_THE_DATABASE, ids=name)
@pytest.mark.parametrize(("path", "headers"), IN_A_VIEW)
def test_a_view_that_fails_leaks_nothing_and_is_reported_once(
    client, fail_with, caplog, got_request_exceptions, error, path, headers
):
    fail_with(error)
    response = client.get(path)
    check_server_error(response, path, headers=headers)
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


def test_the_traceback_of_a_failure_is_in_the_log_once(client, fail_with, caplog):
    fail_with(RuntimeError(SECRET))
    response = client.get(REST_FRAMEWORK)
    assert caplog.text.count("Traceback (most recent call last)") == 1
    assert caplog.text.count(f"RuntimeError: {SECRET}") == 1
    assert [record.request_id for record in caplog.records] == [response.headers["X-Request-ID"]]


@pytest.mark.parametrize("error", FAILURES, ids=name)
@pytest.mark.parametrize("position", [0, 1, None], ids=["outermost", "second", "innermost"])
def test_a_middleware_that_fails_leaks_nothing_and_is_reported_once(
    client, fail_with, caplog, got_request_exceptions, settings, error, position
):
    fail_with(error)
    middleware = list(settings.MIDDLEWARE)
    ours = middleware.index("rest.middleware.api_middleware") + 1
    at = len(middleware) if position is None else ours + position
    settings.MIDDLEWARE = [*middleware[:at], "rest.tests.urls.failing_middleware", *middleware[at:]]
    response = client.get(TASKS)
    check_server_error(response, TASKS)
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


@pytest.mark.parametrize("error", AWAY, ids=name)
@pytest.mark.parametrize(("path", "headers"), IN_A_VIEW)
def test_a_database_that_is_away_is_service_unavailable(
    client, fail_with, caplog, got_request_exceptions, error, path, headers
):
    fail_with(error)
    response = client.get(path)
    check_server_error(response, path, "service_unavailable", {"Retry-After": "1", **headers})
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


@pytest.mark.parametrize("error", [types.ServerError(), drf_exceptions.APIException(SECRET)], ids=name)
def test_a_server_error_of_rest_framework_is_no_exception(client, fail_with, error):
    fail_with(error)
    response = client.get(REST_FRAMEWORK)
    check_server_error(response, REST_FRAMEWORK, headers={"Allow": "GET, HEAD, OPTIONS"})
    check_nothing_leaks(response)


def test_a_failure_away_from_the_api_is_a_problem_too(client, fail_with):
    fail_with(RuntimeError(SECRET))
    response = client.get("/django")
    assert response.status_code == 500
    assert response.json() == problem("server_error", "/django", request_id=response.headers["X-Request-ID"])
    assert response.headers["Content-Type"] == "application/problem+json"
    check_nothing_leaks(response)


def test_the_clients_faults_are_not_in_the_log(client, caplog):
    caplog.set_level(logging.DEBUG, "todo_project")
    assert client.get("/api/nowhere").status_code == 404
    assert caplog.records == []


# Host

HOST_FAULT = {"header": "Host", "code": "not_allowed", "detail": "This Host is not served here"}


@pytest.mark.parametrize("host", ["elsewhere.example", "not a host", "testserver:port", "/", ""])
def test_a_host_that_is_not_served_is_named_wherever_it_is_asked_for(client, fail_with, host):
    fail_with(None)
    check(client.get("/api/host", headers={"host": host}), validation_error("/api/host", HOST_FAULT))


def test_a_host_that_is_not_served_is_named_by_the_redirect_to_https(settings):
    settings.SECURE_SSL_REDIRECT = True
    response = Client(raise_request_exception=False).get(TASKS, headers={"host": "elsewhere.example"})
    check(response, validation_error(TASKS, HOST_FAULT))


@pytest.mark.parametrize("host", ["testserver", "localhost:8000", "elsewhere.example"])
def test_type_is_a_path_whatever_the_host(client, host):
    response = client.get("/api/nowhere", headers={"host": host, "x-forwarded-host": "elsewhere.example"})
    check(response, problem("not_found", "/api/nowhere"))


# DEBUG, whose pages are for a browser.


@pytest.mark.parametrize("path", ["/api", "/api/", "/api//", "/api/nowhere", "/api/tasks/1/", "/api/a%0Ab"])
def test_with_debug_on_a_path_that_leads_nowhere_is_a_problem(client, settings, path):
    settings.DEBUG = True
    response = client.get(path)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.status_code == 404
    assert response.json() == problem("not_found", path)


@pytest.mark.parametrize(("path", "headers"), IN_A_VIEW)
def test_with_debug_on_a_view_that_fails_is_a_problem(client, settings, fail_with, path, headers):
    settings.DEBUG = True
    fail_with(RuntimeError(SECRET))
    response = client.get(path)
    assert response.headers["Content-Type"] == "application/problem+json"
    check_server_error(response, path, headers=headers)
    check_nothing_leaks(response)


def test_with_debug_on_a_middleware_that_fails_is_a_problem(client, settings, fail_with):
    settings.DEBUG = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "rest.tests.urls.failing_middleware"]
    fail_with(RuntimeError(SECRET))
    response = client.get(TASKS)
    assert response.headers["Content-Type"] == "application/problem+json"
    check_server_error(response, TASKS)


def test_with_debug_on_a_host_that_is_not_served_is_a_problem(client, settings, fail_with):
    settings.DEBUG = True
    fail_with(None)
    response = client.get("/api/host", headers={"host": "elsewhere.example"})
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["code"] == "validation_error"


# The admin, whose pages are for people.


@pytest.mark.django_db
def test_the_admin_answers_people_with_a_page(admin_client):
    response = admin_client.get("/admin/nowhere/")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Page not found</h1>" in response.content.decode()


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [
        (Http404(SECRET), 404, "Page not found"),
        (django_exceptions.PermissionDenied(SECRET), 403, "Not permitted"),
        (django_exceptions.BadRequest(SECRET), 400, "Invalid request"),
        (RuntimeError(SECRET), 500, "Server error"),
        (OperationalError(SECRET), 503, "Service Unavailable (503)"),
    ],
    ids=name,
)
def test_a_failure_in_the_admin_is_a_page(client, fail_with, error, status, heading):
    fail_with(error)
    response = client.get("/admin/django")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<h1>{heading}</h1>" in response.content.decode()
    check_nothing_leaks(response)


def test_the_admin_says_when_to_come_back_while_the_database_is_away(client, fail_with):
    fail_with(OperationalError(SECRET))
    assert client.get("/admin/django").headers["Retry-After"] == "1"


# What a problem's `type` leads to.


def check_documented(response, problem):
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "status": problem.status_code,
        "code": problem.default_code,
        "title": problem.title,
        "description": problem.description,
    }


@pytest.mark.parametrize("code", TYPES)
def test_the_type_of_a_problem_explains_it(client, code):
    check_documented(client.get(f"/problems/{code}"), PROBLEMS[code])


def test_nobody_needs_a_token_to_have_a_problem_explained(client, monkeypatch):
    def refuse(*_):
        raise types.NotAuthenticated

    monkeypatch.setattr(SingleUserAuthentication, "authenticate", refuse)
    response = client.get(TASKS)
    assert response.json() == problem("not_authenticated", TASKS)
    check_documented(client.get(response.json()["type"]), types.NotAuthenticated)


@pytest.mark.parametrize(
    "code", ["nowhere", "invalid", "error", "invalid_version", "deprecated_version", "CONFLICT", "a.b", "conflict/"]
)
def test_a_code_that_no_problem_has_is_not_found(client, code):
    response = client.get(f"/problems/{code}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == problem("not_found", f"/problems/{code}")


def test_an_explanation_cannot_be_written(client):
    response = client.post("/problems/conflict")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert response.json() == problem("method_not_allowed", "/problems/conflict")
