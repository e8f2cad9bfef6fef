"""The OpenAPI document, as the first requests of a new worker get it."""

import pytest

from testing.python_processes import json_output_of

pytestmark = pytest.mark.once

#: Twelve clients ask at the same moment, and threads take turns as often as possible.
FIRST_REQUESTS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from django.test import Client
import django
django.setup()
from todo_project import api_docs
{change}
sys.setswitchinterval(1e-6)
barrier = Barrier(12)
def send(_):
    barrier.wait()
    return Client(raise_request_exception=False).get("/api/schema").status_code
with ThreadPoolExecutor(12) as threads:
    print(json.dumps(sorted(threads.map(send, range(12)))))
"""
REMOVE_LOCK = "from contextlib import nullcontext; api_docs.RENDERING = nullcontext()"


def first_statuses(change=""):
    return json_output_of(
        FIRST_REQUESTS.format(change=change), ALLOWED_HOSTS="testserver", LOG_LEVEL="CRITICAL", ENV_FILE="/dev/null"
    )


def test_concurrent_first_requests_get_document():
    assert first_statuses() == [200] * 12


def test_control_without_lock_first_requests_fail():
    """The requests race, so a process in which all succeed proves nothing."""
    assert any(500 in first_statuses(REMOVE_LOCK) for _ in range(20))
