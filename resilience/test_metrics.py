"""Prometheus reads the metrics of the service under load, and each alert fires on a real fault."""

import math
import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, closing
from http.client import HTTPException
from pathlib import Path
from shutil import rmtree
from urllib.request import urlopen

import pytest

from testing.api_clients import RecordingClient
from testing.identity_provider import Provider
from testing.metered_service import (
    SECRET,
    locked_tasks,
    mixed_load,
    running_metered_service,
    stopped,
    without_keys,
    without_standby,
)
from testing.ports import HOST, free_port
from testing.process_tree import is_alive, process_tree
from testing.prometheus import (
    expression,
    panels,
    running_node_exporter,
    running_prometheus,
    write_backup_time,
)
from testing.servers import running_service
from testing.waiting import wait_for
from todo_project import __version__

#: A fault may take this many seconds until its alert fires.
ALERT_SECONDS = 60


@pytest.fixture
def provider():
    with closing(Provider()) as provider:
        yield provider


@pytest.fixture
def metrics_port():
    return free_port()


@pytest.fixture
def service(database_url, provider, metrics_port):
    with running_metered_service(database_url, provider, metrics_port) as server:
        yield server


@pytest.fixture
def load(service, provider):
    with mixed_load(service.port, provider) as clients:
        yield clients


@pytest.fixture
def prometheus(metrics_port, tmp_path):
    write_backup_time(tmp_path)
    with running_node_exporter(tmp_path) as node_port, running_prometheus([metrics_port], node_port) as prometheus:
        yield prometheus


def missing_panels(prometheus):
    """Return the expressions of the dashboard without a value."""
    found = {expression(target, "60s"): None for panel in panels() for target in panel["targets"]}
    for asked in found:
        found[asked] = [float(each["value"][1]) for each in prometheus.query(asked)]
    return [asked for asked, values in found.items() if not values or any(map(math.isnan, values))]


def wait_until_fires(prometheus, *names):
    start = time.monotonic()
    fired = set()

    def have_fired():
        fired.update(prometheus.firing())
        return fired >= set(names)

    wait_for(have_fired, f"{names} fire", ALERT_SECONDS)
    return f"{', '.join(names)}: {time.monotonic() - start:.1f} s"


def wait_until_silent(prometheus):
    wait_for(lambda: prometheus.query("todo_workers") and not prometheus.firing(), "no alert fires", ALERT_SECONDS)


def test_alerts_fire_on_real_faults_and_panels_have_data(
    service, load, prometheus, provider, postgresql, database_name, metrics_port, report_result
):
    for fault, *names in (
        (locked_tasks(postgresql, database_name), "TodoSlow", "TodoPoolWaits", "TodoErrors"),
        (without_standby(postgresql, service.port, provider), "TodoWritesRefused"),
        (stopped(postgresql), "TodoDatabaseUnavailable"),
        (without_keys(provider), "TodoProviderKeysOld"),
    ):
        wait_until_silent(prometheus)
        with fault:
            report_result(wait_until_fires(prometheus, *names))
    assert missing_panels(prometheus) == []
    with urlopen(f"http://{HOST}:{metrics_port}/metrics") as response:
        metrics = response.read().decode()
    assert {record.status for record in load.records} >= {200, 201, 404, 429, 503}
    assert 'route="/api/tasks",status="201"' in metrics
    assert SECRET not in metrics
    wait_until_silent(prometheus)
    os.kill(service.pid, signal.SIGTERM)
    report_result(wait_until_fires(prometheus, "TodoDown"))


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted: run as root with CAP_SYS_ADMIN")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_disk_and_backup_alerts_fire(small_disk, tmp_path, report_result):
    write_backup_time(tmp_path)
    with ExitStack() as stack:
        node_port = stack.enter_context(running_node_exporter(tmp_path))
        prometheus = stack.enter_context(running_prometheus([node_port], node_port, mountpoint=str(small_disk)))
        wait_for(lambda: prometheus.query("todo_backup_timestamp_seconds"), "the backup is known")
        wait_for(lambda: not prometheus.firing(), "no alert fires")
        (small_disk / "filler").write_bytes(bytes(1000_000))
        report_result(wait_until_fires(prometheus, "TodoDiskAlmostFull"))
        write_backup_time(tmp_path, seconds=27 * 3600)
        report_result(wait_until_fires(prometheus, "TodoBackupOld"))


# The processes


def scrape(port):
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=30) as response:
        return response.read().decode()


def is_scraped(port, text):
    """Tell whether the metrics have a text; an exporter that is replaced meanwhile has none."""
    try:
        return text in scrape(port)
    except (OSError, HTTPException):
        return False


def started_workers(port):
    [count] = [line.split()[1] for line in scrape(port).splitlines() if line.startswith("todo_workers_started_total ")]
    return float(count)


@pytest.fixture
def metered(database_url, metrics_port):
    with running_service(database_url, METRICS_PORT=str(metrics_port), WORKERS="2", LOG_LEVEL="CRITICAL") as server:
        yield server


def exporter_pid(server):
    [pid] = [pid for pid in server.workers() if b"exporter" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


def directory_of(server):
    environment = Path(f"/proc/{exporter_pid(server)}/environ").read_text().split("\0")
    [directory] = [item.partition("=")[2] for item in environment if item.startswith("PROMETHEUS_")]
    return Path(directory)


def test_counters_survive_workers_and_reloads(metered, metrics_port):
    with RecordingClient(metered.port) as client:
        assert [client.send("GET", "/api/tasks").status for _ in range(50)] == [200] * 50
    counted = 'http_request_duration_seconds_count{method="GET",route="/api/tasks",status="200"} 50.0'
    wait_for(lambda: counted in scrape(metrics_port), "the requests are recorded")
    exporter = exporter_pid(metered)
    os.kill(next(pid for pid in metered.workers() if pid != exporter), signal.SIGKILL)
    wait_for(lambda: started_workers(metrics_port) == 3, "the worker is replaced")
    os.kill(metered.pid, signal.SIGHUP)
    wait_for(lambda: not is_alive(exporter), "the exporter is replaced")
    running = f'build="{__version__}"}} 2.0'
    wait_for(lambda: started_workers(metrics_port) == 5 and running in scrape(metrics_port), "reloaded")
    assert counted in scrape(metrics_port)
    kinds = Counter(file.name.rpartition("_")[0] for file in directory_of(metered).iterdir())
    assert kinds == {"counter": 3, "histogram": 3, "gauge_livesum": 2, "gauge_livemax": 2}


def test_ended_exporter_is_replaced(metered, metrics_port):
    os.kill(exporter_pid(metered), signal.SIGKILL)
    wait_for(lambda: started_workers(metrics_port) == 2, "the exporter is replaced")


def test_removed_directory_is_replaced_for_a_new_worker(metered, metrics_port):
    """Cleaners of ``/tmp`` remove old directories.

    The reload and the new directory each replace the exporter.
    """
    rmtree(directory_of(metered))
    os.kill(metered.pid, signal.SIGHUP)
    wait_for(lambda: is_scraped(metrics_port, "todo_workers_started_total 2.0"), "the workers are replaced")
    assert directory_of(metered).is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_exporter_and_directory_end_with_the_server(metered, metrics_port, number):
    pids, directory = process_tree(metered.pid), directory_of(metered)
    assert directory.is_dir()
    os.kill(metered.pid, number)
    wait_for(lambda: not any(map(is_alive, pids)), "all processes have ended")
    assert not directory.exists()
