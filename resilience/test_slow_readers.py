"""Clients that read long lists slowly fill only a bounded part of the proxy's disk."""

import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from resilience.instances import serve_behind_haproxy, serve_behind_nginx
from resilience.operations import insert_tasks
from testing.api_clients import RecordingClient
from testing.ports import HOST, client_address
from testing.process_tree import proc_fields, process_tree
from testing.waiting import wait_for

LIST = b"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1024 * 1024


def disk_of_proxy():
    """Return the MiB of nginx's temporary files, whose names nginx deletes at once."""
    processes = [pid for pid in process_tree(os.getpid()) if proc_fields(f"/proc/{pid}/status").get("Name") == "nginx"]
    size = 0
    for descriptor in (path for pid in processes for path in Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(FileNotFoundError):
            size += descriptor.stat().st_size if descriptor.readlink().name.endswith("(deleted)") else 0
    return size / MIB


@pytest.fixture
def serve_list(postgresql, database_name, database_url):
    """Yield a function that serves a list of ``tasks`` tasks behind nginx, and returns the port."""
    stack = ExitStack()
    with stack:

        def serve_list(tasks, replacements=None):
            insert_tasks(postgresql, database_name, tasks)
            # Without more threads, the service itself would refuse the lists.
            threads = {"THREADS": "16", "MAX_CONCURRENT_PER_USER": "16", "DB_POOL_SIZE": "17"}
            return stack.enter_context(serve_behind_nginx(database_url, replacements, WORKERS="1", **threads))[0]

        yield serve_list


@pytest.fixture
def begin_lists():
    """Yield a function that requests lists, reads the beginning of each, and returns the statuses."""
    stack = ExitStack()
    with stack:

        def begin_lists(port, number, address=HOST):
            statuses = []
            for _ in range(number):
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.bind((address, 0))
                connection.settimeout(10)
                connection.connect((HOST, port))
                connection.sendall(LIST)
                statuses.append(int(connection.recv(1000).split()[1]))
            return statuses

        yield begin_lists


def test_slow_reader_fills_at_most_32_mib(serve_list, begin_lists, report_result):
    """The list has 42 MiB. nginx answers other requests while it waits for the reader."""
    port = serve_list(60_000)
    assert begin_lists(port, 1) == [200]
    wait_for(lambda: disk_of_proxy() > 31, "nginx has taken a part of the list")
    with RecordingClient(port, address=client_address(1)) as client:
        sizes = [disk_of_proxy() for _ in range(50) if client.send("GET", "/api/tasks?limit=1000").status == 200]
    report_result(f"{max(sizes):.1f} MiB")
    assert (len(sizes), max(sizes) < 32.5) == (50, True)


def test_control_without_size_limit_reader_fills_more(serve_list, begin_lists, report_result):
    port = serve_list(60_000, {"proxy_max_temp_file_size 32m;": "proxy_max_temp_file_size 1024m;"})
    assert begin_lists(port, 1) == [200]
    wait_for(lambda: disk_of_proxy() > 38, "nginx has taken the whole list")
    report_result(f"{disk_of_proxy():.1f} MiB")


def test_address_with_8_open_lists_gets_503(serve_list, begin_lists, report_result):
    port = serve_list(10_000)
    statuses = begin_lists(port, 12)
    report_result(f"{statuses}, {disk_of_proxy():.1f} MiB")
    assert statuses == [200] * 8 + [503] * 4
    with RecordingClient(port) as client:
        refused = client.send("GET", "/api/tasks/trash")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.body["code"] == "service_unavailable"
        assert client.send("POST", "/api/tasks", {"title": "Buy milk"}).status == 201
    assert begin_lists(port, 1, client_address(1)) == [200]


@pytest.mark.parametrize(
    ("replacements", "statuses"),
    [({}, [200] * 8 + [503] * 4), ({"sc0_conn_cur gt 8": "sc0_conn_cur gt 80"}, [200] * 12)],
    ids=["8 lists", "control without limit"],
)
def test_address_with_8_lists_gets_503_from_haproxy(
    postgresql, database_name, database_url, begin_lists, replacements, statuses
):
    """Each list is longer than a buffer of HAProxy, so it stays open."""
    insert_tasks(postgresql, database_name, 10_000)
    with serve_behind_haproxy(database_url, replacements) as (proxy, _):
        assert begin_lists(proxy.port, 12) == statuses
        with RecordingClient(proxy.port) as client:
            assert client.send("GET", "/api/%74asks?limit=1").status == statuses[-1]
            assert client.send("POST", "/api/tasks", {"title": "Buy milk"}).status == 201
        assert begin_lists(proxy.port, 1, client_address(1)) == [200]


def test_control_without_limit_of_lists_address_gets_all(serve_list, begin_lists, report_result):
    port = serve_list(10_000, {"limit_conn todo_reader 8;": ""})
    statuses = begin_lists(port, 12)
    report_result(f"{statuses}, {disk_of_proxy():.1f} MiB")
    assert statuses == [200] * 12


def test_reader_that_stops_frees_disk_within_20_s(serve_list, begin_lists):
    port = serve_list(10_000)
    assert begin_lists(port, 1) == [200]
    wait_for(lambda: disk_of_proxy() > 0, "nginx has taken the list")
    wait_for(lambda: disk_of_proxy() == 0, "nginx has disconnected the reader", timeout=20)


def test_control_without_send_timeout_disk_stays_full(serve_list, begin_lists):
    port = serve_list(10_000, {"send_timeout 10s;": ""})
    assert begin_lists(port, 1) == [200]
    wait_for(lambda: disk_of_proxy() > 0, "nginx has taken the list")
    with pytest.raises(TimeoutError):
        wait_for(lambda: disk_of_proxy() == 0, "nginx has disconnected the reader", timeout=20)
