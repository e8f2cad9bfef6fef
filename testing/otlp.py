"""A receiver of OTLP over HTTP for tests, which keeps the spans that it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from testing.waiting import wait_for


@dataclass(frozen=True)
class ReceivedSpan:
    """A decoded span; ids are hexadecimal, and ``parent_id`` is empty without a parent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool


class Receiver:
    """A running HTTP server that takes spans at ``url``.

    Attributes:
        bodies: the body of each request.
        headers: the headers of each request.
        answering: whether requests get an answer; without it they wait.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answering = Event()
        self.answering.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        """The endpoint, without the path that exporters add."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        """The spans that have arrived."""
        return [span for body in self.bodies for span in _read(body)]

    def wait_for_spans(self, number: int) -> list[ReceivedSpan]:
        """Return the spans as soon as there are ``number`` of them."""
        wait_for(lambda: len(self.spans) >= number, f"{number} spans arrive")
        return self.spans

    def close(self) -> None:
        """Stop the server."""
        self.answering.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.answering.wait()
                assert self.path == "/v1/traces"
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Yield a receiver, and stop it at the end."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def _read(body: bytes) -> Iterator[ReceivedSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    _values(span.attributes),
                    _values(resource.resource.attributes),
                    span.status.code == span.status.STATUS_CODE_ERROR,
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
