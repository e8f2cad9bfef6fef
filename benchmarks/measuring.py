"""One measurement, and the places where it is taken."""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from benchmarks import load as generators
from benchmarks import operations
from benchmarks.contenders import Contender
from benchmarks.load import Load, Sample
from benchmarks.operations import Place
from benchmarks.rows import Rows, checkpoint, fill, tidy
from testing.processes import postmaster, processor_seconds, seconds_by_process, share_of_busiest
from testing.servers import Server

FEW_CLIENTS = 4
TRIES = 3
FINISH_SECONDS = 20


@dataclass(frozen=True)
class Measurement:
    """What one operation of one contender did in one round.

    ``median`` and ``slowest`` (50th and 99th percentile) are in ms, the processor times in seconds for 1,000 requests.
    ``busiest`` is the share of the server's processor time that its busiest worker had: 0.5 is even.
    With ``errors`` it is refused: none of its figures counts.
    """

    round: int
    contender: str
    size: int
    users: int
    operation: str
    connections: int
    rate: float
    median: float
    slowest: float
    errors: int
    server_seconds: float
    database_seconds: float
    busiest: float


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database of that server, gone at the end."""
    name = f"benchmark_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def places(server: str, wanted: Sequence[tuple[Contender, Rows]]) -> Iterator[list[Place]]:
    """Each contender on a database of its own, all up at once; those that are not asked do nothing."""
    with ExitStack() as stack:
        urls = [stack.enter_context(new_database(server)) for _ in wanted]
        with ThreadPoolExecutor() as threads:
            found = list(threads.map(prepare, wanted, urls))
            servers = threads.map(lambda place: stack.enter_context(place.contender.serving(place.url)), found)
            yield [replace(place, server=server) for place, server in zip(found, servers, strict=True)]


def prepare(wanted: tuple[Contender, Rows], url: str) -> Place:
    contender, rows = wanted
    contender.prepare(url)
    fill(url, contender.table, rows)
    tell(f"{contender.name} has {rows.size:,} tasks")
    return Place(contender, Server(0, 0), url, rows)


def warm_up(place: Place) -> None:
    generators.send(place.server, operations.load(place, "get", 1), 100, 1)


def measure(place: Place, operation: str, *, connections: int, seconds: float, number: int) -> Measurement:
    """Measure until nothing has failed, three times at most."""
    for _ in range(TRIES):
        measurement = _measure(place, operation, connections, seconds, number)
        if not measurement.errors:
            break
        tell(f"{place.contender.name}, {operation}: {measurement.errors} requests failed; that does not count")
    return measurement


def _measure(place: Place, operation: str, connections: int, seconds: float, number: int) -> Measurement:
    requests = operations.load(place, operation, seconds)
    if operation not in operations.WRITES:
        operations.check(place, operation, requests.requests)
    elif not place.sqlite:
        checkpoint(place.url)
    database = None if place.sqlite else postmaster(place.url)
    before, database_before = seconds_by_process(place.server.pid), processor_seconds(database)
    sample = _send(place, operation, requests, connections, seconds)
    after, database_after = seconds_by_process(place.server.pid), processor_seconds(database)
    let_finish(place)
    if operation in operations.WRITES and not place.sqlite:
        tidy(place.url, place.contender.table, place.rows)
    thousands = max(1, sample.requests) / 1000
    return Measurement(
        round=number,
        contender=place.contender.name,
        size=place.rows.size,
        users=1000 if place.rows.shared else 1,
        operation=operation,
        connections=connections,
        rate=sample.rate,
        median=sample.median,
        slowest=sample.slowest,
        errors=sample.errors,
        server_seconds=(sum(after.values()) - sum(before.values())) / thousands,
        database_seconds=(database_after - database_before) / thousands,
        busiest=share_of_busiest(before, after),
    )


def _send(place: Place, operation: str, requests: Load, connections: int, seconds: float) -> Sample:
    if connections <= FEW_CLIENTS:
        return generators.own(place.server, requests, connections, seconds)
    return generators.send(place.server, requests, connections, seconds)


def let_finish(place: Place) -> None:
    """At its end ``wrk`` leaves requests behind that the server still works on."""
    deadline = time.monotonic() + FINISH_SECONDS
    database = None if place.sqlite else postmaster(place.url)
    before, now = -1.0, 0.0
    while now - before > 0.02 and time.monotonic() < deadline:
        before, now = now, processor_seconds(place.server.pid) + processor_seconds(database)
        time.sleep(0.1)


def tell(line: str) -> None:
    """Progress, for who is looking on."""
    print(line, file=sys.stderr, flush=True)
