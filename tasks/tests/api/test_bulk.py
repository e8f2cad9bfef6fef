"""``POST /api/tasks/bulk``: many operations at one moment, all or none."""

import json
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.views import APIView
from uuid_utils.compat import uuid7

from database import errors
from tasks.api.bulk import ID_IN_USE, NEW_ID_RULE
from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MAX_BULK_BYTES,
    PROBLEMS,
    READ_ONLY,
    fault,
    headers,
    json_headers,
    problem,
    problem_headers,
    rfc_3339,
    task_body,
)
from tasks.tests.factories import TaskFactory
from throttling.throttles import Throttle

pytestmark = pytest.mark.django_db

PATH = "/api/tasks/bulk"


@pytest.fixture
def bulk(as_user):
    """Send operations, and return the response."""
    return lambda operations, **sent: as_user.post(PATH, operations, JSON, headers=sent)


def create(**values):
    return {"op": "create", "task": {"title": "Buy milk", **values}}


def operation(op, task, /, **more):
    return {"op": op, "id": str(task.id), **more}


# What is carried out


def test_bulk_answers_each_task_in_order(bulk):
    live, renamed, doomed = TaskFactory.create_batch(3)
    trashed, removed = TaskFactory.create_batch(2, trashed=True)
    shown, new = TaskFactory(), uuid7()
    response = bulk(
        [
            operation("restore", trashed),
            create(completed=True),
            operation("toggle", live, if_match=1),
            operation("remove", removed),
            operation("update", renamed, task={"title": "Buy bread", "labels": {"home": True}}),
            {"op": "create", "task": {"title": "Mine"}, "id": str(new)},
            operation("delete", doomed),
            operation("update", shown, task=READ_ONLY),
        ]
    )
    assert (response.status_code, headers(response)) == (200, json_headers())
    body = response.json()
    gone = body.pop(3)
    assert gone == task_body(removed)
    assert body == [task_body(Task.objects.get(id=task["id"])) for task in body]
    assert [task["version"] for task in body] == [2, 1, 2, 2, 1, 2, 1]
    assert (body[2]["completed"], body[3]["title"], body[4]["id"]) == (True, "Buy bread", str(new))
    assert body.pop() == task_body(shown)
    assert {task["updated_at"] for task in body} == {body[1]["created_at"]}
    assert body[1]["completed_at"] == body[2]["completed_at"] == body[1]["created_at"]
    assert not Task.objects.filter(id=removed.id).exists()


def test_bulk_answers_text_of_endpoints(bulk, as_user):
    task = TaskFactory(title='"Buy \\ milk"', description="Ü\n😀", labels=frozenset({"b", "a"}))
    response = bulk([operation("toggle", task), create(title="Ü")])
    texts = [as_user.get(f"/api/tasks/{each['id']}").content for each in response.json()]
    assert response.content == b"[" + b",".join(texts) + b"]"


def test_bulk_with_task_ahead_of_clock_adds_microsecond(bulk):
    ahead = timezone.now() + timedelta(hours=1)
    late, task = TaskFactory(created_at=ahead), TaskFactory()
    first, second = bulk([operation("toggle", late), operation("toggle", task)]).json()
    assert first["updated_at"] == rfc_3339(ahead + timedelta(microseconds=1))
    assert second["updated_at"] < rfc_3339(ahead)


def test_bulk_of_100_operations_is_carried_out(bulk):
    tasks = TaskFactory.create_batch(50)
    operations = [create(title=str(number)) for number in range(50)] + [operation("toggle", task) for task in tasks]
    random.Random(1).shuffle(operations)
    body = bulk(operations).json()
    assert [task["title"] for task in body if task["version"] == 1] == [
        each["task"]["title"] for each in operations if each["op"] == "create"
    ]
    assert [task["id"] for task in body if task["version"] == 2] == [
        each["id"] for each in operations if each["op"] == "toggle"
    ]
    assert Task.objects.count() == 100


def test_bulk_of_512_kib_is_read(bulk):
    body = json.dumps([create()]).encode().ljust(MAX_BULK_BYTES)
    assert bulk(body).status_code == 200


