"""Serve the metrics to Prometheus: ``python -m todo_project.server.exporter DESCRIPTOR``.

The main process of the server runs this process, passes it the listening socket, and holds its standard input open. The
workers write their metrics to the directory in ``PROMETHEUS_MULTIPROC_DIR``.
"""

import os
import shutil
import socket
import sys
from collections.abc import Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from django.db import Error, connection
from django.db.models import Count, Min, Model, QuerySet
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

#: The least time between two questions to the database.
SECONDS_BETWEEN_QUESTIONS = 60

#: How long a scrape waits for the database's answer.
ANSWER_SECONDS = 1

#: The number in the names of the files with the counters of ended workers; no process has the id 0.
ENDED = 0


class WorkerCollector(Collector):
    """The metrics of all workers, running and ended.

    Args:
        directory: the directory of their files, ``counter_PID.db`` for example.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def collect(self) -> Iterable[Metric]:
        """Read the files of the workers, except empty files, which a worker creates when it starts."""
        self.fold_in_ended_workers()
        files = [str(file) for file in self.directory.glob("*.db") if file.stat().st_size]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)
        return metrics

    def fold_in_ended_workers(self) -> None:
        """Add the counters of ended workers to one file, because each reload ends workers."""
        for file in self.directory.glob("*_[1-9]*.db"):
            kind, _, pid = file.stem.rpartition("_")
            if is_running(int(pid)):
                continue
            if not kind.startswith("gauge") and file.stat().st_size:
                total = MmapedDict(str(self.directory / f"{kind}_{ENDED}.db"))
                for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                    total.write_value(key, total.read_value(key)[0] + value, 0)
                total.close()
            file.unlink()


def is_running(pid: int) -> bool:
    """Tell whether a process runs."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


class TableCollector(Collector):
    """The number of rows, and the age of the oldest, of the tables that a timer must empty.

    One thread asks the database, at most once a minute and only if there are scrapes. A scrape that gets no answer in
    time has the last answer. After an error there are no numbers, because old numbers would hide the error.

    Args:
        executor: runs the question in its one thread.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.question: Future[None] | None = None
        self.asked_at = -float("inf")
        self.metrics: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """Ask the database if a minute has passed, and return the last answer."""
        is_due = monotonic() - self.asked_at >= SECONDS_BETWEEN_QUESTIONS
        if self.question is None or (is_due and self.question.done()):
            self.asked_at = monotonic()
            self.question = self.executor.submit(self._ask)
        with suppress(TimeoutError):
            self.question.result(ANSWER_SECONDS)
        return self.metrics

    def _ask(self) -> None:
        try:
            self.metrics = measure_tables()
        except Error:
            self.metrics = []
        finally:
            connection.close()


def measure_tables() -> list[Metric]:
    """Measure the tables that a timer must empty."""
    rows = GaugeMetricFamily("todo_rows", "Rows that a timer deletes later, by kind.", labels=["kind"])
    ages = GaugeMetricFamily("todo_oldest_row_age_seconds", "Age of the oldest of these rows.", labels=["kind"])
    now = timezone.now()
    for kind, (query, column) in emptied_tables().items():
        number, oldest = query.aggregate(number=Count("*"), oldest=Min(column)).values()
        rows.add_metric([kind], number)
        ages.add_metric([kind], (now - oldest).total_seconds() if oldest else 0)
    return [rows, ages]


def emptied_tables() -> "dict[str, tuple[QuerySet[Model], str]]":
    """Return the rows of each kind, and the column with their time."""
    from changes.models import Removal
    from idempotency.models import KeptResponse
    from tasks.models import Task

    return {
        "trash": (Task.objects.in_trash(), "deleted_at"),
        "kept_responses": (KeptResponse.objects.all(), "created_at"),
        "removals": (Removal.objects.all(), "removed_at"),
    }


def make_registry(directory: Path) -> CollectorRegistry:
    """Return the metrics; row-level security would hide the rows of the tables from the service's role."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(directory))
    if not settings.DB_ROW_SECURITY:
        registry.register(TableCollector(ThreadPoolExecutor(1, "tables")))
    return registry


class ScrapeHandler(WSGIRequestHandler):
    """A handler that drops a silent client, because the server serves one client at a time."""

    timeout = 5

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, because Prometheus asks every few seconds."""


def make_server(listening: socket.socket, directory: Path) -> WSGIServer:
    """Return a server for the metrics on a listening socket."""
    server = WSGIServer(("", 0), ScrapeHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()[:2]
    server.setup_environ()
    server.set_app(make_wsgi_app(make_registry(directory)))
    return server


def main() -> None:
    """Serve the metrics until the main process and the workers have ended.

    The standard input ends with the last of them. After ``kill -9`` nobody else removes the directory.
    """
    directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
    django.setup()
    server = make_server(socket.socket(fileno=int(sys.argv[1])), directory)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # a thread may still wait for the database


if __name__ == "__main__":
    main()
