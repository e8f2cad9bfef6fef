"""A proxy in front of PostgreSQL that sleeps and wakes up, as a serverless database does."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from testing.ports import HOST


@dataclass
class Proxy:
    """A proxy that accepts connections at once, and forwards them when the database is awake."""

    target: int
    delay: float
    port: int = 0
    awake_at: float | None = None
    sockets: list[socket.socket] = field(default_factory=list)

    def sleep(self) -> None:
        """End all connections; the next connection wakes the database up."""
        self.awake_at = None
        while self.sockets:
            with suppress(OSError):
                self.sockets.pop().shutdown(socket.SHUT_RDWR)

    def forward(self, client: socket.socket) -> None:
        """Wait until the database is awake, and copy bytes both ways until one side ends."""
        self.awake_at = self.awake_at or time.monotonic() + self.delay
        time.sleep(max(0, self.awake_at - time.monotonic()))
        with socket.create_connection((HOST, self.target)) as server:
            self.sockets += [client, server]
            answers = threading.Thread(target=copy, args=(server, client), daemon=True)
            answers.start()
            copy(client, server)
            answers.join()


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until ``source`` ends, and then end ``sink``."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def sleeping_database(target: int, delay: float) -> Iterator[Proxy]:
    """Yield a proxy for the PostgreSQL at the port ``target``, which takes ``delay`` seconds to wake up."""
    proxy = Proxy(target, delay)

    class Handler(BaseRequestHandler):
        request: Any

        def handle(self) -> None:
            proxy.forward(self.request)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server((HOST, 0), Handler) as server:
        proxy.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()
