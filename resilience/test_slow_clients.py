"""Clients that trickle their requests, or read their answers at a thousandth of the speed, keep nobody else waiting."""

import socket
import time
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest

from resilience.clients import Client, slowest, statuses
from resilience.instances import behind_nginx
from resilience.test_away import MANY_TASKS
from testing.servers import HOST, SERVE, served

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = (
    b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"
)
LIST = b"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"


def trickle(connection):
    connection.send(b"x")


def sip(connection):
    """1 KB."""
    connection.recv(1000)


@contextmanager
def slow_clients(port, number, beginning, go_on):
    """Clients that send ``beginning``, and then a bit of the rest, or read a bit of the answer, each second."""
    over = Event()
    with ExitStack() as stack:
        connections = []
        for _ in range(number):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((HOST, port))
            connection.settimeout(0.05)
            connection.sendall(beginning)
            connections.append(connection)

        def keep_on():
            while not over.wait(1):
                for connection in connections:
                    try:
                        go_on(connection)
                    except OSError:  # nothing to read yet, or closed by the server, which may do that
                        continue

        thread = Thread(target=keep_on)
        thread.start()
        stack.callback(thread.join)
        stack.callback(over.set)
        yield


def asked_meanwhile(port, seconds=3):
    """What a quick client sees meanwhile, of requests that need the database and of those that do not."""
    answers = []
    over = time.monotonic() + seconds
    with Client(port, timeout=2) as client:
        while time.monotonic() < over:
            answers += [client.send("GET", "/api/tasks?limit=1"), client.send("GET", "/healthz")]
    return answers


def seen(answers):
    return f"{dict(statuses(answers))}, the slowest {slowest(answers):.3f} s"


def check_undisturbed(answers):
    assert statuses(answers).keys() == {200}
    assert slowest(answers) < 0.5


@pytest.fixture
def proxy(database_url):
    with behind_nginx(database_url, WORKERS="1") as (port, _):
        yield port


def test_200_heads_that_trickle_do_not_disturb_the_server_alone(server, figure):
    with slow_clients(server.port, 200, HEAD, trickle):
        answers = asked_meanwhile(server.port)
    figure(seen(answers))
    check_undisturbed(answers)


@pytest.mark.parametrize("beginning", [HEAD, BODY], ids=["heads", "bodies"])
def test_200_requests_that_trickle_do_not_disturb_the_proxy(proxy, figure, beginning):
    with slow_clients(proxy, 200, beginning, trickle):
        answers = asked_meanwhile(proxy)
    figure(seen(answers))
    check_undisturbed(answers)


def test_control_bodies_that_trickle_hold_the_threads_of_the_server_alone(server, figure):
    with slow_clients(server.port, 200, BODY, trickle):
        answers = asked_meanwhile(server.port)
    figure(seen(answers))
    assert statuses(answers)[None] > 0


def test_16_slow_readers_of_a_long_list_do_not_disturb_the_proxy(proxy, postgresql, database_url, figure):
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    with slow_clients(proxy, 16, LIST, sip):
        answers = asked_meanwhile(proxy, 6)
    figure(seen(answers))
    assert statuses(answers).keys() == {200}
    # Reading the list for each of them takes a while on few cores, and then they are out of the way.
    assert slowest(answers[len(answers) // 2 :]) < 0.5


def test_8_slow_readers_hold_a_thread_each_and_no_connection(postgresql, database_url, figure):
    """Eight of 16 threads are left, and all of four connections; the check that wants one a thread is passed over."""
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    variables = {"WORKERS": "1", "THREADS": "16", "DB_POOL_SIZE": "4", "LOG_LEVEL": "CRITICAL"}
    served_so = served(database_url, (*SERVE, "--skip-checks"), **variables)
    with served_so as server, slow_clients(server.port, 8, LIST, sip):
        answers = asked_meanwhile(server.port)
    figure(seen(answers))
    check_undisturbed(answers)


def test_control_8_slow_readers_hold_all_of_8_threads(postgresql, database_url, figure):
    postgresql.execute(MANY_TASKS, database_url.rpartition("/")[2])
    served_so = served(database_url, WORKERS="1", THREADS="8", LOG_LEVEL="CRITICAL")
    with served_so as server, slow_clients(server.port, 8, LIST, sip):
        answers = asked_meanwhile(server.port)
    figure(seen(answers))
    assert statuses(answers)[None] > 0
