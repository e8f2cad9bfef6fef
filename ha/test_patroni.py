"""With ``deploy/patroni.yaml`` the service follows a new primary and loses no acknowledged write."""

import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from ha.apps import longest_gap
from resilience.acknowledged import find_lost, last_acknowledged, read_rows
from testing.api_clients import count_statuses
from testing.waiting import wait_for

pytestmark = pytest.mark.once

#: The lease of a lost primary ends after 20 s. The election, the promotion and new connections take the other seconds.
SERVED_SECONDS = 60

#: The instances that a cut of the primary's zone leaves with the standbys.
AWAY = ("several hosts", "HAProxy")


def wait_until_served(writers, since, names):
    for name in names:
        served = writers[name].all_received
        wait_for(lambda: served(since, 200, 201), f"{name}: every writer is served", SERVED_SECONDS)  # noqa: B023


@pytest.fixture
def cause_fault(cluster, apps):
    """Return a function that causes a fault under writers, and then removes the fault.

    It removes the fault as soon as the instances in ``served`` write again, and waits until all write again. It returns
    the requests, the primary that took over, and the times.
    """

    def cause_fault(cause, remove=lambda: None, served=tuple(apps)):
        with ExitStack() as stack:
            writers = {name: stack.enter_context(app.writers()) for name, app in apps.items()}
            readers = stack.enter_context(apps["beside"].readers())
            wait_until_served(writers, 0, apps)
            start = time.monotonic()
            cause()
            wait_until_served(writers, time.monotonic(), served)
            end, primary = time.monotonic(), cluster.wait_for_leader()
            remove()
            wait_until_served(writers, time.monotonic(), apps)
        records = {name: each.records for name, each in writers.items()}
        gaps = {name: longest_gap(records[name], start, end) for name in served}
        return SimpleNamespace(records=records, reads=readers.records, gaps=gaps, primary=primary, start=start, end=end)

    return cause_fault


@pytest.fixture
def find_lost_writes(cluster, report_seconds):
    """Return a function that finds the acknowledged writes that the cluster has lost, and reports a row."""

    def find_lost_writes(fault, played):
        acknowledged = last_acknowledged(record for records in played.records.values() for record in records)
        lost = find_lost(acknowledged, cluster.operator.call(read_rows, cluster.url()))
        report_seconds(fault, played.gaps, f"{len(lost)} of {len(acknowledged)}")
        return lost

    return find_lost_writes


def statuses(played):
    """Return the statuses of all responses; ``None`` stands for a request without a response."""
    return count_statuses(
        [*played.reads, *(record for records in played.records.values() for record in records)]
    ).keys()


def test_switchover_loses_no_acknowledged_write(cluster, cause_fault, find_lost_writes):
    played = cause_fault(cluster.switch_over)
    assert find_lost_writes("switchover", played) == []
    assert played.primary in {"db2", "db3"}
    assert statuses(played) == {200, 201, 503}


def test_killed_primary_loses_no_acknowledged_write(cluster, cause_fault, find_lost_writes):
    played = cause_fault(cluster.servers["db1"].kill_postgresql)
    assert find_lost_writes("`kill -9` of the primary", played) == []
    assert statuses(played) == {200, 201, 503}


def test_dead_machine_loses_no_acknowledged_write(cluster, cause_fault, find_lost_writes):
    server = cluster.servers["db1"]
    played = cause_fault(server.machine.kill, server.restart)
    assert find_lost_writes("death of the primary's machine", played) == []
    assert played.primary in {"db2", "db3"}
    assert statuses(played) == {200, 201, 503}


@pytest.fixture
def cut_zone(cluster, cause_fault, report_result):
    """Return a function that cuts the primary's zone off, and reports the answers in that zone."""

    def cut_zone():
        played = cause_fault(lambda: cluster.network.cut("zone1"), lambda: cluster.network.join("zone1"), AWAY)
        for name, records in (("reads", played.reads), ("writes", played.records["beside"])):
            during = [record for record in records if played.start <= record.start and record.end <= played.end]
            last = max((record.end - played.start for record in during if record.status in {200, 201}), default=0)
            report_result(
                f"{name} beside the old primary: {dict(count_statuses(during))}, the last 2xx after {last:.1f} s"
            )
        return played

    return cut_zone


def test_cut_zone_loses_no_acknowledged_write(cut_zone, find_lost_writes):
    played = cut_zone()
    assert find_lost_writes("cut of the primary's zone", played) == []
    assert played.primary in {"db2", "db3"}
    assert statuses(played) == {200, 201, 503}


def test_cut_off_instance_serves_no_read_after_promotion(cut_zone):
    played = cut_zone()
    others = [record for name in AWAY for record in played.records[name]]
    first_write = min(record.end for record in others if record.start > played.start and record.status in {200, 201})
    reads = [record for record in played.reads if played.start < record.start and record.end < played.end]
    assert played.primary in {"db2", "db3"}
    assert count_statuses(record for record in reads if record.start < first_write).keys() == {200, 503}
    assert count_statuses(record for record in reads if record.end > first_write).keys() <= {503}


@pytest.fixture
def without_synchronous_mode(cluster):
    cluster.patronictl("edit-config", "--set", "synchronous_mode=false", "--force", "--quiet")
    cluster.wait_until_healthy("replica")
    yield
    cluster.patronictl("edit-config", "--set", "synchronous_mode=true", "--force", "--quiet")
    cluster.wait_until_healthy()


@pytest.mark.usefixtures("without_synchronous_mode")
def test_control_without_synchronous_mode_writes_are_lost(cut_zone, find_lost_writes):
    assert find_lost_writes("the same without `synchronous_mode`", cut_zone()) != []
