"""Load for one server: ``wrk`` where it is installed, else a generator of its own.

Both keep a number of connections open, and on each send the next request when the answer to the last is whole. Both
take the requests from a list in random order, so that no row is hot. ``wrk`` runs in one thread.

The generator of its own (asyncio on uvloop, raw bytes, two processes) must not be what limits the figures. How that
was made sure: on /healthz of this project, which costs the server less than any request that is measured, it reached
what wrk reaches on the same machine (10,200, 13,900 and 15,700 a second in rounds in which wrk reached 11,800, 10,400
and 17,100; ``python -m benchmarks.load`` does that again). Whole lists, and searches of a million tasks, of which a
server answers few a second, are always asked for with it, by few clients: it lets every request that has begun come to
its end, and wrk does not count those.
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

from testing.servers import HOST, Server, postgresql, print_table, run, served

PROCESSES = 2
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
SCRIPT = """
local requests, at = {}, 0
function init()
  for line in io.lines("%(file)s") do
    local method, path, body = line:match("^(%%S+) (%%S+) ?(.*)$")
    local headers = { ["Host"] = "%(host)s", ["Authorization"] = %(authorization)s }
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
    """Requests of one kind, each a path and a JSON body, or none; ``once`` if each may be sent only once.

    With ``authorization`` all of them carry it.
    """

    method: str
    requests: Sequence[tuple[str, str]]
    once: bool = False
    authorization: str = ""

    def lines(self) -> list[str]:
        return [f"{self.method} {path} {body}".rstrip() for path, body in self.requests]

    def raw(self, host: str) -> list[bytes]:
        return [self._raw(host, path, body.encode()) for path, body in self.requests]

    def _raw(self, host: str, path: str, body: bytes) -> bytes:
        head = f"{self.method} {path} HTTP/1.1\r\nHost: {host}\r\n"
        if body or self.method not in {"GET", "DELETE"}:
            head += f"Content-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/json\r\n"
        if self.authorization:
            head += f"Authorization: {self.authorization}\r\n"
        return head.encode() + b"\r\n" + body


@dataclass(frozen=True)
class Sample:
    """Requests a second, the 50th and 99th percentile in ms, how many were answered, and how many not with 2xx."""

    rate: float
    median: float
    slowest: float
    requests: int
    errors: int


def send(server: Server, load: Load, connections: int, seconds: float) -> Sample:
    return (wrk if shutil.which("wrk") else own)(server, load, connections, seconds)


def wrk(server: Server, load: Load, connections: int, seconds: float) -> Sample:
    with TemporaryDirectory(prefix="todo-benchmark-") as directory:
        file, script = Path(directory, "requests"), Path(directory, "script.lua")
        file.write_text("\n".join(load.lines()) + "\n")
        once, authorization = str(load.once).lower(), f'"{load.authorization}"' if load.authorization else "nil"
        host = f"{HOST}:{server.port}"
        script.write_text(SCRIPT % {"file": file, "host": host, "once": once, "authorization": authorization})
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout=30s"]
        command += [f"--script={script}", server.url]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 60).stdout
    return _printed_by_wrk(printed)


def _printed_by_wrk(printed: str) -> Sample:
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", printed), re.search(r"(\d+) requests in", printed)
    times = {share: re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", printed) for share in (50, 99)}
    if not rate or not requests:
        raise RuntimeError(f"wrk printed what is not understood:\n{printed}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    median, slowest = (float(found[1]) * MILLISECONDS[found[2]] if found else 0.0 for found in times.values())
    errors = sum(int(number) for found in (refused, broken) if found for number in found.groups())
    errors += requests[1] == "0"  # nothing was answered in time
    return Sample(float(rate[1]), median, slowest, int(requests[1]), errors)


@dataclass
class Tally:
    """What one process saw: seconds of each answered request, how many failed, and the connections' rates added up."""

    seconds: list[float]
    errors: int
    rate: float


def own(server: Server, load: Load, connections: int, seconds: float, processes: int = PROCESSES) -> Sample:
    """As ``wrk``, but a request that has begun is waited for, and counted."""
    raw = load.raw(f"{HOST}:{server.port}")
    processes = min(processes, connections)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        shares = [
            pool.submit(_drive, server.port, raw[n::processes] or raw, connections // processes, seconds, load.once)
            for n in range(processes)
        ]
        tallies = [share.result() for share in shares]
    times = sorted(1000 * second for tally in tallies for second in tally.seconds)
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
    errors = sum(tally.errors for tally in tallies)
    return Sample(sum(tally.rate for tally in tallies), cuts[49], cuts[98], len(times), errors)


def _drive(port: int, raw: Sequence[bytes], connections: int, seconds: float, once: bool) -> Tally:  # noqa: FBT001
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_clients(port, raw, connections, seconds, once))
    return uvloop.run(_clients(port, raw, connections, seconds, once))


async def _clients(port: int, raw: Sequence[bytes], connections: int, seconds: float, once: bool) -> Tally:  # noqa: FBT001
    loop = asyncio.get_running_loop()
    clients = [Client(raw[n::connections] or raw, once, loop.create_future()) for n in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, HOST, port)  # type: ignore[misc]
    deadline = time.perf_counter() + seconds
    for client in clients:
        client.begin(deadline)
    await asyncio.gather(*(client.done for client in clients))
    return Tally(
        [second for client in clients for second in client.times],
        sum(client.errors for client in clients),
        sum(client.rate for client in clients),
    )


class Client(asyncio.Protocol):
    """One connection. An answer ends where its Content-Length says, or with the last, empty chunk."""

    transport: asyncio.Transport

    def __init__(self, raw: Sequence[bytes], once: bool, done: "asyncio.Future[None]") -> None:  # noqa: FBT001
        self.raw, self.once, self.done = raw, once, done
        self.times: list[float] = []
        self.at = self.errors = 0
        self.rate = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def begin(self, deadline: float) -> None:
        self.deadline = deadline
        self.started = time.perf_counter()
        self.ask()

    def ask(self) -> None:
        self.head, self.missing, self.tail = b"", -1, b""
        self.asked = time.perf_counter()
        self.transport.write(self.raw[self.at % len(self.raw)])
        self.at += 1

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
            whole = self.tail == LAST_CHUNK
        else:
            self.missing -= len(data)
            whole = self.missing <= 0
        if whole:
            self.answered()

    def answered(self) -> None:
        now = time.perf_counter()
        self.times.append(now - self.asked)
        self.errors += self.once and self.at > len(self.raw)
        if now < self.deadline:
            self.ask()
            return
        self.rate = len(self.times) / (now - self.started)
        self.transport.close()
        self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.errors += 1
            self.done.set_result(None)


CHUNKED = -2
LAST_CHUNK = b"\r\n0\r\n\r\n"


def main() -> None:
    """The two generators in turn, on the cheapest request that there is."""
    generators: dict[str, Callable[[Server, Load, int, float], Sample]] = {"wrk": wrk, "own": own}
    rows = []
    with postgresql() as url:
        run("manage.py", "migrate", "--verbosity=0", DATABASE_URL=url)
        with served(url, WORKERS="2") as server:
            for number in range(3):
                for name in random.sample(list(generators), 2):
                    sample = generators[name](server, Load("GET", [("/healthz", "")]), 32, 3)
                    rows.append((number + 1, name, f"{sample.rate:,.0f}", f"{sample.slowest:.1f}", sample.errors))
    print_table(("round", "generator", "requests/s", "p99 ms", "errors"), rows)


if __name__ == "__main__":
    main()
