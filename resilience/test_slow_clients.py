"""Clients that send or read very slowly do not delay other clients."""

import socket
import time
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest

from resilience.instances import serve_behind_haproxy, serve_behind_nginx
from resilience.operations import insert_tasks
from testing.api_clients import BackgroundClients, RecordingClient, count_statuses, find_longest, summarize
from testing.ports import HOST, client_address
from testing.servers import SERVE_COMMAND, running_service
from testing.waiting import wait_for

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = (
    b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"
)
CHUNKS = BODY.replace(b"Content-Length: 50000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nffff\r\n")
LIST = b"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"


def send_byte(connection):
    connection.send(b"x")


def read_kilobyte(connection):
    connection.recv(1000)


@contextmanager
def slow_clients(port, number, beginning, proceed, address=client_address):
    """Let clients send the beginning of a request, and call ``proceed`` for each connection every second.

    ``address`` returns the address of the client with a number.
    """
    stopped = Event()
    with ExitStack() as stack:
        connections = []
        for each in range(number):
            connection = stack.enter_context(socket.socket())
            connection.bind((address(each), 0))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((HOST, port))
            connection.settimeout(0.05)
            connection.sendall(beginning)
            connections.append(connection)

        def proceed_every_second():
            while not stopped.wait(1):
                for connection in connections:
                    try:
                        proceed(connection)
                    except OSError:  # because there is nothing to read yet, or the server has closed the connection
                        continue

        thread = Thread(target=proceed_every_second)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stopped.set)
        yield


def send_quick_requests(port, report_result, seconds=3):
    """Send requests that need the database and requests that do not."""
    records = []
    end = time.monotonic() + seconds
    with RecordingClient(port, timeout=2) as client:
        while time.monotonic() < end:
            records += [client.send("GET", "/api/tasks?limit=1"), client.send("GET", "/healthz")]
    report_result(summarize(records))
    return records


def check_undisturbed(records):
    assert count_statuses(records).keys() == {200}
    assert find_longest(records) < 0.5


@pytest.fixture
def proxy_port(database_url):
    with serve_behind_nginx(database_url, WORKERS="1") as (port, _):
        yield port


def test_slow_heads_do_not_delay_server(server, report_result):
    with slow_clients(server.port, 200, HEAD, send_byte):
        records = send_quick_requests(server.port, report_result)
    check_undisturbed(records)


def test_unread_body_does_not_block_its_connection(server):
    """A worker that parks the thread of a refused body discards the rest of the body first."""
    too_large = "x" * 400_000

    def send_both(client, _):
        return [client.send("POST", "/api/tasks", too_large), client.send("GET", "/healthz")]

    def list_tasks(client, _):
        return [client.send("GET", "/api/tasks")]

    with (
        BackgroundClients(server.port, 12, list_tasks),
        BackgroundClients(server.port, 4, send_both, timeout=5) as clients,
    ):
        wait_for(lambda: min(map(len, clients.records_by_client)) >= 40, "each client has sent 20 bodies")
    assert "TimeoutError" not in {record.error for record in clients.records}


@pytest.fixture
def haproxy_port(database_url):
    with serve_behind_haproxy(database_url) as (proxy, _):
        yield proxy.port


@pytest.mark.parametrize("beginning", [HEAD, BODY], ids=["heads", "bodies"])
def test_slow_requests_do_not_delay_haproxy(haproxy_port, report_result, beginning):
    with slow_clients(haproxy_port, 200, beginning, send_byte):
        records = send_quick_requests(haproxy_port, report_result)
    check_undisturbed(records)


@pytest.mark.parametrize("beginning", [HEAD, BODY], ids=["heads", "bodies"])
def test_slow_requests_do_not_delay_proxy(proxy_port, report_result, beginning):
    with slow_clients(proxy_port, 200, beginning, send_byte):
        records = send_quick_requests(proxy_port, report_result)
    check_undisturbed(records)


@pytest.mark.parametrize(("beginning", "proceed"), [(BODY, send_byte), (LIST, read_kilobyte)], ids=["bodies", "lists"])
def test_slow_clients_of_one_address_delay_only_it(
    server, postgresql, database_name, report_result, beginning, proceed
):
    """Without a proxy. The control is ``test_control_without_proxy_slow_bodies_block_server``."""
    insert_tasks(postgresql, database_name)
    with slow_clients(server.port, 16, beginning, proceed, address=lambda _: client_address(1)):
        records = send_quick_requests(server.port, report_result)
    check_undisturbed(records)


def send_beside_chunked_bodies(server, report_result):
    """Send requests beside more unfinished chunked bodies of one address than the workers have threads."""
    with slow_clients(server.port, 300, CHUNKS, send_byte, address=lambda _: client_address(1)):
        return send_quick_requests(server.port, report_result)


def test_chunked_bodies_of_one_address_block_no_other(server, report_result):
    assert count_statuses(send_beside_chunked_bodies(server, report_result)).keys() == {200}


def test_control_without_slot_chunked_bodies_block_all(serve_without, report_result):
    with serve_without("slot for chunked bodies") as server:
        assert count_statuses(send_beside_chunked_bodies(server, report_result)).keys() == {None}


def test_control_without_proxy_slow_bodies_block_server(server, report_result):
    with slow_clients(server.port, 200, BODY, send_byte):
        records = send_quick_requests(server.port, report_result)
    assert count_statuses(records).keys() != {200}


def test_slow_readers_do_not_block_proxy(proxy_port, postgresql, database_name, report_result):
    insert_tasks(postgresql, database_name)
    with slow_clients(proxy_port, 16, LIST, read_kilobyte):
        records = send_quick_requests(proxy_port, report_result, 6)
    # While nginx takes all the lists, a request may find no free thread.
    assert count_statuses(records).keys() <= {200, 503}
    later = records[len(records) // 2 :]
    assert (count_statuses(later).keys(), find_longest(later) < 0.5) == ({200}, True)


@pytest.fixture
def read_slowly(postgresql, database_name, database_url, report_result):
    """Return a function that serves a long list to eight slow readers, and sends quick requests."""
    insert_tasks(postgresql, database_name)

    def read_slowly(threads, **variables):
        # Without --skip-checks, the service would refuse to start with fewer connections than threads.
        command = (*SERVE_COMMAND, "--skip-checks")
        serving = running_service(
            database_url, command, WORKERS="1", THREADS=str(threads), LOG_LEVEL="CRITICAL", **variables
        )
        with serving as server, slow_clients(server.port, 8, LIST, read_kilobyte):
            return send_quick_requests(server.port, report_result)

    return read_slowly


def test_slow_readers_block_one_thread_and_no_connection(read_slowly):
    check_undisturbed(read_slowly(threads=16, DB_POOL_SIZE="4"))


def test_control_without_spare_threads_slow_readers_block(read_slowly):
    assert count_statuses(read_slowly(threads=8))[503] > 0
