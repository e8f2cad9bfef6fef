"""The service as it runs, while its identity provider is hung and somebody floods it with keys that nobody has."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import count

import pytest

from testing.identity_provider import AUDIENCE, ISSUER
from testing.servers import HOST, served

WORKERS = 2
#: Seconds between two fetches of a worker.
INTERVAL = 5
#: Seconds that a request waits for a fetch.
PATIENCE = 1
#: Seconds that a busy machine may add.
LATE = 3


@pytest.fixture
def jwt_server(database_url, provider):
    jwt = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    with served(database_url, WORKERS=str(WORKERS), LOG_LEVEL="CRITICAL", **jwt) as server:
        yield server
        provider.ended.set()


@pytest.fixture
def ask(jwt_server):
    """Status of an answer, and the seconds it took, over a connection of its own."""

    def get(token):
        start = time.monotonic()
        with closing(HTTPConnection(HOST, jwt_server.port, timeout=10)) as http:
            http.request("GET", "/api/tasks", headers={"Authorization": f"Bearer {token}"})
            response = http.getresponse()
            json.loads(response.read())
            return response.status, time.monotonic() - start

    return get


def test_a_flood_of_unknown_keys_while_the_provider_hangs(ask, provider):
    """It lasts until each worker has asked the provider again, and waits for it."""
    known = provider.token()
    while len(provider.requests) < WORKERS:  # each worker has the keys
        assert ask(known)[0] == 200
    provider.answer = provider.hang
    numbers = count()
    start = time.monotonic()
    flood, served_meanwhile = [], []

    def send_unknown():
        while len(flood) < 1000 or len(provider.requests) < 2 * WORKERS:
            flood.append(ask(provider.token(header={"kid": f"unknown-{next(numbers)}"})))

    with ThreadPoolExecutor(16) as threads:
        flooding = [threads.submit(send_unknown) for _ in range(16)]
        while not all(flooder.done() for flooder in flooding):
            served_meanwhile.append(ask(known))
    assert len(provider.requests) <= WORKERS * (2 + (time.monotonic() - start) / INTERVAL)
    assert Counter(status for status, _ in flood) == {401: len(flood)}
    assert Counter(status for status, _ in served_meanwhile) == {200: len(served_meanwhile)}
    assert max(seconds for _, seconds in served_meanwhile) < LATE
    assert max(seconds for _, seconds in flood) < PATIENCE + LATE


def test_without_any_key_everybody_is_told_in_time(ask, provider):
    provider.answer = provider.hang
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda _: ask(provider.token()), range(200)))
    assert Counter(status for status, _ in answers) == {503: 200}
    assert max(seconds for _, seconds in answers) < PATIENCE + LATE
