"""Fetch the keys of the identity provider (RFC 7517), which verify the signatures of its tokens."""

import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPSConnection
from threading import Condition, Event, Thread, Timer
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from jwt import PyJWK

from rest.problems.types import ServiceUnavailable

logger = logging.getLogger(__name__)

MAX_JWKS_BYTES = 64 * 1024

#: The media types of a JWKS (RFC 7517, section 8.5); many providers send plain JSON.
JWKS_TYPES = "application/jwk-set+json, application/json"

#: The names that RFC 9864 gives to the two curves of ``EdDSA``; PyJWT knows only ``EdDSA``.
EDDSA_CURVES = ("Ed25519", "Ed448")

#: By ``kid`` and ``alg``, because a key serves exactly one algorithm (RFC 8725, section 3.1).
Keys = Mapping[tuple[str, str], PyJWK]


class KeySet:
    """The keys at ``url``, which one thread of this process keeps fresh.

    The thread starts when the first key is asked for. It fetches the keys every ``lifespan`` seconds, and whenever an
    unknown key is asked for, but at most once in ``interval`` seconds.

    Only a caller that asks for an unknown key waits for a fetch. Once keys are known, at most ``waiters`` callers wait
    at a time, so that callers with a known key find a free thread.

    If fetches fail, the keys of the last successful fetch stay valid for ``grace`` seconds.

    Args:
        url: the address of the JWKS (RFC 7517, section 5).
        lifespan: seconds until the thread fetches the keys again.
        grace: seconds until keys expire, counted from the start of their fetch.
        waiters: how many callers may wait at a time once keys are known.
        interval: the least number of seconds between the starts of two fetches.
        deadline: seconds that a whole fetch may take.
        wait_timeout: seconds that a caller waits, counted from the start of the fetch.

    Attributes:
        fetches: how many fetches have ended, successful or not.
        free_waiters: how many more callers may wait.
    """

    def __init__(
        self,
        url: str,
        *,
        lifespan: float,
        grace: float,
        waiters: int = 1,
        interval: float = 5,
        deadline: float = 2,
        wait_timeout: float = 1,
    ) -> None:
        self.url = url
        self.lifespan, self.grace, self.interval = lifespan, grace, interval
        self.deadline, self.wait_timeout = deadline, wait_timeout
        self.free_waiters = waiters
        self.fetches = 0
        self._keys: Keys = {}
        # In seconds of time.monotonic.
        self._keys_expire = self._next_fetch = 0.0
        self._fetch_started: float | None = None
        self._fetched: float | None = None
        self._fetch_ended = Condition()
        self._fetch_wanted, self._closed = Event(), Event()
        self._thread: Thread | None = None

    def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm, or ``None`` if the provider has no such key.

        Raises:
            ServiceUnavailable: no key at all is known.
        """
        key = self.known.get((kid, algorithm))
        if key is None:
            self._wait_for_fetch()
            key = self.known.get((kid, algorithm))
            if not self.known:
                raise ServiceUnavailable(cause="provider")
        return key

    @property
    def known(self) -> Keys:
        """The keys that have not expired."""
        return self._keys if monotonic() < self._keys_expire else {}

    @property
    def age(self) -> float:
        """The seconds since the last successful fetch.

        Without a successful fetch, the seconds since the first attempt. Before the first attempt, 0.
        """
        return 0.0 if self._fetched is None else monotonic() - self._fetched

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._fetch_wanted.set()
        if self._thread:
            self._thread.join()

    def _wait_for_fetch(self) -> None:
        """Request a fetch, and wait for it unless ``interval`` delays it or too many callers wait."""
        with self._fetch_ended:
            if self._thread is None:
                self._thread = Thread(target=self._keep_fresh, name="keys of the identity provider", daemon=True)
                self._thread.start()
            fetches, started = self.fetches, self._fetch_started or monotonic()
            self._fetch_wanted.set()
            delayed = self._fetch_started is None and started < self._next_fetch
            if delayed or (self.known and self.free_waiters <= 0):
                return
            self.free_waiters -= 1
            self._fetch_ended.wait_for(lambda: self.fetches > fetches, started + self.wait_timeout - monotonic())
            self.free_waiters += 1

    def _keep_fresh(self) -> None:
        self._fetched = monotonic()
        while not self._closed.is_set():
            with self._fetch_ended:
                self._fetch_wanted.clear()
                self._fetch_started = started = monotonic()
                self._next_fetch = started + self.interval
            keys = self._fetch()
            with self._fetch_ended:
                if keys is not None:
                    self._keys, self._keys_expire, self._fetched = keys, started + self.grace, started
                self._fetch_started = None
                self.fetches += 1
                self._fetch_ended.notify_all()
            self._closed.wait(self._next_fetch - monotonic())
            if keys is not None:
                self._fetch_wanted.wait(self.lifespan - self.interval)

    def _fetch(self) -> Keys | None:
        try:
            return read_keys(download(self.url, self.deadline))
        except Exception as error:  # an error would end the thread, and nothing starts another one
            logger.warning("No keys from %s: %s: %.200s", self.url, type(error).__name__, error)
            return None


def download(url: str, deadline: float) -> bytes:
    """Return the body at ``url``, without following redirects.

    Raises:
        OSError, HTTPException: the whole body did not arrive within ``deadline`` seconds.
        ValueError: the status is not 200, or the body exceeds ``MAX_JWKS_BYTES``.
    """
    parts = urlsplit(url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(connection_class(parts.hostname or "", parts.port, timeout=deadline)) as connection:
        connection.connect()
        with shut_down_after(deadline, connection.sock):
            connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers=request_headers())
            response = connection.getresponse()
            if response.status == HTTPStatus.FORBIDDEN:
                raise ValueError(f"status 403; allow the User-Agent {settings.USER_AGENT} in the provider's firewall")
            if response.status != HTTPStatus.OK:
                raise ValueError(f"status {response.status}")
            body = response.read(MAX_JWKS_BYTES + 1)
    if len(body) > MAX_JWKS_BYTES:
        raise ValueError(f"more than {MAX_JWKS_BYTES} bytes")
    return body


def request_headers() -> dict[str, str]:
    """Return the headers of a fetch; some firewalls refuse a request without ``User-Agent``."""
    return {"Accept": JWKS_TYPES, "User-Agent": settings.USER_AGENT}


@contextmanager
def shut_down_after(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Shut a socket down after ``seconds``, because a socket's own timeout restarts with each read."""

    def shut_down() -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    watchdog = Timer(seconds, shut_down)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def read_keys(body: bytes) -> Keys:
    """Return the keys of a JWKS that can verify a token; ignore the others (RFC 7517, section 5).

    Raises:
        ValueError: the body is not a JWKS.
    """
    try:
        members = json.loads(body)["keys"]
    except (KeyError, TypeError, RecursionError):
        raise ValueError("not a JWKS") from None
    if not isinstance(members, list):
        raise ValueError("not a JWKS")  # noqa: TRY004
    return {(member["kid"], key.algorithm_name): key for member in members for key in _read_keys_of(member)}


def _read_keys_of(member: Any) -> list[PyJWK]:
    """Return the key of a JWK for each ``alg`` that its tokens may have, or ``[]`` without a usable key."""
    try:
        named_by_curve = member.get("alg") in EDDSA_CURVES and member["alg"] == member["crv"]
        key = PyJWK(member, "EdDSA" if named_by_curve else None)
        verifies = member.get("use", "sig") == "sig" and "verify" in member.get("key_ops", ["verify"])
        if not (verifies and isinstance(member["kid"], str) and key.algorithm_name in settings.JWT_ALGORITHMS):
            return []
        if key.algorithm_name != "EdDSA":
            return [key]
        key_of_curve = PyJWK(member, "EdDSA")
        key_of_curve.algorithm_name = member["crv"]
    except Exception:  # PyJWT raises many types of error for a malformed key
        return []
    return [key, key_of_curve]


@cache
def provider_keys() -> KeySet:
    """Return the keys at ``JWT_JWKS_URL``, one set per process."""
    return KeySet(
        settings.JWT_JWKS_URL,
        lifespan=settings.JWT_JWKS_LIFESPAN,
        grace=settings.JWT_JWKS_GRACE,
        waiters=max(1, settings.THREADS // 2),
    )
