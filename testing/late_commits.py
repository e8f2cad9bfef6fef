"""Run the service with pauses in some writes, so that writes commit in another order than they began.

On PostgreSQL the pause is before COMMIT. SQLite has one writer at a time, so the pause is before its lock. SQLite also
gets a function ``control_number``, the time at which the request arrived, for a control.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from testing.ports import free_port
from testing.servers import Server, running_service

#: Numbers in the order in which transactions begin to write, as usual designs have them. For controls on PostgreSQL.
NUMBER_BY_SEQUENCE = """
CREATE SEQUENCE control_numbers;
GRANT ALL ON control_numbers TO PUBLIC;
CREATE OR REPLACE FUNCTION changes_set_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_number := nextval('control_numbers');
    RETURN NEW;
END $$
"""

ARRIVAL: ContextVar[int] = ContextVar("ARRIVAL", default=0)


@contextmanager
def running_service_with_pauses(url: str, proportion: float, longest: float, **variables: str) -> Iterator[Server]:
    """Yield a server with two workers of four threads.

    Args:
        url: the URL of the database.
        proportion: the proportion of writes that pause.
        longest: the longest pause, in seconds.
        **variables: further settings.
    """
    port = free_port()
    granian = ("-m", "granian", "--interface=wsgi", f"--port={port}", "--workers=2", "--blocking-threads=4")
    command = (sys.executable, *granian, "--factory", "testing.late_commits:application")
    pauses = {"PAUSING_WRITES": str(proportion), "LONGEST_PAUSE": str(longest)}
    options = {"MAX_CONCURRENT_PER_USER": "4", "LOG_LEVEL": "CRITICAL", **pauses, **variables}
    with running_service(url, command, port, **options) as server:
        yield server


def application() -> Any:
    """Return the application of a worker."""
    from todo_project.wsgi import application

    # isort: split
    from django.db import connection, transaction
    from django.db.backends.signals import connection_created
    from django.http import HttpResponse

    from idempotency.viewsets import IdempotentViewSet

    idempotently = IdempotentViewSet.idempotently

    def idempotently_and_late(
        self: IdempotentViewSet[Any], operation: Callable[[], HttpResponse], *, one_statement: bool = False
    ) -> HttpResponse:
        ARRIVAL.set(time.time_ns())
        if connection.vendor == "sqlite":
            pause()
            return idempotently(self, operation, one_statement=one_statement)
        with transaction.atomic():
            response = idempotently(self, operation, one_statement=one_statement)
            pause()
        return response

    IdempotentViewSet.idempotently = idempotently_and_late  # type: ignore[method-assign]
    connection_created.connect(add_function, weak=False)
    return application


def pause() -> None:
    """Sleep in some of the calls."""
    if random.random() < float(os.environ["PAUSING_WRITES"]):
        time.sleep(random.random() * float(os.environ["LONGEST_PAUSE"]))


def add_function(connection: Any, **_: Any) -> None:
    """Give a new connection of SQLite the function ``control_number``."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("control_number", 0, ARRIVAL.get)
