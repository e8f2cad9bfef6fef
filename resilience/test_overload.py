"""At ten times the load that the service can carry, the proxy or the service rejects the excess with 503 in time."""

import time

from resilience.instances import serve_behind_nginx
from resilience.limits import FROZEN_SECONDS
from resilience.operations import insert_tasks
from testing.api_clients import (
    BackgroundClients,
    RecordingClient,
    count_statuses,
    find_longest,
    send_at_rate,
    summarize,
)

#: A search without results, because large responses would slow down the clients in this process.
PATH = "/api/tasks?q=zebra"
TASKS = 5000
LOAD_SECONDS = 3
RESPONSE_SECONDS = 5


def measure_capacity(port):
    """Return the responses per second to clients that each wait for their response, two for each thread."""
    start = time.monotonic()
    with BackgroundClients(port, 16, lambda client, _: [client.send("GET", PATH)]) as clients:
        time.sleep(2)
    assert count_statuses(clients.records).keys() == {200}
    return len(clients.records) / (time.monotonic() - start)


def overload(postgresql, database_name, url, report_result, replacements=None):
    """Return the records during the load and those of a single client after it.

    Also return whether the workers are still the same.
    """
    insert_tasks(postgresql, database_name, TASKS)
    with serve_behind_nginx(url, replacements, WORKERS="1") as (port, instances):
        workers = [instance.server.workers() for instance in instances]
        rate = 10 * measure_capacity(port)
        during = send_at_rate(port, PATH, rate, LOAD_SECONDS, timeout=RESPONSE_SECONDS)
        with RecordingClient(port, timeout=RESPONSE_SECONDS) as client:
            after = [client.send("GET", PATH) for _ in range(5)]
        same_workers = workers == [instance.server.workers() for instance in instances]
    for status in count_statuses(during):
        report_result(f"{rate:.0f}/s: {summarize([record for record in during if record.status == status])}")
    report_result(f"afterwards: {summarize(after)}")
    return during, after, same_workers


def test_overload_returns_503_in_time(postgresql, database_name, database_url, report_result):
    during, after, same_workers = overload(postgresql, database_name, database_url, report_result)
    rejected = [record for record in during if record.status == 503]
    assert count_statuses(during).keys() == {200, 503}
    assert {(record.headers["retry-after"], record.body["code"]) for record in rejected} == {
        ("1", "service_unavailable")
    }
    assert find_longest(rejected) < FROZEN_SECONDS
    assert find_longest(during) < RESPONSE_SECONDS
    assert (count_statuses(after), find_longest(after) < 0.5, same_workers) == ({200: 5}, True, True)


def test_overload_past_proxy_gets_503_from_service(postgresql, database_name, database_url, report_result):
    """The control is ``test_attackers.py::test_control_without_concurrency_limit_others_wait``."""
    during, after, same_workers = overload(
        postgresql, database_name, database_url, report_result, {" max_conns=128": ""}
    )
    assert count_statuses(during).keys() == {200, 503}
    assert find_longest(during) < RESPONSE_SECONDS
    assert (count_statuses(after).keys(), same_workers) == ({200}, True)
