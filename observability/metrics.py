"""Count and time requests for Prometheus if ``METRICS_PORT`` is set: docs/operations.md.

No label has text of a request: a path counts as the pattern of its route, and an unknown method as ``other``.
"""

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: The route of a request that no pattern has matched, such as a static file or a refusal of a middleware.
NO_ROUTE = "none"

#: As numbers, because each hash of an ``HTTPStatus`` calls a function of Python.
REFUSALS = frozenset({HTTPStatus.TOO_MANY_REQUESTS.value, HTTPStatus.SERVICE_UNAVAILABLE.value})

#: In seconds. A request takes a few milliseconds, and a 503 comes after 1.5 or 2.5 seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10)

DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from a request's arrival in the application to its response, or to the last byte of a stream.",
    ("method", "route", "status"),
    buckets=BUCKETS,
)
UNAVAILABLE = Counter("todo_unavailable_responses", "Responses with the status 503, by cause.", ("cause",))
RATE_LIMIT_HITS = Counter("todo_rate_limit_hits", "Requests that a rate limit has refused.", ("scope",))


def metrics_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Observe each response, and a stream when it is closed."""
    # Looking up a child by its labels takes half as long as the observation.
    durations: dict[tuple[str | None, str, int], Histogram] = {}

    def observe(request: HttpRequest, status: int, seconds: float) -> None:
        route = request.resolver_match.route if request.resolver_match else None
        method = request.method if request.method in METHODS else "other"
        key = route, method, status
        if key not in durations:
            durations[key] = DURATION.labels(method, NO_ROUTE if route is None else f"/{route}", status)
        durations[key].observe(seconds)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = perf_counter()
        response = get_response(request)
        status = response.status_code
        if response.streaming:
            response._resource_closers.append(  # type: ignore[attr-defined]  # noqa: SLF001
                lambda: observe(request, status, perf_counter() - started)
            )
        else:
            observe(request, status, perf_counter() - started)
        if status in REFUSALS:
            count_refusal(request, response)
        return response

    return middleware


def count_refusal(request: HttpRequest, response: HttpResponseBase) -> None:
    """Count a 503 by its cause, and a 429 of a rate limit; the admin has other 429s, without a problem."""
    problem = getattr(response, "problem", None)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        UNAVAILABLE.labels(getattr(problem, "cause", "other")).inc()
    elif problem is not None:
        RATE_LIMIT_HITS.labels("read" if request.method in {"GET", "HEAD", "OPTIONS"} else "write").inc()
