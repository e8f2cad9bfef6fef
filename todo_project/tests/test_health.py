"""The probes: is the process alive, and can it serve."""

import socket
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

OK = {"status": "ok"}


def unavailable(detail, response, instance="/readyz"):
    return {
        "type": "/problems/service_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "instance": instance,
        "code": "service_unavailable",
        "request_id": response.headers["X-Request-ID"],
    }


def check_unavailable(response, detail, instance="/readyz"):
    assert response.json() == unavailable(detail, response, instance)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.headers["Content-Type"] == "application/problem+json"


AWAY = "The service cannot answer for the moment"


def refused_port():
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def nowhere(tmp_path):
    """The settings of a database that is not there: a directory that is missing, or a port that refuses."""
    here = connections.settings["default"]
    if connection.vendor == "sqlite":
        return {**here, "NAME": str(tmp_path / "missing" / "db.sqlite3")}
    options = {name: value for name, value in here["OPTIONS"].items() if name != "pool"}
    return {**here, "HOST": "127.0.0.1", "PORT": str(refused_port()), "OPTIONS": options}


@contextmanager
def moved(database):
    """The process, with its database elsewhere."""
    before = connections["default"]
    connections["default"] = type(before)(database, "default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = before


@pytest.fixture
def database_away(db, tmp_path):
    with moved(nowhere(tmp_path)):
        yield


@pytest.mark.parametrize("method", ["get", "head"])
def test_healthz_asks_no_database(client, method):
    """Without the ``django_db`` mark, a query would fail the test."""
    response = getattr(client, method)("/healthz")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.content == (b"" if method == "head" else b'{"status": "ok"}')


@pytest.mark.django_db
def test_healthz_makes_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == OK


@pytest.mark.usefixtures("database_away")
def test_healthz_is_well_while_the_database_is_away(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, OK)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head"])
def test_readyz_is_well_when_the_database_answers(client, method):
    response = getattr(client, method)("/readyz")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.content == (b"" if method == "head" else b'{"status": "ok"}')


@pytest.mark.usefixtures("database_away")
def test_readyz_is_not_while_the_database_is_away(client):
    check_unavailable(client.get("/readyz"), AWAY)
    response = client.head("/readyz")
    assert (response.status_code, response.headers["Retry-After"], response.content) == (503, "1", b"")


@pytest.mark.usefixtures("database_away")
def test_readyz_tells_nothing_of_the_database_that_is_away(client):
    body = client.get("/readyz").content.decode()
    for leak in ("missing", "sqlite", "127.0.0.1", "refused", "postgres", "connect"):
        assert leak not in body


@pytest.mark.django_db
def test_readyz_is_well_again_when_the_database_is_back(client, tmp_path):
    with moved(nowhere(tmp_path)):
        assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["tasks", "auth"])
def test_readyz_is_not_while_a_migration_is_missing(client, app):
    [(_, name)] = MigrationLoader(None).graph.leaf_nodes(app)
    assert MigrationRecorder.Migration.objects.filter(app=app, name=name).delete()[0] == 1
    check_unavailable(client.get("/readyz"), "The database lacks a migration")


@pytest.mark.django_db
def test_readyz_fails_where_the_table_of_migrations_is_another(client):
    """Nobody should wait for a database that will never do."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME COLUMN name TO title")
    response = client.get("/readyz")
    assert (response.status_code, response.headers.get("Retry-After")) == (500, None)
    assert response.json() == {
        "type": "/problems/server_error",
        "title": "Server Error",
        "status": 500,
        "detail": "The server failed to answer this request",
        "instance": "/readyz",
        "code": "server_error",
        "request_id": response.headers["X-Request-ID"],
    }


@pytest.mark.django_db
def test_a_migration_of_a_newer_version_does_no_harm(client):
    """While a release is rolled out, the old processes serve on beside the new schema."""
    MigrationRecorder.Migration.objects.create(app="tasks", name="9999_to_come")
    assert client.get("/readyz").status_code == 200


@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/tasks"),
        ("get", "/api/tasks/01a1fae6-0000-7000-8000-000000000000"),
        ("post", "/api/tasks"),
        ("patch", "/api/tasks/01a1fae6-0000-7000-8000-000000000000"),
        ("delete", "/api/tasks/01a1fae6-0000-7000-8000-000000000000"),
        ("post", "/api/tasks/01a1fae6-0000-7000-8000-000000000000/toggle"),
    ],
)
def test_the_api_is_unavailable_while_the_database_is_away(client, method, path):
    send = getattr(client, method)
    if method in {"post", "patch"}:
        send = partial(send, data={"title": "a"}, content_type="application/json")
    check_unavailable(send(path), AWAY, path)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_are_read_only(client, path):
    response = client.post(path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_are_not_redirected_to_https(client, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    assert client.get(path).status_code == 200
