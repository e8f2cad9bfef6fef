"""``Idempotency-Key`` through the running service: 50 retries at once, and workers that are killed in the middle."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from threading import Barrier, Semaphore

import psycopg
import pytest
from uuid_utils.compat import uuid7

from testing.ports import HOST
from testing.servers import running_service, wait_until_idle

CLIENTS = 50
SECONDS = 30

GIVEN_AGAIN = ("Content-Type", "ETag", "Location")
REPLAYED = "Idempotency-Replayed"

on_postgresql = pytest.mark.skipif(
    "config.getoption('database') == 'sqlite'", reason="SQLite lets one transaction write at a time"
)


class Answer:
    def __init__(self, response):
        self.given_again = (response.status, *map(response.getheader, GIVEN_AGAIN), response.read())
        self.replayed = response.getheader(REPLAYED)

    def json(self):
        return json.loads(self.given_again[-1])


def send(server, method, path, body=None, key=None):
    connection = HTTPConnection(HOST, server.port, timeout=SECONDS)
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    try:
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def send_until_answered(server, *request):
    """As a client does that was not answered, or was told to try again."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            answer = send(server, *request)
        except (OSError, HTTPException):
            answer = None
        if answer and answer.given_again[0] < 500:
            return answer
        assert time.monotonic() < deadline, "no answer in time"


def at_once(server, *request):
    """The answers to the same request of so many clients, released together."""
    barrier = Barrier(CLIENTS)

    def client(_):
        barrier.wait(SECONDS)
        return send_until_answered(server, *request)

    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(client, range(CLIENTS)))


def new_task(server):
    return "/api/tasks/" + send(server, "POST", "/api/tasks", b'{"title": "Buy milk"}').json()["id"]


def in_trash(server):
    path = new_task(server)
    send(server, "DELETE", path)
    return path


def removable(server):
    return in_trash(server).replace("/api/tasks/", "/api/tasks/trash/")


def titled(server, title):
    status, body = server.get(f"/api/tasks?q={title}")
    assert status == 200
    return json.loads(body)


#: What is written to, method, what stands behind the path, body, and the version that one write leaves.
WRITES = {
    "patch": (new_task, "PATCH", "", b'{"completed": true}', 2),
    "delete": (new_task, "DELETE", "", None, 2),
    "toggle": (new_task, "POST", "/toggle", None, 2),
    "restore": (in_trash, "POST", "/restore", None, 3),
    "removal": (removable, "DELETE", "", None, 2),
}


def one(answers):
    """The one answer that all are, of which one was carried out and the others were not."""
    [answer] = {answer.given_again for answer in answers}
    assert sorted(str(answer.replayed) for answer in answers) == ["None"] + ["true"] * (len(answers) - 1)
    return answer


def test_of_50_creations_one_is_carried_out(server):
    title, key = uuid7().hex, str(uuid7())
    answer = one(at_once(server, "POST", "/api/tasks", json.dumps({"title": title}), key))
    assert (answer[0], [json.loads(answer[-1])]) == (201, titled(server, title))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_of_50_writes_one_is_carried_out(server, write):
    make, method, action, body, version = write
    answer = one(at_once(server, method, make(server) + action, body, str(uuid7())))
    assert (answer[0], json.loads(answer[-1])["version"]) == (200, version)


def test_without_a_key_all_are_carried_out(server):
    """The control: were the key not heeded, the tests above would see this."""
    title = uuid7().hex
    answers = at_once(server, "POST", "/api/tasks", json.dumps({"title": title}))
    assert len({answer.given_again for answer in answers}) == CLIENTS
    assert len(titled(server, title)) == CLIENTS
    path = new_task(server)
    at_once(server, "POST", f"{path}/toggle")
    assert send(server, "PATCH", path, b"{}").json()["version"] == CLIENTS + 1


def test_of_50_requests_with_one_key_and_different_bodies_one_is_carried_out(server):
    title, key, barrier = uuid7().hex, str(uuid7()), Barrier(CLIENTS)

    def client(number):
        barrier.wait(SECONDS)
        return send_until_answered(server, "POST", "/api/tasks", json.dumps({"title": f"{title} {number}"}), key)

    with ThreadPoolExecutor(CLIENTS) as clients:
        statuses = sorted(answer.given_again[0] for answer in clients.map(client, range(CLIENTS)))
    assert statuses == [201] + [422] * (CLIENTS - 1)
    assert len(titled(server, title)) == 1


@pytest.fixture
def mortal(database_url):
    """A server whose workers may be killed: granian gives one up that dies twice in five seconds."""
    with running_service(database_url) as server:
        yield server
        wait_until_idle(server)


def kill(workers):
    for worker in workers:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("after", [0, 10, 40])
def test_workers_that_are_killed_meanwhile_carry_out_nothing_twice(mortal, after):
    """Of those under way, some are killed before, some in, some after their transaction: each client sends on."""
    answered = Semaphore(0)
    path, keys = new_task(mortal), [str(uuid7()) for _ in range(CLIENTS)]

    def client(key):
        first = send_until_answered(mortal, "POST", f"{path}/toggle", None, key)
        answered.release()
        return [first, send_until_answered(mortal, "POST", f"{path}/toggle", None, key)]

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [clients.submit(client, key) for key in keys]
        for _ in range(after):
            answered.acquire(timeout=SECONDS)
        kill(mortal.workers()[:1])
    versions = []
    for answer in answers:
        [same] = {each.given_again for each in answer.result()}
        versions.append(json.loads(same[-1])["version"])
    assert sorted(versions) == list(range(2, CLIENTS + 2))


@on_postgresql
def test_a_worker_killed_between_the_write_and_its_key_has_written_nothing(mortal, database_url):
    """Another transaction holds the key, so that the worker has written the task, not the key, and waits."""
    title, key = uuid7().hex, str(uuid7())
    request = ("POST", "/api/tasks", json.dumps({"title": title}), key)
    with psycopg.connect(database_url) as holder, ThreadPoolExecutor(1) as client:
        holder.execute(
            "INSERT INTO idempotency_keptresponse (user_id, key, fingerprint, status, headers, body, created_at)"
            " VALUES ('default', %s, '', 200, '{}', '', now())",
            [key],
        )
        unanswered = client.submit(send, mortal, *request)
        wait_for_the_insert_of_the_key(database_url)
        kill(mortal.workers())
        with pytest.raises((OSError, HTTPException)):
            unanswered.result()
        holder.rollback()
    assert send_until_answered(mortal, *request).replayed is None
    answer = send_until_answered(mortal, *request)
    assert (answer.replayed, [answer.json()]) == ("true", titled(mortal, title))


def wait_for_the_insert_of_the_key(database_url):
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO \"idempotency%'"
    )
    deadline = time.monotonic() + SECONDS
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        while connection.execute(waiting).fetchone() != (1,):
            assert time.monotonic() < deadline, "no worker waits for the key"
