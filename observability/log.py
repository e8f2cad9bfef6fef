"""The log: a JSON object a line, or a line for a person where DEBUG is on. Each says which request it is of.

Imports nothing of Django, since granian's own process logs by it too: ``granian_logs.json``.
"""

import json
import logging
import re
import time
from datetime import UTC, datetime
from types import TracebackType

from observability.request_id import current

#: What ends a line, or tells a terminal what to do: Cc, and the separators of lines and paragraphs.
CONTROLS = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
CONTROLS_BUT_LINES = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}

#: The part of PostgreSQL's message that quotes a row, and a task's texts with it; up to the next exception, or the end.
QUOTED_ROW = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above exception was|During handling of)|\Z)", re.DOTALL)

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class RequestFilter(logging.Filter):
    """Gives every record the request that it was written for: ``request_id``, ``method``, ``path``, ``duration_ms``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id, request, started = current.get()
        if request is not None:
            record.method, record.path = request.method, request.path
            record.duration_ms = round((time.perf_counter() - started) * 1000, 3)
        return True


class JSONFormatter(logging.Formatter):
    """One line of JSON, whatever the event has in it: ``json`` escapes all but printable ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", None),
            "method": getattr(record, "method", None),
            "path": getattr(record, "path", None),
            "status": getattr(record, "status_code", None),
            "duration_ms": getattr(record, "duration_ms", None),
            "message": record.getMessage(),
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in event.items() if value is not None}, separators=(",", ":"))

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return QUOTED_ROW.sub("", super().formatException(ei))


class LineFormatter(logging.Formatter):
    """A line for a person, and a traceback below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return super().formatMessage(record).translate(CONTROLS)

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802
        return QUOTED_ROW.sub("", super().formatException(ei)).translate(CONTROLS_BUT_LINES)
