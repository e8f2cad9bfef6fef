"""``Idempotency-Key`` on every write: which responses are replayed, and to which requests."""

import itertools
import re
import threading
from datetime import timedelta
from typing import NamedTuple

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg.errors import DeadlockDetected
from rest_framework import exceptions
from uuid_utils.compat import uuid7

from idempotency.models import KeptResponse
from idempotency.statements import purge
from idempotency.tests.factories import KeptResponseFactory
from tasks.api.views import TaskViewSet
from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    ROUTES,
    TASK_WRITES,
    Route,
    headers,
    json_headers,
    malformed,
    problem,
    problem_headers,
    send,
    task_body,
    task_path,
    unknown_parameter,
)
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
STALE = {"If-Match": '"9"'}


class Operation(NamedTuple):
    """A request that is kept, with its status; ``place`` names the task in the fixture ``tasks``."""

    route: Route
    place: str
    headers: dict = {}
    status: int = 200


def of_own(route, *more):
    return Operation(route, "trashed" if route.trashed else "live", *more)


OPERATIONS = {
    "create": of_own(ROUTES["create"], {}, 201),
    "put": Operation(ROUTES["put"], "absent", {}, 201),
    "bulk": of_own(ROUTES["bulk"]),
    **{name: of_own(route) for name, route in TASK_WRITES.items()},
    "update-of-version": of_own(ROUTES["update"], {"If-Match": '"1"'}),
    "toggle-with-body": of_own(ROUTES["toggle"]._replace(body=b"\xff\x00{")),
    **{f"{name}-absent": Operation(route, "absent", {}, 404) for name, route in TASK_WRITES.items()},
    "restore-live": Operation(ROUTES["restore"], "live", {}, 409),
    **{f"{name}-stale": of_own(route, STALE, 412) for name, route in TASK_WRITES.items()},
}
WRITES = {
    name: each
    for name, each in OPERATIONS.items()
    if each.status == 201 or (each.status == 200 and each.route.versions)
}
WRITES["remove"] = OPERATIONS["remove"]
CREATE, UPDATE, TOGGLE = OPERATIONS["create"], OPERATIONS["update"], OPERATIONS["toggle"]
PUT = OPERATIONS["put"]

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
every_write = pytest.mark.parametrize("operation", WRITES.values(), ids=WRITES)


@pytest.fixture
def tasks(db):
    return {"live": TaskFactory(), "trashed": TaskFactory(trashed=True), "absent": TaskFactory.build()}


def path_of(operation, tasks):
    return operation.route.path.format(id=tasks[operation.place].id)


@pytest.fixture
def perform(as_user, tasks):
    """Send a request with the key, with another one or with none; any part of the request may differ."""

    def send_operation(operation, key=KEY, *, client=as_user, **parts):
        keyed = {} if key is None else {"Idempotency-Key": key}
        route = operation.route._replace(**{name: parts[name] for name in ("method", "body") if name in parts})
        sent_headers = {"Content-Type": JSON, **operation.headers, **keyed, **parts.get("headers", {})}
        path = parts.get("path", path_of(operation, tasks))
        return send(client, route, path=path, **sent_headers)

    return send_operation


def answer(response):
    """Return the parts of a response that a replay repeats."""
    return response.status_code, headers(response), response.headers["Allow"], response.content


def replayed(response):
    """Return the same parts of the replay of a response."""
    status, own_headers, allow, content = answer(response)
    return status, {**own_headers, "Idempotency-Replayed": "true"}, allow, content


def is_replay(response):
    return "Idempotency-Replayed" in response.headers


@every_operation
def test_request_sent_again_is_replayed(perform, stored, kept, operation):
    first = perform(operation)
    assert (first.status_code, is_replay(first)) == (operation.status, False)
    after = stored(), kept()
    again = perform(operation)
    assert answer(again) == replayed(first)
    assert again["X-Request-ID"] != first["X-Request-ID"]
    assert (stored(), kept()) == after
    assert answer(perform(operation)) == replayed(first)


