"""Errors as problems (RFC 9457): the whole body, the headers, and nothing of the program's insides."""

import logging

import pytest
from django.core import exceptions as django_exceptions
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.http import Http404
from django.test import Client
from rest_framework import exceptions as drf_exceptions
from rest_framework.exceptions import ErrorDetail

from identity.single_user import SingleUserAuthentication
from rest.problems import types
from rest.problems.types import PROBLEMS, Fault
from tasks.tests.api import contract
from tasks.tests.api.contract import PROBLEM_JSON, fault, problem, problem_headers

REST_FRAMEWORK = "/api/rest-framework"
DJANGO = "/api/django"
TASKS = "/api/tasks"
HOST = "/api/host"

SECRET = "SELECT secret FROM /etc/passwd"
FAILING_MIDDLEWARE = "rest.tests.urls.failing_middleware"

#: The views that fail, and the ``Allow`` header that REST framework adds.
VIEWS = {REST_FRAMEWORK: "GET, HEAD, OPTIONS", DJANGO: None}


def name_of(value):
    return type(value).__name__ if isinstance(value, Exception) else ""


every_view = pytest.mark.parametrize("path", [REST_FRAMEWORK, DJANGO], ids=["rest-framework", "django"])


def check(response, body, **own_headers):
    """Assert that the response is this problem, with these headers besides those of every problem."""
    path = response.request["PATH_INFO"]
    assert response.json() == body
    assert response.status_code == body["status"]
    assert contract.headers(response) == problem_headers(**own_headers)
    assert response.headers.get("Allow") == VIEWS.get(path)


def check_server_error(response, path, code="server_error", **own_headers):
    request_id = response.headers["X-Request-ID"]
    assert request_id
    check(response, problem(code, path, request_id=request_id), **own_headers)


def check_nothing_leaks(response):
    for leak in (SECRET, "secret", "passwd", "Error(", "Traceback"):
        assert leak not in response.content.decode()
        assert leak not in str(response.headers)


def check_reported_once(error, response, caplog, got_request_exceptions):
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]
    assert caplog.text.count(SECRET) >= 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert [request.path for request in got_request_exceptions] == [response.request["PATH_INFO"]]


def test_catalogue_is_that_of_contract():
    catalogue = {code: (each.status_code, each.title, each.default_detail) for code, each in PROBLEMS.items()}
    assert catalogue == contract.PROBLEMS


# Exceptions of a client's request

