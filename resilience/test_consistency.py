"""Simultaneous requests give the same responses as some order of single requests, even during faults."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.concurrency import SimultaneousClients, check_labels, check_toggles
from resilience.linearizability import TaskState, is_linearizable
from testing.api_clients import RecordingClient, RequestRecord, create_task
from testing.databases import new_database
from testing.servers import running_service
from testing.waiting import wait_for

HISTORY_CLIENTS, REQUESTS_PER_CLIENT = 6, 10
TITLE = "Water the plants"
NEW_TASK = TaskState(1, TITLE, completed=False)


@pytest.fixture
def server_with_races(serve_without):
    with serve_without("atomic writes") as server:
        yield server


def record_history(port, seed, cause_fault=lambda: None):
    """Record the requests of six clients to one task, and cause a fault while the clients send them."""
    with RecordingClient(port) as client:
        path = create_task(client, TITLE)
    choices = random.Random(seed)
    seeds = [choices.random() for _ in range(HISTORY_CLIENTS)]
    with ThreadPoolExecutor(HISTORY_CLIENTS) as threads:
        histories = [threads.submit(lambda seed: list(send_random(port, path, seed)), seed) for seed in seeds]
        cause_fault()
        return [record for history in histories for record in history.result()]


def send_random(port, path, seed):
    """Send random requests one after another; ``If-Match`` names the last version that this client saw."""
    choices = random.Random(seed)
    last_etag = '"1"'
    with RecordingClient(port, timeout=5) as client:
        for _ in range(REQUESTS_PER_CLIENT):
            condition = {"If-Match": last_etag} if choices.random() < 0.4 else {}
            match choices.choices(("GET", "PATCH", "toggle", "DELETE"), (3, 3, 3, 1))[0]:
                case "GET":
                    record = client.send("GET", path)
                case "PATCH":
                    record = client.send("PATCH", path, {"title": f"{choices.random()}"}, **condition)
                case "toggle":
                    record = client.send("POST", f"{path}/toggle", **condition)
                case "DELETE":
                    record = client.send("DELETE", path, **condition)
            yield record
            last_etag = record.headers.get("etag", last_etag)
            if record.status == 404:
                yield client.send("POST", f"{path}/restore")
            if record.outcome_unknown:
                wait_for(lambda: not client.send("GET", path).outcome_unknown, "the service answers again")


def count_linearizable(histories):
    return sum(is_linearizable(NEW_TASK, history) for history in histories)


def test_histories_of_one_task_are_linearizable(server, report_result):
    histories = [record_history(server.port, seed) for seed in range(50)]
    linearizable = count_linearizable(histories)
    report_result(f"{linearizable} of 50 histories, {sum(map(len, histories))} requests")
    assert linearizable == 50


def test_control_without_atomic_writes_histories_fail(server_with_races, report_result):
    linearizable = count_linearizable(record_history(server_with_races.port, seed) for seed in range(10))
    report_result(f"{linearizable} of 10 histories")
    assert linearizable < 10


def test_histories_with_killed_postgresql_are_linearizable(server, postgresql, report_result):
    histories = [record_history(server.port, seed, postgresql.restart) for seed in range(5)]
    linearizable = count_linearizable(histories)
    unknown = sum(record.outcome_unknown for history in histories for record in history)
    report_result(f"{linearizable} of 5 histories, {unknown} requests of unknown outcome")
    assert unknown > 0
    assert linearizable == 5


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_toggles_of_100_clients_all_count(kind, report_result):
    with (
        new_database(kind) as url,
        running_service(url, WORKERS="2") as server,
        SimultaneousClients(server, 100) as clients,
    ):
        checks = [check for _ in range(10) for check in check_toggles(clients, 301)]
    report_result(f"{sum(check.passed for check in checks)} of {len(checks)} checks passed")
    assert [check for check in checks if not check.passed] == []


def test_control_without_atomic_writes_toggles_are_lost(server_with_races, report_result):
    with SimultaneousClients(server_with_races, 100) as clients:
        statuses, version, *_ = check_toggles(clients, 301)
    report_result(f"statuses {statuses.actual}, version {version.actual}")
    assert (statuses.actual, version.passed) == ("200: 301", False)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_label_changes_of_50_clients_all_count(kind, report_result):
    with (
        new_database(kind) as url,
        running_service(url, WORKERS="2") as server,
        SimultaneousClients(server, 50) as clients,
    ):
        checks = list(check_labels(clients, 1000))
    report_result(f"{checks[1].actual} of 1000 changes lost")
    assert [check for check in checks if not check.passed] == []


def test_control_without_atomic_writes_labels_are_lost(server_with_races, report_result):
    with SimultaneousClients(server_with_races, 50) as clients:
        statuses, lost, _ = check_labels(clients, 1000)
    report_result(f"statuses {statuses.actual}, {lost.actual} of 1000 changes lost")
    assert (statuses.actual, lost.passed) == ("200: 1000", False)


def toggle_record(start, end, status, version=None):
    """Record a toggle of a task that was created with version 1.

    So the task is completed at version 2, and not at version 3.
    """
    body = {"version": version, "title": TITLE, "completed": version == 2}
    return RequestRecord("POST", "/api/tasks/1/toggle", None, start, end, status, {}, body)


@pytest.mark.parametrize(
    ("history", "linearizable"),
    [
        pytest.param([toggle_record(0, 2, 200, 2), toggle_record(1, 3, 200, 3)], True, id="in order"),
        pytest.param([toggle_record(0, 2, 200, 3), toggle_record(1, 3, 200, 2)], True, id="overlapping"),
        pytest.param([toggle_record(0, 1, 200, 3), toggle_record(2, 3, 200, 2)], False, id="out of order"),
        pytest.param([toggle_record(0, 2, 200, 2), toggle_record(1, 3, 200, 2)], False, id="lost toggle"),
        pytest.param([toggle_record(0, 1, None), toggle_record(2, 3, 200, 3)], True, id="unknown and done"),
        pytest.param([toggle_record(0, 1, None), toggle_record(2, 3, 200, 2)], True, id="unknown and not done"),
        pytest.param([toggle_record(0, 1, 404)], False, id="false 404"),
    ],
)
def test_checker_accepts_only_linearizable_histories(history, linearizable):
    assert is_linearizable(NEW_TASK, history) is linearizable
