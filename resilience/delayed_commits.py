"""The service, where one write of ten pauses up to 50 ms before COMMIT, so that commits reorder."""

import os
import random
import time
from collections.abc import Callable

from todo_project.wsgi import application

# isort: split
from django.db import transaction
from django.http import HttpResponse

from changes import statements
from idempotency.viewsets import IdempotentViewSet

__all__ = ["application"]

DELAYED = 0.1
LONGEST_DELAY = 0.05

idempotently = IdempotentViewSet.idempotently


def idempotently_and_late(self: IdempotentViewSet, operation: Callable[[], HttpResponse]) -> HttpResponse:
    """Carry out a write in a transaction, and delay some commits."""
    with transaction.atomic():
        response = idempotently(self, operation)
        if random.random() < DELAYED:
            time.sleep(random.random() * LONGEST_DELAY)
    return response


IdempotentViewSet.idempotently = idempotently_and_late  # type: ignore[method-assign]

if os.environ.get("WITHOUT_SAFEGUARD") == "timeline":
    statements.HISTORY["postgresql"] = "value"
