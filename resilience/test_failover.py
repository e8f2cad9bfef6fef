"""With a primary and a standby in ``DATABASE_URL`` the service follows the primary and loses no write."""

import os
import signal
import time
from contextlib import contextmanager
from shutil import rmtree

import pytest

from resilience.acknowledged import find_lost, last_acknowledged, read_rows
from resilience.limits import FROZEN_SECONDS, RECOVERY_SECONDS, REQUESTS_AT_ONCE, UNAVAILABLE_SECONDS, WRITERS
from resilience.operations import create_and_change
from resilience.standbys import start_standby, wait_for_replication
from testing.api_clients import BackgroundClients, count_statuses, find_longest
from testing.postgresql import PostgreSQL
from testing.servers import running_service
from testing.waiting import wait_for

#: How long an operator takes to notice an outage and promote the standby.
NOTICE_SECONDS = 4
FAILOVER_SECONDS = 2 * RECOVERY_SECONDS


@contextmanager
def write_to(serving):
    """Start a server, and yield clients that write to it."""
    with serving as server, BackgroundClients(server.port, WRITERS, create_and_change) as writers:
        yield writers


def serve(url):
    return running_service(url, WORKERS="2", LOG_LEVEL="CRITICAL")


def fail_over(writers, cause_fault, standby):
    """Promote the standby some time after a fault.

    Returns:
        The seconds from the promotion until every writer is served, and the times of the fault and the promotion.
    """
    wait_for(lambda: writers.all_received(0, 200, 201), "every writer has written")
    cause_fault()
    fault_time = time.monotonic()
    wait_for(lambda: writers.all_received(fault_time, 503), "every writer has a 503")
    time.sleep(max(0, fault_time + NOTICE_SECONDS - time.monotonic()))
    promotion_time = time.monotonic()
    standby.execute("SELECT pg_promote()")
    wait_for(lambda: writers.all_received(promotion_time, 200, 201), "every writer is served again", FAILOVER_SECONDS)
    return time.monotonic() - promotion_time, fault_time, promotion_time


@pytest.fixture
def find_lost_writes(standby, database_name, report_result):
    """Return a function that finds the acknowledged writes that the standby does not have."""

    def find_lost_writes(writers):
        acknowledged = last_acknowledged(writers.records)
        lost = find_lost(acknowledged, read_rows(standby.url(database_name, "todo")))
        report_result(f"{len(lost)} of {len(acknowledged)} tasks lost")
        return lost

    return find_lost_writes


@pytest.mark.parametrize(
    ("cause_fault", "limit"),
    [(PostgreSQL.kill, UNAVAILABLE_SECONDS), (PostgreSQL.freeze, FROZEN_SECONDS)],
    ids=["killed", "frozen"],
)
def test_standby_takes_over_without_losing_writes(
    primary, standby, url, find_lost_writes, report_result, cause_fault, limit
):
    with write_to(serve(url)) as writers:
        seconds, fault_time, promotion_time = fail_over(writers, lambda: cause_fault(primary), standby)
    between = [record for record in writers.records if fault_time <= record.start and record.end <= promotion_time]
    longest = find_longest(writers.records)
    report_result(f"served {seconds:.2f} s after the promotion, longest {longest:.2f} s")
    assert find_lost_writes(writers) == []
    assert seconds <= RECOVERY_SECONDS
    assert count_statuses(between).keys() == {503}
    assert {record.headers["retry-after"] for record in between} == {"1"}
    assert count_statuses(writers.records).keys() == {200, 201, 503}
    assert longest <= limit


def test_control_without_synchronous_standby_writes_are_lost(primary, standby, url, find_lost_writes):
    primary.restart()
    wait_for_replication(primary)

    def kill_ahead_of_standby():
        [(receiver,)] = standby.execute("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(receiver, signal.SIGSTOP)
        stop_time = time.monotonic()
        wait_for(lambda: writers.all_received(stop_time, 200, 201), "every writer has written")
        primary.kill()
        os.kill(receiver, signal.SIGTERM)  # Without this, the standby would read the writes in its socket.
        os.kill(receiver, signal.SIGCONT)

    with write_to(serve(url)) as writers:
        fail_over(writers, kill_ahead_of_standby, standby)
    assert find_lost_writes(writers) != []


def test_control_without_second_host_no_writer_is_served(primary, standby, database_name, report_result):
    serving = serve(primary.url(database_name, "todo"))
    with write_to(serving) as writers, pytest.raises(TimeoutError, match="served again"):
        fail_over(writers, primary.kill, standby)
    report_result(f"no writer is served within {FAILOVER_SECONDS:.0f} s")


def test_old_primary_returning_as_standby_is_skipped(primary, standby, url, find_lost_writes, report_result):
    with write_to(serve(url)) as writers:
        fail_over(writers, primary.kill, standby)
        rmtree(primary.directory)
        old_primary = start_standby(standby, "primary", primary.port)
        try:
            standby.end_sessions()  # so that the service connects again, first to the first host
            end_time = time.monotonic()
            wait_for(lambda: writers.all_received(end_time, 200, 201), "every writer is served again")
            served_time = time.monotonic()
            wait_for(lambda: writers.all_received(served_time, 200, 201), "every writer writes on")
            old_sessions, new_sessions = old_primary.count_sessions(), standby.count_sessions()
        finally:
            old_primary.kill()
    statuses = count_statuses([record for record in writers.records if record.start >= end_time])
    report_result(f"{dict(statuses)} after the return, sessions {old_sessions} and {new_sessions}")
    assert find_lost_writes(writers) == []
    assert (old_sessions, new_sessions > 0) == (0, True)
    assert statuses.keys() <= {200, 201, 503}
    assert statuses[503] <= REQUESTS_AT_ONCE


def make_read_only(primary):
    """Make the primary read-only, but keep its sessions, as an operator does before a switch-over."""
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.execute("SELECT pg_reload_conf()")


def test_service_leaves_primary_that_turns_read_only(primary, standby, url, find_lost_writes, report_result):
    with write_to(serve(url)) as writers:
        seconds, *_ = fail_over(writers, lambda: make_read_only(primary), standby)
        wait_for(lambda: primary.count_sessions() == 0, "no session with the old primary is left")
    report_result(f"served {seconds:.2f} s after the promotion")
    assert find_lost_writes(writers) == []
    assert seconds <= RECOVERY_SECONDS


def test_control_without_primary_check_sessions_stay(primary, standby, url, report_result, serve_without):
    with serve_without("primary check", url) as server:
        with (
            BackgroundClients(server.port, WRITERS, create_and_change) as writers,
            pytest.raises(TimeoutError, match="served again"),
        ):
            fail_over(writers, lambda: make_read_only(primary), standby)
        sessions = primary.count_sessions()
    report_result(f"no writer is served within {FAILOVER_SECONDS:.0f} s, {sessions} sessions with the old primary")
    assert sessions > 0