def test_bulk_merges_labels(bulk):
    first, second = TaskFactory(labels=frozenset({"a", "b"})), TaskFactory(labels=frozenset({"a"}))
    patch = {"labels": {"a": None, "c": True}}
    body = bulk([operation("update", first, task=patch), operation("update", second, task=patch)]).json()
    assert [task["labels"] for task in body] == [{"b": True, "c": True}, {"c": True}]


# What is refused

OWN, DONE, FULL = (str(uuid7()) for _ in range(3))
TRASHED, FOREIGN, NEW, ABSENT, REMOVED = (str(uuid7()) for _ in range(5))
TWENTY = {f"label {number}": True for number in range(20)}
UPPER, UUID_4 = OWN.upper(), "019bac32-0000-4000-8000-00000000abcd"


@pytest.fixture
def tasks(db):
    """Store the tasks that the rows name."""
    for own in (OWN, DONE):
        TaskFactory(id=own)
    TaskFactory(id=FULL, labels=frozenset(TWENTY))
    TaskFactory(id=TRASHED, trashed=True)
    TaskFactory(id=FOREIGN, foreign=True)
    TaskFactory(id=REMOVED, trashed=True)
    Task.objects.filter(id=REMOVED).remove()


def at(pointer, code, detail):
    return fault(code, detail, pointer=f"#/{pointer}")


def missing(index):
    return at(f"{index}/id", "not_found", "There is no such task")


def required(place):
    return at(place, "required", f"{place.split('/')[1].capitalize()} is required")


def unknown(place):
    return at(place, "unknown_field", "This field is unknown")


def stale(index):
    return at(f"{index}/if_match", "precondition_failed", "The task has another version than if_match")


def in_use(index):
    return at(f"{index}/id", "precondition_failed", ID_IN_USE)


SIZE = fault("number_of_operations", "The body must be a JSON array of 1 to 100 operations", pointer="#")
NO_VERSION = "If_match must be a version: an integer of 1 or more"
OPS = "Op must be create, update, toggle, delete, restore, remove"
BLANK = "Title must not be blank"
TOO_MANY = "Labels exceed the maximum number of 20"
LIVE = at("0/id", "conflict", "The task is not in the trash")


def toggle(id, **more):
    return {"op": "toggle", "id": id, **more}


def put(id, **more):
    return {"op": "create", "id": id, "task": {"title": "x"}, **more}


def update(id, task, **more):
    return {"op": "update", "id": id, "task": task, **more}