OWN_PROBLEMS = [
    (types.NotAuthenticated(), "not_authenticated", {"WWW-Authenticate": "Bearer"}),
    (types.AuthenticationFailed(), "authentication_failed", {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
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


@pytest.mark.parametrize(("error", "code", "headers"), OWN_PROBLEMS + OF_REST_FRAMEWORK + OF_DJANGO, ids=name_of)
def test_exception_in_api_view_is_its_problem(client, fail_with, error, code, headers):
    fail_with(error)
    check(client.get(REST_FRAMEWORK), problem(code, REST_FRAMEWORK), **headers)


def test_api_view_refuses_another_response_type(client, fail_with):
    fail_with(None)
    response = client.get(REST_FRAMEWORK, headers={"accept": "text/html"})
    check(response, problem("not_acceptable", REST_FRAMEWORK))


@pytest.mark.parametrize(("error", "code", "headers"), OF_DJANGO, ids=name_of)
def test_exception_in_plain_view_is_its_problem(client, fail_with, error, code, headers):
    fail_with(error)
    check(client.get(DJANGO), problem(code, DJANGO), **headers)


@pytest.mark.parametrize(("error", "code", "headers"), OF_DJANGO, ids=name_of)
def test_exception_in_middleware_is_its_problem(client, fail_with, settings, error, code, headers):
    fail_with(error)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, FAILING_MIDDLEWARE]
    check(client.get(HOST), problem(code, HOST), **headers)


SERIALIZER_ERRORS = {
    "fields named like members of a problem": (
        {
            "title": [ErrorDetail("No title", code="required")],
            "status": [ErrorDetail("No number", code="invalid"), ErrorDetail("Too small", code="min_value")],
            "type": [ErrorDetail("No type", code="null")],
        },
        [
            fault("required", "No title", pointer="#/title"),
            fault("invalid", "No number", pointer="#/status"),
            fault("min_value", "Too small", pointer="#/status"),
            fault("null", "No type", pointer="#/type"),
        ],
    ),
    "text": ("Wrong", [fault("invalid", "Wrong", pointer="#")]),
    "list": (["Wrong", "Bad"], [fault("invalid", "Wrong", pointer="#"), fault("invalid", "Bad", pointer="#")]),
    "nested object": ({"a": {"b": ["Wrong"]}}, [fault("invalid", "Wrong", pointer="#/a/b")]),
}


@pytest.mark.parametrize(("detail", "errors"), SERIALIZER_ERRORS.values(), ids=SERIALIZER_ERRORS)
def test_validation_error_names_every_place(client, fail_with, detail, errors):
    fail_with(drf_exceptions.ValidationError(detail))
    check(client.get(REST_FRAMEWORK), problem("validation_error", REST_FRAMEWORK, errors=errors))


def test_problem_with_detail_and_faults_shows_both(client, fail_with):
    fail_with(types.Conflict("It is live", faults=[Fault(header="If-Match", code="a", detail="b")]))
    errors = [fault("a", "b", header="If-Match")]
    check(client.get(REST_FRAMEWORK), problem("conflict", REST_FRAMEWORK, detail="It is live", errors=errors))


def test_error_of_client_is_not_logged(client, caplog):
    caplog.set_level(logging.DEBUG, "todo_project")
    check(client.get("/api/nowhere"), problem("not_found", "/api/nowhere"))
    assert caplog.records == []


# Failures of the server


def sql_error(error, sqlstate):
    """Give a database error the driver's error that Django wraps, which has an SQLSTATE."""
    error.__cause__ = type("DriverError", (Exception,), {"sqlstate": sqlstate})(SECRET)
    return error


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
DATABASE_FAILURES = [
    sql_error(InternalError(SECRET), "XX000"),
    sql_error(IntegrityError(SECRET), "23505"),
]
DATABASE_UNAVAILABLE = [
    OperationalError(SECRET),
    InterfaceError(SECRET),
    sql_error(InternalError(SECRET), "25006"),
    sql_error(InternalError(SECRET), "25P03"),
]


@pytest.mark.parametrize("error", FAILURES + DATABASE_FAILURES, ids=name_of)
@every_view
def test_failure_of_view_leaks_nothing_and_is_reported(client, fail_with, caplog, got_request_exceptions, error, path):
    fail_with(error)
    response = client.get(path)
    check_server_error(response, path)
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


def test_failure_of_view_logs_traceback_once(client, fail_with, caplog):
    fail_with(RuntimeError(SECRET))
    response = client.get(REST_FRAMEWORK)
    assert caplog.text.count("Traceback (most recent call last)") == 1
    assert caplog.text.count(f"RuntimeError: {SECRET}") == 1
    assert [record.request_id for record in caplog.records] == [response.headers["X-Request-ID"]]


@pytest.mark.parametrize("error", FAILURES, ids=name_of)
@pytest.mark.parametrize("position", [0, 1, None], ids=["outermost", "second", "innermost"])
def test_failure_of_middleware_leaks_nothing_and_is_reported(
    client, fail_with, caplog, got_request_exceptions, settings, error, position
):
    fail_with(error)
    middleware = list(settings.MIDDLEWARE)
    after_ours = middleware.index("rest.middleware.api_middleware") + 1
    at = len(middleware) if position is None else after_ours + position
    settings.MIDDLEWARE = [*middleware[:at], FAILING_MIDDLEWARE, *middleware[at:]]
    response = client.get(HOST)
    check_server_error(response, HOST)
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


@pytest.mark.parametrize("error", DATABASE_UNAVAILABLE, ids=name_of)
@every_view
def test_unavailable_database_is_service_unavailable(client, fail_with, caplog, got_request_exceptions, error, path):
    fail_with(error)
    response = client.get(path)
    check_server_error(response, path, "service_unavailable", **{"Retry-After": "1"})
    check_nothing_leaks(response)
    check_reported_once(error, response, caplog, got_request_exceptions)


@pytest.mark.parametrize("error", [types.ServerError(), drf_exceptions.APIException(SECRET)], ids=name_of)
def test_server_error_of_rest_framework_leaks_nothing(client, fail_with, error):
    fail_with(error)
    response = client.get(REST_FRAMEWORK)
    check_server_error(response, REST_FRAMEWORK)
    check_nothing_leaks(response)


def test_failure_outside_api_is_a_problem(client, fail_with):
    fail_with(RuntimeError(SECRET))
    response = client.get("/django")
    assert response.status_code == 500
    assert response.json() == problem("server_error", "/django", request_id=response.headers["X-Request-ID"])
    assert response.headers["Content-Type"] == PROBLEM_JSON
    check_nothing_leaks(response)


# The Host header

HOST_PROBLEM = [fault("not_allowed", "This Host is not served here", header="Host")]


@pytest.mark.parametrize("host", ["elsewhere.example", "not a host", "testserver:port", "/", ""])
def test_host_not_served_is_refused_by_any_view(client, fail_with, host):
    fail_with(None)
    response = client.get(HOST, headers={"host": host})
    check(response, problem("validation_error", HOST, errors=HOST_PROBLEM))


def test_host_not_served_is_refused_by_https_redirect(settings):
    settings.SECURE_SSL_REDIRECT = True
    response = Client(raise_request_exception=False).get("/api/docs", headers={"host": "elsewhere.example"})
    check(response, problem("validation_error", "/api/docs", errors=HOST_PROBLEM))


@pytest.mark.parametrize("host", ["testserver", "localhost:8000", "elsewhere.example"])
def test_type_with_any_host_is_a_path(client, host):
    response = client.get("/api/nowhere", headers={"host": host, "x-forwarded-host": "elsewhere.example"})
    check(response, problem("not_found", "/api/nowhere"))


# DEBUG, with which Django has pages of its own


@pytest.mark.parametrize("path", ["/api", "/api/", "/api//", "/api/nowhere", "/api/tasks/1/", "/api/a%0Ab"])
def test_debug_of_unknown_path_is_a_problem(client, settings, path):
    settings.DEBUG = True
    check(client.get(path), problem("not_found", path))


@every_view
def test_debug_of_failing_view_is_a_problem(client, settings, fail_with, path):
    settings.DEBUG = True
    fail_with(RuntimeError(SECRET))
    response = client.get(path)
    check_server_error(response, path)
    check_nothing_leaks(response)


def test_debug_of_failing_middleware_is_a_problem(client, settings, fail_with):
    settings.DEBUG = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, FAILING_MIDDLEWARE]
    fail_with(RuntimeError(SECRET))
    check_server_error(client.get(HOST), HOST)


def test_debug_of_host_not_served_is_a_problem(client, settings, fail_with):
    settings.DEBUG = True
    fail_with(None)
    response = client.get(HOST, headers={"host": "elsewhere.example"})
    assert (response.status_code, response.headers["Content-Type"]) == (400, PROBLEM_JSON)
    assert response.json()["code"] == "validation_error"


# The admin, whose pages are for people


@pytest.mark.django_db
def test_unknown_path_in_admin_is_a_page(admin_client):
    response = admin_client.get("/admin/nowhere/")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
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
    ids=name_of,
)
def test_failure_in_admin_is_a_page(client, fail_with, error, status, heading):
    fail_with(error)
    response = client.get("/admin/django")
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert response.headers.get("Retry-After") == ("1" if status == 503 else None)
    assert f"<h1>{heading}</h1>" in response.content.decode()
    check_nothing_leaks(response)


