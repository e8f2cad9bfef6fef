"""Ten times the possible load: the excess gets 503 in time, and ``/healthz`` stays fast."""

import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from resilience.instances import serve_behind_nginx
from resilience.limits import REQUESTS_AT_ONCE, UNAVAILABLE_SECONDS
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
HEALTHZ_SECONDS = 0.2
RESPONSE_SECONDS = 5


def measure_capacity(port):
    """Return the responses per second to clients that each wait for their response, one for each thread."""
    start = time.monotonic()
    with BackgroundClients(port, REQUESTS_AT_ONCE, lambda client, _: [client.send("GET", PATH)]) as clients:
        time.sleep(2)
    assert count_statuses(clients.records).keys() == {200}
    return len(clients.records) / (time.monotonic() - start)


def overload(port, rate):
    """Return the records of clients with many addresses, and of ``/healthz`` meanwhile.

    Another process sends the requests, because it would delay the probes of this one.
    """
    healthz = []
    with ProcessPoolExecutor(1) as process, RecordingClient(port, timeout=RESPONSE_SECONDS) as client:
        load = process.submit(send_at_rate, port, PATH, rate, LOAD_SECONDS, RESPONSE_SECONDS)
        while not load.done():
            healthz.append(client.send("GET", "/healthz"))
            time.sleep(0.02)
        return load.result(), healthz


@pytest.fixture
def overloaded(postgresql, database_name, database_url, report_result):
    """Return a function that overloads two instances behind nginx.

    It returns the records of the load and of ``/healthz`` during it, those of a client afterwards, and whether the
    workers are still the same.
    """

    def overloaded(replacements=None, **variables):
        insert_tasks(postgresql, database_name, TASKS)
        with serve_behind_nginx(database_url, replacements, WORKERS="1", **variables) as (port, instances):
            workers = [instance.server.workers() for instance in instances]
            rate = 10 * measure_capacity(port)
            during, healthz = overload(port, rate)
            with RecordingClient(port, timeout=RESPONSE_SECONDS) as client:
                after = [client.send("GET", PATH) for _ in range(5)]
            same_workers = workers == [instance.server.workers() for instance in instances]
        sent = len(during) / (max(record.start for record in during) - min(record.start for record in during))
        for status in count_statuses(during):
            records = [record for record in during if record.status == status]
            report_result(f"{rate:.0f}/s, {sent:.0f}/s sent: {summarize(records)}")
        report_result(f"healthz {summarize(healthz)}; afterwards: {summarize(after)}")
        return during, healthz, after, same_workers

    return overloaded


@pytest.mark.parametrize(
    ("replacements", "proxies"),
    [(None, "0"), (None, "1"), ({" max_conns=128": ""}, "0"), ({" max_conns=128": ""}, "1")],
    ids=["one address", "many addresses", "one address, not limited by nginx", "many addresses, not limited by nginx"],
)
def test_overload_returns_503_in_time(overloaded, replacements, proxies):
    """Without ``max_conns``, the control is ``test_control_without_concurrency_limit_others_wait``."""
    during, healthz, after, same_workers = overloaded(replacements, THROTTLE_PROXIES=proxies)
    rejected = [record for record in during if record.status == 503]
    assert count_statuses(during).keys() == {200, 503}
    assert {(record.headers["retry-after"], record.body["code"]) for record in rejected} == {
        ("1", "service_unavailable")
    }
    assert find_longest(rejected) < UNAVAILABLE_SECONDS
    assert find_longest(during) < RESPONSE_SECONDS
    assert count_statuses(healthz).keys() == {200}
    late = [record for record in healthz if record.seconds > HEALTHZ_SECONDS]
    assert (len(late) <= len(healthz) / 20, find_longest(healthz) < UNAVAILABLE_SECONDS) == (True, True)
    assert (count_statuses(after), find_longest(after) < 0.5, same_workers) == ({200: 5}, True, True)


def test_control_without_own_upstream_healthz_gets_503(overloaded):
    _, healthz, _, _ = overloaded({"proxy_pass http://todo_probes;": "proxy_pass http://todo;"})
    assert count_statuses(healthz)[503] > 0