#: The operations, the code of the problem and its errors.
BAD = {
    "object": ({}, "validation_error", [SIZE]),
    "string": ("x", "validation_error", [SIZE]),
    "empty": ([], "validation_error", [SIZE]),
    "101 operations": ([create()] * 101, "validation_error", [SIZE]),
    "null": ([None], "validation_error", [at("0", "not_an_object", "An operation must be a JSON object")]),
    "array": ([[]], "validation_error", [at("0", "not_an_object", "An operation must be a JSON object")]),
    "no op": ([{"id": OWN}], "validation_error", [at("0/op", "required", OPS)]),
    "op unknown": ([{"op": "put", "x": 1}], "validation_error", [at("0/op", "invalid", OPS)]),
    "op array": ([{"op": ["toggle"]}], "validation_error", [at("0/op", "invalid", OPS)]),
    "create without task": ([{"op": "create"}], "validation_error", [required("0/task")]),
    "create of null": (
        [{"op": "create", "task": None}],
        "validation_error",
        [at("0/task", "not_an_object", "Task must be a JSON object")],
    ),
    "create without title": (
        [{"op": "create", "task": {}}],
        "validation_error",
        [at("0/task/title", "required", "Title is required")],
    ),
    "create with blank title": ([create(title=" ")], "validation_error", [at("0/task/title", "blank", BLANK)]),
    "create with if_match": ([{**create(), "if_match": 1}], "validation_error", [unknown("0/if_match")]),
    "create with 21 labels": (
        [create(labels={**TWENTY, "x": True})],
        "validation_error",
        [at("0/task/labels", "max_number", TOO_MANY)],
    ),
    "create with label false": (
        [create(labels={"a/b": False})],
        "validation_error",
        [at("0/task/labels/a~1b", "not_true", "A label must have the value true")],
    ),
    "create with id of version 4": ([put(UUID_4)], "not_found", [at("0/id", "not_found", NEW_ID_RULE)]),
    "create with upper-case id": ([put(UPPER)], "not_found", [at("0/id", "not_found", NEW_ID_RULE)]),
    "create with id null": ([put(None)], "validation_error", [at("0/id", "invalid", "Id must be a string")]),
    "create with own id": ([put(OWN)], "precondition_failed", [in_use(0)]),
    "create with trashed id": ([put(TRASHED)], "precondition_failed", [in_use(0)]),
    "create with foreign id": ([put(FOREIGN)], "precondition_failed", [in_use(0)]),
    "create with removed id": ([put(REMOVED)], "precondition_failed", [in_use(0)]),
    "update without id and task": ([{"op": "update"}], "validation_error", [required("0/id"), required("0/task")]),
    "update of array": (
        [update(OWN, [])],
        "validation_error",
        [at("0/task", "not_an_object", "Task must be a JSON object")],
    ),
    "update of unknown field": ([update(OWN, {"x": 1})], "validation_error", [unknown("0/task/x")]),
    "update beyond 20 labels": (
        [update(FULL, {"labels": {"x": True}})],
        "validation_error",
        [at("0/task/labels", "max_number", TOO_MANY)],
    ),
    "update to 21 labels": (
        [update(OWN, {"labels": [*TWENTY, "x"]})],
        "validation_error",
        [at("0/task/labels", "max_number", TOO_MANY)],
    ),
    "update beyond 20 labels of stale version": (
        [update(FULL, {"labels": {"x": True}}, if_match=2)],
        "validation_error",
        [at("0/task/labels", "max_number", TOO_MANY), stale(0)],
    ),
    "update of absent task": ([update(ABSENT, {})], "not_found", [missing(0)]),
    "toggle without id": ([{"op": "toggle"}], "validation_error", [required("0/id")]),
    "toggle with task": ([toggle(OWN, task={})], "validation_error", [unknown("0/task")]),
    "toggle with id 1": ([toggle(1)], "validation_error", [at("0/id", "invalid", "Id must be a string")]),
    "toggle with id x": ([toggle("x")], "not_found", [missing(0)]),
    "toggle with upper-case id": ([toggle(UPPER)], "not_found", [missing(0)]),
    "toggle of foreign task": ([toggle(FOREIGN)], "not_found", [missing(0)]),
    "toggle of trashed task": ([toggle(TRASHED)], "not_found", [missing(0)]),
    "toggle of stale version": ([toggle(OWN, if_match=2)], "precondition_failed", [stale(0)]),
    **{
        f"toggle with if_match {version}": (
            [toggle(OWN, if_match=version)],
            "validation_error",
            [at("0/if_match", "invalid", NO_VERSION)],
        )
        for version in (None, True, 0, -1, 1.5, "1")
    },
    "toggle of huge version": ([toggle(OWN, if_match=10**30)], "precondition_failed", [stale(0)]),
    "delete of trashed task": ([{"op": "delete", "id": TRASHED}], "not_found", [missing(0)]),
    "restore of absent task": ([{"op": "restore", "id": ABSENT}], "not_found", [missing(0)]),
    "restore of live task": ([{"op": "restore", "id": OWN, "if_match": 9}], "conflict", [LIVE]),
    "restore of stale version": (
        [{"op": "restore", "id": TRASHED, "if_match": 9}],
        "precondition_failed",
        [stale(0)],
    ),
    "remove of live task": ([{"op": "remove", "id": OWN}], "not_found", [missing(0)]),
    "one id three times": (
        [toggle(OWN), update(OWN, {}), put(OWN)],
        "validation_error",
        [at(f"{index}/id", "duplicate", "Id is in an earlier operation too") for index in (1, 2)],
    ),
    "one bad id twice": (
        [toggle("x"), {"op": "put", "id": "x"}],
        "validation_error",
        [missing(0), at("1/op", "invalid", OPS), at("1/id", "duplicate", "Id is in an earlier operation too")],
    ),
    "every status": (
        [
            toggle(OWN, if_match=2),
            {"op": "restore", "id": DONE},
            toggle(ABSENT),
            create(title=""),
            put(FOREIGN),
            create(),
            put(NEW, x=1),
        ],
        "validation_error",
        [
            stale(0),
            at("1/id", "conflict", "The task is not in the trash"),
            missing(2),
            at("3/task/title", "blank", BLANK),
            in_use(4),
            unknown("6/x"),
        ],
    ),
    "404 before 409 and 412": (
        [put(OWN), {"op": "restore", "id": DONE}, toggle(ABSENT)],
        "not_found",
        [in_use(0), at("1/id", "conflict", "The task is not in the trash"), missing(2)],
    ),
    "409 before 412": ([{"op": "restore", "id": DONE}, put(OWN)], "conflict", [LIVE, in_use(1)]),
    "99 of 100 absent": (
        [create(), *(toggle(f"x{number}") for number in range(99))],
        "not_found",
        [missing(index) for index in range(1, 100)],
    ),
}