@every_operation
def test_first_response_with_key_is_as_without(perform, tasks, operation):
    response = perform(operation)
    path = path_of(operation, tasks)
    match operation.status:
        case 404:
            assert (headers(response), response.json()) == (problem_headers(), problem("not_found", path))
        case 409:
            expected = problem("conflict", path, detail="The task is not in the trash")
            assert (headers(response), response.json()) == (problem_headers(), expected)
        case 412:
            assert headers(response) == problem_headers(ETag='"1"')
            assert response.json() == problem("precondition_failed", path)
        case 201:
            created = Task.objects.get(title="Buy milk")
            assert headers(response) == json_headers(ETag='"1"', Location=task_path(created))
            assert response.json() == task_body(created)
        case _ if operation == OPERATIONS["bulk"]:
            assert headers(response) == json_headers()
        case _:
            assert headers(response) == json_headers(ETag=f'"{1 + operation.route.versions}"')


@every_write
def test_control_without_key_request_is_carried_out_twice(perform, stored, kept, operation):
    first = perform(operation, None)
    after = stored()
    again = perform(operation, None)
    assert not is_replay(again)
    assert (again.content, stored()) != (first.content, after)
    assert kept() == []


@every_operation
def test_response_is_kept_in_one_row(perform, operation):
    response = perform(operation)
    row = KeptResponse.objects.get()
    assert (row.user_id, row.key, row.status) == ("default", KEY, response.status_code)
    assert bytes(row.body) == response.content
    own = {name: response[name] for name in ("Content-Type", "ETag", "Location") if name in response}
    assert row.headers == own


def test_replay_after_removal_of_task_is_the_same(as_user, perform, tasks):
    first = perform(TOGGLE)
    send(as_user, ROUTES["delete"], tasks["live"])
    send(as_user, ROUTES["remove"], tasks["live"])
    assert answer(perform(TOGGLE)) == replayed(first)


def test_replay_of_412_after_write_is_the_same(perform):
    refused = perform(TOGGLE, headers={"If-Match": '"2"'})
    assert refused.status_code == 412
    assert perform(TOGGLE, None).json()["version"] == 2
    assert answer(perform(TOGGLE, headers={"If-Match": '"2"'})) == replayed(refused)


def test_request_with_other_key_is_carried_out(perform):
    assert [perform(TOGGLE, key).json()["version"] for key in ("one", "two", "ONE")] == [2, 3, 4]


DIFFERENT = {
    "method": {"method": "DELETE"},
    "path": {"path": f"/api/tasks/{uuid7()}"},
    "query": {"path": "/api/tasks/{live}?x=1"},
    "slash": {"path": "/api/tasks/{live}/"},
    "toggle": {"method": "POST", "path": "/api/tasks/{live}/toggle"},
    "body": {"body": b'{"title": "Buy cheese"}'},
    "white space": {"body": b'{"title":"Buy bread"}'},
    "a version": {"headers": {"If-Match": '"1"'}},
    "any version": {"headers": {"If-Match": "*"}},
    "a known version": {"headers": {"If-None-Match": '"1"'}},
    "any known version": {"headers": {"If-None-Match": "*"}},
}
#: Headers of a live task at version 1 that have the same values.
CONDITIONS = [{"If-Match": "*"}, {"If-None-Match": "*"}, {"If-Match": "*", "If-None-Match": "*"}]


@pytest.mark.parametrize("parts", DIFFERENT.values(), ids=DIFFERENT)
def test_different_request_with_used_key_is_refused(perform, tasks, stored, kept, parts):
    path = parts.get("path", "/api/tasks/{live}").format(live=tasks["live"].id)
    perform(UPDATE)
    before = stored(), kept()
    response = perform(UPDATE, **{**parts, "path": path})
    assert (response.status_code, headers(response)) == (422, problem_headers())
    assert response.json() == problem("idempotency_key_reused", path.partition("?")[0])
    assert (stored(), kept()) == before


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations([{}, *CONDITIONS], 2)], ids=str)
def test_request_with_other_conditions_is_refused(perform, one, other):
    assert perform(TOGGLE, headers=one).status_code == 200
    assert perform(TOGGLE, headers=other).status_code == 422
    assert perform(TOGGLE, headers=one).headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "sent_headers",
    [
        {"Accept": "application/problem+json"},
        {"X-Request-ID": "mine"},
        {"Content-Type": "application/merge-patch+json"},
    ],
    ids=lambda sent_headers: next(iter(sent_headers)),
)
def test_request_with_other_headers_is_replayed(perform, sent_headers):
    first = perform(UPDATE)
    assert answer(perform(UPDATE, headers=sent_headers)) == replayed(first)


