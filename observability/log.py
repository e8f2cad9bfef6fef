"""Format the log: one JSON object per line, or readable lines if ``DEBUG`` is on.

This module imports nothing from Django, because granian's main process uses it too (``granian_logs.json``).
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from types import TracebackType

from observability.request_id import current_request
from observability.trace_context import trace_context

#: Escapes of control characters and line separators, which could end a line or control a terminal.
ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
ESCAPES_IN_TRACEBACKS = {code: escape for code, escape in ESCAPES.items() if chr(code) not in "\n\t"}

#: The part of a PostgreSQL error that quotes a row, and so the texts of a task, up to the next exception.
QUOTED_ROW = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above exception was|During handling of)|\Z)", re.DOTALL)

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class RequestFilter(logging.Filter):
    """A filter that adds id, trace, method, path and duration of the current request to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id, request, started = current_request.get()
        if request is not None:
            record.trace_id, record.parent_id, record.span_id = trace_context(request)
            record.method, record.path = request.method, request.path
            record.duration_ms = round((time.perf_counter() - started) * 1000, 3)
        return True


class JSONFormatter(logging.Formatter):
    """A formatter that writes one line of printable ASCII per event, because ``json`` escapes all else."""

    def format(self, record: logging.LogRecord) -> str:
        logged_at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event = {
            "time": logged_at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", None),
            "trace_id": getattr(record, "trace_id", None),
            "parent_id": getattr(record, "parent_id", None),
            "span_id": getattr(record, "span_id", None),
            "method": getattr(record, "method", None),
            "path": getattr(record, "path", None),
            "status": getattr(record, "status_code", None),
            "bytes": getattr(record, "bytes", None),
            "duration_ms": getattr(record, "duration_ms", None),
            "event": getattr(record, "event", None),
            "user": getattr(record, "user", None),
            "user_hash": getattr(record, "user_hash", None),
            "address": getattr(record, "address", None),
            "user_agent": getattr(record, "user_agent", None),
            "message": record.getMessage(),
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in event.items() if value is not None}, separators=(",", ":"))

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return QUOTED_ROW.sub("", super().formatException(ei))


class LineFormatter(logging.Formatter):
    """A formatter that writes one readable line per event, followed by the traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return super().formatMessage(record).translate(ESCAPES)

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return QUOTED_ROW.sub("", super().formatException(ei)).translate(ESCAPES_IN_TRACEBACKS)
