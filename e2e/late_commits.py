"""The service with a pause of up to 300 ms in one write of five, so that writes commit out of order.

SQLite gets a function ``control_number``, the time at which the request arrived, for a control.
"""

import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from todo_project.wsgi import application

# isort: split
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.http import HttpResponse

from idempotency.viewsets import IdempotentViewSet

__all__ = ["application"]

DELAYED = 0.2
LONGEST_DELAY = 0.3

ARRIVAL: ContextVar[int] = ContextVar("ARRIVAL", default=0)
idempotently = IdempotentViewSet.idempotently


def pause() -> None:
    if random.random() < DELAYED:
        time.sleep(random.random() * LONGEST_DELAY)


def idempotently_and_late(self: IdempotentViewSet, operation: Callable[[], HttpResponse]) -> HttpResponse:
    """Carry out a write, and delay some.

    On PostgreSQL the pause is before COMMIT. SQLite has one writer at a time, so the pause is before its lock.
    """
    ARRIVAL.set(time.time_ns())
    if connection.vendor == "sqlite":
        pause()
        return idempotently(self, operation)
    with transaction.atomic():
        response = idempotently(self, operation)
        pause()
    return response


def add_function(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function("control_number", 0, ARRIVAL.get)


IdempotentViewSet.idempotently = idempotently_and_late  # type: ignore[method-assign]
connection_created.connect(add_function)
