"""The identity provider's keys: when they are fetched, which callers wait, and the effect of failures."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import active_count

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from identity.key_set import MAX_JWKS_BYTES, KeySet, read_keys
from rest.problems.types import ServiceUnavailable
from testing.waiting import wait_for
from todo_project import __version__

pytestmark = pytest.mark.once

#: A busy machine may delay a thread by this long. An answer without waiting takes microseconds.
MARGIN_SECONDS = 2


@pytest.fixture
def key_set(provider):
    """Yield a function that makes key sets. By default, only an unknown key makes them fetch."""
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
    """Return a function that fails if another function takes longer than ``seconds`` and the margin."""

    def call(seconds, function, *arguments):
        start = time.monotonic()
        try:
            return function(*arguments)
        finally:
            assert time.monotonic() - start < seconds + MARGIN_SECONDS

    return call


def public(key):
    return key.public_key().public_bytes_raw()


def found(keys, kid="first"):
    return keys.find(kid, "EdDSA") is not None


def test_new_key_set_fetches_nothing(provider, key_set):
    keys = key_set()
    assert (keys.known, keys.fetches, provider.requests) == ({}, 0, [])


def test_key_is_found_by_kid_and_algorithm(provider, key_set):
    keys = key_set()
    assert keys.find("first", "EdDSA").key.public_bytes_raw() == public(provider.keys["first"])
    assert (keys.find("first", "ES256"), keys.find("second", "EdDSA")) == (None, None)


def test_known_key_is_found_without_a_fetch(provider, key_set):
    keys = key_set()
    assert [found(keys) for _ in range(1000)] == [True] * 1000
    assert provider.requests == ["/jwks"]


def test_concurrent_callers_share_one_fetch(provider, key_set):
    keys = key_set()
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: found(keys), range(16))) == [True] * 16
    assert provider.requests == ["/jwks"]


def test_keys_are_fetched_again_without_requests(provider, key_set):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    wait_for(lambda: len(provider.requests) > 3)


def test_new_key_is_found_by_the_first_request(provider, key_set):
    keys = key_set()
    assert found(keys)
    wait_for(lambda: time.monotonic() >= keys._next_fetch)
    provider.rotate("second")
    assert keys.find("second", "EdDSA").key.public_bytes_raw() == public(provider.keys["second"])
    assert keys.find("first", "EdDSA") is None


def test_new_key_is_found_after_the_interval(provider, key_set):
    keys = key_set(interval=0.2)
    assert found(keys)
    provider.rotate("second")
    assert keys.find("second", "EdDSA") is None
    wait_for(lambda: found(keys, "second"))
    assert provider.requests == ["/jwks"] * 2


def test_withdrawn_key_is_dropped_within_the_lifespan(provider, key_set):
    keys = key_set(lifespan=0.1)
    assert found(keys)
    provider.rotate("second")
    wait_for(lambda: not found(keys))


def test_new_key_with_an_old_kid_replaces_the_old_key(provider, key_set):
    keys = key_set(lifespan=0.05)
    before = keys.find("first", "EdDSA")
    provider.rotate("first")
    wait_for(lambda: keys.find("first", "EdDSA").key != before.key)
    assert keys.find("first", "EdDSA").key.public_bytes_raw() == public(provider.keys["first"])


def test_unknown_kids_within_the_interval_cause_no_fetch(provider, key_set, in_time):
    keys = key_set(interval=5)
    assert found(keys)
    assert in_time(1, lambda: [keys.find(f"unknown-{n}", "EdDSA") for n in range(1000)]) == [None] * 1000
    assert provider.requests == ["/jwks"]


def test_unknown_kids_cause_one_fetch_per_interval(provider, key_set):
    keys = key_set(interval=0.2)
    start = time.monotonic()
    asked = 0
    while asked < 1000 or len(provider.requests) < 3:
        assert keys.find(f"unknown-{asked}", "EdDSA") is None
        asked += 1
    assert len(provider.requests) <= 1 + (time.monotonic() - start) / keys.interval


@pytest.mark.parametrize("trouble", ["hang", "drip", "drip_body"])
def test_wait_for_a_hanging_provider_without_keys_is_bounded(provider, key_set, in_time, trouble):
    provider.answer = getattr(provider, trouble)
    keys = key_set(wait_timeout=0.2)
    with pytest.raises(ServiceUnavailable):
        in_time(0.2, found, keys)


def test_wait_counts_from_the_start_of_the_fetch(provider, key_set, in_time):
    """Otherwise requests that queue for a thread would wait one after the other."""
    provider.answer = provider.hang
    keys = key_set(wait_timeout=2 * MARGIN_SECONDS, deadline=600)
    with pytest.raises(ServiceUnavailable):
        found(keys)
    for _ in range(20):
        with pytest.raises(ServiceUnavailable):
            in_time(0, found, keys)
    assert provider.requests == ["/jwks"]


@pytest.mark.parametrize("trouble", ["hang", "drip", "drip_body"])
def test_known_key_is_found_while_the_provider_hangs(provider, key_set, in_time, trouble):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    keys.deadline = 0.3
    provider.answer = getattr(provider, trouble)
    wait_for(lambda: len(provider.requests) > 1)
    assert in_time(0, lambda: [found(keys) for _ in range(1000)]) == [True] * 1000
    wait_for(lambda: keys.fetches > 2)  # the deadline ends the whole fetch


def test_waiters_for_unknown_keys_are_limited(provider, key_set, in_time):
    keys = key_set(waiters=2, wait_timeout=600, deadline=600)
    assert found(keys)
    provider.answer = provider.hang
    wait_for(lambda: time.monotonic() >= keys._next_fetch)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(found, keys, "unknown") for _ in range(2)]
        wait_for(lambda: keys.free_waiters == 0)
        assert in_time(0, found, keys, "unknown") is False
        assert in_time(0, found, keys) is True
        assert [answer.done() for answer in waiting] == [False, False]
        provider.ended.set()
        assert [answer.result() for answer in waiting] == [False, False]
    assert keys.free_waiters == 2


BAD_JWKS = {
    "not JSON": (b"<html>Bad gateway</html>", 200),
    "an empty body": (b"", 200),
    "not UTF-8": (b"\xff\xfe\xfd", 200),
    "a list": (b"[]", 200),
    "an object without keys": (b"{}", 200),
    "keys that are an object": (b'{"keys": {"first": {}}}', 200),
    "a number": (b"1", 200),
    "deeply nested": (b"[" * 60_000, 200),
    "too large": (b'{"keys": []}'.ljust(MAX_JWKS_BYTES + 1), 200),
    "an error": (b'{"keys": []}', 500),
    "not found": (b'{"keys": []}', 404),
    "a redirect": (b"", 302),
}


@pytest.mark.parametrize(("body", "status"), BAD_JWKS.values(), ids=BAD_JWKS)
def test_bad_jwks_leaves_known_keys_unchanged(provider, key_set, caplog, body, status):
    keys = key_set(lifespan=0.01, interval=0.01)
    assert found(keys)
    elsewhere = provider.url.replace("jwks", "elsewhere")
    provider.answer_with(body, status, **({"Location": elsewhere} if status == 302 else {}))
    fetched = keys.fetches
    wait_for(lambda: keys.fetches > fetched + 1)
    assert found(keys)
    assert set(provider.requests) == {"/jwks"}
    assert f"No keys from {provider.url}: " in caplog.text


@pytest.mark.parametrize(("body", "status"), BAD_JWKS.values(), ids=BAD_JWKS)
def test_bad_jwks_without_known_keys_raises_unavailable(provider, key_set, in_time, body, status):
    provider.answer_with(body, status)
    with pytest.raises(ServiceUnavailable):
        in_time(0, found, key_set())


def test_known_keys_expire_after_the_grace_time(provider, key_set):
    keys = key_set(lifespan=0.05, grace=0.5)
    assert found(keys)
    provider.close()
    fetched = keys.fetches
    wait_for(lambda: keys.fetches > fetched + 2)
    assert found(keys)
    wait_for(lambda: not keys.known)
    with pytest.raises(ServiceUnavailable):
        found(keys)


def test_recovered_provider_is_asked_within_the_interval(provider, key_set):
    provider.answer_with(b"", 503)
    keys = key_set()
    with pytest.raises(ServiceUnavailable):
        found(keys)
    provider.answer = provider.send_jwks
    wait_for(lambda: keys.known)
    assert found(keys)


def test_age_of_keys_counts_from_the_last_successful_fetch(provider, key_set, caplog):
    keys = key_set(lifespan=0.05)
    assert keys.age == 0
    assert found(keys)
    assert 0 < keys.age < MARGIN_SECONDS
    provider.answer_with(b"", 500)
    wait_for(lambda: keys.age > 0.5, "the keys grow old")
    provider.answer = provider.send_jwks
    wait_for(lambda: keys.age < 0.3, "the keys are young again")


def test_age_without_keys_counts_from_the_first_attempt(provider, key_set, caplog):
    provider.answer_with(b"", 500)
    keys = key_set(lifespan=0.05)
    with pytest.raises(ServiceUnavailable) as error:
        found(keys)
    assert error.value.cause == "provider"
    wait_for(lambda: keys.age > 0.5, "the keys grow old")


def test_empty_jwks_drops_every_key(provider, key_set):
    keys = key_set(lifespan=0.05)
    assert found(keys)
    provider.answer_with(b'{"keys": []}')
    wait_for(lambda: not keys.known)
    with pytest.raises(ServiceUnavailable):
        found(keys)


def test_close_ends_the_thread(provider):
    threads = active_count()
    with closing(KeySet(provider.url, lifespan=600, grace=600)) as keys:
        assert found(keys)
    wait_for(lambda: active_count() <= threads)


# The request for the keys


def test_fetch_names_its_client_and_media_types(provider, key_set, settings):
    received = {}

    def answer(handler):
        received.update(handler.headers)
        provider.send_jwks(handler)

    provider.answer = answer
    assert found(key_set())
    assert received["User-Agent"] == settings.USER_AGENT == f"todo/{__version__}"
    assert received["Accept"] == "application/jwk-set+json, application/json"


def test_control_without_user_agent_firewall_refuses(provider, key_set, caplog, monkeypatch):
    def refuse_nameless(handler):
        if handler.headers["User-Agent"]:
            provider.send_jwks(handler)
        else:
            provider.send(handler, b"", 403)

    provider.answer = refuse_nameless
    assert found(key_set())
    monkeypatch.setattr("identity.key_set.request_headers", lambda: {"Accept": "*/*"})
    with pytest.raises(ServiceUnavailable):
        found(key_set())
    assert "ValueError: status 403; allow the User-Agent todo/" in caplog.text


# Usable keys


def jwk(key, algorithm, **members):
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": "k", **members}


def usable(*members):
    return {name: key.algorithm_name for name, key in read_keys(json.dumps({"keys": members}).encode()).items()}


def test_each_key_serves_one_algorithm(settings):
    settings.JWT_ALGORITHMS = ["EdDSA", "ES256", "ES384", "RS256", "PS256"]
    rsa_key = rsa.generate_private_key(65537, 2048)
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    assert usable(
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
def test_key_that_cannot_verify_is_ignored(change):
    valid = jwk(ec.generate_private_key(ec.SECP256R1()), "ES256")
    assert usable(valid, {**valid, "kid": "other", **change}) == {("k", "ES256"): "ES256"}


@pytest.mark.parametrize("member", [None, 1, "key", [], {}], ids=str)
def test_member_that_is_not_a_key_is_ignored(member):
    assert usable(member) == {}


def test_key_for_another_algorithm_is_ignored(settings):
    settings.JWT_ALGORITHMS = ["RS256"]
    assert usable(jwk(ed448.Ed448PrivateKey.generate(), "EdDSA", alg="EdDSA")) == {}


@pytest.mark.parametrize(
    ("key", "curve"), [(ed25519.Ed25519PrivateKey, "Ed25519"), (ed448.Ed448PrivateKey, "Ed448")], ids=["25519", "448"]
)
def test_edwards_key_verifies_eddsa_and_its_curve(key, curve):
    edwards = key.generate()
    for algorithm in ("EdDSA", curve):
        found_keys = usable(jwk(edwards, "EdDSA", alg=algorithm))
        assert found_keys == {("k", name): name for name in ("EdDSA", curve)}


@pytest.mark.parametrize("algorithm", ["Ed25519", "Ed448"])
def test_edwards_key_of_another_curve_is_ignored(algorithm):
    key = {"Ed448": ed25519.Ed25519PrivateKey, "Ed25519": ed448.Ed448PrivateKey}[algorithm].generate()
    assert usable(jwk(key, "EdDSA", alg=algorithm)) == {}


def test_edwards_key_without_eddsa_allowed_is_ignored(settings):
    settings.JWT_ALGORITHMS = ["RS256"]
    assert usable(jwk(ed25519.Ed25519PrivateKey.generate(), "EdDSA", alg="Ed25519")) == {}