def test_fingerprint_separates_head_and_body(perform):
    perform(TOGGLE, body=b"")
    for body in (b"\n", b'null]\n{"title": "Buy milk"}', b"["):
        assert perform(TOGGLE, body=body).status_code == 422


#: Faults that are found before the key is looked up.
REFUSED = {
    "header": ({"headers": {"If-Match": "1"}}, 400),
    "Accept": ({"headers": {"Accept": "text/html"}}, 406),
    "method": ({"method": "PUT"}, 405),
    "path": ({"path": "/api/tasks/x"}, 404),
    "large body": ({"body": b" " * (MAX_BODY_BYTES + 1)}, 413),
    "type": ({"headers": {"Content-Type": "text/plain"}}, 415),
}
#: Faults that make it another request, because the key was used for one without them.
INVALID = {
    "field": {"body": b'{"title": ""}'},
    "unknown field": {"body": b'{"title": "Buy milk", "x": 1}'},
    "no object": {"body": b"[]"},
    "no JSON": {"body": b"{"},
    "repeated key": {"body": b'{"title": "Buy milk", "title": "Buy milk"}'},
    "no UTF-8": {"body": b"\xff"},
    "no body": {"body": b""},
    "parameter": {"path": "/api/tasks?x=1"},
}
NOT_KEPT = {**REFUSED, **{name: (parts, 400) for name, parts in INVALID.items()}}


@pytest.mark.parametrize(("parts", "status"), NOT_KEPT.values(), ids=NOT_KEPT)
def test_bad_request_leaves_key_free(perform, kept, parts, status):
    assert perform(CREATE, **parts).status_code == status
    assert kept() == []
    created = perform(CREATE)
    assert (created.status_code, is_replay(created)) == (201, False)


@pytest.mark.parametrize(("parts", "status"), REFUSED.values(), ids=REFUSED)
def test_bad_request_with_used_key_is_refused_for_fault(perform, kept, parts, status):
    perform(CREATE)
    before = kept()
    response = perform(CREATE, **parts)
    assert (response.status_code, is_replay(response)) == (status, False)
    assert kept() == before


@pytest.mark.parametrize("used_for", [CREATE, TOGGLE], ids=["create", "toggle"])
@pytest.mark.parametrize("parts", INVALID.values(), ids=INVALID)
def test_invalid_creation_with_used_key_is_refused_for_key(perform, stored, kept, used_for, parts):
    perform(used_for)
    before = stored(), kept()
    response = perform(CREATE, **parts)
    assert (response.status_code, headers(response)) == (422, problem_headers())
    assert response.json() == problem("idempotency_key_reused", "/api/tasks")
    assert (stored(), kept()) == before


@pytest.mark.parametrize("body", [b'{"title": ""}', b""], ids=["field", "no body"])
def test_invalid_update_with_used_key_is_refused_for_key(perform, tasks, stored, kept, body):
    perform(UPDATE)
    before = stored(), kept()
    assert perform(UPDATE, body=body).json() == problem("idempotency_key_reused", task_path(tasks["live"]))
    assert (stored(), kept()) == before


@every_operation
def test_parameter_with_new_key_is_refused(perform, tasks, stored, kept, operation):
    path = path_of(operation, tasks)
    before = stored()
    response = perform(operation, path=f"{path}?x=1")
    assert response.status_code == 400
    assert response.json() == problem("validation_error", path, errors=[unknown_parameter("x")])
    assert (stored(), kept()) == (before, [])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.NotAuthenticated, 401),
        (exceptions.AuthenticationFailed, 401),
        (exceptions.PermissionDenied, 403),
        (exceptions.Throttled, 429),
    ],
)
def test_refused_caller_leaves_key_free(perform, kept, monkeypatch, error, status):
    def refuse(self, request):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(TaskViewSet, "check_permissions", refuse)
        assert perform(CREATE).status_code == status
    assert kept() == []
    assert perform(CREATE).status_code == 201


STATEMENTS = ("SELECT", 'INSERT INTO "tasks_task"', 'INSERT INTO "idempotency_keptresponse"')

