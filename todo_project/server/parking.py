"""Let few threads of a worker run requests at once, and park the others.

docs/decisions/0026-parked-threads.md gives the reasons.
"""

import threading
import time
from collections.abc import Callable
from math import inf
from typing import Any

#: A worker is quick if so many requests end in so many seconds.
QUICK_REQUESTS = 5
INTERVAL = 0.02

#: A request that runs for so many seconds waits, so its thread is not one of those that run requests.
LONG_SECONDS = 0.05


class CountedBody:
    """The body of a request, which tells whether it has been read.

    Args:
        stream: granian's stream.
        unread: the bytes in it; infinite for a chunked body.
    """

    def __init__(self, stream: Any, unread: float) -> None:
        self.stream, self.unread = stream, unread

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes."""
        return self._count(self.stream.read(size))

    def readline(self, size: int | None = None) -> bytes:
        """Read the rest of a line."""
        return self._count(self.stream.readline(size))

    def _count(self, data: bytes) -> bytes:
        self.unread -= len(data)
        return data


def count_body(environ: dict[str, Any]) -> CountedBody | None:
    """Replace the body of a request by one that is counted, and return it; ``None`` if there is no body."""
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    if not (is_chunked or "CONTENT_LENGTH" in environ):
        return None
    # ``int`` refuses thousands of zeros, which are a valid length.
    length = inf if is_chunked else float(environ["CONTENT_LENGTH"])
    body = environ["wsgi.input"] = CountedBody(environ["wsgi.input"], length)
    return body


class ParkingRunner:
    """Granian's callback, which parks threads that a quick worker does not need.

    Granian starts a thread whenever a request finds none free, and all of them would contend for Python's lock. A
    thread that has sent its response is parked if enough others run requests, and takes no request then. When fewer
    requests end, for example because the database does not answer, all threads go on.

    A thread is not parked while the body of its request is unread. Granian discards the rest of the body after the
    callback, and the next request of the connection comes after that rest.

    Args:
        run: granian's own callback.
        threads: how many threads of a quick worker run requests.
    """

    def __init__(self, run: Callable[[Any, dict[str, Any]], Any], threads: int) -> None:
        self.run, self.threads = run, threads
        #: When each running request began, by thread, in seconds of the monotonic clock.
        self.begun: dict[int, float] = {}
        self.ended = 0
        self.is_quick = False
        self.counted_at = 0.0
        self.parked: list[threading.Lock] = []
        self.has_parked = threading.Event()

    def __call__(self, protocol: Any, environ: dict[str, Any]) -> None:
        """Run a request, which sends its response, and park this thread if it is not needed."""
        thread, body = threading.get_ident(), count_body(environ)
        self.begun[thread] = time.monotonic()
        try:
            self.run(protocol, environ)
        finally:
            del self.begun[thread]
            self.count()
        if self.is_quick and not (body and body.unread) and self.has_enough_threads():
            self.park()

    def count(self) -> None:
        """Count a request that has ended."""
        self.ended += 1
        if self.ended % QUICK_REQUESTS == 0:
            now = time.monotonic()
            self.is_quick = now - self.counted_at < INTERVAL
            self.counted_at = now

    def has_enough_threads(self) -> bool:
        """Tell whether enough other threads run requests that have begun lately."""
        if len(self.begun) < self.threads:
            return False
        lately = time.monotonic() - LONG_SECONDS
        return sum(begun > lately for begun in list(self.begun.values())) >= self.threads

    def park(self) -> None:
        """Wait until this thread is needed."""
        place = threading.Lock()
        place.acquire()
        self.parked.append(place)
        self.has_parked.set()
        place.acquire()

    def start(self) -> None:
        """Watch the worker in a thread."""
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        """Look at the worker's speed while any thread is parked."""
        while True:
            self.has_parked.wait()
            ended = self.ended
            time.sleep(INTERVAL)
            self.check(self.ended - ended)

    def check(self, ended: int) -> None:
        """Let all threads go on if too few requests have ended in ``INTERVAL``."""
        if ended < QUICK_REQUESTS:
            self.is_quick = False
            self.release()

    def release(self) -> None:
        """Let all parked threads go on."""
        self.has_parked.clear()
        while self.parked:
            self.parked.pop().release()
