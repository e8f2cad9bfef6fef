"""The service with metrics, its load, and the faults that let its alerts fire."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import psycopg

from testing.api_clients import BackgroundClients, RecordingClient, RequestRecord
from testing.identity_provider import AUDIENCE, ISSUER
from testing.postgresql import PostgreSQL
from testing.servers import SERVE_COMMAND, Server, running_service
from testing.waiting import wait_for

#: A word in each place of a request that a metric could show.
SECRET = "zebra"

CLIENTS = 4


@contextmanager
def running_metered_service(url: str, provider: Any, metrics_port: int) -> Iterator[Server]:
    """Yield a service with one connection per worker, so that requests wait if the database is slow."""
    variables = {
        "AUTH_MODE": "jwt",
        "JWT_JWKS_URL": provider.url,
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "JWT_JWKS_LIFESPAN": "10",
        "DB_POOL_SIZE": "1",
        "THROTTLE_WRITE": "30/minute",
        "METRICS_PORT": str(metrics_port),
        "LOG_LEVEL": "CRITICAL",
        "WORKERS": "2",
    }
    with running_service(url, (*SERVE_COMMAND, "--skip-checks"), **variables) as server:
        yield server


@contextmanager
def mixed_load(port: int, provider: Any) -> Iterator[BackgroundClients]:
    """Send reads, writes and bad paths of several users until the end of the ``with`` block."""
    tokens = [provider.token(f"{SECRET}-{number}") for number in range(CLIENTS)]

    def send(client: RecordingClient, number: int) -> list[RequestRecord]:
        token = {"Authorization": f"Bearer {tokens[number]}"}
        return [
            client.send("GET", "/api/tasks?limit=20", **token),
            *send_writes(client, token),
            client.send("GET", f"/api/tasks/{SECRET}", **token),
            client.send("GET", f"/{SECRET}", **token),
        ]

    with BackgroundClients(port, CLIENTS, send) as clients:
        wait_for(lambda: clients.all_received(0, 404), "every client is served")
        yield clients


def send_writes(client: RecordingClient, token: dict[str, str]) -> list[RequestRecord]:
    """Create a task, delete it, and remove every second one for good, which leaves rows of each kind."""
    body = {"title": SECRET, "labels": [SECRET]}
    created = client.send("POST", "/api/tasks", body, Idempotency_Key=str(uuid4()), **token)
    if created.status != HTTPStatus.CREATED:
        return [created]
    task_id = created.body["id"]
    deleted = client.send("DELETE", f"/api/tasks/{task_id}", **token)
    removed = [client.send("DELETE", f"/api/tasks/trash/{task_id}", **token)] if random.random() < 0.5 else []
    return [created, deleted, *removed]


@contextmanager
def locked_tasks(postgresql: PostgreSQL, name: str) -> Iterator[None]:
    """Lock the table of tasks, so that each statement waits until its timeout."""
    with psycopg.connect(postgresql.url(name)) as connection:
        connection.execute("LOCK TABLE tasks_task")
        yield


@contextmanager
def stopped(postgresql: PostgreSQL) -> Iterator[None]:
    """Stop the database until the end of the ``with`` block."""
    postgresql.stop()
    yield
    postgresql.start()


@contextmanager
def without_standby(postgresql: PostgreSQL, port: int, provider: Any) -> Iterator[None]:
    """Let commits wait for a standby that does not exist, until the end of the ``with`` block.

    A user of its own writes until a write waits, because the rate limit may refuse all writes of the load.
    """
    postgresql.execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
    postgresql.execute("SELECT pg_reload_conf()")
    try:
        with RecordingClient(port) as client:
            token = {"Authorization": f"Bearer {provider.token(f'{SECRET}-standby')}"}
            # PostgreSQL reads its settings later than it answers.
            wait_for(
                lambda: client.send("POST", "/api/tasks", {"title": SECRET}, **token).status == 503,
                "a write waits for the standby",
                pause=0.2,
            )
        yield
    finally:
        postgresql.execute("ALTER SYSTEM RESET synchronous_standby_names")
        postgresql.execute("SELECT pg_reload_conf()")


@contextmanager
def without_keys(provider: Any) -> Iterator[None]:
    """Let the identity provider fail until the end of the ``with`` block."""
    provider.answer_with(b"", 503)
    yield
    provider.answer = provider.send_jwks
