"""The controls: the service without the one safeguard that ``WITHOUT`` names."""

import os
from collections.abc import Iterator
from typing import Any

# isort: off
from database import connections  # before whoever imports its functions by name

# isort: on
from django.conf import settings
from django.db import Error, OperationalError

__all__ = ["application"]

WITHOUT = os.environ["WITHOUT"]

match WITHOUT:
    case "handler":  # of the database's errors: plain Django
        connections.is_unavailable = lambda error: False
    case "states":  # what PostgreSQL's codes say: the driver's classes alone
        connections.is_unavailable = lambda error: isinstance(error, OperationalError)
    case "second try":
        connections.PASSING_STATES = frozenset()
    case "look at the role":  # whether the server takes writes yet
        connections.BoundedConnection.is_primary = lambda self: True  # type: ignore[method-assign]

# isort: off
from todo_project.wsgi import application  # noqa: E402  # sets Django up, and has all that is above
from tasks.api.listing import Listing  # noqa: E402
# isort: on

DATABASE = settings.DATABASES["default"]
POOL = DATABASE["OPTIONS"]["pool"]


def closed(stream: Any) -> Any:
    """The list, with its last bracket whatever happened."""

    def ends(self: Listing, *chunk: Any) -> Iterator[bytes]:
        try:
            yield from stream(self, *chunk)
        except Error:
            yield b"]"

    return ends


match WITHOUT:
    case "bounds":  # what BoundedConnection sets to each wait
        del POOL["connection_class"]
    case "check":  # of a connection before it is used
        DATABASE["CONN_HEALTH_CHECKS"] = False
    case "new attempts":  # of a pool that has given up
        del POOL["reconnect_failed"]
    case "end of the queue":
        del POOL["max_waiting"]
    case "torn list":
        Listing._stream = closed(Listing._stream)  # type: ignore[method-assign]  # noqa: SLF001
