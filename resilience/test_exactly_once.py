"""With an ``Idempotency-Key`` a request that is sent until it is answered is done once, whatever fails meanwhile."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from resilience.clients import Client
from resilience.operations import in_trash, new_task, trashed_task
from testing.pgbouncer import pgbouncer
from testing.programs import wait_for
from testing.servers import HOST, served

CLIENTS, EACH = 12, 15
AT_ONCE = 50


@pytest.fixture(params=["direct", "pgbouncer"])
def server(request, postgresql, database_url):
    """The project, on that database or on a PgBouncer in front of it."""
    if request.param == "direct":
        with served(database_url, WORKERS="2", LOG_LEVEL="CRITICAL") as server:
            yield server
        return
    with pgbouncer(HOST, postgresql.port, role="todo") as port:
        url = f"postgresql://todo@{HOST}:{port}/{database_url.rpartition('/')[2]}"
        with served(url, WORKERS="2", LOG_LEVEL="CRITICAL", DB_POOLER="transaction") as server:
            yield server


def insist(port, method, path, body=None, **headers):
    """Leave before the answer comes, and then send the same request until there is one."""
    with Client(port, timeout=0.004) as hasty:
        hasty.send(method, path, body, **headers)
    with Client(port) as client:
        answers = []

        def answered():
            answers.append(client.send(method, path, body, **headers))
            return not answers[-1].unknown

        wait_for(answered, "an answer")
    return answers[-1]


def written_by_all(server, with_key, fault=lambda: None):
    """How many creates and toggles were answered, and how many were carried out."""
    title = uuid4().hex
    with Client(server.port) as client:
        path = new_task(client)

        def write(_):
            for method, target, body in (("POST", "/api/tasks", {"title": title}), ("POST", f"{path}/toggle", None)):
                headers = {"Idempotency-Key": str(uuid4())} if with_key else {}
                yield insist(server.port, method, target, body, **headers)

        with ThreadPoolExecutor(CLIENTS) as threads:
            shares = [threads.submit(lambda n: list(write(n)), number) for number in range(CLIENTS * EACH)]
            fault()
            answers = [answer for share in shares for answer in share.result()]
        assert {answer.status for answer in answers} == {200, 201}
        toggled = client.send("GET", path).body["version"] - 1
        created = len(client.send("GET", f"/api/tasks?q={title}").body)
    return len(answers), created + toggled


def test_with_a_key_each_is_carried_out_once_while_postgresql_is_killed(server, postgresql, figure):
    def kill_twice():
        for _ in range(2):
            before = postgresql.execute("SELECT pg_current_wal_lsn()")
            wait_for(lambda: postgresql.execute("SELECT pg_current_wal_lsn()") != before, "writes")  # noqa: B023
            postgresql.restart()

    answered, done = written_by_all(server, with_key=True, fault=kill_twice)
    figure(f"{answered} answered, {done} carried out")
    assert answered == done == 2 * CLIENTS * EACH


def test_control_without_a_key_some_are_carried_out_twice(server, figure):
    answered, done = written_by_all(server, with_key=False)
    figure(f"{answered} answered, {done} carried out")
    assert done > answered


#: What is sent, to a task of its own, and the version that one of them leaves.
REQUESTS = {
    "create": (lambda client: ("POST", "/api/tasks", {"title": uuid4().hex}), 1),
    "patch": (lambda client: ("PATCH", new_task(client), {"title": "Water the garden"}), 2),
    "toggle": (lambda client: ("POST", f"{new_task(client)}/toggle", None), 2),
    "delete": (lambda client: ("DELETE", new_task(client), None), 2),
    "restore": (lambda client: ("POST", f"{trashed_task(client)}/restore", None), 3),
    "remove": (lambda client: ("DELETE", in_trash(trashed_task(client)), None), 2),
}


def sent_at_once(port, fault, method, path, body, **headers):
    """The answers to as many clients, which send the same request together, and again until they have one."""
    together = Barrier(AT_ONCE + 1)

    def client(_):
        together.wait()
        return insist(port, method, path, body, **headers)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [threads.submit(client, number) for number in range(AT_ONCE)]
        together.wait()
        fault()
        return [answer.result() for answer in answers]


def test_of_50_of_each_request_at_once_one_is_carried_out_whatever_is_killed(server, postgresql, figure):
    """PostgreSQL each time, and a worker the first time."""
    [victim, *_] = server.workers()
    firsts = []
    for name, (make, version) in REQUESTS.items():
        with Client(server.port) as client:
            method, path, body = make(client)

        def fault():
            postgresql.restart()
            if name == "create":  # noqa: B023
                os.kill(victim, signal.SIGKILL)

        answers = sent_at_once(server.port, fault, method, path, body, Idempotency_Key=str(uuid4()))
        [(status, text)] = {(each.status, str(each.body)) for each in answers}
        assert (status, answers[0].body["version"]) == (201 if name == "create" else 200, version), text
        firsts.append(sum("idempotency-replayed" not in each.headers for each in answers))
        if name == "create":
            with Client(server.port) as client:
                assert client.send("GET", f"/api/tasks?q={body['title']}").body == [answers[0].body]
    figure(f"{AT_ONCE} answers alike to each of {len(REQUESTS)}; firsts that arrived: {firsts}")
    assert max(firsts) <= 1
