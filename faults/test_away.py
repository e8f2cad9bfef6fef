"""The database goes away, in each way that it can: 503 in time from every operation, and all well when it is back."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

from benchmarks.running import HOST
from faults import LONG
from faults.clients import Client, Crowd, slowest, statuses
from faults.operations import every_operation, new_task
from faults.programs import wait_for

CLIENTS = 12
OUTAGE = 60 if LONG else 4  # seconds
WITHIN, FROZEN_WITHIN, BACK_WITHIN, ALIVE_WITHIN = 1.5, 2.5, 3.0, 0.1


def refused(postgresql):
    postgresql.stop()
    return postgresql.start


def killed(postgresql):
    postgresql.kill()
    return postgresql.start


def frozen(postgresql):
    postgresql.freeze()
    return postgresql.thaw


def exhausted(postgresql):
    postgresql.execute("ALTER ROLE todo CONNECTION LIMIT 0")
    postgresql.end_sessions()
    return lambda: postgresql.execute("ALTER ROLE todo CONNECTION LIMIT -1")


def in_turn(operations):
    """Each client its own operation, again and again."""
    chosen = list(operations.values())
    return lambda client, number: [chosen[number % len(chosen)](client)]


@pytest.mark.parametrize(
    ("fault", "within"), [(refused, WITHIN), (killed, WITHIN), (frozen, FROZEN_WITHIN), (exhausted, WITHIN)]
)
def test_every_operation_is_a_503_in_time_and_the_service_recovers(server, postgresql, figure, fault, within):
    with Client(server.port) as client, Crowd(server.port, CLIENTS, in_turn(every_operation(client))) as crowd:
        wait_for(lambda: crowd.all_had(0, 200, 201, 404, 409), "every client is served")
        begun = time.monotonic()
        back = fault(postgresql)
        away = time.monotonic()
        wait_for(lambda: crowd.all_had(away, 503), "every client has its 503")
        alive = [client.send("GET", "/healthz") for _ in range(20)]
        wait_for(lambda: time.monotonic() > away + OUTAGE, "time passes", OUTAGE + 1)
        over = time.monotonic()
        back()
        returned = time.monotonic()
        wait_for(lambda: crowd.all_had(returned, 200, 201, 404, 409), "every client is served again")
        recovered = time.monotonic() - returned
    ended = [each for each in crowd.exchanges if begun <= each.end <= over]
    during = [each for each in ended if each.start >= away]
    figure(f"{len(during)} 503s, the slowest {slowest(ended):.2f} s; healthz {slowest(alive):.3f} s; {recovered:.2f} s")
    assert statuses(during).keys() == {503}
    assert all(each.headers["retry-after"] == "1" for each in during)
    assert slowest(ended) <= within
    assert statuses(alive).keys() == {200}
    assert slowest(alive) <= ALIVE_WITHIN
    assert recovered <= BACK_WITHIN


def test_an_outage_that_nobody_saw_the_end_of_is_over_for_the_first_request(server, postgresql, figure):
    with Client(server.port) as client:
        path = new_task(client)
        postgresql.stop()
        assert statuses([client.send("GET", path) for _ in range(20)]) == {503: 20}
        wait = time.monotonic() + 5  # longer than the pool tries on its own
        wait_for(lambda: time.monotonic() > wait, "time passes")
        postgresql.start()
        wait_for(lambda: postgresql.sessions() > 0, "the pool has a connection again", BACK_WITHIN)
        answers = [client.send("GET", path) for _ in range(20)]
    figure(f"{dict(statuses(answers))}")
    assert statuses(answers) == {200: 20}


WRITES = ("create", "patch", "toggle", "delete", "restore", "remove")


def test_a_read_only_database_is_read_and_every_write_is_a_503(server, postgresql, database_url, figure):
    """As a primary is that has become a standby."""
    name = database_url.rpartition("/")[2]
    with Client(server.port) as client:
        operations = every_operation(client)
        postgresql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        postgresql.end_sessions()
        answers = {name: operation(client) for name, operation in operations.items()}
        assert {name: answer.status for name, answer in answers.items()} == {
            name: 503 if name in WRITES else 200 for name in operations
        }
        slow = slowest(list(answers.values()))
        postgresql.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        postgresql.end_sessions()
        assert statuses([operation(client) for operation in operations.values()]).keys() == {200, 201}
    figure(f"{len(WRITES)} writes 503, the slowest {slow:.2f} s")
    assert slow <= WITHIN


@pytest.mark.parametrize("idle", [False, True], ids=["under load", "idle"])
def test_nobody_sees_that_every_session_is_ended(server, postgresql, figure, idle):
    """As at a switch-over, or by an operator. A statement under way may be lost: it is a 503 that says so."""
    with Client(server.port) as client:
        path = new_task(client)

        def get(client, number):
            return [client.send("GET", path)]

        with Crowd(server.port, CLIENTS, get) as crowd:
            wait_for(lambda: len(crowd.exchanges) > 500, "the pools are full")
            if not idle:
                postgresql.end_sessions()
                ended = len(crowd.exchanges)
                wait_for(lambda: len(crowd.exchanges) > ended + 500, "the service goes on")
        if idle:
            postgresql.end_sessions()
            with Crowd(server.port, CLIENTS, get) as crowd:
                wait_for(lambda: len(crowd.exchanges) > 500, "the service goes on")
    seen = statuses(crowd.exchanges)
    figure(f"{dict(seen)}, the slowest {slowest(crowd.exchanges):.2f} s")
    assert slowest(crowd.exchanges) < WITHIN
    assert seen.keys() <= ({200} if idle else {200, 503})
    assert seen[503] <= 8  # no more than were under way: two workers of four threads


def test_sessions_that_the_server_ends_when_idle_are_not_seen(server, postgresql, database_url, figure):
    name = database_url.rpartition("/")[2]
    postgresql.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '300ms'")
    postgresql.end_sessions()
    with Client(server.port) as client:
        path = new_task(client)
        answers = []
        for _ in range(5):
            wait_for(lambda: postgresql.sessions() == 0, "the server has ended the idle sessions")
            answers.append(client.send("GET", path))
    figure(f"{dict(statuses(answers))}, the slowest {slowest(answers):.2f} s")
    assert statuses(answers) == {200: 5}


def test_a_list_that_the_database_leaves_half_read_is_no_json(server, postgresql, database_url, figure):
    """Its status has been sent by then, and granian ends the chunked body as if all were well: the bracket tells."""
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    connection = HTTPConnection(HOST, server.port, timeout=10)
    with closing(connection):
        connection.request("GET", "/api/tasks")
        response = connection.getresponse()
        begun = response.read(1000)
        postgresql.stop()
        listed = begun + response.read()
    figure(f"200, and {len(listed):,} bytes that end with {listed[-2:]!r}")
    assert (response.status, listed[:1]) == (200, b"[")
    with pytest.raises(json.JSONDecodeError):
        json.loads(listed)


MANY_TASKS = """
INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version)
SELECT (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, 'default', 'Task ' || n, repeat('x', 500),
       false, now(), now(), 1
FROM generate_series(1, 30000) AS n
"""