every_statement = pytest.mark.parametrize("statement", STATEMENTS, ids=["look-up", "creation", "keeping"])


@every_statement
def test_failing_statement_writes_nothing_and_leaves_key_free(perform, client, stored, kept, statement):
    before = stored()

    def fail(execute, sql, *arguments):
        if statement in sql:
            raise OperationalError("unavailable")
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail):
        failed = perform(CREATE, client=client)
    assert (failed.status_code, failed["Retry-After"]) == (503, "1")
    assert (stored(), kept()) == (before, [])
    created = perform(CREATE)
    assert (created.status_code, is_replay(created)) == (201, False)


@pytest.mark.django_db(transaction=True)
@every_statement
@pytest.mark.parametrize("operation", [CREATE, PUT], ids=["one-statement", "transaction"])
def test_deadlock_is_retried_once(perform, stored, kept, operation, statement):
    """Retry a whole transaction.

    A deadlock rolls back its earlier statements, so a retry of the last statement alone would lose them.
    """
    before = len(stored())
    deadlocks = [OperationalError("deadlock detected")]
    deadlocks[0].__cause__ = DeadlockDetected()

    def fail_once(execute, sql, *arguments):
        if deadlocks and statement in sql:
            raise deadlocks.pop()
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail_once):
        created = perform(operation)
    assert (created.status_code, deadlocks) == (201, [])
    assert answer(perform(operation)) == replayed(created)
    assert (len(stored()), len(kept())) == (before + 1, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("key", [KEY, "not a key", ""])
def test_read_ignores_key(as_user, tasks, kept, method, key):
    route = ROUTES["retrieve"]._replace(method=method)
    response = send(as_user, route, tasks["live"], **{"Idempotency-Key": key})
    assert (response.status_code, headers(response)) == (200, headers(send(as_user, route, tasks["live"])))
    assert kept() == []


@pytest.mark.parametrize("key", ["!", "~", "a,b", '"quoted"', "x" * 255])
def test_key_of_visible_ascii_is_accepted(perform, key):
    first = perform(CREATE, key)
    assert answer(perform(CREATE, key)) == replayed(first)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "x\x7f", "x\n", "\xe9", "a\tb", "\x00"])
def test_key_of_other_characters_is_refused(perform, stored, kept, key):
    before = stored()
    response = perform(CREATE, key)
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", "/api/tasks", errors=[malformed("Idempotency-Key")])
    assert (stored(), kept()) == (before, [])


def test_key_of_other_user_is_free(perform):
    foreign = KeptResponseFactory(user_id=SOMEBODY_ELSE, key=KEY, body=b'{"title": "A secret"}')
    response = perform(CREATE)
    assert (response.status_code, response.json()["title"]) == (201, "Buy milk")
    assert b"secret" not in perform(CREATE).content
    assert set(KeptResponse.objects.values_list("user_id", "key")) == {(SOMEBODY_ELSE, KEY), ("default", KEY)}
    foreign.refresh_from_db()
    assert bytes(foreign.body) == b'{"title": "A secret"}'


def test_key_expires_after_24_hours(perform):
    perform(TOGGLE)
    KeptResponse.objects.update(created_at=timezone.now() - timedelta(hours=24) + timedelta(minutes=1))
    assert is_replay(perform(TOGGLE))
    KeptResponse.objects.update(created_at=timezone.now() - timedelta(hours=24))
    again = perform(TOGGLE)
    assert (again.json()["version"], is_replay(again)) == (3, False)
    assert answer(perform(TOGGLE)) == replayed(again)


def test_expired_key_is_free_for_different_request(perform):
    KeptResponseFactory(key=KEY, expired=True)
    assert perform(CREATE).status_code == 201
    assert KeptResponse.objects.get().status == 201


@pytest.fixture
def old_keys():
    """Store 15 expired responses of the caller, and others.

    Return the keys of these 15, the oldest first.
    """
    now = timezone.now()
    for hours in range(24, 39):
        KeptResponseFactory(key=f"expired-{hours}", created_at=now - timedelta(hours=hours))
    KeptResponseFactory(key="young", created_at=now - timedelta(hours=23, minutes=59))
    KeptResponseFactory(key="foreign", user_id=SOMEBODY_ELSE, expired=True)
    return [f"expired-{hours}" for hours in range(38, 23, -1)]


