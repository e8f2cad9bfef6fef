"""Answer the probes of an orchestrator: whether the process lives, and whether it can serve requests."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import RLock
from time import monotonic

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from database.connections import find_missing_migration, release_connection
from database.errors import is_unavailable
from rest.problems.responses import respond
from rest.problems.types import ServiceUnavailable

#: The least time between two questions of a worker to the database.
SECONDS_BETWEEN_QUESTIONS = 1.0

#: How long a probe waits for the database's answer.
ANSWER_SECONDS = 0.15


class Readiness:
    """The newest answer of the database to the question whether this worker can serve requests.

    One thread asks, at most once a second and only if there are probes. So no number of probes holds more than one
    thread or connection, however long the database takes. After a good answer it asks again when half of
    ``READY_CACHE`` has passed, so that a database without other requests may sleep meanwhile.

    Args:
        executor: runs the question in its one thread.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.lock = RLock()
        self.question: Future[Exception | None] | None = None
        self.asked_at = self.answered_at = -float("inf")
        self.last_fault: Exception | None = None

    def find_fault(self) -> Exception | None:
        """Return why the worker cannot serve requests, or ``None``.

        Without an answer in time, the last answer counts if it is younger than ``READY_CACHE``.
        """
        question = self._ask_if_due()
        try:
            return question.result(ANSWER_SECONDS)
        except TimeoutError:
            with self.lock:
                is_fresh = monotonic() - self.answered_at < settings.READY_CACHE
                return self.last_fault if is_fresh else ServiceUnavailable(cause="database")

    def _ask_if_due(self) -> "Future[Exception | None]":
        with self.lock:
            pause = SECONDS_BETWEEN_QUESTIONS
            if self.last_fault is None:
                pause = max(pause, settings.READY_CACHE / 2)
            is_due = monotonic() - self.asked_at >= pause
            if self.question is None or (is_due and self.question.done()):
                self.asked_at = monotonic()
                self.question = self.executor.submit(self._ask)
            return self.question

    def _ask(self) -> Exception | None:
        fault = find_fault_of_database()
        with self.lock:
            self.last_fault, self.answered_at = fault, monotonic()
        return fault


def find_fault_of_database() -> Exception | None:
    """Return why the database cannot serve requests, or ``None``."""
    try:
        missing = find_missing_migration()
        if missing is None:
            return None
        return ServiceUnavailable(f"The database lacks the migration {missing}", cause="migration")
    except Error as error:
        return error
    finally:
        release_connection()


readiness = Readiness(ThreadPoolExecutor(1, "readyz"))


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 even without a database, because a restart would not repair an unavailable database."""
    return JsonResponse({"status": "ok", "build": settings.BUILD_VERSION})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database is available and has every migration, else 503."""
    fault = readiness.find_fault()
    if fault is None:
        return JsonResponse({"status": "ok", "build": settings.BUILD_VERSION})
    if isinstance(fault, ServiceUnavailable) or is_unavailable(fault):
        return respond(request, fault)
    raise fault
