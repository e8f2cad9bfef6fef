"""HTTP clients of a running service that record each request."""

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import Any, Self

from testing.ports import HOST, client_address


@dataclass(frozen=True)
class RequestRecord:
    """A request and its response; without a response, ``error`` is the name of the client's exception.

    ``start`` and ``end`` are seconds of the monotonic clock, and the names of ``headers`` are in lower case.
    """

    method: str
    path: str
    sent_body: Any
    start: float
    end: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    if_match: str | None = None
    error: str | None = None

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.end - self.start

    @property
    def outcome_unknown(self) -> bool:
        """Whether the service may or may not have carried out the request."""
        return self.status is None or self.status >= 500


class RecordingClient:
    """A client with one persistent connection, which it reopens after a failure."""

    def __init__(self, port: int, timeout: float = 10, address: str = HOST) -> None:
        self.connection = HTTPConnection(HOST, port, timeout=timeout, source_address=(address, 0))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> RequestRecord:
        """Send a request with a JSON body; write a header such as ``If-Match`` as ``If_Match=...``."""
        content = None if body is None else json.dumps(body)
        headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        start = time.monotonic()
        received: dict[str, Any] = {}
        try:
            content_type = {"Content-Type": "application/json"} if content else {}
            self.connection.request(method, path, content, content_type | headers)
            response = self.connection.getresponse()
            text = response.read()
            end = time.monotonic()
            fields = {name.lower(): value for name, value in response.getheaders()}
            text = gzip.decompress(text) if fields.get("content-encoding") == "gzip" else text
            parsed = json.loads(text) if "json" in fields.get("content-type", "") else text.decode()
            received = {"status": response.status, "headers": fields, "body": parsed}
        except (OSError, HTTPException, ValueError) as error:
            end = time.monotonic()
            self.connection.close()
            received = {"error": type(error).__name__}
        return RequestRecord(method, path, body, start, end, **received, if_match=headers.get("If-Match"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


class BackgroundClients:
    """Clients in threads, which call ``send_requests`` repeatedly until the ``with`` block ends.

    ``send_requests`` takes a client and its number, and returns the records of the requests that it sent.
    """

    def __init__(
        self,
        port: int,
        number: int,
        send_requests: Callable[[RecordingClient, int], Iterable[RequestRecord]],
        timeout: float = 10,
    ) -> None:
        self.clients = [RecordingClient(port, timeout, client_address(each)) for each in range(number)]
        self.send_requests = send_requests
        self.records_by_client: list[list[RequestRecord]] = [[] for _ in self.clients]
        self.stopped = Event()
        self.threads = [Thread(target=self._run, args=(number,), daemon=True) for number in range(number)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.connection.close()

    def _run(self, number: int) -> None:
        while not self.stopped.is_set():
            self.records_by_client[number] += self.send_requests(self.clients[number], number)

    @property
    def records(self) -> list[RequestRecord]:
        """The records of all clients."""
        return [record for records in self.records_by_client for record in records]

    def all_received(self, since: float, *statuses: int) -> bool:
        """Tell whether each client started a request after ``since`` and got one of ``statuses``."""
        return all(
            any(record.start >= since and record.status in statuses for record in records[-9:])
            for records in self.records_by_client
        )


def create_task(client: RecordingClient, title: str = "Water the plants") -> str:
    """Create a task, and return its path."""
    created = client.send("POST", "/api/tasks", {"title": title})
    if created.status != 201:
        raise RuntimeError(f"The task was not created: {created}")
    return created.headers["location"]


def send_at_rate(port: int, path: str, rate: float, seconds: float, timeout: float = 10) -> list[RequestRecord]:
    """Send ``rate`` GETs per second without waiting for responses.

    A record starts when its request was sent, because on a busy machine this process sends requests late.
    """

    async def send_all() -> list[RequestRecord]:
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(round(rate * seconds)):
                await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
                tasks.append(group.create_task(_get(port, path, timeout, client_address(number))))
        return [task.result() for task in tasks]

    return asyncio.run(send_all())


async def _get(port: int, path: str, timeout: float, address: str) -> RequestRecord:
    start = time.monotonic()
    received: dict[str, Any] = {}
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(HOST, port, local_addr=(address, 0))
            with closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if head:  # Without this, a connection that was closed without a response would fail.
            status_line, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            received = {"status": int(status_line.split()[1]), "headers": headers, "body": json.loads(body)}
    return RequestRecord("GET", path, None, start, time.monotonic(), **received)


def count_statuses(records: Iterable[RequestRecord]) -> Counter[int | None]:
    """Count the statuses of responses; ``None`` counts the requests without a response."""
    return Counter(record.status for record in records)


def find_longest(records: Sequence[RequestRecord]) -> float:
    """Return the seconds of the request that took longest, or 0 without requests."""
    return max((record.seconds for record in records), default=0.0)


def summarize(records: Sequence[RequestRecord]) -> str:
    """Format the number of each status and the longest wait."""
    return f"{dict(count_statuses(records))}, longest {find_longest(records):.3f} s"
