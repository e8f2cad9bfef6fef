"""JWT mode: a valid token authenticates its subject, and a refusal does not give the reason."""

import json
import logging
import time
from contextlib import closing

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from identity.key_set import KeySet, provider_keys
from identity.tests.bad_tokens import BAD_TOKENS, ES256, MORE_KEYS, RS256
from identity.tokens import read_claims
from tasks.tests.api.contract import headers, problem, problem_headers
from tasks.tests.factories import TaskFactory
from testing.identity_provider import AUDIENCE, LEFT_OUT, Provider
from testing.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jwt_mode")]

NOT_AUTHENTICATED = "Bearer"
INVALID_TOKEN = 'Bearer error="invalid_token"'


@pytest.fixture
def provider(provider):
    provider.more_keys = MORE_KEYS
    return provider


@pytest.fixture
def answer(caplog):
    """Return a function that sends a request, and returns the response and the logged messages."""
    caplog.set_level(logging.DEBUG)

    def ask(authorization, path="/api/tasks", method="GET", **options):
        sent = {} if authorization is None else {"Authorization": authorization}
        response = Client(raise_request_exception=False).generic(method, path, headers=sent, **options)
        return response, [record.getMessage() for record in caplog.records if record.name.startswith("identity")]

    return ask


def assert_refused(response, code, authenticate, path="/api/tasks"):
    assert response.status_code == 401
    assert headers(response) == problem_headers(**{"WWW-Authenticate": authenticate})
    if response.wsgi_request.method != "HEAD":
        assert response.json() == problem(code, path)


@pytest.mark.parametrize("row", BAD_TOKENS, ids=lambda row: row.name)
def test_bad_token_is_refused(answer, provider, caplog, row):
    response, logged = answer(row.make(provider))
    if row.reason is None:
        assert_refused(response, "not_authenticated", NOT_AUTHENTICATED)
        assert logged == []
    else:
        assert_refused(response, "authentication_failed", INVALID_TOKEN)
        assert logged == [f"A token was refused: {row.reason}"]


@pytest.mark.parametrize("row", BAD_TOKENS, ids=lambda row: row.name)
def test_log_contains_no_part_of_a_token(answer, provider, caplog, row):
    authorization = row.make(provider) or ""
    answer(authorization)
    secrets = {part for word in authorization.split() for part in [word, *word.split(".")] if len(part) > 8}
    assert [secret for secret in secrets if secret in caplog.text] == []
    assert "all is well" not in caplog.text


def test_bad_tokens_are_many_and_unique():
    assert len(BAD_TOKENS) >= 60
    assert len({row.name for row in BAD_TOKENS}) == len(BAD_TOKENS)


GOOD_TOKENS = {
    "a plain token": {},
    "the scheme in lower case": {"scheme": "bearer"},
    "the scheme in upper case": {"scheme": "BEARER"},
    "white space around the token": {"scheme": "Bearer  "},
    "RS256": {"key": RS256, "header": {"alg": "RS256", "kid": "rsa"}},
    "ES256": {"key": ES256, "header": {"alg": "ES256", "kid": "ec"}},
    "EdDSA by the name of its curve": {"header": {"alg": "Ed25519"}},
    "typ JWT": {"header": {"typ": "JWT"}},
    "typ of an access token": {"header": {"typ": "at+jwt"}},
    "typ of an access token, in full": {"header": {"typ": "application/AT+JWT"}},
    "a list of audiences with this one": {"aud": ["https://other.example.org", AUDIENCE]},
    "no iat": {"iat": LEFT_OUT},
    "nbf in the past": {"nbf": 0},
    "more claims": {"name": "Alice", "email": "alice@example.org", "scope": "a b", "roles": [{"a": None}]},
    "a jti": {"jti": "1"},
}


