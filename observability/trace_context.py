"""Read the trace context that a caller sends in ``traceparent``: https://www.w3.org/TR/trace-context/.

Only log lines and spans read it, so a request without them pays nothing. This module imports nothing from Django,
because ``observability/log.py`` does not.
"""

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from django.http import HttpRequest

#: Version, trace id, parent id and flags. Version ff is invalid, and only later versions than 00 may have more parts.
TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)

#: The key of ``request.META`` under which the middleware of traces keeps the context of the request.
TRACE_CONTEXT = "todo.trace_context"


class TraceContext(NamedTuple):
    """The place of a request in a trace.

    Attributes:
        trace_id: the id of the trace.
        parent_id: the id of the caller's span, or ``None`` if the service began the trace.
        span_id: the id of the service's own span, or ``None`` without OpenTelemetry.
    """

    trace_id: str | None = None
    parent_id: str | None = None
    span_id: str | None = None


NO_TRACE = TraceContext()


def trace_context(request: "HttpRequest") -> TraceContext:
    """Return the trace context of a request, or ``NO_TRACE`` without a valid ``traceparent``.

    https://www.w3.org/TR/trace-context/#traceparent-header-field-values
    """
    if context := request.META.get(TRACE_CONTEXT):
        return context  # type: ignore[no-any-return]
    header = TRACEPARENT.fullmatch(request.META.get("HTTP_TRACEPARENT", ""))
    return TraceContext(*header.groups()) if header else NO_TRACE
