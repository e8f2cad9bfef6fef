"""A write is retried once after a deadlock or a serialization failure."""

import pytest
from django.conf import settings
from django.db import connection, transaction

from tasks.tests.api.contract import ROUTES, headers, problem, problem_headers, send
from tasks.tests.factories import TaskFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="SQLite has one writer, and so no conflicts"
    ),
]


TOGGLE = ROUTES["toggle"]

# A sequence keeps its value when the transaction is rolled back.
FAILING = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('attempts') <= {times} THEN
        RAISE EXCEPTION USING ERRCODE = '{state}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE UPDATE ON tasks_task FOR EACH ROW EXECUTE FUNCTION fail();
"""


@pytest.fixture
def failing():
    """Let the first writes of tasks fail with an SQLSTATE."""

    def start(state, times):
        with connection.cursor() as cursor:
            cursor.execute(FAILING.format(state=state, times=times))

    yield start
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION fail CASCADE; DROP SEQUENCE attempts")


def attempts():
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM attempts")
        return cursor.fetchone()[0]


DEADLOCK, SERIALIZATION_FAILURE, DISK_FULL = "40P01", "40001", "53100"


@pytest.mark.parametrize("state", [DEADLOCK, SERIALIZATION_FAILURE])
def test_write_with_one_conflict_succeeds_on_retry(client, failing, state):
    task = TaskFactory()
    failing(state, times=1)
    response = send(client, TOGGLE, task)
    assert (response.status_code, response.json()["version"], attempts()) == (200, 2, 2)


@pytest.mark.parametrize(("state", "tried"), [(DEADLOCK, 2), (SERIALIZATION_FAILURE, 2), (DISK_FULL, 1)])
def test_write_with_lasting_failure_answers_503(client, failing, stored, state, tried):
    task = TaskFactory()
    before = stored()
    failing(state, times=3)
    response = send(client, TOGGLE, task)
    request_id, path = response.headers["X-Request-ID"], TOGGLE.path.format(id=task.id)
    assert (response.status_code, headers(response)) == (503, problem_headers(**{"Retry-After": "1"}))
    assert response.json() == problem("service_unavailable", path, request_id=request_id)
    assert attempts() == tried
    assert stored() == before


def test_write_with_conflict_in_transaction_is_not_retried(client, failing):
    task = TaskFactory()
    failing(DEADLOCK, times=1)
    with transaction.atomic():
        response = send(client, TOGGLE, task)
        transaction.set_rollback(True)
    assert (response.status_code, attempts()) == (503, 1)
