"""Workers and instances end and start, and the service drops no request that it has accepted."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from resilience.instances import Instance, open_socket, serve_behind_nginx
from resilience.limits import CLIENTS, LONG_RUN
from resilience.nginx import run_nginx
from resilience.operations import create_and_change
from testing.api_clients import BackgroundClients, RecordingClient, count_statuses, find_longest, summarize
from testing.ports import client_address
from testing.process_tree import is_alive
from testing.python_processes import python_output
from testing.waiting import wait_for

RELOADS = 10 if LONG_RUN else 2


def wait_until_served(clients):
    now = time.monotonic()
    wait_for(lambda: clients.all_received(now, 200, 201), "every client is served")


def seconds_to_import_service():
    """Return how long a new process takes now to import the service, which is most of a worker's start."""
    start = time.monotonic()
    python_output("-c", "import todo_project.wsgi", DATABASE_URL="sqlite://:memory:")
    return time.monotonic() - start


def send_healthz(port, number):
    with RecordingClient(port, address=client_address(number)) as client:
        return client.send("GET", "/healthz")


def test_killed_worker_delays_requests_by_a_start(server, report_result):
    """Connections to the killed worker wait for the next one, and those to the other worker do not."""
    [killed, other] = server.workers()
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not is_alive(killed), "the worker is gone")
    with ThreadPoolExecutor(20) as threads:
        start = threads.submit(seconds_to_import_service)
        requests = [threads.submit(send_healthz, server.port, number) for number in range(19)]
    seconds = start.result()
    records = [request.result() for request in requests]
    shortest, longest = min(record.seconds for record in records), find_longest(records)
    report_result(f"{shortest:.2f} to {longest:.2f} s; a process imports the service in {seconds:.2f} s")
    assert count_statuses(records) == {200: 19}
    assert (shortest < seconds / 2, longest < 2 * seconds) == (True, True)
    assert other in server.workers()


def test_workers_killed_at_once_are_all_replaced(server):
    """The main process learns of all ends at the same moment."""
    killed = server.workers()
    os.kill(server.pid, signal.SIGSTOP)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, killed)), "the workers are gone")
    os.kill(server.pid, signal.SIGCONT)
    with ThreadPoolExecutor(20) as threads:
        requests = [threads.submit(send_healthz, server.port, number) for number in range(20)]
    assert count_statuses([request.result() for request in requests]) == {200: 20}
    assert len(server.workers()) == len(killed)
    assert not set(server.workers()) & set(killed)


def test_worker_killed_during_requests_loses_only_its_own(server, postgresql, database_name, report_result):
    """Its requests get no response, but no row is half written."""
    with BackgroundClients(server.port, CLIENTS, create_and_change) as clients:
        wait_for(lambda: len(clients.records) > 200, "the clients write")
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until_served(clients)
    statuses = count_statuses(clients.records)
    report_result(summarize(clients.records))
    assert statuses.keys() <= {200, 201, None}
    assert statuses[None] <= CLIENTS
    invalid = "SELECT count(*) FROM tasks_task WHERE version NOT IN (1, 2, 3)"
    assert postgresql.execute(invalid, database_name) == [(0,)]


def test_rolling_reload_behind_proxy_loses_no_request(database_url, report_result):
    """SIGHUP starts new workers before the old ones end."""
    serving = serve_behind_nginx(database_url, WORKERS="1")
    with serving as (port, instances), BackgroundClients(port, CLIENTS, create_and_change) as clients:
        for instance in RELOADS * instances:
            old = set(instance.server.workers())
            os.kill(instance.process.pid, signal.SIGHUP)
            wait_for(lambda: not old & set(instance.server.workers()), "the workers are new")  # noqa: B023
            wait_until_served(clients)
    report_result(summarize(clients.records))
    assert count_statuses(clients.records).keys() == {200, 201}


def test_rolling_restart_behind_proxy_loses_no_request(database_url, report_result):
    """While one instance restarts, the other accepts what waits in the shared socket."""
    serving = serve_behind_nginx(database_url, WORKERS="1")
    with serving as (port, instances), BackgroundClients(port, CLIENTS, create_and_change) as clients:
        for instance in 10 * instances:
            instance.restart()
            wait_until_served(clients)
    report_result(summarize(clients.records))
    assert count_statuses(clients.records).keys() == {200, 201}


def restart_behind_nginx(instance):
    """Restart an instance while clients write, and return their records."""
    with run_nginx(instance.port) as port, BackgroundClients(port, CLIENTS, create_and_change) as clients:
        wait_until_served(clients)
        instance.restart()
        wait_until_served(clients)
    instance.stop()
    return clients.records


def test_restart_of_only_instance_delays_requests(database_url, report_result):
    with open_socket() as listening:
        records = restart_behind_nginx(Instance(database_url, listening, WORKERS="1"))
    report_result(summarize(records))
    assert count_statuses(records).keys() == {200, 201}


def test_control_without_passed_socket_restart_returns_503(database_url, report_result):
    records = restart_behind_nginx(Instance(database_url, None, WORKERS="1"))
    report_result(summarize(records))
    assert count_statuses(records)[503] > 0


def connect_before_restart(url, **socket_options):
    """Connect, restart the instance, send a request on the connection, and return the response.

    nginx also connects before it sends. An instance that ends in between closes the connections that it has accepted.
    """
    with open_socket(**socket_options) as listening, socket.socket() as connection:
        instance = Instance(url, listening, WORKERS="1")
        connection.connect(listening.getsockname())
        with RecordingClient(instance.port) as client:
            # Because connections are accepted in order, the earlier one is accepted now, unless the kernel defers it.
            assert client.send("GET", "/healthz").status == 200
        instance.restart()
        response = b""
        with suppress(ConnectionError):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionError):
            response = connection.recv(1000)
        instance.stop()
    return response


def test_request_on_earlier_connection_survives_restart(database_url):
    assert connect_before_restart(database_url).startswith(b"HTTP/1.1 200")


def test_control_without_deferred_accept_request_is_lost(database_url):
    assert connect_before_restart(database_url, deferacceptsec="0") == b""


def test_control_without_proxy_restart_breaks_requests(database_url, report_result):
    """Restart several times, because a request must meet the moment when the server closes its connection."""
    with open_socket() as listening:
        instance = Instance(database_url, listening, WORKERS="1")
        with BackgroundClients(instance.port, CLIENTS, create_and_change) as clients:
            for _ in range(20):
                wait_until_served(clients)
                instance.restart()
                if count_statuses(clients.records)[None]:
                    break
        instance.stop()
    report_result(summarize(clients.records))
    assert count_statuses(clients.records)[None] > 0
