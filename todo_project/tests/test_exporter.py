"""The process that serves the metrics of all workers."""

import os
import socket
import subprocess
import sys
from concurrent.futures import Executor, Future
from contextlib import closing, contextmanager
from datetime import timedelta
from urllib.request import urlopen

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from changes.models import Removal
from idempotency.tests.factories import KeptResponseFactory
from tasks.tests.factories import TaskFactory
from testing.python_processes import ROOT, service_environment
from todo_project.server import exporter
from todo_project.server.exporter import TableCollector, make_registry

WORKER = """
import os, sys
from prometheus_client import Counter, Gauge, Histogram
Counter("made_requests", "Help.").inc(int(sys.argv[1]))
Histogram("made_seconds", "Help.", buckets=(1,)).observe(0.5)
Gauge("made_workers", "Help.", multiprocess_mode="livesum").set(1)
print(os.getpid())
sys.stdout.close()
sys.stdin.read()
"""


@contextmanager
def running_worker(directory, requests):
    """Run a process that leaves metrics in a directory, until the end of the ``with`` block."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    command = [sys.executable, "-c", WORKER, str(requests)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        yield


class SameThread(Executor):
    """Runs a question at once, in the thread and transaction of the test."""

    def submit(self, ask):
        question = Future()
        question.set_result(ask())
        return question


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Return the metrics of a directory; the database is asked in the test's own connection."""
    monkeypatch.setattr(exporter, "ThreadPoolExecutor", lambda *_: SameThread())
    monkeypatch.setattr(exporter.connection, "close", lambda: None)
    return make_registry(tmp_path)


def samples(text, *prefixes):
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefixes)
    }


def scraped(registry, *prefixes):
    return samples(generate_latest(registry).decode(), *prefixes)


@pytest.mark.django_db
def test_metrics_of_workers_are_added(registry, tmp_path):
    with running_worker(tmp_path, 2), running_worker(tmp_path, 3):
        assert scraped(registry, "made_") == {
            ("made_requests_total",): 5,
            ("made_seconds_bucket", "1.0"): 2,
            ("made_seconds_bucket", "+Inf"): 2,
            ("made_seconds_count",): 2,
            ("made_seconds_sum",): 1,
            ("made_workers",): 2,
        }


@pytest.mark.django_db
def test_ended_worker_keeps_counters_and_loses_gauges(registry, tmp_path):
    for _ in range(3):
        with running_worker(tmp_path, 2):
            assert scraped(registry, "made_workers") == {("made_workers",): 1}
    assert scraped(registry, "made_") == {
        ("made_requests_total",): 6,
        ("made_seconds_bucket", "1.0"): 3,
        ("made_seconds_bucket", "+Inf"): 3,
        ("made_seconds_count",): 3,
        ("made_seconds_sum",): 1.5,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_0.db", "histogram_0.db"]


@pytest.mark.django_db
@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["running", "ended"])
def test_empty_file_of_a_worker_is_skipped(registry, tmp_path, pid):
    file = tmp_path / f"counter_{pid}.db"
    file.touch()
    assert scraped(registry, "made_") == {}
    assert file.exists() is (pid == os.getpid())


# Tables


@pytest.mark.django_db
def test_tables_have_their_rows_and_oldest_ages(registry):
    now = timezone.now()
    TaskFactory()
    for hours in (1, 5):
        TaskFactory(created_at=now - timedelta(days=1), deleted_at=now - timedelta(hours=hours))
    KeptResponseFactory(created_at=now - timedelta(hours=7))
    found = scraped(registry, "todo_")
    ages = {name: found.pop(name) for name in [*found] if name[0] == "todo_oldest_row_age_seconds"}
    assert found == {
        ("todo_rows", "trash"): 2,
        ("todo_rows", "kept_responses"): 1,
        ("todo_rows", "removals"): Removal.objects.count(),
    }
    assert {kind: round(age / 3600) for (_, kind), age in ages.items()} == {
        "trash": 5,
        "kept_responses": 7,
        "removals": 0,
    }


@pytest.mark.django_db
def test_tables_have_no_numbers_with_row_security(registry, settings, tmp_path):
    settings.DB_ROW_SECURITY = True
    assert scraped(make_registry(tmp_path), "todo_") == {}


@pytest.fixture
def questions(monkeypatch):
    """Replace the question to the database by one that returns its number."""
    questions = []
    monkeypatch.setattr(exporter, "measure_tables", lambda: questions.append(1) or [len(questions)])
    monkeypatch.setattr(exporter.connection, "close", lambda: None)
    return questions


@pytest.mark.once
def test_database_is_asked_once_a_minute(questions, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(exporter, "monotonic", lambda: now)
    tables = TableCollector(SameThread())
    assert [tables.collect(), tables.collect()] == [[1], [1]]
    now += 59
    assert tables.collect() == [1]
    now += 1
    assert tables.collect() == [2]


class NeverAnswers(Executor):
    """Accepts a question, and never answers it."""

    def submit(self, ask):
        return Future()


@pytest.mark.once
def test_scrape_without_answer_has_no_numbers_of_tables(questions, monkeypatch):
    monkeypatch.setattr(exporter, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(exporter, "SECONDS_BETWEEN_QUESTIONS", 0)
    tables = TableCollector(NeverAnswers())
    assert [tables.collect(), tables.collect(), questions] == [[], [], []]


@pytest.mark.once
def test_unavailable_database_has_no_old_numbers(questions, monkeypatch):
    def fail():
        raise OperationalError("connection refused")

    monkeypatch.setattr(exporter, "SECONDS_BETWEEN_QUESTIONS", 0)
    tables = TableCollector(SameThread())
    assert tables.collect() == [1]
    monkeypatch.setattr(exporter, "measure_tables", fail)
    assert tables.collect() == []


# The process


@pytest.mark.once
def test_exporter_ends_with_the_server(tmp_path, database_url):
    directory = tmp_path / "metrics"
    directory.mkdir()
    listening = socket.create_server(("127.0.0.1", 0))
    coverage = {name: os.environ[name] for name in ("COVERAGE_PROCESS_CONFIG",) if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "todo_project.server.exporter", str(listening.fileno())],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=service_environment(DATABASE_URL=database_url, PROMETHEUS_MULTIPROC_DIR=str(directory), **coverage),
        pass_fds=[listening.fileno()],
    )
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/metrics"
    with running_worker(directory, 2), closing(listening), urlopen(url, timeout=60) as response:
        found = samples(response.read().decode(), "made_requests", "todo_rows")
    assert found == {
        ("made_requests_total",): 2,
        ("todo_rows", "trash"): 0,
        ("todo_rows", "kept_responses"): 0,
        ("todo_rows", "removals"): 0,
    }
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors, directory.exists()) == (0, b"", False)
