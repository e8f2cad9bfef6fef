"""Count and time requests for Prometheus if ``METRICS_PORT`` is set: docs/operations.md.

No label has text of a request: a path counts as the pattern of its route, and an unknown method as ``other``.

The middleware only notes a request, and a thread of the worker records all notes once a second. To record each request
at once would cost 3 to 4 % of a GET: docs/decisions/0021-metrics.md.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict, deque
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram
from rest_framework.permissions import SAFE_METHODS

from observability.streams import when_ended

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


#: Method, route and status of a request. The route is ``None`` without a match.
Labels = tuple[str | None, str | None, int]

#: The labels and seconds of the requests that are not recorded yet. The limit is for a worker whose thread is delayed.
noted: deque[tuple[Labels, float]] = deque(maxlen=100_000)


def metrics_middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Note each response, and a stream when it is closed."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = perf_counter()
        response = get_response(request)
        match, status = request.resolver_match, response.status_code
        labels = request.method, match.route if match else None, status
        when_ended(response, lambda _: noted.append((labels, perf_counter() - started)))
        if status in REFUSALS:
            count_refusal(request, response)
        return response

    return middleware


def record_noted() -> None:
    """Record the noted requests, with one write for each bucket instead of two for each request."""
    seconds: defaultdict[Labels, float] = defaultdict(float)
    requests: Counts[tuple[Labels, int]] = Counts()
    while noted:
        labels, duration = noted.popleft()
        seconds[labels] += duration
        requests[labels, bisect_left(BUCKETS, duration)] += 1
    for (labels, bucket), number in requests.items():
        find_child(labels)._buckets[bucket].inc(number)  # noqa: SLF001
    for labels, total in seconds.items():
        find_child(labels)._sum.inc(total)  # noqa: SLF001


def find_child(labels: Labels) -> Histogram:
    """Return the histogram of these labels, for which the text of a method is no label."""
    method, route, status = labels
    known = method if method in METHODS else "other"
    return DURATION.labels(known, NO_ROUTE if route is None else f"/{route}", status)


def count_refusal(request: HttpRequest, response: HttpResponseBase) -> None:
    """Count a 503 by its cause, and a 429 of a rate limit; the admin has other 429s, without a problem."""
    problem = getattr(response, "problem", None)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        UNAVAILABLE.labels(getattr(problem, "cause", "other")).inc()
    elif problem is not None:
        RATE_LIMIT_HITS.labels("read" if request.method in SAFE_METHODS else "write").inc()