@pytest.mark.parametrize("token", GOOD_TOKENS.values(), ids=GOOD_TOKENS)
def test_valid_token_authenticates_its_subject(answer, provider, token):
    task = TaskFactory(user_id="alice")
    scheme = token.get("scheme", "Bearer")
    valid = provider.token(**{name: value for name, value in token.items() if name != "scheme"})
    for _ in range(2):  # the second request uses the cached claims
        response, logged = answer(f"{scheme} {valid}")
        assert response.status_code == 200
        assert [listed["id"] for listed in json.loads(response.getvalue())] == [str(task.id)]
        assert logged == []


@pytest.mark.parametrize(
    "subject",
    [
        "a",
        "default",
        "0",
        "a" * 255,
        "!~",
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "alice@example.org",
        "../..",
        "%00",
        "\"'",
    ],
)
def test_subject_is_stored_unchanged(answer, provider, subject):
    authorization = f"Bearer {provider.token(subject)}"
    body = {"data": b'{"title": "a"}', "content_type": "application/json"}
    created, _ = answer(authorization, method="POST", **body)
    assert (created.status_code, created.json()["user_id"]) == (201, subject)
    listed, _ = answer(authorization)
    assert json.loads(listed.getvalue()) == [created.json()]


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": -31}, 401),
        ({"exp": -29}, 200),
        ({"nbf": 28}, 200),
        ({"nbf": 32}, 401),
        ({"iat": 28}, 200),
        ({"iat": 32}, 401),
        ({"exp": 3600}, 200),
        ({"exp": 3601}, 401),
        ({"iat": LEFT_OUT, "exp": 3628}, 200),
        ({"iat": LEFT_OUT, "exp": 3632}, 401),
    ],
    ids=str,
)
def test_clocks_may_differ_by_the_leeway(answer, provider, claims, status):
    now = int(time.time())
    times = {name: value if value is LEFT_OUT else now + value for name, value in claims.items()}
    response, _ = answer(f"Bearer {provider.token(**{'iat': now, **times})}")
    assert response.status_code == status


def test_cached_token_expires(answer, provider, settings):
    settings.JWT_LEEWAY = 0
    expires = int(time.time()) + 2
    token = provider.token(exp=expires)
    assert answer(f"Bearer {token}")[0].status_code == 200
    while time.time() < expires:
        time.sleep(0.01)
    response, _ = answer(f"Bearer {token}")
    assert_refused(response, "authentication_failed", INVALID_TOKEN)


def test_cached_token_is_refused_once_its_key_is_gone(answer, provider, monkeypatch):
    with closing(KeySet(provider.url, lifespan=0.05, grace=600, interval=0.05)) as keys:
        monkeypatch.setattr("identity.tokens.provider_keys", lambda: keys)
        token = provider.token()
        assert answer(f"Bearer {token}")[0].status_code == 200
        provider.rotate("first")  # another key, with the same kid
        later_fetch = keys.fetches + 2  # the next one may have begun before the rotation
        wait_for(lambda: keys.fetches >= later_fetch)
        response, _ = answer(f"Bearer {token}")
        assert_refused(response, "authentication_failed", INVALID_TOKEN)
        assert answer(f"Bearer {provider.token()}")[0].status_code == 200


def test_claims_cache_is_bounded_and_holds_no_refusals(answer, provider):
    answer(f"Bearer {provider.token(exp=0, iat=0)}")
    answer(f"Bearer {provider.token(aud='other')}")
    assert read_claims.cache_info().maxsize == 4096
    assert read_claims.cache_info().currsize == 1  # the expired token, because its signature is valid


def test_token_in_the_query_is_ignored(answer, provider, caplog):
    response, _ = answer(None, f"/api/tasks?access_token={provider.token()}")
    assert_refused(response, "not_authenticated", NOT_AUTHENTICATED)
    assert "eyJ" not in caplog.text


