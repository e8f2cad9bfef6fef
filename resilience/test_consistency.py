"""Requests at the same time answer as if they had come one after another, while things fail too."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import concurrency
from resilience.clients import Client, Exchange
from resilience.linearizability import State, is_linearizable
from resilience.operations import new_task
from testing.programs import wait_for
from testing.servers import database, served

CLIENTS, EACH = 6, 10  # 60 requests a history
TITLE = "Water the plants"


@pytest.fixture
def naive(served_by):
    with served_by("naive") as server:
        yield server


def history(port, number, fault=lambda: None):
    """What comes of 60 requests of six clients to one task, in the middle of which the fault happens."""
    with Client(port) as client:
        path = new_task(client, TITLE)
    choices = random.Random(number)
    seeds = [choices.random() for _ in range(CLIENTS)]

    def play(client_number):
        return list(requests(port, path, random.Random(seeds[client_number])))

    with ThreadPoolExecutor(CLIENTS) as threads:
        shares = [threads.submit(play, client_number) for client_number in range(CLIENTS)]
        fault()
        return [exchange for share in shares for exchange in share.result()]


def requests(port, path, choices):
    """One client's, each after the answer to the one before; ``If-Match`` names the version that it saw last."""
    seen = '"1"'
    with Client(port, timeout=5) as client:
        for _ in range(EACH):
            conditional = {"If-Match": seen} if choices.random() < 0.4 else {}
            match choices.choices(("GET", "PATCH", "toggle", "DELETE"), (3, 3, 3, 1))[0]:
                case "GET":
                    sent = client.send("GET", path)
                case "PATCH":
                    sent = client.send("PATCH", path, {"title": f"{choices.random()}"}, **conditional)
                case "toggle":
                    sent = client.send("POST", f"{path}/toggle", **conditional)
                case "DELETE":
                    sent = client.send("DELETE", path, **conditional)
            yield sent
            seen = sent.headers.get("etag", seen)
            if sent.status == 404:
                yield client.send("POST", f"{path}/restore")
            if sent.unknown:
                wait_for(lambda: not client.send("GET", path).unknown, "the service is back")


def holds(exchanges):
    return is_linearizable(State(1, TITLE, completed=False), exchanges)


def test_50_histories_are_linearizable(server, figure):
    histories = [history(server.port, number) for number in range(50)]
    figure(f"{sum(map(holds, histories))} of 50 histories, {sum(map(len, histories))} requests")
    assert all(map(holds, histories))


def test_control_of_naive_writes_hardly_any_is(naive, figure):
    histories = [history(naive.port, number) for number in range(10)]
    figure(f"{sum(map(holds, histories))} of 10 histories")
    assert not all(map(holds, histories))


def test_histories_in_which_postgresql_is_killed_are_linearizable(server, postgresql, figure):
    histories = [history(server.port, number, postgresql.restart) for number in range(5)]
    unknown = sum(exchange.unknown for each in histories for exchange in each)
    figure(f"{sum(map(holds, histories))} of 5 histories, {unknown} requests of unknown outcome")
    assert unknown > 0
    assert all(map(holds, histories))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_301_toggles_at_100_clients_ten_times(kind, figure, monkeypatch):
    monkeypatch.setattr(concurrency, "TOGGLES", 301)
    with database(kind) as url, served(url, WORKERS="2") as server, concurrency.Clients(server, 100) as clients:
        checks = [check for _ in range(10) for check in concurrency.toggles(clients)]
    figure(f"{sum(check.held for check in checks)} of {len(checks)} counts as they must be")
    assert [check for check in checks if not check.held] == []


def test_control_naive_toggles_are_lost(naive, figure, monkeypatch):
    monkeypatch.setattr(concurrency, "TOGGLES", 301)
    with concurrency.Clients(naive, 100) as clients:
        checks = list(concurrency.toggles(clients))
    answered, version, *_ = checks
    figure(f"answers {answered.seen}, and version {version.seen}")
    assert (answered.seen, version.held) == ("200: 301", False)


def exchange(method, path, start, end, status, version, completed):
    body = {"version": version, "title": TITLE, "completed": completed}
    return Exchange(method, path, None, start, end, status, {}, body)


@pytest.mark.parametrize(
    ("answers", "linearizable"),
    [
        ([(0, 2, 200, 2, True), (1, 3, 200, 3, False)], True),
        ([(0, 2, 200, 3, False), (1, 3, 200, 2, True)], True),
        ([(0, 1, 200, 3, False), (2, 3, 200, 2, True)], False),
        ([(0, 2, 200, 2, True), (1, 3, 200, 2, True)], False),
        ([(0, 1, None, 0, None), (2, 3, 200, 3, False)], True),
        ([(0, 1, None, 0, None), (2, 3, 200, 2, True)], True),
        ([(0, 1, 404, 0, None)], False),
    ],
    ids=["in order", "overtaken", "too late", "one lost", "unknown and done", "unknown and not done", "untrue 404"],
)
def test_the_checker_tells_toggles_apart(answers, linearizable):
    exchanges = [exchange("POST", "/api/tasks/1/toggle", *answer) for answer in answers]
    assert is_linearizable(State(1, TITLE, completed=False), exchanges) is linearizable