def kept_keys():
    return set(KeptResponse.objects.values_list("key", flat=True))


def test_keyed_write_deletes_ten_expired_responses(perform, old_keys):
    assert perform(CREATE, None).status_code == 201
    assert kept_keys() == {*old_keys, "young", "foreign"}
    perform(CREATE)
    assert kept_keys() == {*old_keys[10:], "young", "foreign", KEY}
    assert is_replay(perform(CREATE))
    assert kept_keys() == {*old_keys[10:], "young", "foreign", KEY}
    perform(CREATE, "another")
    assert kept_keys() == {"young", "foreign", KEY, "another"}


def test_control_without_purge_expired_responses_stay(perform, old_keys, monkeypatch):
    monkeypatch.setattr(purge, "fetch", lambda **values: None)
    perform(CREATE)
    assert kept_keys() == {*old_keys, "young", "foreign", KEY}


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite lets one transaction write at a time")
@pytest.mark.django_db(transaction=True)
def test_keyed_write_skips_rows_that_another_deletes(perform, old_keys):
    """Without ``SKIP LOCKED``, the second request would wait for the transaction around it."""

    def send_other():
        perform(CREATE, "other", client=Client())
        connections.close_all()

    with transaction.atomic():
        KeptResponse.objects.filter(key__in=old_keys[:12]).delete()
        thread = threading.Thread(target=send_other)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    assert kept_keys() == {"young", "foreign", "other"}


@pytest.mark.django_db(transaction=True)
def test_key_adds_few_statements_to_each_request(perform):
    perform(TOGGLE, "compiles-the-statements")
    runs = []
    for key in (None, KEY, KEY):
        with CaptureQueriesContext(connection) as queries:
            perform(TOGGLE, key)
        runs.append([query["sql"].split()[0] for query in queries])
    first, again = {
        "postgresql": (["SELECT", "WITH"], ["SELECT"]),
        "sqlite": (["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"], ["BEGIN", "SELECT", "COMMIT"]),
    }[connection.vendor]
    assert runs == [["UPDATE"], first, again]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite plans each statement by its indexes alone")
def test_look_up_planned_for_empty_table_searches_by_key(perform):
    """PostgreSQL keeps the plan of a prepared statement while the table fills."""
    with CaptureQueriesContext(connection) as queries:
        perform(TOGGLE)
    [look_up] = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE idempotency_keptresponse")
        cursor.execute(f"EXPLAIN {look_up}")
        plan = " ".join(line for [line] in cursor.fetchall())
    indexes = re.findall("Index Scan using (idempotency_[a-z]+_[a-z_]+) on idempotency_keptresponse u0", plan)
    assert indexes == ["idempotency_key_once_a_user", "idempotency_user_age"]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no standby")
def test_replay_locks_its_response_alone(perform, old_keys):
    """The lock lets a replay wait for a synchronous standby; locked old responses would let others wait."""
    perform(TOGGLE)
    with CaptureQueriesContext(connection) as queries:
        assert is_replay(perform(TOGGLE))
    [look_up] = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert re.findall(r"LIMIT 1 FOR UPDATE\)|FOR UPDATE", look_up) == ["LIMIT 1 FOR UPDATE)"]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite lets one transaction write at a time")
@pytest.mark.django_db(transaction=True)
@every_operation
def test_concurrent_requests_with_one_key_write_once(perform, stored, kept, operation):
    """A second request is carried out between the look-up of the first one and its write."""
    faster = []

    def send_faster():
        faster.append(perform(operation, client=Client()))
        connections.close_all()

    def send_before_write(execute, sql, *arguments):
        # After the first write or lock, the second request would wait for the first one.
        if not faster and any(part in sql for part in ("INSERT", 'UPDATE "', "DELETE", "pg_advisory_xact_lock")):
            thread = threading.Thread(target=send_faster)
            thread.start()
            thread.join()
        return execute(sql, *arguments)

    with connection.execute_wrapper(send_before_write):
        slower = perform(operation)
    assert answer(slower) == replayed(faster[0])
    assert len(kept()) == 1
    after = stored()
    assert answer(perform(operation)) == replayed(faster[0])
    assert stored() == after
