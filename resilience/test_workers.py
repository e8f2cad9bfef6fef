"""Workers and instances come and go, and no request that was accepted is dropped."""

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from resilience import LONG
from resilience.clients import Client, Crowd, slowest, statuses
from resilience.instances import Instance, behind_nginx, listening_socket
from resilience.nginx import nginx
from testing.programs import wait_for

CLIENTS = 12
ROUNDS = 10 if LONG else 2


def listeners(port):
    """How many workers listen: each has a socket of its own (proc(5), /proc/net/tcp)."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in lines)


def test_a_killed_worker_is_back_within_a_second(server, figure):
    assert len(server.workers()) == listeners(server.port) == 2
    times = []
    for victim in server.workers():
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        wait_for(lambda: listeners(server.port) == 1, "the worker is gone")
        wait_for(lambda: listeners(server.port) == 2, "another worker listens")
        times.append(time.monotonic() - killed)
    figure(f"{max(times):.2f} s")
    assert max(times) < 1


def test_a_worker_that_is_killed_in_mid_request_leaves_nothing_half_written(server, postgresql, database_url, figure):
    """What was sent to it is lost with its connection; every other request is answered."""
    with Crowd(server.port, CLIENTS, write) as crowd:
        wait_for(lambda: len(crowd.exchanges) > 200, "the clients write")
        os.kill(server.workers()[0], signal.SIGKILL)
        killed = time.monotonic()
        wait_for(lambda: crowd.all_had(killed, 200, 201), "every client is served")
    unknown = statuses(crowd.exchanges)[None]
    figure(f"{unknown} of {len(crowd.exchanges)} requests without an answer")
    assert statuses(crowd.exchanges).keys() <= {200, 201, None}
    assert unknown <= CLIENTS
    name = database_url.rpartition("/")[2]
    assert postgresql.execute("SELECT count(*) FROM tasks_task WHERE version NOT IN (1, 2)", name) == [(0,)]


def write(client, number):
    made = client.send("POST", "/api/tasks", {"title": f"By {number}"})
    return [made, client.send("POST", f"{made.headers['location']}/toggle")] if made.status == 201 else [made]


def test_rolling_reloads_behind_the_proxy_are_not_seen(database_url, figure):
    """SIGHUP: new workers start before the old ones end."""
    with behind_nginx(database_url, WORKERS="1") as (port, instances), Crowd(port, CLIENTS, write) as crowd:
        for _ in range(ROUNDS):
            for instance in instances:
                old = instance.server.workers()
                os.kill(instance.process.pid, signal.SIGHUP)
                wait_for(lambda: not set(old) & set(instance.server.workers()), "the workers are new")  # noqa: B023
                wait_until_served(crowd)
    figure(seen(crowd.exchanges))
    assert statuses(crowd.exchanges).keys() == {200, 201}


def test_rolling_restarts_behind_the_proxy_are_not_seen(database_url, figure):
    """SIGTERM, ten times each: what waits in the socket is the other instance's."""
    with behind_nginx(database_url, WORKERS="1") as (port, instances), Crowd(port, CLIENTS, write) as crowd:
        for _ in range(10):
            for instance in instances:
                instance.restart()
                wait_until_served(crowd)
    figure(seen(crowd.exchanges))
    assert statuses(crowd.exchanges).keys() == {200, 201}


def test_a_restart_of_the_only_instance_is_waited_for(database_url, figure):
    with listening_socket() as listening:
        exchanges = restarted_behind_nginx(Instance(database_url, listening, WORKERS="1"))
    figure(seen(exchanges))
    assert statuses(exchanges).keys() == {200, 201}


def test_control_a_restart_with_a_socket_of_its_own_is_seen(database_url, figure):
    exchanges = restarted_behind_nginx(Instance(database_url, None, WORKERS="1"))
    figure(seen(exchanges))
    assert statuses(exchanges)[503] > 0


def restarted_behind_nginx(instance):
    with nginx(instance.port) as port, Crowd(port, CLIENTS, write) as crowd:
        wait_until_served(crowd)
        instance.restart()
        wait_until_served(crowd)
    instance.stop()
    return crowd.exchanges


def wait_until_served(crowd):
    now = time.monotonic()
    wait_for(lambda: crowd.all_had(now, 200, 201), "every client is served")


def seen(exchanges):
    return f"{dict(statuses(exchanges))}, the slowest {slowest(exchanges):.2f} s"


@pytest.mark.parametrize(("defer", "answered"), [("1", True), ("0", False)], ids=["shipped", "control"])
def test_a_request_that_follows_its_connection_late_is_the_next_instance_s(database_url, defer, answered):
    """nginx connects, and then sends: in between the instance may end, which closes what it has accepted unread."""
    with listening_socket(deferacceptsec=defer) as listening, socket.socket() as connection:
        instance = Instance(database_url, listening, WORKERS="1")
        connection.connect(listening.getsockname())
        with Client(instance.port) as client:
            assert client.send("GET", "/healthz").status == 200  # which came later, so that this was accepted if it is
        instance.restart()
        with suppress(ConnectionError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200") is answered
        instance.stop()


def received(connection):
    try:
        return connection.recv(1000)
    except ConnectionError:
        return b""


def test_control_a_restart_without_the_proxy_is_seen(database_url, figure):
    """It closes connections that were kept, on which a client may just be sending; sooner or later one is."""
    with listening_socket() as listening:
        instance = Instance(database_url, listening, WORKERS="1")
        with Crowd(instance.port, CLIENTS, write) as crowd:
            for _ in range(20):
                wait_until_served(crowd)
                instance.restart()
                if statuses(crowd.exchanges)[None]:
                    break
        instance.stop()
    figure(seen(crowd.exchanges))
    assert statuses(crowd.exchanges)[None] > 0
