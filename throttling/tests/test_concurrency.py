"""The slots of a worker: how many requests run at once, in all and for each client."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tasks.tests.api.contract import problem
from tasks.tests.factories import TaskFactory
from testing.waiting import wait_for
from throttling import concurrency
from throttling.concurrency import CLOSES_RESPONSES, Slots, worker_slots

HOME, OFFICE = "192.0.2.1", "198.51.100.1"


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 0.01)


@pytest.fixture
def waits_long(monkeypatch):
    monkeypatch.setattr(concurrency, "WAIT_SECONDS", 60)


@pytest.fixture
def slots(settings):
    """Replace the slots of this process: four, two for each client."""
    settings.THREADS, settings.MAX_CONCURRENT_PER_USER = 4, 2
    worker_slots.cache_clear()
    yield worker_slots()
    worker_slots.cache_clear()


@contextmanager
def taken(slots, client, number):
    for _ in range(number):
        assert slots.enter(client)
    yield
    for _ in range(number):
        slots.leave(client)


# The slots


def test_client_gets_its_share_and_no_more():
    slots = Slots(4, 2, 8)
    assert [slots.enter("a") for _ in range(3)] == [True, True, False]
    assert [slots.enter("b") for _ in range(3)] == [True, True, False]
    assert slots.enter("c") is False
    slots.leave("a")
    assert slots.enter("c") is True
    assert (slots.free, slots.running) == (0, {"a": 1, "b": 2, "c": 1})


def test_all_slots_given_back_are_free():
    slots = Slots(4, 2, 8)
    with taken(slots, "a", 2), taken(slots, "b", 2):
        pass
    assert (slots.free, slots.running, slots.queue) == (4, {}, [])


@pytest.mark.usefixtures("waits_long")
def test_free_slot_goes_to_first_client_below_its_share():
    slots = Slots(3, 2, 8)
    with taken(slots, "a", 2), taken(slots, "b", 1), ThreadPoolExecutor(3) as threads:
        results = []
        for client in ("a", "c", "b"):
            results.append(threads.submit(slots.enter, client))
            wait_for(lambda: len(slots.queue) == len(results), "the request waits")
        slots.leave("b")
        assert results[1].result(10)
        assert [waiter.client for waiter in slots.queue] == ["a", "b"]
        slots.leave("a")
        assert results[0].result(10)
        slots.leave("c")
        assert results[2].result(10)


@pytest.mark.usefixtures("waits_long")
def test_client_takes_three_quarters_of_places_at_most():
    slots = Slots(1, 1, 4)
    with taken(slots, "a", 1), ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(slots.enter, "a") for _ in range(3)]
        wait_for(lambda: len(slots.queue) == 3, "three requests wait")
        assert slots.enter("a") is False
        other = threads.submit(slots.enter, "b")
        wait_for(lambda: len(slots.queue) == 4, "the other client's request waits")
        assert slots.enter("b") is False
        for _ in range(3):
            slots.leave("a")
        assert [request.result(10) for request in waiting] == [True] * 3
        slots.leave("a")
        assert other.result(10)
        slots.leave("b")
        slots.enter("a")


# The service


def busy(path):
    return problem("service_unavailable", path, detail="The service cannot answer for the moment")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"), [("get", "/api/tasks"), ("post", "/api/tasks"), ("get", "/api/tasks/trash")]
)
def test_request_beyond_clients_share_is_refused_in_time(client, slots, caplog, method, path):
    with taken(slots, f"address {HOME}", 2):
        refused = getattr(client, method)(path, REMOTE_ADDR=HOME)
        other = client.get("/api/tasks", REMOTE_ADDR=OFFICE)
        other.close()
    request_id = refused.headers["X-Request-ID"]
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json() == {**busy(path), "request_id": request_id}
    assert other.status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.django_db
def test_user_of_token_has_slots_of_their_own(client_of, slots):
    alice, bob = client_of("alice"), client_of("bob")
    with taken(slots, "user alice", 2):
        assert [user.get("/api/tasks/trash?limit=1").status_code for user in (alice, bob)] == [503, 200]
    assert alice.get("/api/tasks/trash?limit=1").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/api/tasks?limit=1", "/api/tasks?x", "/api/tasks/1", "/api/nowhere", "/admin/login/"]
)
def test_request_gives_its_slot_back(client, slots, path):
    client.get(path)
    assert slots.free == 4


@pytest.mark.django_db
def test_failed_request_gives_its_slot_back(client, slots, monkeypatch):
    monkeypatch.setattr("tasks.api.views.Listing", lambda *_, **__: 1 / 0)
    assert client.get("/api/tasks").status_code == 500
    assert slots.free == 4


@pytest.mark.django_db
def test_streamed_list_holds_its_slot_until_closed(client, slots):
    TaskFactory()
    response = client.get("/api/tasks", REMOTE_ADDR=HOME, **{CLOSES_RESPONSES: True})
    assert slots.running == {f"address {HOME}": 1}
    response.close()
    assert (slots.free, slots.running) == (4, {})


@pytest.mark.django_db
def test_admin_has_slots_of_its_own(client, slots):
    with taken(slots, "admin address 127.0.0.1", 2):
        refused = client.get("/admin/login/")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert client.get("/api/tasks?limit=1").status_code == 200
    assert client.get("/admin/login/").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/api/schema", "/api/docs", "/problems/conflict"])
def test_probe_and_page_need_no_slot(client, slots, path):
    with taken(slots, "a", 2), taken(slots, "b", 2):
        assert client.get(path).status_code == 200


def test_refusals_are_logged_once_in_a_while(slots, caplog, monkeypatch):
    monkeypatch.setattr(concurrency.RefusalLog, "last_warning", -concurrency.WARNING_SECONDS)
    concurrency.RefusalLog.warn()
    concurrency.RefusalLog.warn()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