# The explanations of the types


def check_explained(response, type_):
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json() == {
        "status": type_.status_code,
        "code": type_.default_code,
        "title": type_.title,
        "description": type_.description,
    }


@pytest.mark.parametrize("code", PROBLEMS)
def test_type_of_problem_leads_to_explanation(client, code):
    check_explained(client.get(f"/problems/{code}"), PROBLEMS[code])


def test_explanation_needs_no_token(client, monkeypatch):
    def refuse(*_):
        raise types.NotAuthenticated

    monkeypatch.setattr(SingleUserAuthentication, "authenticate", refuse)
    response = client.get(TASKS)
    assert response.json() == problem("not_authenticated", TASKS)
    check_explained(client.get(response.json()["type"]), types.NotAuthenticated)


@pytest.mark.parametrize(
    "code", ["nowhere", "invalid", "error", "invalid_version", "deprecated_version", "CONFLICT", "a.b", "conflict/"]
)
def test_explanation_of_unknown_code_is_not_found(client, code):
    response = client.get(f"/problems/{code}")
    assert (response.status_code, response.headers["Content-Type"]) == (404, PROBLEM_JSON)
    assert response.json() == problem("not_found", f"/problems/{code}")


def test_explanation_refuses_other_methods(client):
    response = client.post("/problems/conflict")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert response.json() == problem("method_not_allowed", "/problems/conflict")
