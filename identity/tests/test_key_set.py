"""The identity provider's keys: when they are fetched, who waits for that, and what is left when it goes wrong."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import active_count

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from identity.key_set import MAX_BYTES, KeySet, read_keys
from rest.problems.types import ServiceUnavailable
from testing.identity_provider import eventually

#: Seconds that a thread may be late by on a busy machine; an answer "at once" takes some microseconds.
LATE = 2


@pytest.fixture
def key_set(provider):
    """Makes a key set of ``provider`` that is fetched once, and then only when a key is not known."""
    made = []

    def make(**options):
        made.append(KeySet(provider.url, **{"lifespan": 600, "grace": 600, "interval": 0.05, **options}))
        return made[-1]

    yield make
    provider.ended.set()
    for keys in made:
        keys.close()


@pytest.fixture
def in_time():
    """Fails if what is done takes longer than so many seconds, and the time that a busy machine may add."""

    def call(seconds, do, *arguments):
        start = time.monotonic()
        try:
            return do(*arguments)
        finally:
            assert time.monotonic() - start < seconds + LATE

    return call


def public(key):
    return key.public_key().public_bytes_raw()


def found(keys, kid="first"):
    """Whether the provider's present key of that id is found."""
    key = keys.find(kid, "EdDSA")
    return key is not None


def test_nothing_is_fetched_before_a_key_is_asked_for(provider, key_set):
    keys = key_set()
    assert (keys.known, keys.fetches, provider.requests) == ({}, 0, [])


def test_a_key_is_found_by_its_id_and_algorithm(provider, key_set):
    keys = key_set()
    assert keys.find("first", "EdDSA").key.public_bytes_raw() == public(provider.keys["first"])
    assert (keys.find("first", "ES256"), keys.find("second", "EdDSA")) == (None, None)


def test_a_known_key_costs_no_fetch(provider, key_set):
    keys = key_set()
    assert [found(keys) for _ in range(1000)] == [True] * 1000
    assert provider.requests == ["/jwks"]


def test_of_many_at_once_all_wait_for_one_fetch(provider, key_set):
    keys = key_set()
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: found(keys), range(16))) == [True] * 16
    assert provider.requests == ["/jwks"]


def test_keys_are_fetched_anew_without_being_asked_for(provider, key_set):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    eventually(lambda: len(provider.requests) > 3)


def test_a_new_key_is_found_at_once(provider, key_set):
    """Rotation, without a restart and without a refusal."""
    keys = key_set()
    assert found(keys)
    eventually(lambda: time.monotonic() >= keys._next_fetch)
    provider.rotate("second")
    assert keys.find("second", "EdDSA").key.public_bytes_raw() == public(provider.keys["second"])
    assert keys.find("first", "EdDSA") is None


def test_a_new_key_that_comes_too_soon_is_found_as_soon_as_it_may_be(provider, key_set):
    keys = key_set(interval=0.2)
    assert found(keys)
    provider.rotate("second")
    assert keys.find("second", "EdDSA") is None
    eventually(lambda: found(keys, "second"))
    assert provider.requests == ["/jwks"] * 2


def test_a_key_that_is_withdrawn_goes_within_the_lifespan(provider, key_set):
    keys = key_set(lifespan=0.1)
    assert found(keys)
    provider.rotate("second")
    eventually(lambda: not found(keys))


def test_a_new_key_under_an_old_id_takes_its_place(provider, key_set):
    keys = key_set(lifespan=0.05)
    before = keys.find("first", "EdDSA")
    provider.rotate("first")
    eventually(lambda: keys.find("first", "EdDSA").key != before.key)
    assert keys.find("first", "EdDSA").key.public_bytes_raw() == public(provider.keys["first"])


def test_a_thousand_unknown_ids_cost_no_fetch_within_the_interval(provider, key_set, in_time):
    keys = key_set(interval=5)
    assert found(keys)
    assert in_time(1, lambda: [keys.find(f"unknown-{n}", "EdDSA") for n in range(1000)]) == [None] * 1000
    assert provider.requests == ["/jwks"]


def test_however_many_unknown_ids_come_there_is_one_fetch_an_interval(provider, key_set):
    keys = key_set(interval=0.2)
    start = time.monotonic()
    asked = 0
    while asked < 1000 or len(provider.requests) < 3:
        assert keys.find(f"unknown-{asked}", "EdDSA") is None
        asked += 1
    assert len(provider.requests) <= 1 + (time.monotonic() - start) / keys.interval


@pytest.mark.parametrize("trouble", ["hang", "drip", "drip_body"])
def test_with_no_key_a_provider_that_hangs_is_waited_for_so_long_and_no_longer(provider, key_set, in_time, trouble):
    provider.answer = getattr(provider, trouble)
    keys = key_set(wait_timeout=0.2)
    with pytest.raises(ServiceUnavailable):
        in_time(0.2, found, keys)


def test_the_wait_is_counted_from_the_beginning_of_the_fetch(provider, key_set, in_time):
    """So that requests which queue for a thread do not wait for one another."""
    provider.answer = provider.hang
    keys = key_set(wait_timeout=2 * LATE, deadline=600)
    with pytest.raises(ServiceUnavailable):
        found(keys)
    for _ in range(20):
        with pytest.raises(ServiceUnavailable):
            in_time(0, found, keys)
    assert provider.requests == ["/jwks"]


