"""The running service while its identity provider hangs and clients send tokens with unknown keys."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import count

import pytest

from testing.identity_provider import AUDIENCE, ISSUER
from testing.ports import HOST
from testing.servers import running_service

WORKERS = 2
#: The defaults of ``KeySet``.
INTERVAL_SECONDS, WAIT_TIMEOUT_SECONDS = 5, 1
#: Requests with unknown keys.
FLOOD = 1000
#: A busy machine may delay an answer by this long.
MARGIN_SECONDS = 3


@pytest.fixture
def jwt_server(database_url, provider):
    jwt = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    with running_service(database_url, WORKERS=str(WORKERS), LOG_LEVEL="CRITICAL", **jwt) as server:
        yield server
        provider.ended.set()


@pytest.fixture
def ask(jwt_server):
    """Return a function that sends a request on a new connection, and returns status and seconds."""

    def get(token):
        start = time.monotonic()
        with closing(HTTPConnection(HOST, jwt_server.port, timeout=10)) as http:
            http.request("GET", "/api/tasks", headers={"Authorization": f"Bearer {token}"})
            response = http.getresponse()
            json.loads(response.read())
            return response.status, time.monotonic() - start

    return get


def test_unknown_keys_do_not_delay_users_with_known_keys(ask, provider):
    """The flood lasts until each worker has asked the hanging provider again."""
    known = provider.token()
    while len(provider.requests) < WORKERS:  # until each worker knows the keys
        assert ask(known)[0] == 200
    provider.answer = provider.hang
    numbers = count()
    start = time.monotonic()
    flood, served_meanwhile = [], []

    def send_unknown():
        while len(flood) < FLOOD or len(provider.requests) < 2 * WORKERS:
            flood.append(ask(provider.token(header={"kid": f"unknown-{next(numbers)}"})))
            if len(flood) > FLOOD:
                time.sleep(0.1)  # a slower flood is enough until the interval has passed

    with ThreadPoolExecutor(16) as threads:
        flooding = [threads.submit(send_unknown) for _ in range(16)]
        while not all(flooder.done() for flooder in flooding):
            served_meanwhile.append(ask(known))
    assert len(provider.requests) <= WORKERS * (2 + (time.monotonic() - start) / INTERVAL_SECONDS)
    assert Counter(status for status, _ in flood) == {401: len(flood)}
    assert Counter(status for status, _ in served_meanwhile) == {200: len(served_meanwhile)}
    assert max(seconds for _, seconds in served_meanwhile) < MARGIN_SECONDS
    assert max(seconds for _, seconds in flood) < WAIT_TIMEOUT_SECONDS + MARGIN_SECONDS


def test_every_client_gets_503_in_time_without_keys(ask, provider):
    provider.answer = provider.hang
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: ask(provider.token()), range(200)))
    assert Counter(status for status, _ in answers) == {503: 200}
    assert max(seconds for _, seconds in answers) < WAIT_TIMEOUT_SECONDS + MARGIN_SECONDS
