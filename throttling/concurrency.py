"""Limit how many requests a worker carries out at once, in all and for each client.

The server runs more threads than ``THREADS``, so that probes and refusals find a free thread while requests wait here:
docs/decisions/0009-rate-limits.md.
"""

import logging
from collections import Counter
from collections.abc import Callable
from functools import cache
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from rest.problems.types import Busy
from throttling.throttles import Throttle

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

#: Marks a request whose server closes each response, as PEP 3333 requires. Django's test client closes no open stream.
CLOSES_RESPONSES = "todo.closes_responses"

#: How long a request waits for its turn. A refusal then comes well before a client gives up.
WAIT_SECONDS = 0.5

#: The least time between two warnings by one worker.
WARNING_SECONDS = 10


class Waiter:
    """A request that waits for its turn."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.admitted = Event()


class Slots:
    """The slots of a worker: a request needs one while it runs.

    A slot that becomes free goes to the request that has waited longest, among those of clients that hold fewer slots
    than their share. So a client's own requests wait for each other, and not the requests of other clients.

    Args:
        slots: how many requests run at once.
        share: how many requests of one client run at once.
        places: how many requests wait; one client's requests may take three quarters of the places.
    """

    def __init__(self, slots: int, share: int, places: int) -> None:
        self.slots, self.share, self.places = slots, share, places
        self.running: Counter[str] = Counter()
        self.free = slots
        self.queue: list[Waiter] = []
        self.lock = Lock()

    def enter(self, client: str) -> bool:
        """Take a slot, and wait for one if necessary; return whether the request may run."""
        with self.lock:
            if self._may_run(client):
                self._take(client)
                return True
            if not self._may_wait(client):
                return False
            waiter = Waiter(client)
            self.queue.append(waiter)
        waiter.admitted.wait(WAIT_SECONDS)
        with self.lock:
            # A slot may have become free just after the wait.
            admitted = waiter.admitted.is_set()
            if not admitted:
                self.queue.remove(waiter)
            return admitted

    def leave(self, client: str) -> None:
        """Give a slot back, and hand it to a waiting request."""
        with self.lock:
            self.free += 1
            self.running[client] -= 1
            if not self.running[client]:
                del self.running[client]
            for waiter in self.queue:
                if self._may_run(waiter.client):
                    self.queue.remove(waiter)
                    self._take(waiter.client)
                    waiter.admitted.set()
                    break

    def _may_run(self, client: str) -> bool:
        return self.free > 0 and self.running[client] < self.share

    def _take(self, client: str) -> None:
        self.free -= 1
        self.running[client] += 1

    def _may_wait(self, client: str) -> bool:
        if len(self.queue) >= self.places:
            return False
        return sum(waiter.client == client for waiter in self.queue) < self.places * 3 // 4


@cache
def worker_slots() -> Slots:
    """Return the slots of this worker."""
    return Slots(settings.THREADS, settings.MAX_CONCURRENT_PER_USER, settings.WAITING_REQUESTS)


class RefusalLog:
    """The log of refused requests: one warning in ``WARNING_SECONDS``, because there may be thousands."""

    last_warning = -float(WARNING_SECONDS)

    @classmethod
    def warn(cls) -> None:
        """Log a refusal, unless there was a warning a short time ago."""
        if monotonic() - cls.last_warning >= WARNING_SECONDS:
            cls.last_warning = monotonic()
            logger.warning("A request was refused, because its client or all clients have too many requests at once")


def enter(request: HttpRequest, client: str) -> None:
    """Take a slot for a request, and then read a chunked body.

    ``concurrency_middleware`` gives the slot back.

    Raises:
        Busy: no slot became free in time.
    """
    slots = worker_slots()
    if not slots.enter(client):
        RefusalLog.warn()
        raise Busy
    request.leave = lambda: slots.leave(client)  # type: ignore[attr-defined]
    if read_chunked_body := getattr(request, "read_chunked_body", None):  # only the server's requests have it
        read_chunked_body()


class ConcurrencyLimit(Throttle):
    """A throttle that lets each request of the API wait for a slot."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        enter(request._request, self.identify_client(request))
        return True


def concurrency_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Let requests of the admin wait for a slot, and give back each slot when its response is complete."""
    # REST framework's views import this module, and that module imports these views.
    from rest.problems.responses import unavailable_page

    admin_prefix: str = settings.ADMIN_PREFIX

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(admin_prefix):
            try:
                enter(request, f"admin {Throttle().identify_client(Request(request))}")
            except Busy as error:
                return unavailable_page(error)
        response = get_response(request)
        if leave := getattr(request, "leave", None):
            if isinstance(response, StreamingHttpResponse) and CLOSES_RESPONSES in request.META:
                # Also called if the client disconnects before the stream begins.
                response._resource_closers.append(leave)  # type: ignore[attr-defined]  # noqa: SLF001
            else:
                leave()
        return response

    return middleware
