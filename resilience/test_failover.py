"""A primary and a standby, both in ``DATABASE_URL``: the service follows the one that takes writes; none is lost."""

import os
import signal
import time
from shutil import rmtree

import psycopg
import pytest

from resilience.clients import Crowd, slowest, statuses
from resilience.test_away import BACK_WITHIN, FROZEN_WITHIN, WITHIN
from resilience.test_durability import ROWS, WRITERS, acknowledged, lost, write
from testing.postgresql import PostgreSQL
from testing.programs import wait_for
from testing.servers import HOST, served

NOTICED_AFTER = 4  # seconds, by whoever promotes the standby
QUIET = {"WORKERS": "2", "LOG_LEVEL": "CRITICAL"}


@pytest.fixture
def pair(postgresql, database_url):
    """A primary that acknowledges what its standby has written too, and that standby; copies of the bench's server."""
    primary = postgresql.clone("primary")
    primary.start(synchronous_standby_names="*")
    standby = standby_of(primary, "standby")
    yield primary, standby
    for server in (primary, standby):
        server.kill()
        rmtree(server.directory)


def following(primary):
    [(count,)] = primary.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
    return count


def standby_of(primary, name, port=None):
    standby = primary.clone(name, "--write-recovery-conf")
    standby.port = port or standby.port
    standby.start()
    wait_for(lambda: following(primary), "the standby follows")
    return standby


@pytest.fixture
def urls(pair, database_url):
    """Of both servers, as the service takes it, and of each alone."""
    name = database_url.rpartition("/")[2]
    both = ",".join(f"{HOST}:{server.port}" for server in pair)
    return [
        f"postgresql://todo@{both}/{name}?target_session_attrs=read-write",
        *(one.url(name, "todo") for one in pair),
    ]


def fall_over(crowd, fault, standby):
    """Seconds from the order to promote the standby until every client is served, and when it was away."""
    wait_for(lambda: crowd.all_had(0, 200, 201), "every writer writes")
    fault()
    away = time.monotonic()
    wait_for(lambda: crowd.all_had(away, 503), "every writer has its 503")
    wait_for(lambda: time.monotonic() > away + NOTICED_AFTER, "time passes")
    promoted = time.monotonic()
    standby.execute("SELECT pg_promote()")
    wait_for(lambda: crowd.all_had(promoted, 200, 201), "every writer is served again", 2 * BACK_WITHIN)
    return time.monotonic() - promoted, away, promoted


def losses(crowd, url):
    answers = acknowledged(crowd)
    with psycopg.connect(url) as connection:
        return lost(answers, connection.execute(ROWS).fetchall()), answers


@pytest.mark.parametrize(
    ("fault", "within"), [(PostgreSQL.kill, WITHIN), (PostgreSQL.freeze, FROZEN_WITHIN)], ids=["killed", "frozen"]
)
def test_a_standby_takes_over_and_no_acknowledged_write_is_lost(pair, urls, figure, fault, within):
    primary, standby = pair
    with served(urls[0], **QUIET) as server, Crowd(server.port, WRITERS, write) as crowd:
        seconds, away, promoted = fall_over(crowd, lambda: fault(primary), standby)
    missing, answers = losses(crowd, urls[2])
    meanwhile = [each for each in crowd.exchanges if away <= each.start and each.end <= promoted]
    slow = slowest(crowd.exchanges)
    figure(f"{len(missing)} of {len(answers)} tasks lost; served {seconds:.2f} s after the order; slowest {slow:.2f} s")
    assert missing == []
    assert seconds <= BACK_WITHIN
    assert statuses(meanwhile).keys() == {503}
    assert {each.headers["retry-after"] for each in meanwhile} == {"1"}
    assert statuses(crowd.exchanges).keys() == {200, 201, 503}
    assert slow <= within


def test_control_an_asynchronous_standby_that_lags_loses_some(pair, urls, figure):
    primary, standby = pair
    primary.restart()
    wait_for(lambda: following(primary), "the standby follows")

    def lag_and_die():
        [(receiver,)] = standby.execute("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(receiver, signal.SIGSTOP)
        behind = time.monotonic()
        wait_for(lambda: crowd.all_had(behind, 200, 201), "every writer writes")
        primary.kill()
        os.kill(receiver, signal.SIGTERM)  # before it reads what is in its socket yet
        os.kill(receiver, signal.SIGCONT)

    with served(urls[0], **QUIET) as server, Crowd(server.port, WRITERS, write) as crowd:
        fall_over(crowd, lag_and_die, standby)
    missing, answers = losses(crowd, urls[2])
    figure(f"{len(missing)} of {len(answers)} tasks lost")
    assert missing != []


def test_control_with_one_host_in_the_url_nobody_is_served(pair, urls, figure):
    primary, standby = pair
    never = pytest.raises(TimeoutError, match="served again")
    with served(urls[1], **QUIET) as server, Crowd(server.port, WRITERS, write) as crowd, never:
        fall_over(crowd, primary.kill, standby)
    figure(f"none within {2 * BACK_WITHIN:.0f} s")


def test_an_old_primary_that_comes_back_as_a_standby_is_passed_over(pair, urls, figure):
    primary, standby = pair
    with served(urls[0], **QUIET) as server, Crowd(server.port, WRITERS, write) as crowd:
        fall_over(crowd, primary.kill, standby)
        rmtree(primary.directory)
        returned = standby_of(standby, "primary", primary.port)
        try:
            standby.end_sessions()  # and the first host of the URL is asked first
            ended = time.monotonic()
            wait_for(lambda: crowd.all_had(ended, 200, 201), "every writer is served again")
            again = time.monotonic()
            wait_for(lambda: crowd.all_had(again, 200, 201), "every writer goes on")
            sessions = returned.sessions(), standby.sessions()
        finally:
            returned.kill()
    missing, answers = losses(crowd, urls[2])
    since = statuses([each for each in crowd.exchanges if each.start >= ended])
    figure(f"{len(missing)} of {len(answers)} tasks lost; {dict(since)} after its return; sessions {sessions}")
    assert missing == []
    assert (sessions[0], sessions[1] > 0) == (0, True)
    assert since.keys() <= {200, 201, 503}
    assert since[503] <= 8  # what two workers of four threads had under way


def switch_over(primary):
    """A primary that its operator makes read-only and lets live on, with all of its sessions."""
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.execute("SELECT pg_reload_conf()")


def test_a_primary_that_has_become_read_only_is_left(pair, urls, figure):
    primary, standby = pair
    with served(urls[0], **QUIET) as server, Crowd(server.port, WRITERS, write) as crowd:
        seconds, *_ = fall_over(crowd, lambda: switch_over(primary), standby)
        wait_for(lambda: primary.sessions() == 0, "no session is left there")
    missing, answers = losses(crowd, urls[2])
    figure(f"{len(missing)} of {len(answers)} tasks lost; served {seconds:.2f} s after the order")
    assert (missing, seconds <= BACK_WITHIN) == ([], True)


def test_control_whoever_does_not_look_stays_with_it(pair, urls, figure, served_by):
    primary, standby = pair
    with served_by("unsafe", urls[0], WITHOUT="look at the role") as server:
        with Crowd(server.port, WRITERS, write) as crowd, pytest.raises(TimeoutError, match="served again"):
            fall_over(crowd, lambda: switch_over(primary), standby)
        sessions = primary.sessions()
    figure(f"none within {2 * BACK_WITHIN:.0f} s, {sessions} sessions with the old primary")
    assert sessions > 0
