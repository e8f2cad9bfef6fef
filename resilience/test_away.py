"""The database goes away, in each way that it can: 503 in time from every operation, and all well when it is back."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from resilience import LONG
from resilience.clients import Client, Crowd, Exchange, slowest, statuses
from resilience.operations import every_operation, new_task
from testing.processes import mebibytes
from testing.programs import wait_for
from testing.servers import HOST

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


class Outage(NamedTuple):
    """What twelve clients saw: requests that ended meanwhile, those that began meanwhile too, and those to /healthz."""

    ended: list[Exchange]
    during: list[Exchange]
    alive: list[Exchange]
    recovered: float

    def broken(self, within):
        """The promises that were."""
        kept = {
            "503s": statuses(self.during).keys() == {503},
            "with Retry-After": all(each.headers.get("retry-after") == "1" for each in self.during),
            "in time": slowest(self.ended) <= within,
            "alive": statuses(self.alive).keys() == {200} and slowest(self.alive) <= ALIVE_WITHIN,
            "back": self.recovered <= BACK_WITHIN,
        }
        return [promise for promise in kept if not kept[promise]]

    def __str__(self):
        times = f"the slowest {slowest(self.ended):.2f} s; healthz {slowest(self.alive):.3f} s; {self.recovered:.2f} s"
        return f"{dict(statuses(self.during))}, {times}"


def outage(server, postgresql, fault, seconds):
    with Client(server.port) as client, Crowd(server.port, CLIENTS, in_turn(every_operation(client))) as crowd:
        wait_for(lambda: crowd.all_had(0, 200, 201, 404, 409), "every client is served")
        begun = time.monotonic()
        back = fault(postgresql)
        away = time.monotonic()
        try:
            wait_for(lambda: crowd.all_had(away, 503), "every client has its 503", 2 * FROZEN_WITHIN)
            alive = [client.send("GET", "/healthz") for _ in range(20)]
            wait_for(lambda: time.monotonic() > away + seconds, "time passes", seconds + 1)
            over = time.monotonic()
        finally:
            back()
        returned = time.monotonic()
        wait_for(lambda: crowd.all_had(returned, 200, 201, 404, 409), "every client is served again")
        recovered = time.monotonic() - returned
    ended = [each for each in crowd.exchanges if begun <= each.end <= over]
    return Outage(ended, [each for each in ended if each.start >= away], alive, recovered)


FAULTS = pytest.mark.parametrize(
    ("fault", "within"), [(refused, WITHIN), (killed, WITHIN), (frozen, FROZEN_WITHIN), (exhausted, WITHIN)]
)


@FAULTS
def test_every_operation_is_a_503_in_time_and_the_service_recovers(server, postgresql, figure, fault, within):
    seen = outage(server, postgresql, fault, OUTAGE)
    figure(seen)
    assert seen.broken(within) == []


@FAULTS
def test_control_where_each_request_waits_for_itself_it_is_late(served_by, postgresql, figure, fault, within):
    """As it does with a pool alone; and if the server is frozen, for ever."""
    with served_by("unsafe", WITHOUT="bounds") as server:
        try:
            seen = outage(server, postgresql, fault, 4)
        except TimeoutError as late:
            figure(late)
            return
    figure(seen)
    assert "in time" in seen.broken(within)


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


def test_control_a_pool_that_has_given_up_stays_without_a_connection(served_by, postgresql, figure):
    with served_by("unsafe", WITHOUT="new attempts") as server, Client(server.port) as client:
        path = new_task(client)
        postgresql.stop()
        assert client.send("GET", path).status == 503
        wait = time.monotonic() + 5
        wait_for(lambda: time.monotonic() > wait, "time passes")
        postgresql.start()
        with pytest.raises(TimeoutError) as never:
            wait_for(lambda: postgresql.sessions() > 0, "the pool has a connection again", BACK_WITHIN)
    figure(never.value)


MORE = 8000  # requests


def grown(server, postgresql):
    """MiB by which the workers grow while so many requests are refused, after as many to grow by that are not lost."""
    with Client(server.port) as client:
        path = new_task(client)
    with Crowd(server.port, CLIENTS, lambda client, _: [client.send("GET", path)]) as crowd:
        postgresql.stop()
        sizes = []
        for number in (1, 2):
            wait_for(lambda: statuses(crowd.exchanges)[503] > number * MORE, "clients are refused", 60)  # noqa: B023
            sizes.append(sum(mebibytes(server)))
    return sizes[1] - sizes[0]


def test_an_outage_does_not_fill_the_memory(server, postgresql, figure):
    more = grown(server, postgresql)
    figure(f"{more:.1f} MiB in {MORE} requests")
    assert more < 10


def test_control_a_queue_without_an_end_does(served_by, postgresql, figure):
    with served_by("unsafe", WITHOUT="end of the queue") as server:
        more = grown(server, postgresql)
    figure(f"{more:.1f} MiB in {MORE} requests")
    assert more > 20


WRITES = ("create", "patch", "toggle", "delete", "restore", "remove")


@pytest.fixture
def read_only(postgresql, database_url):
    """Makes the database what a primary is that has become a standby, and takes that back."""
    name = database_url.rpartition("/")[2]

    def read_only(change):
        postgresql.execute(f"ALTER DATABASE {name} {change}")
        postgresql.end_sessions()

    return read_only


def test_a_read_only_database_is_read_and_every_write_is_a_503(server, read_only, figure):
    with Client(server.port) as client:
        operations = every_operation(client)
        read_only("SET default_transaction_read_only = on")
        answers = {name: operation(client) for name, operation in operations.items()}
        assert {name: answer.status for name, answer in answers.items()} == {
            name: 503 if name in WRITES else 200 for name in operations
        }
        slow = slowest(list(answers.values()))
        read_only("RESET default_transaction_read_only")
        assert statuses([operation(client) for operation in operations.values()]).keys() == {200, 201}
    figure(f"{len(WRITES)} writes 503, the slowest {slow:.2f} s")
    assert slow <= WITHIN


def test_control_whoever_does_not_know_its_sqlstate_answers_500(served_by, read_only, figure):
    with served_by("unsafe", WITHOUT="states") as server, Client(server.port) as client:
        operations = every_operation(client)
        read_only("SET default_transaction_read_only = on")
        answers = [operations[name](client) for name in WRITES]
    figure(f"{dict(statuses(answers))}")
    assert statuses(answers) == {500: len(WRITES)}


def torn_list(server, postgresql):
    """What is read of a list whose database ends in the middle."""
    connection = HTTPConnection(HOST, server.port, timeout=10)
    with closing(connection):
        connection.request("GET", "/api/tasks")
        response = connection.getresponse()
        begun = response.read(1000)
        postgresql.stop()
        return response.status, begun + response.read()


def test_a_list_that_the_database_leaves_half_read_is_no_json(server, postgresql, database_url, figure):
    """Its status has been sent by then, and granian ends the chunked body as if all were well: the bracket tells."""
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    status, listed = torn_list(server, postgresql)
    figure(f"{status}, and {len(listed):,} bytes that end with {listed[-2:]!r}")
    assert (status, listed[:1]) == (200, b"[")
    with pytest.raises(json.JSONDecodeError):
        json.loads(listed)


def test_control_a_list_that_is_closed_in_any_case_is_taken_for_whole(served_by, postgresql, database_url, figure):
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    with served_by("unsafe", WITHOUT="torn list") as server:
        _, listed = torn_list(server, postgresql)
    figure(f"{len(json.loads(listed)):,} tasks of 30,000")
    assert len(json.loads(listed)) < 30_000


MANY_TASKS = """
INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version)
SELECT (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, 'default', 'Task ' || n, repeat('x', 500),
       false, now(), now(), 1
FROM generate_series(1, 30000) AS n
"""
