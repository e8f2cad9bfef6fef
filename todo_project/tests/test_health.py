"""The probes ``/healthz`` and ``/readyz``."""

import json
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

import pytest
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from rest.problems.types import ServiceUnavailable
from testing.ports import free_port
from todo_project import __version__, health
from todo_project.health import Readiness

OK = {"status": "ok", "build": __version__}


UNAVAILABLE = "The service cannot answer for the moment"


def assert_unavailable(response, detail=UNAVAILABLE, instance="/readyz"):
    assert response.json() == {
        "type": "/problems/service_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "instance": instance,
        "code": "service_unavailable",
        "request_id": response.headers["X-Request-ID"],
    }
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.headers["Content-Type"] == "application/problem+json"


def unreachable_database(tmp_path):
    """Return the settings of a file in a missing directory, or of a port that refuses connections."""
    reachable = connections.settings["default"]
    if connection.vendor == "sqlite":
        return {**reachable, "NAME": str(tmp_path / "missing" / "db.sqlite3")}
    options = {name: value for name, value in reachable["OPTIONS"].items() if name != "pool"}
    return {**reachable, "HOST": "127.0.0.1", "PORT": str(free_port()), "OPTIONS": options}


@contextmanager
def connected_to(database):
    """Replace the connection of the process by one to ``database``, which does not wait for the database."""
    reachable = connections["default"]
    connections["default"] = type(reachable)(database, "default")
    try:
        with override_settings(DB_START_TIMEOUT=0):
            yield
    finally:
        connections["default"].close()
        connections["default"] = reachable


class SameThread(Executor):
    """Runs a question at once, in the thread and transaction of the test."""

    def submit(self, ask):
        question = Future()
        question.set_result(ask())
        return question


@pytest.fixture(autouse=True)
def _ask_at_each_probe(monkeypatch):
    monkeypatch.setattr(health, "SECONDS_BETWEEN_QUESTIONS", 0)
    monkeypatch.setattr(health, "readiness", Readiness(SameThread()))


@pytest.fixture
def unavailable_database(db, tmp_path):
    with connected_to(unreachable_database(tmp_path)):
        yield


@pytest.mark.parametrize("method", ["get", "head"])
def test_healthz_answers_without_a_database(client, method):
    """Without the mark ``django_db`` a query would fail the test."""
    response = getattr(client, method)("/healthz")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.content == (b"" if method == "head" else json.dumps(OK).encode())


@pytest.mark.django_db
def test_healthz_makes_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == OK


@pytest.mark.usefixtures("unavailable_database")
def test_healthz_with_unavailable_database_answers_200(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, OK)


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head"])
def test_readyz_answers_200(client, method):
    response = getattr(client, method)("/readyz")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.content == (b"" if method == "head" else json.dumps(OK).encode())


@pytest.mark.usefixtures("unavailable_database")
def test_readyz_with_unavailable_database_answers_503(client):
    assert_unavailable(client.get("/readyz"))
    response = client.head("/readyz")
    assert (response.status_code, response.headers["Retry-After"], response.content) == (503, "1", b"")


@pytest.mark.usefixtures("unavailable_database")
def test_readyz_does_not_describe_the_unavailable_database(client):
    body = client.get("/readyz").content.decode()
    for leak in ("missing", "sqlite", "127.0.0.1", "refused", "postgres", "connect"):
        assert leak not in body


@pytest.mark.django_db
def test_readyz_after_the_outage_answers_200(client, tmp_path):
    with connected_to(unreachable_database(tmp_path)):
        assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["tasks", "auth"])
def test_readyz_without_a_migration_answers_503(client, app):
    [(_, name)] = MigrationLoader(None).graph.leaf_nodes(app)
    assert MigrationRecorder.Migration.objects.filter(app=app, name=name).delete()[0] == 1
    assert_unavailable(client.get("/readyz"), f"The database lacks the migration {app}.{name}")


@pytest.mark.django_db
def test_readyz_with_a_foreign_migrations_table_answers_500(client):
    """A 503 would tell the orchestrator to wait, although this database never becomes usable."""
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
def test_readyz_with_a_newer_migration_answers_200(client):
    """During a rolling release, old processes serve with the new schema."""
    MigrationRecorder.Migration.objects.create(app="tasks", name="9999_to_come")
    assert client.get("/readyz").status_code == 200


@pytest.mark.usefixtures("unavailable_database")
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
def test_api_with_unavailable_database_answers_503(client, method, path):
    send = getattr(client, method)
    if method in {"post", "patch"}:
        send = partial(send, data={"title": "a"}, content_type="application/json")
    assert_unavailable(send(path), instance=path)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_refuses_other_methods(client, path):
    response = client.post(path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_is_not_redirected_to_https(client, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    assert client.get(path).status_code == 200


class Database:
    """A database that answers when the test lets it, and counts the questions."""

    def __init__(self):
        self.questions, self.faults, self.answers = 0, [], Event()
        self.answers.set()

    def find_fault(self):
        self.questions += 1
        assert self.answers.wait(60)
        return self.faults.pop(0) if self.faults else None


@pytest.fixture
def database(monkeypatch):
    """Ask this database in a thread, once for all probes of the test."""
    database = Database()
    monkeypatch.setattr(health, "find_fault_of_database", database.find_fault)
    monkeypatch.setattr(health, "SECONDS_BETWEEN_QUESTIONS", 3600)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 60)
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(health, "readiness", Readiness(threads))
        yield database
        database.answers.set()


def freeze(database, monkeypatch):
    """Let no further question be answered, and let the next probe ask."""
    database.answers.clear()
    monkeypatch.setattr(health, "SECONDS_BETWEEN_QUESTIONS", 0)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.01)


def test_readyz_asks_database_once_a_second(client, database):
    assert [client.get("/readyz").status_code for _ in range(3)] == [200] * 3
    assert database.questions == 1


def test_readyz_without_answer_repeats_young_answer(client, database, settings, monkeypatch):
    settings.READY_CACHE = 60
    monkeypatch.setattr(health, "monotonic", lambda: 1000)
    assert client.get("/readyz").status_code == 200
    freeze(database, monkeypatch)
    monkeypatch.setattr(health, "monotonic", lambda: 1059)
    assert [client.get("/readyz").status_code for _ in range(3)] == [200] * 3
    assert database.questions == 2


def test_readyz_without_answer_and_young_answer_is_503(client, database, settings, monkeypatch):
    settings.READY_CACHE = 0
    assert client.get("/readyz").status_code == 200
    freeze(database, monkeypatch)
    for _ in range(3):
        assert_unavailable(client.get("/readyz"))
    assert database.questions == 2


def test_readyz_before_any_answer_is_503(client, database, monkeypatch):
    freeze(database, monkeypatch)
    assert_unavailable(client.get("/readyz"))


@pytest.mark.parametrize(("fault", "questions"), [(None, (1, 2)), (ServiceUnavailable(), (2, 3))], ids=["200", "503"])
def test_readyz_repeats_only_good_answers(client, database, settings, monkeypatch, fault, questions):
    """With READY_CACHE=60 a good answer makes the database rest for 30 s; a fault may end each second."""
    settings.READY_CACHE = 60
    monkeypatch.setattr(health, "SECONDS_BETWEEN_QUESTIONS", 1)
    database.faults = [fault]
    asked = []
    for now in (1000, 1029, 1060):
        monkeypatch.setattr(health, "monotonic", lambda now=now: now)
        client.get("/readyz")
        asked.append(database.questions)
    assert asked == [1, *questions]
