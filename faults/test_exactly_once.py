"""With an ``Idempotency-Key`` a request that is sent until it is answered is done once, whatever fails meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from faults.clients import Client
from faults.operations import new_task
from faults.programs import wait_for

CLIENTS, EACH = 12, 15


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
