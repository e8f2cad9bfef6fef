"""The service without the safeguard that ``WITHOUT_SAFEGUARD`` names, for the controls."""

import logging
import os
from collections.abc import Iterator
from typing import Any

# isort: off
from database import errors  # First, because other modules import its functions by name.
from database.connections import BoundedConnection
from database.write_breaker import WriteBreaker

# isort: on
from django.conf import settings
from django.db import Error, OperationalError

__all__ = ["application"]

SAFEGUARD = os.environ["WITHOUT_SAFEGUARD"]

match SAFEGUARD:
    case "error handling":
        errors.is_unavailable = lambda error: False
    case "sqlstates":
        errors.is_unavailable = lambda error: isinstance(error, OperationalError)
    case "retry":
        errors.RETRYABLE_STATES = frozenset()
    case "primary check":
        BoundedConnection.is_primary = lambda self: True  # type: ignore[method-assign]
    case "write breaker":
        WriteBreaker.waits_for_standby = lambda self, connect, pid, seconds: False  # type: ignore[method-assign]

# isort: off
from todo_project.wsgi import application  # noqa: E402  # Sets Django up with the replacements above.
import rest.middleware  # noqa: E402
import todo_project.wsgi  # noqa: E402
from changes import statements  # noqa: E402
from tasks.api.listing import Listing  # noqa: E402
from throttling.concurrency import Slots  # noqa: E402
# isort: on

DATABASE = settings.DATABASES["default"]
POOL = DATABASE["OPTIONS"]["pool"]


def close_array(stream: Any) -> Any:
    """Make a list end with a bracket even if the database fails."""

    def stream_closed(self: Listing, *chunk: Any) -> Iterator[bytes]:
        try:
            yield from stream(self, *chunk)
        except Error:
            yield b"]"

    return stream_closed


match SAFEGUARD:
    case "wait limits":
        del POOL["connection_class"]
    case "connection check":
        DATABASE["CONN_HEALTH_CHECKS"] = False
    case "reconnecting":
        del POOL["reconnect_failed"]
    case "outage log":
        logging.getLogger("django.request").filters.clear()
        logging.getLogger("psycopg.pool").setLevel(logging.WARNING)
    case "queue limit":
        del POOL["max_waiting"]
    case "unclosed array":
        Listing._stream = close_array(Listing._stream)  # type: ignore[method-assign]  # noqa: SLF001
    case "head limit":
        rest.middleware.is_head_too_large = lambda environ: False
        rest.middleware.replace_long_media_types = lambda environ: None
        todo_project.wsgi.MAX_CONTENT_TYPE_LENGTH = 1_000_000
    case "concurrency limit":
        Slots.enter = lambda self, client: True  # type: ignore[method-assign]
        Slots.leave = lambda self, client: None  # type: ignore[method-assign]
    case "slot for chunked bodies":
        get_response = todo_project.wsgi.django_application.get_response

        def read_first(request: Any) -> Any:
            """Read a chunked body before the request has a slot."""
            request.read_chunked_body()
            return get_response(request)

        todo_project.wsgi.django_application.get_response = read_first  # type: ignore[method-assign]
    case "timeline":
        statements.HISTORY["postgresql"] = "value"
    case "atomic writes":
        import resilience.read_modify_write  # noqa: F401
