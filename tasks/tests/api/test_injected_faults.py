"""A database that fails at any one statement of any operation: a clean 503, and nothing is changed."""

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.test import Client

from tasks.api.views import TaskViewSet
from tasks.models import Task
from tasks.tests.api import contract
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    """A client that answers with the server's failures."""
    return Client(raise_request_exception=False)


@pytest.fixture
def live():
    return TaskFactory()


@pytest.fixture
def trashed():
    return TaskFactory(deleted_at="2026-01-11T09:30:00Z")


JSON = {"content_type": "application/json"}
STALE = {"If-Match": '"9"'}

#: By name, the request, and how many statements it takes.
OPERATIONS = {
    "list": (lambda client, live, trashed: client.get("/api/tasks"), 1),
    "page": (lambda client, live, trashed: client.get("/api/tasks?limit=1&q=a&completed=false"), 1),
    "create": (lambda client, live, trashed: client.post("/api/tasks", {"title": "New"}, **JSON), 1),
    "retrieve": (lambda client, live, trashed: client.get(contract.path(live)), 1),
    "patch": (lambda client, live, trashed: client.patch(contract.path(live), {"title": "New"}, **JSON), 1),
    "empty patch": (lambda client, live, trashed: client.patch(contract.path(live), {}, **JSON), 1),
    "toggle": (lambda client, live, trashed: client.post(f"{contract.path(live)}/toggle"), 1),
    "stale toggle": (lambda client, live, trashed: client.post(f"{contract.path(live)}/toggle", headers=STALE), 2),
    "delete": (lambda client, live, trashed: client.delete(contract.path(live)), 1),
    "trash": (lambda client, live, trashed: client.get("/api/tasks/trash"), 1),
    "retrieve trashed": (lambda client, live, trashed: client.get(contract.trash_path(trashed)), 1),
    "restore": (lambda client, live, trashed: client.post(f"{contract.path(trashed)}/restore"), 1),
    "restore live": (lambda client, live, trashed: client.post(f"{contract.path(live)}/restore"), 2),
    "remove": (lambda client, live, trashed: client.delete(contract.trash_path(trashed)), 1),
}
FAULTS = [(name, number) for name, (_, statements) in OPERATIONS.items() for number in range(statements)]


class FailAt:
    """Fails at one statement, counted from 0 (Django's "Database instrumentation")."""

    def __init__(self, number=None):
        self.number, self.seen = number, 0

    def __call__(self, execute, sql, params, many, context):
        self.seen += 1
        if self.seen - 1 == self.number:
            raise OperationalError("a secret of the database")
        return execute(sql, params, many, context)


@pytest.mark.parametrize(("name", "number"), FAULTS, ids=[f"{name}, statement {number}" for name, number in FAULTS])
def test_it_is_a_503_and_changes_nothing(client, live, trashed, stored, name, number):
    before = stored()
    operation, _ = OPERATIONS[name]
    with connection.execute_wrapper(FailAt(number)):
        response = operation(client, live, trashed)
    assert response.status_code == 503
    assert contract.headers(response) == contract.problem_headers(**{"Retry-After": "1"})
    assert response.json() == {
        "type": "/problems/service_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The service cannot answer for the moment",
        "instance": response.wsgi_request.META["PATH_INFO"],
        "code": "service_unavailable",
        "request_id": response.headers["X-Request-ID"],
    }
    assert stored() == before


def test_control_a_handler_that_knows_no_database_answers_500(client, live, trashed, monkeypatch):
    monkeypatch.setattr("rest.problems.responses.is_unavailable", lambda error: False)
    seen = set()
    for name, number in FAULTS:
        with connection.execute_wrapper(FailAt(number)):
            seen.add(OPERATIONS[name][0](client, live, trashed).status_code)
    assert seen == {500}


def test_control_a_write_that_reads_what_it_wrote_is_a_503_that_has_changed_something(
    client, live, trashed, stored, monkeypatch
):
    def toggle(view, request, id):
        Task.objects.filter(id=id).update(version=F("version") + 1, completed=~F("completed"))
        return view.show(view.stored())

    monkeypatch.setattr(TaskViewSet, "toggle", toggle)
    before = stored()
    with connection.execute_wrapper(FailAt(1)):
        response = OPERATIONS["toggle"][0](client, live, trashed)
    assert (response.status_code, stored() != before) == (503, True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_these_are_all_statements(client, live, trashed, name):
    """Or a fault would be left out above."""
    operation, statements = OPERATIONS[name]
    count = FailAt()
    with connection.execute_wrapper(count):
        response = operation(client, live, trashed)
        if response.streaming:
            b"".join(response)
    assert (response.status_code < 500, count.seen) == (True, statements)
