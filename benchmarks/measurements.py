"""Measure one operation of one contender, and run the contenders for it."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import psycopg

from benchmarks import operations
from benchmarks.contenders import Contender
from benchmarks.load import send_load, send_with_python
from benchmarks.operations import Target
from benchmarks.rows import Rows, fill, remove_created
from testing.databases import postgresql_database
from testing.process_tree import busiest_share, cpu_seconds, cpu_seconds_by_process, postmaster_pid
from testing.servers import Server

#: Up to this many clients, the generator in Python sends the load, because wrk would not count the last requests.
FEW_CLIENTS = 4
TRIES = 3
FINISH_SECONDS = 20


@dataclass(frozen=True)
class Measurement:
    """The measurement of one operation of one contender in one round; with ``errors`` it is invalid.

    Attributes:
        rate: responses per second.
        median: of the response times, in ms.
        p99: the 99th percentile of the response times, in ms.
        server_seconds: the processor time of the server for 1,000 requests.
        database_seconds: the processor time of PostgreSQL for 1,000 requests.
        busiest: the busiest worker's share of the server's processor time; with two workers, 0.5 is even.
    """

    round: int
    contender: str
    size: int
    users: int
    operation: str
    connections: int
    rate: float
    median: float
    p99: float
    errors: int
    server_seconds: float
    database_seconds: float
    busiest: float


@contextmanager
def serve_targets(server: str, wanted: Sequence[tuple[Contender, Rows]]) -> Iterator[list[Target]]:
    """Run all contenders at once, each on a database of its own in the PostgreSQL server."""
    with ExitStack() as stack:
        urls = [stack.enter_context(postgresql_database(server)) for _ in wanted]
        with ThreadPoolExecutor() as threads:
            targets = list(threads.map(prepare_target, wanted, urls))
            servers = threads.map(lambda target: stack.enter_context(target.contender.serve(target.url)), targets)
            yield [replace(target, server=running) for target, running in zip(targets, servers, strict=True)]


def prepare_target(wanted: tuple[Contender, Rows], url: str) -> Target:
    """Create and fill the database of a contender that does not run yet."""
    contender, rows = wanted
    contender.prepare(url)
    fill(url, rows, contender.table)
    print_progress(f"{contender.name} has {rows.size:,} tasks")
    return Target(contender, Server(0, 0), url, rows)


def warm_up(target: Target) -> None:
    """Send a load that is not measured."""
    send_load(target.server, operations.make_load(target, "get", 1), 100, 1)


def measure(target: Target, operation: str, *, connections: int, seconds: float, number: int) -> Measurement:
    """Measure, and repeat up to ``TRIES`` times while requests fail."""
    for _ in range(TRIES):
        measurement = _measure(target, operation, connections, seconds, number)
        if not measurement.errors:
            break
        print_progress(f"{target.contender.name}, {operation}: invalid, because {measurement.errors} requests failed")
    return measurement


def _measure(target: Target, operation: str, connections: int, seconds: float, number: int) -> Measurement:
    load = operations.make_load(target, operation, seconds)
    if operation not in operations.WRITES:
        operations.check_response(target, operation, load.requests)
    elif not target.on_sqlite:
        checkpoint(target.url)
    send = send_with_python if connections <= FEW_CLIENTS else send_load
    database = None if target.on_sqlite else postmaster_pid(target.url)
    before, database_before = cpu_seconds_by_process(target.server.pid), cpu_seconds(database)
    sample = send(target.server, load, connections, seconds)
    after, database_after = cpu_seconds_by_process(target.server.pid), cpu_seconds(database)
    wait_until_idle(target.server.pid, database)
    if operation in operations.WRITES and not target.on_sqlite:
        remove_created(target.url, target.contender.table, target.rows)
    thousands = max(1, sample.requests) / 1000
    return Measurement(
        round=number,
        contender=target.contender.name,
        size=target.rows.size,
        users=1000 if target.rows.shared else 1,
        operation=operation,
        connections=connections,
        rate=sample.rate,
        median=sample.median,
        p99=sample.p99,
        errors=sample.errors,
        server_seconds=(sum(after.values()) - sum(before.values())) / thousands,
        database_seconds=(database_after - database_before) / thousands,
        busiest=busiest_share(before, after),
    )


def checkpoint(url: str) -> None:
    """Write a checkpoint, so that all measurements of writes start alike."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def wait_until_idle(server: int, database: int | None) -> None:
    """Wait for the requests that ``wrk`` leaves behind at its end."""
    deadline = time.monotonic() + FINISH_SECONDS
    before, now = -1.0, 0.0
    while now - before > 0.02 and time.monotonic() < deadline:
        before, now = now, cpu_seconds(server) + cpu_seconds(database)
        time.sleep(0.1)


def print_progress(line: str) -> None:
    """Print a line to the standard error."""
    print(line, file=sys.stderr, flush=True)
