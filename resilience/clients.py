"""Clients that remember each request: when it began, when it ended, and what came of it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import Any, Self

from testing.servers import HOST


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. ``status`` is ``None`` where there was none: it may or may not have been done."""

    method: str
    path: str
    sent: Any
    start: float
    end: float
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    if_match: str | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def unknown(self) -> bool:
        return self.status is None or self.status >= 500


class Client:
    """One connection, kept open, and opened again after a failure."""

    def __init__(self, port: int, timeout: float = 10) -> None:
        self.connection = HTTPConnection(HOST, port, timeout=timeout)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Exchange:
        content = None if body is None else json.dumps(body)
        headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        if_match = headers.get("If-Match")
        start = time.monotonic()
        try:
            kind = {"Content-Type": "application/json"} if content else {}
            self.connection.request(method, path, content, kind | headers)
            response = self.connection.getresponse()
            text = response.read()
            got = {name.lower(): value for name, value in response.getheaders()}
            answer = json.loads(text) if "json" in got.get("content-type", "") else text.decode()
            end = time.monotonic()
            return Exchange(method, path, body, start, end, response.status, got, answer, if_match)
        except (OSError, HTTPException, ValueError):
            self.connection.close()
            return Exchange(method, path, body, start, time.monotonic(), None, if_match=if_match)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


class Crowd:
    """Clients that each repeat ``work`` until the end of the ``with`` block, which then has their ``exchanges``."""

    def __init__(self, port: int, number: int, work: Callable[[Client, int], Sequence[Exchange]], timeout: float = 10):
        self.clients = [Client(port, timeout) for _ in range(number)]
        self.work = work
        self.shares: list[list[Exchange]] = [[] for _ in self.clients]
        self.over = Event()
        self.threads = [Thread(target=self._repeat, args=(number,), daemon=True) for number in range(number)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.connection.close()

    def _repeat(self, number: int) -> None:
        while not self.over.is_set():
            self.shares[number] += self.work(self.clients[number], number)

    @property
    def exchanges(self) -> list[Exchange]:
        return [exchange for share in self.shares for exchange in share]

    def all_had(self, start: float, *wanted: int) -> bool:
        """Whether each client has sent a request since ``start`` that was answered with a status of ``wanted``."""
        return all(any(each.start >= start and each.status in wanted for each in share[-9:]) for share in self.shares)


def arrivals(port: int, path: str, rate: float, seconds: float, timeout: float = 10) -> list[Exchange]:
    """GETs that come at ``rate`` a second, whether or not those before are answered; each starts when it is due."""

    async def arrive() -> list[Exchange]:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(round(rate * seconds)):
                due = begun + number / rate
                await asyncio.sleep(max(0, due - time.monotonic()))
                tasks.append(group.create_task(_get(port, path, due, timeout)))
        return [task.result() for task in tasks]

    return asyncio.run(arrive())


async def _get(port: int, path: str, due: float, timeout: float) -> Exchange:
    answer: tuple[int | None, dict[str, str], Any] = (None, {}, None)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(HOST, port)
            with closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if head:  # and not merely closed
            status, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            answer = int(status.split()[1]), headers, json.loads(body)
    return Exchange("GET", path, None, due, time.monotonic(), *answer)


def statuses(exchanges: Sequence[Exchange]) -> Counter[int | None]:
    return Counter(exchange.status for exchange in exchanges)


def slowest(exchanges: Sequence[Exchange]) -> float:
    return max((exchange.seconds for exchange in exchanges), default=0.0)
