"""The database ends its sessions, and nobody sees it."""

import pytest

from resilience.clients import Client, Crowd, slowest, statuses
from resilience.operations import new_task
from resilience.test_away import CLIENTS, WITHIN
from testing.programs import wait_for


def answered(server, postgresql, idle):
    """What twelve clients are answered around the end of all sessions: amid their requests, or between them."""
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
    return crowd.exchanges


IDLE = pytest.mark.parametrize("idle", [False, True], ids=["under load", "idle"])


@IDLE
def test_nobody_sees_that_every_session_is_ended(server, postgresql, figure, idle):
    """As at a switch-over, or by an operator. A statement under way may be lost: it is a 503 that says so."""
    exchanges = answered(server, postgresql, idle)
    seen = statuses(exchanges)
    figure(f"{dict(seen)}, the slowest {slowest(exchanges):.2f} s")
    assert slowest(exchanges) < WITHIN
    assert seen.keys() <= ({200} if idle else {200, 503})
    assert seen[503] <= 8  # no more than were under way: two workers of four threads


@IDLE
def test_control_connections_that_nobody_checks_are_met_one_by_one(served_by, postgresql, figure, idle):
    with served_by("unsafe", WITHOUT="check") as server:
        seen = statuses(answered(server, postgresql, idle))
    figure(f"{dict(seen)}")
    assert seen[503] > 0


@pytest.fixture
def short_lived(postgresql, database_url):
    """Has the server end sessions that are idle, and gives the answers to five requests, each after that."""
    name = database_url.rpartition("/")[2]
    postgresql.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '300ms'")

    def answers(server):
        postgresql.end_sessions()
        with Client(server.port) as client:
            path = None
            while not path:
                path = client.send("POST", "/api/tasks", {"title": "Water the plants"}).headers.get("location")
            for _ in range(5):
                wait_for(lambda: postgresql.sessions() == 0, "the server has ended the idle sessions")
                yield client.send("GET", path)

    return answers


def test_sessions_that_the_server_ends_when_idle_are_not_seen(server, short_lived, figure):
    answers = list(short_lived(server))
    figure(f"{dict(statuses(answers))}, the slowest {slowest(answers):.2f} s")
    assert statuses(answers) == {200: 5}


def test_control_without_a_check_each_of_them_is_seen(served_by, short_lived, figure):
    with served_by("unsafe", WITHOUT="check") as server:
        answers = list(short_lived(server))
    figure(f"{dict(statuses(answers))}")
    assert statuses(answers)[503] > 0