@pytest.mark.parametrize(("operations", "code", "errors"), BAD.values(), ids=BAD)
def test_bad_bulk_is_refused_and_writes_nothing(bulk, stored, tasks, operations, code, errors):
    before = stored()
    response = bulk(json.dumps(operations))
    status, *_ = PROBLEMS[code]
    of_status = {"not_found": 404, "conflict": 409, "precondition_failed": 412}
    detail = next(error["detail"] for error in errors if of_status.get(error["code"], 400) == status)
    assert (response.status_code, headers(response)) == (status, problem_headers())
    assert response.json() == problem(code, PATH, detail=detail, errors=errors)
    assert stored() == before


def test_bulk_names_at_most_32_faults_of_an_operation(bulk):
    labels = {f"label {number}": 1 for number in range(40)}
    errors = bulk([create(labels=labels), create(labels=labels)]).json()["errors"]
    assert Counter(error["pointer"][:4] for error in errors) == {"#/0/": 32, "#/1/": 32}


def test_bulk_over_512_kib_is_refused(bulk, stored):
    response = bulk(json.dumps([create()]).encode().ljust(MAX_BULK_BYTES + 1))
    assert (response.status_code, headers(response)) == (413, problem_headers())
    assert response.json() == problem("payload_too_large", PATH, detail="The body is larger than 512 KiB")
    assert stored() == []


@pytest.mark.parametrize("tags", ['"1"', "*", 'W/"1"'])
def test_bulk_with_if_match_is_refused(bulk, stored, tags):
    response = bulk([create()], **{"If-Match": tags})
    detail = "If-Match is not allowed here; send if_match in each operation instead"
    errors = [fault("not_allowed", detail, header="If-Match")]
    assert (response.status_code, response.json()) == (400, problem("validation_error", PATH, errors=errors))
    assert stored() == []


# With a key

KEY = {"Idempotency-Key": "one"}


def test_bulk_with_key_is_carried_out_once(bulk, stored):
    task = TaskFactory()
    first = bulk([create(), operation("toggle", task)], **KEY)
    after = stored()
    second = bulk([create(), operation("toggle", task)], **KEY)
    assert (second.status_code, second.content) == (200, first.content)
    assert headers(second) == json_headers(**{"Idempotency-Replayed": "true"})
    assert stored() == after


def test_refused_bulk_with_key_writes_nothing_and_is_kept(bulk, stored):
    task, absent = TaskFactory(), TaskFactory.build()
    operations = [create(), operation("toggle", task), operation("toggle", absent)]
    before = stored()
    first = bulk(operations, **KEY)
    assert (first.status_code, stored()) == (404, before)
    absent.save()
    second = bulk(operations, **KEY)
    assert (second.status_code, second.content) == (404, first.content)
    assert "Idempotency-Replayed" in second.headers


def test_malformed_bulk_leaves_key_free(bulk):
    assert bulk([create(title="")], **KEY).status_code == 400
    assert bulk([create()], **KEY).status_code == 200


# The rate limit


@pytest.fixture
def writes_left(settings, monkeypatch, bulk):
    """Allow 10 writes in a window, and return a function that tells how many a response leaves."""
    settings.THROTTLES = {"write": (10, 60)}
    settings.MIDDLEWARE = ["throttling.throttles.rate_limit_middleware", *settings.MIDDLEWARE]
    monkeypatch.setattr(APIView, "throttle_classes", [Throttle])
    return lambda response: int(re.search(r"r=(\d+)", response.headers["RateLimit"])[1])


