"""The threads that run requests, and the parked ones."""

from io import BytesIO
from math import inf
from threading import Event, Thread

import pytest

from testing.waiting import wait_for
from todo_project.server.parking import QUICK_REQUESTS, ParkingRunner, count_body

THREADS = 2


class Requests:
    """Requests that run in threads of their own until they are told to end."""

    def __init__(self) -> None:
        self.runner = ParkingRunner(lambda ends, environ: ends.wait(), THREADS)
        self.runner.is_quick = True
        self.running: list[tuple[Event, Thread]] = []

    def begin(self, number=1, **environ):
        """Begin requests, and wait until they run."""
        for _ in range(number):
            ends = Event()
            thread = Thread(target=self.runner, args=(ends, environ), daemon=True)
            self.running.append((ends, thread))
            thread.start()
        wait_for(lambda: len(self.runner.begun) == len(self.running), "the requests run")

    def end(self):
        """End the request that began first, and return its thread."""
        ends, thread = self.running.pop(0)
        ends.set()
        wait_for(lambda: len(self.runner.begun) == len(self.running), "the request has ended")
        return thread


@pytest.fixture
def requests(monkeypatch):
    """No request takes long, unless a test says so."""
    monkeypatch.setattr("todo_project.server.parking.LONG_SECONDS", inf)
    requests = Requests()
    yield requests
    while requests.running:
        requests.end()
    requests.runner.release()


def end_parked(requests):
    """End a request whose thread is parked, and return the thread."""
    parked = len(requests.runner.parked)
    thread = requests.end()
    wait_for(lambda: len(requests.runner.parked) == parked + 1, "the thread is parked")
    return thread


def end_unparked(requests):
    """End a request whose thread is not parked."""
    requests.end().join()
    assert not requests.runner.parked


def test_thread_is_parked_while_enough_others_run(requests):
    requests.begin(THREADS + 1)
    end_parked(requests)


def test_thread_is_not_parked_while_too_few_others_run(requests):
    requests.begin(THREADS)
    end_unparked(requests)


def test_long_requests_do_not_park_thread(requests, monkeypatch):
    requests.begin(THREADS + 1)
    monkeypatch.setattr("todo_project.server.parking.LONG_SECONDS", 0)
    end_unparked(requests)


@pytest.mark.parametrize("header", [{"CONTENT_LENGTH": "2"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
def test_thread_with_unread_body_is_not_parked(requests, header):
    requests.begin(THREADS + 1, **header, **{"wsgi.input": BytesIO(b"{}")})
    end_unparked(requests)


def test_thread_of_slow_worker_is_not_parked(requests):
    requests.begin(THREADS + 1)
    requests.runner.is_quick = False
    end_unparked(requests)


def test_number_of_requests_makes_worker_quick(requests, monkeypatch):
    monkeypatch.setattr("todo_project.server.parking.INTERVAL", inf)
    requests.runner.is_quick = False
    quick = []
    for _ in range(QUICK_REQUESTS):
        requests.runner.count()
        quick.append(requests.runner.is_quick)
    assert quick == [*[False] * (QUICK_REQUESTS - 1), True]


def test_seconds_between_requests_make_worker_slow(requests, monkeypatch):
    monkeypatch.setattr("todo_project.server.parking.INTERVAL", 0)
    for _ in range(QUICK_REQUESTS):
        requests.runner.count()
    assert not requests.runner.is_quick


def test_all_threads_go_on_when_worker_becomes_slow(requests):
    requests.begin(THREADS + 3)
    threads = [end_parked(requests) for _ in range(3)]
    requests.runner.start()
    for thread in threads:
        thread.join()
    assert not requests.runner.is_quick


def test_quick_worker_keeps_threads_parked(requests):
    requests.begin(THREADS + 1)
    end_parked(requests)
    requests.runner.check(QUICK_REQUESTS)
    assert (requests.runner.is_quick, len(requests.runner.parked)) == (True, 1)


def test_body_counts_what_is_read():
    environ = {"CONTENT_LENGTH": "9", "wsgi.input": BytesIO(b"a line\nab")}
    body = count_body(environ)
    assert environ["wsgi.input"] is body
    assert (body.readline(), body.unread) == (b"a line\n", 2)
    assert (body.read(2), body.unread) == (b"ab", 0)


def test_length_of_thousands_of_zeros_is_counted():
    body = count_body({"CONTENT_LENGTH": f"{'0' * 5000}14", "wsgi.input": BytesIO()})
    assert body.unread == 14


def test_request_without_body_has_no_count():
    assert count_body({"wsgi.input": BytesIO()}) is None
