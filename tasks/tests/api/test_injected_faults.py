"""A database that fails at any statement of any request: a 503, and nothing is changed."""

import pytest
from django.db import OperationalError, connection
from django.db.models import F

from tasks.api.views import TaskViewSet
from tasks.models import Task
from tasks.tests.api.contract import ROUTES, TASK_REQUESTS, headers, problem, problem_headers, send
from tasks.tests.api.refusals import LIVE_ID
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

STALE = {"If-Match": '"9"'}
#: PostgreSQL's first statement of a bulk over tasks takes its turn.
BULK_TOGGLE_STATEMENTS = 5 if connection.vendor == "postgresql" else 4
TOGGLE_IN_BULK = f'[{{"op": "toggle", "id": "{LIVE_ID}"}}]'.encode()


def place_of(route):
    return "new" if route.new else "trashed" if route.trashed else "live"


#: Each request, the task that it addresses, its headers, and how many statements it runs.
REQUESTS = {
    **{name: (route, place_of(route), {}, 1) for name, route in (ROUTES | TASK_REQUESTS).items()},
    "put-of-id-in-use": (ROUTES["put"], "live", {}, 2),
    "bulk": (ROUTES["bulk"], "live", {}, 3),  # with SAVEPOINT and RELEASE, because each test is a transaction
    "bulk-toggle": (ROUTES["bulk"]._replace(body=TOGGLE_IN_BULK), "live", {}, BULK_TOGGLE_STATEMENTS),
    "page": (ROUTES["list"]._replace(path="/api/tasks?limit=1&q=a&completed=false"), "live", {}, 1),
    "stale-toggle": (ROUTES["toggle"], "live", STALE, 2),
    "restore-live": (ROUTES["restore"], "live", {}, 2),
}
FAULTS = [(name, number) for name, (*_, statements) in REQUESTS.items() for number in range(statements)]


class FailAt:
    """A wrapper of statements that fails at one of them, counted from 0."""

    def __init__(self, number=None):
        self.number, self.statements = number, 0

    def __call__(self, execute, sql, params, many, context):
        self.statements += 1
        if self.statements - 1 == self.number:
            raise OperationalError("a secret of the database")
        return execute(sql, params, many, context)


@pytest.fixture
def send_with(client):
    """Send a request while a wrapper is around its statements."""
    live = TaskFactory(id=LIVE_ID)
    tasks = {"live": live, "trashed": TaskFactory(trashed=True), "new": TaskFactory.build()}

    def run(name, wrapper):
        route, place, sent_headers, _ = REQUESTS[name]
        with connection.execute_wrapper(wrapper):
            response = send(client, route, tasks[place], **sent_headers)
            if response.streaming:
                response.getvalue()
        return response

    return run


@pytest.mark.parametrize(("name", "number"), FAULTS, ids=[f"{name}-statement-{number}" for name, number in FAULTS])
def test_request_with_failing_statement_changes_nothing(send_with, stored, name, number):
    before = stored()
    response = send_with(name, FailAt(number))
    path = response.wsgi_request.META["PATH_INFO"]
    assert response.status_code == 503
    assert headers(response) == problem_headers(**{"Retry-After": "1"})
    assert response.json() == problem("service_unavailable", path, request_id=response.headers["X-Request-ID"])
    assert stored() == before


@pytest.mark.parametrize("name", REQUESTS)
def test_request_runs_no_other_statement(send_with, name):
    """Without this, the test above could leave out a statement."""
    wrapper = FailAt()
    assert send_with(name, wrapper).status_code < 500
    assert wrapper.statements == REQUESTS[name][-1]


def test_control_without_database_errors_answers_500(send_with, monkeypatch):
    monkeypatch.setattr("rest.problems.responses.is_unavailable", lambda error: False)
    assert {send_with(name, FailAt(number)).status_code for name, number in FAULTS} == {500}


def test_control_without_single_statement_changes_task(send_with, stored, monkeypatch):
    def update_and_read(view, request, id):
        Task.objects.filter(id=id).update(version=F("version") + 1)
        return view.respond(*view._current())

    monkeypatch.setattr(TaskViewSet, "toggle", update_and_read)
    before = stored()
    assert send_with("toggle", FailAt(1)).status_code == 503
    assert stored() != before