@pytest.mark.parametrize("key", [{}, KEY], ids=["without-key", "with-key"])
def test_each_operation_counts_as_write(bulk, writes_left, stored, key):
    first, replay = (bulk([create()] * 4, **key) for _ in range(2))
    assert (writes_left(first), writes_left(replay)) == (6, 5 if key else 2)
    after = stored()
    over = bulk([create()] * 6)
    assert (over.status_code, writes_left(over), stored()) == (429, 0, after)
    assert over.json() == problem("throttled", PATH)
    assert bulk([create()]).status_code == 429


@pytest.mark.parametrize("key", [{}, KEY], ids=["without-key", "with-key"])
def test_operations_of_refused_bulk_count(bulk, writes_left, tasks, key):
    missing_task = bulk([create(), toggle(ABSENT)], **key)
    assert (missing_task.status_code, writes_left(missing_task)) == (404, 8)
    malformed = bulk([create(title=""), toggle(ABSENT)])
    assert (malformed.status_code, writes_left(malformed)) == (400, 7)
    over = bulk([toggle(ABSENT), *([create()] * 8)], **({"Idempotency-Key": "two"} if key else {}))
    assert (over.status_code, writes_left(over)) == (429, 0)
    assert bulk([create()]).status_code == 429


def test_bulk_larger_than_rate_limit_is_refused(bulk, writes_left, stored):
    response = bulk([create()] * 11)
    detail = "The body has 11 operations, and the rate limit allows 10 writes; send fewer"
    errors = [fault("rate_limit", detail, pointer="#")]
    assert (response.status_code, response.json()) == (400, problem("validation_error", PATH, errors=errors))
    assert (writes_left(response), stored()) == (9, [])
    assert bulk([create()] * 9).status_code == 200


# At the same time


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite lets one transaction write at a time")
def test_bulk_waits_its_turn_before_locking_tasks(bulk):
    """Without turns, a bulk that comes later may lock the tasks first, and an earlier one waits too long."""
    ids = [str(task.id) for task in TaskFactory.create_batch(3)]
    with CaptureQueriesContext(connection) as queries:
        response = bulk([toggle(ids[1]), create(), toggle(ids[0]), toggle(ids[2])])
    assert response.status_code == 200
    locks = [
        query["sql"] for query in queries if "pg_advisory_xact_lock" in query["sql"] or "FOR UPDATE" in query["sql"]
    ]
    [turn, tasks] = locks
    assert turn == f"SELECT pg_advisory_xact_lock(hashtextextended('{ids[0]} default', 0))"
    assert tasks.endswith("FOR UPDATE")


@pytest.mark.django_db(transaction=True)
def test_bulks_over_same_tasks_in_any_order_succeed(settings, monkeypatch):
    """Versions are exact, and no bulk fails in a deadlock, which would be retried otherwise.

    On a busy machine a bulk may wait too long for its locks. Then the client sends the bulk again.
    """
    settings.THREADS = settings.MAX_CONCURRENT_PER_USER = 6
    states = record_sqlstates(monkeypatch)
    ids = [str(task.id) for task in TaskFactory.create_batch(50)]

    def client(number):
        order = random.Random(number)
        statuses = Counter()
        try:
            while statuses[200] < 10:
                statuses[Client().post(PATH, order.sample([*map(toggle, ids)], 50), JSON).status_code] += 1
        finally:
            connections.close_all()
        return {*statuses}

    with ThreadPoolExecutor(6) as clients:
        statuses = {status for answers in clients.map(client, range(6)) for status in answers}
    assert statuses - {503} == {200}
    assert not states & errors.RETRYABLE_STATES
    assert {*Task.objects.values_list("version", flat=True)} == {61}


def record_sqlstates(monkeypatch):
    """Return the set of the SQLSTATEs of all errors from now on."""
    states = set()
    sqlstate = errors.sqlstate

    def record(error):
        states.add(state := sqlstate(error))
        return state

    monkeypatch.setattr(errors, "sqlstate", record)
    return states
