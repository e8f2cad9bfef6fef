"""``Idempotency-Key`` on every endpoint that writes: what is given again, what is not, and what it is bound to."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg.errors import DeadlockDetected
from rest_framework import exceptions
from uuid_utils.compat import uuid7

from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory
from tasks.api.views import TaskViewSet
from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BODY_BYTES,
    headers,
    json_headers,
    path,
    problem,
    problem_headers,
    task_body,
    trash_path,
)
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
ABSENT = uuid7()
NEW = b'{"title": "Buy milk"}'
CHANGE = b'{"completed": true}'

TASK = "/api/tasks/{task}"
TOGGLE = f"{TASK}/toggle"
RESTORE = "/api/tasks/{trashed}/restore"
IN_TRASH = "/api/tasks/trash/{trashed}"
NOWHERE = f"/api/tasks/{ABSENT}"
STALE = {"If-Match": '"9"'}

#: Method, path, body, headers and the status that the operation comes to.
OPERATIONS = {
    "create": ("POST", "/api/tasks", NEW, {}, 201),
    "patch": ("PATCH", TASK, CHANGE, {}, 200),
    "patch of a version": ("PATCH", TASK, CHANGE, {"If-Match": '"1"'}, 200),
    "empty patch": ("PATCH", TASK, b"{}", {}, 200),
    "delete": ("DELETE", TASK, b"", {}, 200),
    "toggle": ("POST", TOGGLE, b"", {}, 200),
    "toggle with a body": ("POST", TOGGLE, b"\xff\x00{", {}, 200),
    "restore": ("POST", RESTORE, b"", {}, 200),
    "removal": ("DELETE", IN_TRASH, b"", {}, 200),
    "patch of no task": ("PATCH", NOWHERE, CHANGE, {}, 404),
    "empty patch of no task": ("PATCH", NOWHERE, b"{}", {}, 404),
    "delete of no task": ("DELETE", NOWHERE, b"", {}, 404),
    "toggle of no task": ("POST", f"{NOWHERE}/toggle", b"", {}, 404),
    "restore of no task": ("POST", f"{NOWHERE}/restore", b"", {}, 404),
    "removal of no task": ("DELETE", f"/api/tasks/trash/{ABSENT}", b"", {}, 404),
    "restore of a live task": ("POST", f"{TASK}/restore", b"", {}, 409),
    "patch of a stale version": ("PATCH", TASK, CHANGE, STALE, 412),
    "empty patch of a stale version": ("PATCH", TASK, b"{}", STALE, 412),
    "delete of a stale version": ("DELETE", TASK, b"", STALE, 412),
    "toggle of a stale version": ("POST", TOGGLE, b"", STALE, 412),
    "restore of a stale version": ("POST", RESTORE, b"", STALE, 412),
    "removal of a stale version": ("DELETE", IN_TRASH, b"", STALE, 412),
}
WRITES = {name: operation for name, operation in OPERATIONS.items() if operation[-1] < 300 and "empty" not in name}

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
every_write = pytest.mark.parametrize("operation", WRITES.values(), ids=WRITES)


@pytest.fixture
def ids():
    return {"task": TaskFactory().id, "trashed": TaskFactory(trashed=True).id}


@pytest.fixture
def send(as_user, ids):
    """Carry out an operation, with the key unless it is told another or none; any part of the request may differ."""

    def request(operation, key=KEY, *, client=as_user, body=None, **differing):
        method, where, usual_body, request_headers, _ = operation
        keyed = {} if key is None else {"Idempotency-Key": key}
        return client.generic(
            differing.get("method", method),
            differing.get("path", where.format(**ids)),
            usual_body if body is None else body,
            content_type=JSON,
            headers={**request_headers, **keyed, **differing.get("headers", {})},
        )

    return request


def answer(response):
    """What a replay gives again."""
    return response.status_code, headers(response), response.headers["Allow"], response.content


def replayed(response):
    status, given, allow, content = answer(response)
    return status, {**given, "Idempotency-Replayed": "true"}, allow, content


@every_operation
def test_the_same_request_again_gets_the_same_answer(send, stored, kept, operation):
    first = send(operation)
    assert first.status_code == operation[-1]
    assert "Idempotency-Replayed" not in first
    after, rows = stored(), kept()
    again = send(operation)
    assert answer(again) == replayed(first)
    assert again["X-Request-ID"] != first["X-Request-ID"]
    assert (stored(), kept()) == (after, rows)
    assert answer(send(operation)) == replayed(first)


@every_operation
def test_a_key_changes_nothing_in_the_first_answer(send, ids, operation):
    response = send(operation)
    place = operation[1].format(**ids)
    match operation[-1]:
        case 404:
            assert (headers(response), response.json()) == (problem_headers(), problem("not_found", place))
        case 409:
            detail = "The task is not in the trash"
            assert headers(response) == problem_headers()
            assert response.json() == problem("conflict", place, detail=detail)
        case 412:
            assert headers(response) == problem_headers(ETag='"1"')
            assert response.json() == problem("precondition_failed", place)
        case 201:
            created = Task.objects.get(title="Buy milk")
            assert headers(response) == json_headers(ETag='"1"', Location=path(created))
            assert response.json() == task_body(created)
        case _:
            assert headers(response) == json_headers(ETag=f'"{response.json()["version"]}"')


@every_write
def test_without_a_key_it_is_carried_out_again(send, stored, kept, operation):
    """The control: what stays as it is above would not, but for the key."""
    first = send(operation, None)
    after = stored()
    again = send(operation, None)
    assert "Idempotency-Replayed" not in again
    assert (again.content, stored()) != (first.content, after)
    assert kept() == []


@every_operation
def test_what_is_kept_is_one_row(send, operation):
    response = send(operation)
    row = KeptResponse.objects.get()
    assert (row.user_id, row.key, row.status) == ("default", KEY, response.status_code)
    assert bytes(row.body) == response.content
    own = {name: response[name] for name in ("Content-Type", "ETag", "Location") if name in response}
    assert row.headers == own


def test_what_it_came_to_is_given_whatever_became_of_the_task(as_user, send, ids):
    first = send(OPERATIONS["toggle"])
    as_user.delete(TASK.format(**ids))
    as_user.delete(f"/api/tasks/trash/{ids['task']}")
    assert answer(send(OPERATIONS["toggle"])) == replayed(first)


def test_a_stale_version_stays_stale_under_its_key(send, as_user, ids):
    refused = send(OPERATIONS["toggle"], headers={"If-Match": '"2"'})
    assert refused.status_code == 412
    as_user.generic("POST", TOGGLE.format(**ids))
    assert answer(send(OPERATIONS["toggle"], headers={"If-Match": '"2"'})) == replayed(refused)


def test_another_key_is_another_request(send):
    assert send(OPERATIONS["toggle"], "one").json()["version"] == 2
    assert send(OPERATIONS["toggle"], "two").json()["version"] == 3
    assert send(OPERATIONS["toggle"], "ONE").json()["version"] == 4


DIFFERENT = {
    "method": {"method": "DELETE"},
    "path": {"path": f"/api/tasks/{ABSENT}"},
    "slash": {"path": TASK + "/"},
    "toggle": {"method": "POST", "path": TOGGLE},
    "body": {"body": b'{"completed": false}'},
    "white space": {"body": b'{"completed":true}'},
    "no If-Match": {"headers": {"If-Match": '"1"'}},
    "any If-Match": {"headers": {"If-Match": "*"}},
}


@pytest.mark.parametrize("different", DIFFERENT.values(), ids=DIFFERENT)
def test_another_request_under_the_same_key_is_refused(send, ids, stored, kept, different):
    if "path" in different:
        different = {**different, "path": different["path"].format(**ids)}
    send(OPERATIONS["patch"])
    before = stored(), kept()
    response = send(OPERATIONS["patch"], **different)
    where = different.get("path", TASK.format(**ids))
    assert response.status_code == 422
    assert headers(response) == problem_headers()
    assert response.json() == {
        "type": "/problems/idempotency_key_reused",
        "title": "Idempotency Key Reused",
        "status": 422,
        "detail": "This Idempotency-Key was used for another request",
        "instance": where,
        "code": "idempotency_key_reused",
    }
    assert (stored(), kept()) == before


@pytest.mark.parametrize(
    "alike",
    [
        {"headers": {"Accept": "application/problem+json"}},
        {"headers": {"X-Request-ID": "mine"}},
        {"headers": {"If-None-Match": '"1"'}},
        {"headers": {"Content-Type": "application/merge-patch+json"}},
    ],
    ids=["Accept", "X-Request-ID", "If-None-Match", "Content-Type"],
)
def test_what_else_differs_does_not_matter(send, alike):
    first = send(OPERATIONS["patch"])
    assert answer(send(OPERATIONS["patch"], **alike)) == replayed(first)


def test_the_fingerprint_tells_its_parts_apart(send):
    """The end of one is not the beginning of the next."""
    send(OPERATIONS["toggle"], body=b"")
    for body in (b"\n", b'null]\n{"title": "Buy milk"}', b"["):
        assert send(OPERATIONS["toggle"], body=body).status_code == 422


#: What is wrong with a request before its key is looked at.
REFUSED = {
    "a header": ({"headers": {"If-Match": "1"}}, 400),
    "an Accept": ({"headers": {"Accept": "text/html"}}, 406),
    "a method": ({"method": "PUT"}, 405),
    "a path": ({"path": "/api/tasks/x"}, 404),
    "a large body": ({"body": b" " * (MAX_BODY_BYTES + 1)}, 413),
    "a type": ({"headers": {"Content-Type": "text/plain"}}, 415),
}
#: What is wrong with it, and makes it another request under a key that was used.
INVALID = {
    "a field": {"body": b'{"title": ""}'},
    "an unknown field": {"body": b'{"title": "Buy milk", "x": 1}'},
    "no object": {"body": b"[]"},
    "no JSON": {"body": b"{"},
    "a repeated key": {"body": b'{"title": "Buy milk", "title": "Buy milk"}'},
    "no UTF-8": {"body": b"\xff"},
    "no body": {"body": b""},
    "a parameter": {"path": "/api/tasks?x=1"},
}
NOT_KEPT = {**REFUSED, **{name: (refused, 400) for name, refused in INVALID.items()}}


@pytest.mark.parametrize(("refused", "status"), NOT_KEPT.values(), ids=NOT_KEPT)
def test_a_request_refused_before_its_operation_is_not_kept(send, kept, refused, status):
    assert send(OPERATIONS["create"], **refused).status_code == status
    assert kept() == []
    created = send(OPERATIONS["create"])
    assert (created.status_code, "Idempotency-Replayed" in created) == (201, False)


@pytest.mark.parametrize(("refused", "status"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_is_refused_is_refused_under_a_used_key_too(send, kept, refused, status):
    send(OPERATIONS["create"])
    before = kept()
    response = send(OPERATIONS["create"], **refused)
    assert (response.status_code, "Idempotency-Replayed" in response) == (status, False)
    assert kept() == before


@pytest.mark.parametrize("operation", ["create", "toggle"])
@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID)
def test_under_a_used_key_an_invalid_request_is_another_one_first(send, stored, kept, operation, invalid):
    """No write takes a parameter: the query could not be a part of the request that a key stands for otherwise."""
    send(OPERATIONS[operation])
    before = stored(), kept()
    response = send(OPERATIONS["create"], **invalid)
    assert (response.status_code, headers(response)) == (422, problem_headers())
    assert response.json()["code"] == "idempotency_key_reused"
    assert (stored(), kept()) == before


@pytest.mark.parametrize("invalid", [{"body": b'{"title": ""}'}, {"body": b""}], ids=["a field", "no body"])
def test_so_is_a_change(send, stored, kept, invalid):
    send(OPERATIONS["patch"])
    before = stored(), kept()
    assert send(OPERATIONS["patch"], **invalid).json()["code"] == "idempotency_key_reused"
    assert (stored(), kept()) == before


@every_operation
def test_a_parameter_is_refused_with_a_new_key_too(send, ids, stored, kept, operation):
    where = operation[1].format(**ids)
    before = stored()
    response = send(operation, path=f"{where}?x=1")
    fault = {"parameter": "x", "code": "unknown_parameter", "detail": "This parameter is unknown here"}
    assert (response.status_code, response.json()) == (400, problem("validation_error", where, errors=[fault]))
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
def test_whoever_may_not_ask_uses_no_key(send, kept, monkeypatch, error, status):
    def refuse(self, request):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(TaskViewSet, "check_permissions", refuse)
        assert send(OPERATIONS["create"]).status_code == status
    assert kept() == []
    assert send(OPERATIONS["create"]).status_code == 201


STATEMENTS = ("SELECT", 'INSERT INTO "tasks_task"', 'INSERT INTO "idempotency_keptresponse"')


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_request_that_fails_writes_nothing_and_leaves_the_key_free(send, stored, kept, statement):
    before = stored()

    def fail(execute, sql, *arguments):
        if sql.startswith(statement):
            raise OperationalError("away")
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail):
        failed = send(OPERATIONS["create"], client=Client(raise_request_exception=False))
    assert (failed.status_code, failed["Retry-After"]) == (503, "1")
    assert (stored(), kept()) == (before, [])
    created = send(OPERATIONS["create"])
    assert (created.status_code, "Idempotency-Replayed" in created) == (201, False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_after_a_deadlock_the_whole_transaction_is_tried_once_more(send, kept, statement):
    """Its statements are not, one by one: a deadlock has undone those before it."""
    deadlocks = [OperationalError("deadlock detected")]
    deadlocks[0].__cause__ = DeadlockDetected()

    def deadlock(execute, sql, *arguments):
        if deadlocks and sql.startswith(statement):
            raise deadlocks.pop()
        return execute(sql, *arguments)

    with connection.execute_wrapper(deadlock):
        created = send(OPERATIONS["create"])
    assert (created.status_code, deadlocks) == (201, [])
    assert answer(send(OPERATIONS["create"])) == replayed(created)
    assert (Task.objects.filter(title="Buy milk").count(), len(kept())) == (1, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("key", [KEY, "not a key", ""])
def test_a_request_that_only_reads_ignores_the_key(as_user, ids, kept, method, key):
    where = TASK.format(**ids)
    response = as_user.generic(method, where, headers={"Idempotency-Key": key})
    assert (response.status_code, headers(response)) == (200, headers(as_user.generic(method, where)))
    assert kept() == []


@pytest.mark.parametrize("key", ["!", "~", "a,b", '"quoted"', "x" * 255])
def test_a_key_is_visible_ascii(send, key):
    first = send(OPERATIONS["create"], key)
    assert answer(send(OPERATIONS["create"], key)) == replayed(first)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "x\x7f", "x\n", "\xe9", "a\tb", "\x00"])
@every_write
def test_another_key_is_malformed(send, ids, stored, kept, key, operation):
    before = stored()
    response = send(operation, key)
    fault = {
        "header": "Idempotency-Key",
        "code": "malformed",
        "detail": "Idempotency-Key must be 1 to 255 visible ASCII characters",
    }
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.json() == problem("validation_error", operation[1].format(**ids), errors=[fault])
    assert (stored(), kept()) == (before, [])


def test_every_header_at_fault_is_named(send):
    response = send(OPERATIONS["toggle"], "a b", headers={"If-Match": "1", "If-None-Match": "2"})
    assert [fault["header"] for fault in response.json()["errors"]] == ["If-Match", "If-None-Match", "Idempotency-Key"]


def test_another_users_same_key_is_another_key(send):
    foreign = KeptResponseFactory(user_id=SOMEBODY_ELSE, key=KEY, body=b'{"title": "A secret"}')
    response = send(OPERATIONS["create"])
    assert (response.status_code, response.json()["title"]) == (201, "Buy milk")
    assert b"secret" not in send(OPERATIONS["create"]).content
    assert set(KeptResponse.objects.values_list("user_id", "key")) == {(SOMEBODY_ELSE, KEY), ("default", KEY)}
    foreign.refresh_from_db()
    assert bytes(foreign.body) == b'{"title": "A secret"}'


def test_a_key_expires_after_24_hours(send):
    send(OPERATIONS["toggle"])
    KeptResponse.objects.update(created_at=timezone.now() - timedelta(hours=24) + timedelta(minutes=1))
    assert send(OPERATIONS["toggle"])["Idempotency-Replayed"] == "true"
    KeptResponse.objects.update(created_at=timezone.now() - timedelta(hours=24))
    again = send(OPERATIONS["toggle"])
    assert (again.json()["version"], "Idempotency-Replayed" in again) == (3, False)
    assert answer(send(OPERATIONS["toggle"])) == replayed(again)


def test_an_expired_key_is_free_for_another_request(send):
    KeptResponseFactory(key=KEY, expired=True)
    assert send(OPERATIONS["create"]).status_code == 201
    assert KeptResponse.objects.get().status == 201


def statements(queries):
    """But for the transactions' own."""
    return [query["sql"].split()[0] for query in queries if query["sql"].split()[0] in ("SELECT", "INSERT", "UPDATE")]


