"""The metrics that each worker copies once a second: pool, database and keys."""

import time

import pytest
from prometheus_client import REGISTRY

from database.connections import BoundedConnection
from database.write_breaker import write_breaker
from identity.key_set import provider_keys
from observability.metrics import noted
from testing.python_processes import json_output_of
from testing.waiting import wait_for
from todo_project import worker_metrics
from todo_project.settings import BUILD_VERSION
from todo_project.worker_metrics import Sampler

STATS = {"pool_size": 5, "pool_available": 3}


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def pool(monkeypatch):
    """Replace the connection by one whose pool has the statistics that the fixture yields."""

    class Pool:
        stats = dict(STATS)

        def get_stats(self):
            return dict(self.stats)

    class Connection:
        pool = Pool()

    monkeypatch.setattr(worker_metrics, "connection", Connection)
    return Pool.stats


@pytest.mark.once
def test_new_sampler_counts_a_worker_of_its_build():
    before = value("todo_workers_started_total")
    Sampler()
    assert value("todo_workers_started_total") == before + 1
    assert value("todo_workers", build=BUILD_VERSION) == 1


@pytest.mark.once
def test_sampler_copies_the_connections_of_the_pool(pool):
    pool["requests_waiting"] = 2
    Sampler().sample()
    assert value("todo_pool_connections", state="idle") == 3
    assert value("todo_pool_connections", state="used") == 2
    assert value("todo_pool_waiting") == 2


@pytest.mark.once
def test_sampler_adds_only_what_is_new_in_the_pool(pool):
    names = ("todo_pool_waits_total", "todo_pool_wait_seconds_total", "todo_pool_timeouts_total")
    sampler = Sampler()
    before = [value(name) for name in names]
    for waits in (2, 2, 5):
        pool.update(requests_queued=waits, requests_wait_ms=100 * waits, requests_errors=waits - 1)
        sampler.sample()
    after = [value(name) for name in names]
    assert [round(new - old, 6) for new, old in zip(after, before, strict=True)] == [5, 0.5, 4]


@pytest.mark.django_db
def test_sampler_reads_the_real_pool(django_db_blocker):
    from django.db import connection

    Sampler().sample()
    if connection.vendor == "postgresql":
        assert value("todo_pool_connections", state="used") >= 1


@pytest.mark.once
def test_sampler_records_the_noted_requests():
    labels = {"method": "GET", "route": "/sampled", "status": "200"}
    noted.append((("GET", "sampled", 200), 0.5))
    Sampler().sample()
    assert value("http_request_duration_seconds_count", **labels) == 1
    assert len(noted) == 0


UNAVAILABLE_SINCE = "todo_database_unavailable_since_timestamp_seconds"
WRITES_REFUSED_SINCE = "todo_writes_refused_since_timestamp_seconds"


@pytest.mark.once
def test_sampler_without_outage_has_the_time_0():
    Sampler().sample()
    assert (value(UNAVAILABLE_SINCE), value(WRITES_REFUSED_SINCE)) == (0, 0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("state", "attribute", "metric"),
    [(BoundedConnection, "outage_start", UNAVAILABLE_SINCE), (write_breaker, "opened_at", WRITES_REFUSED_SINCE)],
    ids=["database", "standby"],
)
def test_sampler_in_an_outage_has_its_beginning(monkeypatch, state, attribute, metric):
    monkeypatch.setattr(state, attribute, time.monotonic() - 100)
    Sampler().sample()
    assert abs(value(metric) - (time.time() - 100)) < 5


@pytest.mark.once
@pytest.mark.usefixtures("jwt_mode")
def test_sampler_copies_the_age_of_the_keys(settings):
    settings.AUTH_MODE = "jwt"
    Sampler().sample()
    assert value("todo_provider_keys_age_seconds") == 0
    provider_keys().find("first", "EdDSA")
    Sampler().sample()
    assert 0 < value("todo_provider_keys_age_seconds") < 5


@pytest.mark.once
def test_started_sampler_samples_until_it_is_stopped(monkeypatch):
    samples = []
    monkeypatch.setattr(worker_metrics, "INTERVAL_SECONDS", 0.001)
    sampler = Sampler()
    sampler.sample = lambda: samples.append(1)
    sampler.start()
    wait_for(lambda: len(samples) > 2, "the sampler runs")
    sampler.stopped.set()
    sampler.join()
    assert sampler.daemon is True


LOADED = """
import json, sys, threading
import todo_project.wsgi
from django.conf import settings
threads = [thread.name for thread in threading.enumerate()]
print(json.dumps([settings.MIDDLEWARE[0], "metrics" in threads, "prometheus_client" in sys.modules]))
"""


@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "loaded"),
    [
        ({}, ["observability.request_id.request_id_middleware", False, False]),
        ({"METRICS_PORT": "9101"}, ["observability.metrics.metrics_middleware", True, True]),
    ],
    ids=["off", "on"],
)
def test_worker_loads_metrics_only_with_a_port(variables, loaded):
    assert json_output_of(LOADED, DATABASE_URL="sqlite:///:memory:", **variables) == loaded


#: The start of a worker, whose main process serves metrics.
STARTED = (
    "import json, os, todo_project.wsgi; print(json.dumps(sorted(os.listdir(os.environ['PROMETHEUS_MULTIPROC_DIR']))))"
)


@pytest.mark.once
def test_worker_reserves_the_files_of_its_metrics(tmp_path):
    names = json_output_of(
        STARTED, DATABASE_URL="sqlite:///:memory:", METRICS_PORT="9101", PROMETHEUS_MULTIPROC_DIR=str(tmp_path)
    )
    kinds = [name.rpartition("_")[0] for name in names]
    assert kinds == ["counter", "gauge_livemax", "gauge_livesum", "histogram"]
