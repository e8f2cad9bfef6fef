"""A deadlock or a serialization failure is tried once more; what then fails again, or fails otherwise, is a 503."""

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client

from tasks.tests.api import contract
from tasks.tests.factories import TaskFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="SQLite has one writer, and neither failure"
    ),
]


@pytest.fixture
def as_user():
    """A client that answers with the server's failures."""
    return Client(raise_request_exception=False)


# A sequence counts on where the transaction is rolled back.
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
    """Lets the first writes of a task fail with an SQLSTATE."""

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
def test_a_passing_failure_is_not_seen(as_user, failing, state):
    task = TaskFactory()
    failing(state, times=1)
    response = as_user.post(f"{contract.path(task)}/toggle")
    assert (response.status_code, response.json()["version"], attempts()) == (200, 2, 2)


@pytest.mark.parametrize(("state", "tried"), [(DEADLOCK, 2), (SERIALIZATION_FAILURE, 2), (DISK_FULL, 1)])
def test_what_does_not_pass_is_a_503_and_changes_nothing(as_user, failing, stored, state, tried):
    task = TaskFactory()
    before = stored()
    failing(state, times=3)
    response = as_user.post(f"{contract.path(task)}/toggle")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["code"] == "service_unavailable"
    assert attempts() == tried
    assert stored() == before


def test_a_transaction_is_lost_as_a_whole(as_user, failing):
    task = TaskFactory()
    failing(DEADLOCK, times=1)
    with transaction.atomic():
        response = as_user.post(f"{contract.path(task)}/toggle")
        transaction.set_rollback(True)
    assert (response.status_code, attempts()) == (503, 1)
