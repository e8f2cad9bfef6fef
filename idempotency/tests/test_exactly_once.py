"""``Idempotency-Key`` through the running service: 50 retries at once, and killed workers."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from threading import Barrier, Semaphore

import psycopg
import pytest
from uuid_utils.compat import uuid7

from tasks.tests.api.contract import ROUTES
from testing.ports import HOST
from testing.servers import running_service, wait_until_idle

CLIENTS = 50
SECONDS = 30

REPLAYED_HEADERS = ("Content-Type", "ETag", "Location")

on_postgresql = pytest.mark.skipif(
    "config.getoption('database') == 'sqlite'", reason="SQLite lets one transaction write at a time"
)


class Answer:
    """A response: what a replay repeats, and whether it is one."""

    def __init__(self, response):
        self.status = response.status
        self.repeated = (response.status, *map(response.getheader, REPLAYED_HEADERS), response.read())
        self.replayed = response.getheader("Idempotency-Replayed")

    def json(self):
        return json.loads(self.repeated[-1])


def send(server, method, path, body=None, key=None):
    connection = HTTPConnection(HOST, server.port, timeout=SECONDS)
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    try:
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def send_until_answered(server, *request):
    """Send a request again until it is answered without a 5xx, as clients do."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            answer = send(server, *request)
        except (OSError, HTTPException):
            answer = None
        if answer and answer.status < 500:
            return answer
        assert time.monotonic() < deadline, "no answer in time"


def send_at_once(server, requests):
    """Send all requests at the same time, and return the answers."""
    barrier = Barrier(len(requests))

    def client(request):
        barrier.wait(SECONDS)
        return send_until_answered(server, *request)

    with ThreadPoolExecutor(len(requests)) as clients:
        return list(clients.map(client, requests))


def create(server):
    return send(server, "POST", "/api/tasks", b'{"title": "Buy milk"}').json()["id"]


def prepare(server, name):
    """Make a task that a route can write, and return the request and the version that the write leads to."""
    route, task_id = ROUTES[name], create(server)
    if route.trashed:
        send(server, "DELETE", f"/api/tasks/{task_id}")
    version = 1 + route.trashed + route.versions
    return (route.method, route.path.format(id=task_id), route.body or None), version


def tasks_titled(server, title):
    status, body = server.get(f"/api/tasks?q={title}")
    assert status == 200
    return json.loads(body)


def single(answers):
    """Return the answer that all are, and check that only one was carried out."""
    [repeated] = {answer.repeated for answer in answers}
    assert sorted(str(answer.replayed) for answer in answers) == ["None"] + ["true"] * (len(answers) - 1)
    return repeated


def new_task(title):
    return "POST", "/api/tasks", json.dumps({"title": title})


def test_50_creations_with_one_key_make_one_task(server):
    title, key = uuid7().hex, str(uuid7())
    answer = single(send_at_once(server, [(*new_task(title), key)] * CLIENTS))
    assert (answer[0], [json.loads(answer[-1])]) == (201, tasks_titled(server, title))


@pytest.mark.parametrize("name", ["update", "delete", "toggle", "restore", "remove"])
def test_50_writes_with_one_key_are_one_write(server, name):
    request, version = prepare(server, name)
    answer = single(send_at_once(server, [(*request, str(uuid7()))] * CLIENTS))
    assert (answer[0], json.loads(answer[-1])["version"]) == (200, version)


def test_control_without_key_50_writes_are_carried_out(server):
    title = uuid7().hex
    answers = send_at_once(server, [new_task(title)] * CLIENTS)
    assert len({answer.repeated for answer in answers}) == CLIENTS
    assert len(tasks_titled(server, title)) == CLIENTS
    toggle, _ = prepare(server, "toggle")
    send_at_once(server, [toggle] * CLIENTS)
    assert send(server, *toggle).json()["version"] == CLIENTS + 2


def test_50_different_requests_with_one_key_are_one_write(server):
    title, key = uuid7().hex, str(uuid7())
    answers = send_at_once(server, [(*new_task(f"{title} {number}"), key) for number in range(CLIENTS)])
    assert sorted(answer.status for answer in answers) == [201] + [422] * (CLIENTS - 1)
    assert len(tasks_titled(server, title)) == 1


def test_writes_during_kills_of_workers_are_carried_out_once(database_url):
    """Kill workers before, during and after their transactions, while each client retries its toggle."""
    answered = Semaphore(0)
    with running_service(database_url, WORKERS="4") as server:
        (method, path, body), _ = prepare(server, "toggle")

        def client(key):
            first = send_until_answered(server, method, path, body, key)
            answered.release()
            return [first, send_until_answered(server, method, path, body, key)]

        # Each worker is killed once, because granian gives up one that dies twice within seconds.
        killed = server.workers()[:3]
        with ThreadPoolExecutor(CLIENTS) as clients:
            futures = [clients.submit(client, str(uuid7())) for _ in range(CLIENTS)]
            for number, worker in zip((0, 10, 30), killed, strict=True):
                for _ in range(number):
                    answered.acquire(timeout=SECONDS)
                os.kill(worker, signal.SIGKILL)
        wait_until_idle(server)
    versions = []
    for future in futures:
        [repeated] = {answer.repeated for answer in future.result()}
        versions.append(json.loads(repeated[-1])["version"])
    assert sorted(versions) == list(range(2, CLIENTS + 2))


@contextmanager
def service_killed_before_key(database_url, request, statement):
    """Yield a service whose workers were killed between a write and the storing of its key.

    The workers waited, because another transaction held the key.
    """
    with (
        running_service(database_url) as server,
        psycopg.connect(database_url) as holder,
        ThreadPoolExecutor(1) as client,
    ):
        holder.execute(
            "INSERT INTO idempotency_keptresponse (user_id, key, fingerprint, status, headers, body, created_at)"
            " VALUES ('default', %s, '', 200, '{}', '', now())",
            [request[-1]],
        )
        unanswered = client.submit(send, server, *request)
        wait_for_lock(database_url, statement)
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        with pytest.raises((OSError, HTTPException)):
            unanswered.result()
        holder.rollback()
        yield server
        wait_until_idle(server)


@on_postgresql
def test_worker_killed_between_write_and_key_has_written_nothing(database_url):
    title = uuid7().hex
    operations = json.dumps([{"op": "create", "task": {"title": title}}])
    request = ("POST", "/api/tasks/bulk", operations, str(uuid7()))
    with service_killed_before_key(database_url, request, 'INSERT INTO "idempotency') as server:
        assert send_until_answered(server, *request).replayed is None
        answer = send_until_answered(server, *request)
        assert (answer.replayed, answer.json()) == ("true", tasks_titled(server, title))


@on_postgresql
def test_worker_killed_during_write_with_key_writes_once(database_url):
    """PostgreSQL may complete a statement whose client has gone."""
    title = uuid7().hex
    request = (*new_task(title), str(uuid7()))
    with service_killed_before_key(database_url, request, "WITH written") as server:
        first = send_until_answered(server, *request)
        again = send_until_answered(server, *request)
        assert (again.replayed, again.repeated) == ("true", first.repeated)
        assert [again.json()] == tasks_titled(server, title)


def wait_for_lock(database_url, statement):
    """Wait until a session that runs ``statement`` waits for a lock.

    PostgreSQL shows only the beginning of a statement.
    """
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{statement}%'"
    deadline = time.monotonic() + SECONDS
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        while connection.execute(waiting).fetchone() != (1,):
            assert time.monotonic() < deadline, "no worker waits for the key"
