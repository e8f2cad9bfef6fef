"""Load for one server, from ``wrk`` if it is installed, otherwise from a generator in Python.

Both generators keep connections open, and send the next request on a connection after the whole response to the last.
Both take the requests from a list in random order, so that they do not contend for one row. ``wrk`` runs in one thread.

The generator in Python uses asyncio on uvloop, raw bytes and two processes, so that it does not limit the rates. On
the cheapest request, ``/healthz`` of this project, it reached 10,200, 13,900 and 15,700 requests per second. ``wrk``
reached 11,800, 10,400 and 17,100 in turn. ``python -m benchmarks.load`` repeats this comparison.

Loads of few requests per second, such as whole lists, always use the generator in Python. It waits for each request
that it has started; ``wrk`` would not count requests without a response at its end.
"""

import asyncio
import random
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks.command_line import print_table
from testing.databases import new_database
from testing.ports import HOST
from testing.servers import Server, running_service

PROCESSES = 2
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
SCRIPT = """
local requests, at = {}, 0
function init()
  for line in io.lines("%(file)s") do
    local method, path, key, body = line:match("^(%%S+) (%%S+) (%%S+) ?(.*)$")
    local headers = { ["Host"] = "%(host)s", ["Authorization"] = %(authorization)s }
    if key ~= "-" then headers["Idempotency-Key"] = key end
    if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
end
function request()
  at = at + 1
  if at > #requests then
    if %(once)s then return wrk.format("GET", "/used-up") end
    at = 1
  end
  return requests[at]
end
"""


@dataclass(frozen=True)
class Load:
    """Requests with one method.

    Attributes:
        requests: for each request the path and the JSON body, which may be empty.
        once: whether each request may be sent only once.
        authorization: the ``Authorization`` header of all requests.
        keyed: whether each request has an ``Idempotency-Key`` of its own.
    """

    method: str
    requests: Sequence[tuple[str, str]]
    once: bool = False
    authorization: str = ""
    keyed: bool = False

    def as_lines(self) -> list[str]:
        """Return the requests as the script of ``wrk`` reads them."""
        return [f"{self.method} {path} {self._new_key() or '-'} {body}".rstrip() for path, body in self.requests]

    def as_bytes(self, host: str) -> list[bytes]:
        """Return the requests as HTTP messages."""
        return [self._message(host, path, body.encode()) for path, body in self.requests]

    def _message(self, host: str, path: str, body: bytes) -> bytes:
        head = f"{self.method} {path} HTTP/1.1\r\nHost: {host}\r\n"
        if body or self.method not in {"GET", "DELETE"}:
            head += f"Content-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/json\r\n"
        if self.authorization:
            head += f"Authorization: {self.authorization}\r\n"
        if key := self._new_key():
            head += f"Idempotency-Key: {key}\r\n"
        return head.encode() + b"\r\n" + body

    def _new_key(self) -> str:
        return str(uuid4()) if self.keyed else ""


@dataclass(frozen=True)
class Sample:
    """The result of one load.

    Attributes:
        rate: responses per second.
        median: of the response times, in ms.
        p99: the 99th percentile of the response times, in ms.
        requests: the number of responses.
        errors: the number of requests without a 2xx response.
    """

    rate: float
    median: float
    p99: float
    requests: int
    errors: int


def send_load(server: Server, load: Load, connections: int, seconds: float) -> Sample:
    """Send a load with ``wrk`` or, if it is missing, with the generator in Python."""
    send = send_with_wrk if shutil.which("wrk") else send_with_python
    return send(server, load, connections, seconds)


def send_with_wrk(server: Server, load: Load, connections: int, seconds: float) -> Sample:
    """Send a load with ``wrk``."""
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        file, script = Path(directory, "requests"), Path(directory, "script.lua")
        file.write_text("\n".join(load.as_lines()) + "\n")
        once, authorization = str(load.once).lower(), f'"{load.authorization}"' if load.authorization else "nil"
        host = f"{HOST}:{server.port}"
        script.write_text(SCRIPT % {"file": file, "host": host, "once": once, "authorization": authorization})
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout=30s"]
        command += [f"--script={script}", server.url]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 60).stdout
    return _parse_wrk(output)


