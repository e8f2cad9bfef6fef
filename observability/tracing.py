"""Send a span per request and per statement by OTLP, without a text of a task.

Only ``OTEL_EXPORTER_OTLP_ENDPOINT`` loads this module: docs/decisions/0022-traces.md.
"""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from observability.request_id import current_request
from observability.streams import when_ended
from observability.trace_context import TRACE_CONTEXT, TraceContext, trace_context

#: The key of ``request.META`` for the span of the request.
SPAN = "todo.span"

#: A client can send any other word as a method, so its name would be a text in a span.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})

#: An orchestrator asks every second, and its requests would be most of the spans.
PROBES = frozenset({"/healthz", "/readyz"})

#: How long the end of a worker waits for a receiver that takes the last spans slowly.
LAST_SPANS_SECONDS = 1.0


@cache
def tracer() -> Tracer:
    """Return the tracer of this process, which sends spans in batches from a thread of its own."""
    exporter = OTLPSpanExporter(
        endpoint=f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces",
        headers=dict(_name_and_value(header) for header in settings.OTEL_EXPORTER_OTLP_HEADERS),
    )
    service = {"service.name": settings.OTEL_SERVICE_NAME, "service.version": settings.BUILD_VERSION}
    provider = TracerProvider(resource=Resource.create(service), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # Not atexit, because a worker is a forked process, which runs only the finalizers of multiprocessing.
    Finalize(None, send_last_spans, [provider], exitpriority=0)
    return provider.get_tracer("todo", settings.VERSION)


def _name_and_value(header: str) -> tuple[str, str]:
    name, _, value = header.partition("=")
    return name, unquote(value)


def send_last_spans(provider: TracerProvider) -> None:
    """Send the spans that wait for their batch, but let no receiver delay the end of the process."""
    sending = Thread(target=provider.shutdown, daemon=True)
    sending.start()
    sending.join(LAST_SPANS_SECONDS)


def tracing_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Give each request a span, and each of its statements a child span.

    The span of the request ends with the body of the response.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info in PROBES:
            return get_response(request)
        span = start_span(request)
        if trace_statement not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, trace_statement)
        response = get_response(request)
        describe_response(span, request, response.status_code)
        when_ended(response, lambda _: span.end())
        return response

    return middleware


def start_span(request: HttpRequest) -> Span:
    """Start the span of a request, as a child of the span in ``traceparent``, and give its ids to the log."""
    headers = {name: request.META.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
    caller = trace_context(request)
    span = tracer().start_span(
        known_method(request),
        TraceContextTextMapPropagator().extract(headers) if caller.trace_id else None,
        SpanKind.SERVER,
        {"http.request.method": known_method(request), "url.scheme": request.scheme or ""},
    )
    ids = span.get_span_context()
    request.META[SPAN] = span
    request.META[TRACE_CONTEXT] = TraceContext(
        format_trace_id(ids.trace_id), caller.parent_id, format_span_id(ids.span_id)
    )
    return span


def known_method(request: HttpRequest) -> str:
    """Return the method, or ``_OTHER`` as the semantic conventions of OpenTelemetry do."""
    return request.method if request.method in METHODS else "_OTHER"


def describe_response(span: Span, request: HttpRequest, status: int) -> None:
    """Name the span by its route, because a path has ids and a query has texts."""
    if match := request.resolver_match:
        span.update_name(f"{known_method(request)} /{match.route}")
        span.set_attribute("http.route", f"/{match.route}")
    span.set_attribute("http.response.status_code", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)


def trace_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
    """Run a statement of a request in a span that has the SQL with placeholders, but no parameters.

    The span has the class of an error and not its message, because PostgreSQL's message quotes the row.
    """
    request = current_request.get().request
    parent = request.META.get(SPAN) if request else None
    if parent is None:
        return execute(sql, params, many, context)
    system, operation = context["connection"].vendor, sql.split(None, 1)[0].upper()
    attributes = {"db.system.name": system, "db.operation.name": operation, "db.query.text": sql}
    span = tracer().start_span(operation, set_span_in_context(parent), SpanKind.CLIENT, attributes)
    try:
        return execute(sql, params, many, context)
    except Exception as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()
