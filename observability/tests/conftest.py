"""Fixtures that read the log of this process."""

import json
import logging
from io import StringIO

import pytest

ACCESS_LOG_MIDDLEWARE = "observability.access_log.access_log_middleware"


@pytest.fixture
def log():
    """Return a function that returns the log lines so far."""
    (console,) = (handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    written = StringIO()
    stream = console.setStream(written)
    yield lambda: written.getvalue().splitlines()
    console.setStream(stream)


@pytest.fixture
def events(log):
    return lambda: [json.loads(line) for line in log()]


@pytest.fixture
def access_log(settings):
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], ACCESS_LOG_MIDDLEWARE, *settings.MIDDLEWARE[1:]]