def test_it_costs_one_more_statement_each_way(send):
    with CaptureQueriesContext(connection) as queries:
        send(OPERATIONS["toggle"], None)
    assert statements(queries) == ["UPDATE"]
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        send(OPERATIONS["toggle"])
    assert statements(queries) == ["SELECT", "UPDATE", "INSERT"]
    with CaptureQueriesContext(connection) as queries:
        send(OPERATIONS["toggle"])
    assert statements(queries) == ["SELECT"]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite lets one transaction write at a time")
@pytest.mark.django_db(transaction=True)
@every_write
def test_of_two_at_once_one_is_carried_out_and_the_other_gets_its_answer(send, stored, kept, operation):
    """The faster one comes between the other's look for the key and its write."""
    faster = []

    def carry_out():
        faster.append(send(operation, client=Client()))
        connections.close_all()

    def before_the_write(execute, sql, *arguments):
        if not faster and sql.startswith(("INSERT", "UPDATE", "DELETE")):
            thread = threading.Thread(target=carry_out)
            thread.start()
            thread.join()
        return execute(sql, *arguments)

    with connection.execute_wrapper(before_the_write):
        slower = send(operation)
    assert answer(slower) == replayed(faster[0])
    assert len(kept()) == 1
    after = stored()
    assert answer(send(operation)) == replayed(faster[0])
    assert stored() == after


def test_trash_paths_are_bound_to_the_key_too(send, as_user):
    task = TaskFactory(trashed=True)
    shown = as_user.delete(trash_path(task), headers={"Idempotency-Key": KEY})
    assert as_user.delete(path(task), headers={"Idempotency-Key": KEY}).status_code == 422
    assert answer(as_user.delete(trash_path(task), headers={"Idempotency-Key": KEY})) == replayed(shown)