def _parse_wrk(output: str) -> Sample:
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"(\d+) requests in", output)
    if not rate or not requests:
        raise RuntimeError(f"The output of wrk has no rate:\n{output}")
    percentiles = {share: re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", output) for share in (50, 99)}
    median, p99 = (float(found[1]) * MILLISECONDS[found[2]] if found else 0.0 for found in percentiles.values())
    rejected = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    errors = sum(int(number) for found in (rejected, broken) if found for number in found.groups())
    errors += requests[1] == "0"  # Without this, a server that never answers in time would have no errors.
    return Sample(float(rate[1]), median, p99, int(requests[1]), errors)


@dataclass
class ProcessResult:
    """The seconds of each response in one process, its errors, and the sum of its connections' rates."""

    seconds: list[float]
    errors: int
    rate: float


def send_with_python(server: Server, load: Load, connections: int, seconds: float) -> Sample:
    """Send a load with the generator in Python."""
    messages = load.as_bytes(f"{HOST}:{server.port}")
    processes = min(PROCESSES, connections)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(
                _run_process,
                server.port,
                messages[n::processes] or messages,
                connections // processes,
                seconds,
                load.once,
            )
            for n in range(processes)
        ]
        results = [future.result() for future in futures]
    times = sorted(1000 * second for result in results for second in result.seconds)
    percentiles = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    errors = sum(result.errors for result in results)
    return Sample(sum(result.rate for result in results), percentiles[49], percentiles[98], len(times), errors)


def _run_process(port: int, messages: Sequence[bytes], connections: int, seconds: float, once: bool) -> ProcessResult:  # noqa: FBT001
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    return run(_run_connections(port, messages, connections, seconds, once=once))


async def _run_connections(
    port: int, messages: Sequence[bytes], number: int, seconds: float, *, once: bool
) -> ProcessResult:
    loop = asyncio.get_running_loop()
    connections = [
        LoadConnection(messages[n::number] or messages, loop.create_future(), once=once) for n in range(number)
    ]
    for connection in connections:
        await loop.create_connection(lambda connection=connection: connection, HOST, port)  # type: ignore[misc]
    deadline = time.perf_counter() + seconds
    for connection in connections:
        connection.begin(deadline)
    await asyncio.gather(*(connection.done for connection in connections))
    return ProcessResult(
        [second for connection in connections for second in connection.times],
        sum(connection.errors for connection in connections),
        sum(connection.rate for connection in connections),
    )


CHUNKED = -2
LAST_CHUNK = b"\r\n0\r\n\r\n"


class LoadConnection(asyncio.Protocol):
    """A connection that sends requests until a deadline.

    A response ends after ``Content-Length`` bytes or with the last, empty chunk.
    """

    transport: asyncio.Transport

    def __init__(self, messages: Sequence[bytes], done: "asyncio.Future[None]", *, once: bool) -> None:
        self.messages, self.done, self.once = messages, done, once
        self.times: list[float] = []
        self.sent = self.errors = 0
        self.rate = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def begin(self, deadline: float) -> None:
        """Send the first request."""
        self.deadline = deadline
        self.start = time.perf_counter()
        self._send_next()

    def _send_next(self) -> None:
        self.head, self.missing, self.tail = b"", -1, b""
        self.sent_at = time.perf_counter()
        self.transport.write(self.messages[self.sent % len(self.messages)])
        self.sent += 1

    def data_received(self, data: bytes) -> None:
        if self.missing == -1:
            self.head += data
            head, found, data = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            self.missing = int(length[1]) if length else CHUNKED
            self.errors += head[9:10] != b"2"
        if self.missing == CHUNKED:
            self.tail = (self.tail + data)[-len(LAST_CHUNK) :]
            complete = self.tail == LAST_CHUNK
        else:
            self.missing -= len(data)
            complete = self.missing <= 0
        if complete:
            self._finish_request()

    def _finish_request(self) -> None:
        now = time.perf_counter()
        self.times.append(now - self.sent_at)
        self.errors += self.once and self.sent > len(self.messages)
        if now < self.deadline:
            self._send_next()
            return
        self.rate = len(self.times) / (now - self.start)
        self.transport.close()
        self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.errors += 1
            self.done.set_result(None)


def main() -> None:
    """Compare the two generators on the cheapest request, in random order."""
    generators: dict[str, Callable[[Server, Load, int, float], Sample]] = {
        "wrk": send_with_wrk,
        "Python": send_with_python,
    }
    rows = []
    with new_database("postgresql") as url, running_service(url, WORKERS="2") as server:
        for number in range(3):
            for name in random.sample(list(generators), 2):
                sample = generators[name](server, Load("GET", [("/healthz", "")]), 32, 3)
                rows.append((number + 1, name, f"{sample.rate:,.0f}", f"{sample.p99:.1f}", sample.errors))
    print_table(("round", "generator", "requests/s", "p99 ms", "errors"), rows)


if __name__ == "__main__":
    main()