def test_token_in_the_body_is_ignored(answer, provider):
    form = {"data": f"access_token={provider.token()}".encode(), "content_type": "application/x-www-form-urlencoded"}
    response, _ = answer(None, method="POST", **form)
    assert_refused(response, "not_authenticated", NOT_AUTHENTICATED)


@pytest.mark.parametrize("parameter", ["jku", "x5u", "jwk", "x5c"])
def test_key_named_by_the_token_is_not_fetched(answer, provider, parameter):
    with closing(Provider()) as attacker:
        value = {"jku": attacker.url, "x5u": attacker.url, "jwk": attacker.jwk("first"), "x5c": ["MIIB"]}[parameter]
        for kid in ("first", "attackers"):
            token = attacker.token(header={parameter: value, "kid": kid})
            response, _ = answer(f"Bearer {token}")
            assert_refused(response, "authentication_failed", INVALID_TOKEN)
    assert attacker.requests == []
    assert set(provider.requests) == {"/jwks"}


def test_key_address_in_a_valid_token_is_ignored(answer, provider):
    response, _ = answer(f"Bearer {provider.token(header={'jku': 'https://evil.example.org'})}")
    assert response.status_code == 200


# Without any key


@pytest.mark.parametrize("trouble", ["hang", "drip", "drip_body", "empty body"])
def test_service_without_keys_answers_503_in_time(answer, provider, trouble, monkeypatch):
    monkeypatch.setattr(provider_keys(), "wait_timeout", 1)  # the default
    monkeypatch.setattr(provider_keys(), "deadline", 2)
    token = provider.token()
    if trouble == "empty body":
        provider.answer_with(b"", 500)
    else:
        provider.answer = getattr(provider, trouble)
    start = time.monotonic()
    response, _ = answer(f"Bearer {token}")
    assert time.monotonic() - start < 1.5
    assert response.status_code == 503
    assert headers(response) == problem_headers(**{"Retry-After": "1"})
    request_id = response.headers["X-Request-ID"]
    assert response.json() == {
        "type": "/problems/service_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The service cannot answer for the moment",
        "instance": "/api/tasks",
        "code": "service_unavailable",
        "request_id": request_id,
    }
    provider.ended.set()


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer a.b.c", "Bearer undefined"])
def test_malformed_token_without_keys_is_refused(answer, provider, authorization):
    provider.answer = provider.hang
    assert answer(authorization)[0].status_code == 401
    assert provider.requests == []


# The order of refusals


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/api/nowhere", "not_found"), ("PUT", "/api/tasks", "method_not_allowed")],
)
def test_path_and_method_are_refused_before_the_token(answer, method, path, code):
    response, _ = answer(None, path, method)
    assert headers(response) == problem_headers()
    assert response.json() == problem(code, path)


@pytest.mark.parametrize(
    "options",
    [
        {"HTTP_ACCEPT": "text/html"},
        {"data": b"x" * 70_000, "content_type": "text/plain"},
        {"HTTP_IF_MATCH": "malformed"},
        {"HTTP_HOST": "evil.example.org"},
        {"QUERY_STRING": "colour=red"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_token_is_refused_before_all_other_faults(answer, method, options):
    path = f"/api/tasks/{uuid7()}"
    response, _ = answer("Bearer a.b.c", path, method, **options)
    assert_refused(response, "authentication_failed", INVALID_TOKEN, path)


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs", "/api/redoc", "/problems/not_authenticated", "/healthz"])
def test_public_pages_need_no_token(answer, path):
    assert answer(None, path)[0].status_code == 200
    assert answer("Bearer a.b.c", path)[0].status_code == 200


def test_token_creates_no_django_user(answer, provider, django_user_model):
    assert answer(f"Bearer {provider.token()}")[0].status_code == 200
    assert list(django_user_model.objects.all()) == []


def test_admin_session_is_not_a_token(admin_client):
    response = admin_client.get("/api/tasks")
    assert_refused(response, "not_authenticated", NOT_AUTHENTICATED)
