"""Copy what a worker knows of its requests, pool, database and keys to the metrics, once a second.

Prometheus asks the exporter and not the workers, so each worker leaves its numbers in files:
docs/decisions/0021-metrics.md.
"""

from threading import Event, Thread
from time import monotonic, time

from django.conf import settings
from django.db import connection
from prometheus_client import Counter, Gauge

from database.connections import BoundedConnection
from database.write_breaker import write_breaker
from identity.key_set import provider_keys
from observability.metrics import record_noted

INTERVAL_SECONDS = 1

WORKERS = Gauge("todo_workers", "Running workers, by the build that they run.", ("build",), multiprocess_mode="livesum")
STARTED = Counter("todo_workers_started", "Workers started, including those that replaced others.")
CONNECTIONS = Gauge(
    "todo_pool_connections", "Connections of the pools, by state.", ("state",), multiprocess_mode="livesum"
)
WAITING = Gauge("todo_pool_waiting", "Requests that wait for a connection now.", multiprocess_mode="livesum")
WAITS = Counter("todo_pool_waits", "Requests that have waited for a connection.")
WAIT_SECONDS = Counter("todo_pool_wait_seconds", "Time that requests have waited for a connection.")
TIMEOUTS = Counter("todo_pool_timeouts", "Requests that got no connection in time.")
UNAVAILABLE_SINCE = Gauge(
    "todo_database_unavailable_since_timestamp_seconds",
    "When the outage of the database began; 0 while it is available.",
    multiprocess_mode="livemax",
)
WRITES_REFUSED_SINCE = Gauge(
    "todo_writes_refused_since_timestamp_seconds",
    "Since when writes are refused, because a synchronous standby does not answer; 0 while they are accepted.",
    multiprocess_mode="livemax",
)
KEYS_AGE = Gauge(
    "todo_provider_keys_age_seconds",
    "Time since the last successful fetch of the identity provider's keys.",
    multiprocess_mode="livemax",
)


class Sampler(Thread):
    """The thread of a worker that sets its metrics."""

    def __init__(self) -> None:
        super().__init__(name="metrics", daemon=True)
        self.stopped = Event()
        self.counted = {"requests_queued": 0, "requests_wait_ms": 0, "requests_errors": 0}
        WORKERS.labels(settings.BUILD_VERSION).set(1)
        STARTED.inc()

    def run(self) -> None:
        """Set the metrics once a second."""
        while not self.stopped.wait(INTERVAL_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Set the metrics, and record the requests of the last second."""
        record_noted()
        if pool := getattr(connection, "pool", None):
            self._sample_pool(pool.get_stats())
        UNAVAILABLE_SINCE.set(_timestamp(BoundedConnection.outage_start))
        WRITES_REFUSED_SINCE.set(_timestamp(write_breaker.opened_at))
        if settings.AUTH_MODE == "jwt":
            KEYS_AGE.set(provider_keys().age)

    def _sample_pool(self, stats: dict[str, int]) -> None:
        CONNECTIONS.labels("idle").set(stats["pool_available"])
        CONNECTIONS.labels("used").set(stats["pool_size"] - stats["pool_available"])
        WAITING.set(stats.get("requests_waiting", 0))
        new = {name: stats.get(name, 0) - counted for name, counted in self.counted.items()}
        WAITS.inc(new["requests_queued"])
        WAIT_SECONDS.inc(new["requests_wait_ms"] / 1000)
        TIMEOUTS.inc(new["requests_errors"])
        self.counted = {name: stats.get(name, 0) for name in self.counted}


def _timestamp(moment: float | None) -> float:
    """Convert seconds of the monotonic clock to seconds since 1970, and ``None`` to 0."""
    return 0 if moment is None else time() - (monotonic() - moment)