@pytest.mark.parametrize("trouble", ["hang", "drip", "drip_body"])
def test_known_keys_are_found_at_once_while_the_provider_hangs(provider, key_set, in_time, trouble):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    keys.deadline = 0.3
    provider.answer = getattr(provider, trouble)
    eventually(lambda: len(provider.requests) > 1)
    assert in_time(0, lambda: [found(keys) for _ in range(1000)]) == [True] * 1000
    eventually(lambda: keys.fetches > 2)  # the deadline is for a fetch as a whole


def test_who_waits_for_an_unknown_key_leaves_threads_to_others(provider, key_set, in_time):
    keys = key_set(waiters=2, wait_timeout=600, deadline=600)
    assert found(keys)
    provider.answer = provider.hang
    eventually(lambda: time.monotonic() >= keys._next_fetch)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(found, keys, "unknown") for _ in range(2)]
        eventually(lambda: keys.free_waiters == 0)
        assert in_time(0, found, keys, "unknown") is False
        assert in_time(0, found, keys) is True
        assert [answer.done() for answer in waiting] == [False, False]
        provider.ended.set()
        assert [answer.result() for answer in waiting] == [False, False]
    assert keys.free_waiters == 2


BROKEN = {
    "no JSON": (b"<html>Bad gateway</html>", 200),
    "nothing": (b"", 200),
    "no UTF-8": (b"\xff\xfe\xfd", 200),
    "a list": (b"[]", 200),
    "no keys": (b"{}", 200),
    "keys that are no list": (b'{"keys": {"first": {}}}', 200),
    "a number": (b"1", 200),
    "nested too deep": (b"[" * 60_000, 200),
    "too large": (b'{"keys": []}'.ljust(MAX_BYTES + 1), 200),
    "an error": (b'{"keys": []}', 500),
    "not found": (b'{"keys": []}', 404),
    "a redirect": (b"", 302),
}


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_no_jwks_changes_nothing(provider, key_set, caplog, body, status):
    keys = key_set(lifespan=0.01, interval=0.01)
    assert found(keys)
    elsewhere = provider.url.replace("jwks", "elsewhere")
    provider.answer = provider.sending(body, status, **({"Location": elsewhere} if status == 302 else {}))
    fetched = keys.fetches
    eventually(lambda: keys.fetches > fetched + 1)
    assert found(keys)
    assert set(provider.requests) == {"/jwks"}
    assert f"No keys from {provider.url}: " in caplog.text


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN)
def test_with_no_key_an_answer_that_is_no_jwks_is_a_service_that_is_away(provider, key_set, in_time, body, status):
    provider.answer = provider.sending(body, status)
    with pytest.raises(ServiceUnavailable):
        in_time(0, found, key_set())


def test_known_keys_outlive_the_provider_for_so_long(provider, key_set):
    keys = key_set(lifespan=0.05, grace=0.5)
    assert found(keys)
    provider.close()
    fetched = keys.fetches
    eventually(lambda: keys.fetches > fetched + 2)
    assert found(keys)
    eventually(lambda: not keys.known)
    with pytest.raises(ServiceUnavailable):
        found(keys)


def test_a_provider_that_comes_back_is_found_within_the_interval(provider, key_set):
    provider.answer = provider.sending(b"", 503)
    keys = key_set()
    with pytest.raises(ServiceUnavailable):
        found(keys)
    provider.answer = provider.jwks
    eventually(lambda: keys.known)
    assert found(keys)


def test_a_provider_that_withdraws_every_key_is_obeyed(provider, key_set):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    provider.answer = provider.sending(b'{"keys": []}')
    eventually(lambda: not keys.known)
    with pytest.raises(ServiceUnavailable):
        found(keys)


def test_the_thread_ends_when_it_is_told_to(provider):
    threads = active_count()
    with closing(KeySet(provider.url, lifespan=600, grace=600)) as keys:
        assert found(keys)
    eventually(lambda: active_count() <= threads)


# Which keys are taken.


def jwk(key, algorithm, **members):
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": "k", **members}


def taken(*members):
    return {name: key.algorithm_name for name, key in read_keys(json.dumps({"keys": members}).encode()).items()}


def test_a_key_serves_one_algorithm(settings):
    settings.JWT_ALGORITHMS = ["EdDSA", "ES256", "ES384", "RS256", "PS256"]
    rsa_key = rsa.generate_private_key(65537, 2048)
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    assert taken(
        jwk(rsa_key, "RS256"),
        jwk(rsa_key, "PS256", alg="PS256"),
        jwk(p256, "ES256"),
        jwk(p384, "ES384", use="sig", key_ops=["verify"]),
    ) == {("k", name): name for name in ("RS256", "PS256", "ES256", "ES384")}


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES512"},
        {"alg": 1},
        {"kid": None},
        {"kid": 1},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "XYZ"},
        {"kty": None},
        {"crv": "P-257"},
        {"x": 1},
        {"x": "AAAA"},
        {"y": None},
    ],
    ids=str,
)
def test_a_key_that_cannot_verify_is_left_out(change):
    sound = jwk(ec.generate_private_key(ec.SECP256R1()), "ES256")
    assert taken(sound, {**sound, "kid": "other", **change}) == {("k", "ES256"): "ES256"}


@pytest.mark.parametrize("member", [None, 1, "key", [], {}], ids=str)
def test_what_is_no_key_is_left_out(member):
    assert taken(member) == {}


def test_an_algorithm_that_the_settings_lack_is_left_out(settings):
    settings.JWT_ALGORITHMS = ["RS256"]
    assert taken(jwk(ed448.Ed448PrivateKey.generate(), "EdDSA", alg="EdDSA")) == {}
