"""Ten times the load that the service can carry: what it cannot answer in time is told so at once."""

import time

from resilience.clients import Client, Crowd, arrivals, slowest, statuses
from resilience.instances import behind_nginx
from resilience.test_away import MANY_TASKS
from testing.programs import wait_for

#: A search that finds nothing among 5,000 tasks: little to send, so that the clients of this process can be that many.
PATH = "/api/tasks?q=zebra"
SECONDS = 3


def overloaded(postgresql, url, changes=None):
    """What becomes of 10 times the load, then of a client that is alone again; and the workers before and after."""
    postgresql.execute(MANY_TASKS.replace("30000", "5000"), url.rpartition("/")[2])
    with behind_nginx(url, changes, WORKERS="1") as (port, instances):
        before = [instance.server.workers() for instance in instances]
        rate = 10 * capacity(port)
        answers = arrivals(port, PATH, rate, SECONDS, timeout=5)
        with Client(port, timeout=5) as client:
            after = [client.send("GET", PATH) for _ in range(5)]
        return rate, answers, after, before == [instance.server.workers() for instance in instances]


def capacity(port):
    """Answers a second to clients that each wait for theirs, two for each thread."""
    begun = time.monotonic()
    with Crowd(port, 16, lambda client, _: [client.send("GET", PATH)]) as crowd:
        wait_for(lambda: time.monotonic() > begun + 2, "time passes")
    assert statuses(crowd.exchanges).keys() == {200}
    return len(crowd.exchanges) / (time.monotonic() - begun)


def seen(rate, answers, after):
    by_status = {status: [each for each in answers if each.status == status] for status in statuses(answers)}
    slow = {status: f"{len(each)} within {slowest(each):.2f} s" for status, each in by_status.items()}
    return f"{rate:.0f} a second: {slow}; afterwards {dict(statuses(after))} within {slowest(after):.2f} s"


def test_what_is_too_much_is_a_503_in_time(postgresql, database_url, figure):
    rate, answers, after, same_workers = overloaded(postgresql, database_url)
    figure(seen(rate, answers, after))
    shed = [each for each in answers if each.status == 503]
    assert statuses(answers).keys() == {200, 503}
    assert all((each.headers["retry-after"], each.body["code"]) == ("1", "service_unavailable") for each in shed)
    assert slowest(shed) < 2.5  # as a frozen database, the slowest 503 that is promised
    assert slowest(answers) < 5
    assert (statuses(after), slowest(after) < 0.5, same_workers) == ({200: 5}, True, True)


def test_control_without_a_limit_nobody_is_answered_in_time(postgresql, database_url, figure):
    rate, answers, after, _ = overloaded(postgresql, database_url, {" max_conns=128": ""})
    figure(seen(rate, answers, after))
    assert statuses(answers)[None] > len(answers) / 2
    assert statuses(after)[None] > 0
