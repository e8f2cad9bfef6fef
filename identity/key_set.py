"""The identity provider's keys (RFC 7517), by which the signatures of its tokens are verified."""

import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from http.client import HTTPConnection, HTTPSConnection
from threading import Condition, Event, Thread, Timer
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from jwt import PyJWK

from rest.problems.types import ServiceUnavailable

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024

#: By ``kid`` and ``alg``: a key serves the one algorithm that it is made for (RFC 8725, section 3.1).
Keys = Mapping[tuple[str, str], PyJWK]


class KeySet:
    """The keys at ``url``, which a thread of this process keeps fresh.

    They are fetched when the first one is asked for, then every ``lifespan`` seconds, and when one is asked for that is
    not among them; at most once in ``interval`` seconds, whatever is asked. Only who asks for a key that is not known
    waits for a fetch, and no longer than ``wait_timeout`` seconds from its beginning. Once keys are known no more than
    ``waiters`` do at a time, so that callers with a known key find a free thread.

    While the provider is away, or answers with anything but a JWKS, the keys that were fetched last hold for ``grace``
    seconds.

    Attributes:
        fetches: how many fetches have ended, well or not.
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
        self._good_until = self._next_fetch = 0.0
        self._begun: float | None = None
        self._changed = Condition()
        self._wanted, self._closed = Event(), Event()
        self._thread: Thread | None = None

    def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm, if the provider has one.

        Raises:
            ServiceUnavailable: no key at all is known.
        """
        key = self.known.get((kid, algorithm))
        if key is None:
            self._wait_for_fetch()
            key = self.known.get((kid, algorithm))
            if not self.known:
                raise ServiceUnavailable
        return key

    @property
    def known(self) -> Keys:
        return self._keys if monotonic() < self._good_until else {}

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._wanted.set()
        if self._thread:
            self._thread.join()

    def _wait_for_fetch(self) -> None:
        """Have the keys fetched, now or as soon as it may be; wait for that only if it is now."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._keep_fresh, name="keys of the identity provider", daemon=True)
                self._thread.start()
            fetches, begun = self.fetches, self._begun or monotonic()
            self._wanted.set()
            if (self._begun is None and begun < self._next_fetch) or (self.known and self.free_waiters <= 0):
                return
            self.free_waiters -= 1
            self._changed.wait_for(lambda: self.fetches > fetches, begun + self.wait_timeout - monotonic())
            self.free_waiters += 1

    def _keep_fresh(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                self._wanted.clear()
                self._begun = begun = monotonic()
                self._next_fetch = begun + self.interval
            keys = self._fetch()
            with self._changed:
                if keys is not None:
                    self._keys, self._good_until = keys, begun + self.grace
                self._begun = None
                self.fetches += 1
                self._changed.notify_all()
            self._closed.wait(self._next_fetch - monotonic())
            if keys is not None:
                self._wanted.wait(self.lifespan - self.interval)

    def _fetch(self) -> Keys | None:
        try:
            return read_keys(fetch(self.url, self.deadline))
        except Exception as error:  # whatever it is, the thread must go on
            logger.warning("No keys from %s: %s: %.200s", self.url, type(error).__name__, error)
            return None


def fetch(url: str, deadline: float) -> bytes:
    """What stands at ``url``, without following redirects.

    Raises:
        OSError, HTTPException: it did not come whole within ``deadline`` seconds.
        ValueError: the answer is another than 200, or longer than ``MAX_BYTES``.
    """
    parts = urlsplit(url)
    scheme = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(scheme(parts.hostname or "", parts.port, timeout=deadline)) as connection:
        connection.connect()
        with shut_down_after(deadline, connection.sock):
            connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers={"Accept": "*/*"})
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return body


@contextmanager
def shut_down_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """A time-out of a socket is for each read; this one is for all of them together."""

    def shut_down() -> None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    watchdog = Timer(seconds, shut_down)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def read_keys(body: bytes) -> Keys:
    """The keys of a JWKS (RFC 7517, section 5) that can verify a token; others are ignored, as it says there.

    Raises:
        ValueError: it is no JWKS.
    """
    try:
        members = json.loads(body)["keys"]
    except (KeyError, TypeError, RecursionError):
        raise ValueError("not a JWKS") from None
    if not isinstance(members, list):
        raise ValueError("not a JWKS")  # noqa: TRY004
    found = [(member["kid"], key) for member in members if (key := _read_key(member))]
    return {(kid, key.algorithm_name): key for kid, key in found}


def _read_key(member: Any) -> PyJWK | None:
    try:
        key = PyJWK(member)
        verifies = member.get("use", "sig") == "sig" and "verify" in member.get("key_ops", ["verify"])
        usable = verifies and isinstance(member["kid"], str) and key.algorithm_name in settings.JWT_ALGORITHMS
    except Exception:  # of many kinds, by what it is about the key that PyJWT stumbles over
        return None
    return key if usable else None


@cache
def provider_keys() -> KeySet:
    """The keys of the identity provider that the settings name."""
    return KeySet(
        settings.JWT_JWKS_URL,
        lifespan=settings.JWT_JWKS_LIFESPAN,
        grace=settings.JWT_JWKS_GRACE,
        waiters=max(1, settings.THREADS // 2),
    )
