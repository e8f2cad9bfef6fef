"""Fixtures of all tests, and the database that they run on: ``pytest --database=postgresql``.

PostgreSQL is the server at ``TEST_DATABASE_URL``. Without that variable, the run starts a server and stops it at its
end. With ``--database=pgbouncer``, PgBouncer in transaction mode stands in front of that server.
"""

import gc
import os
import re
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import django
import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client

from testing.databases import database_copy, new_database, running_postgresql
from testing.pgbouncer import running_pgbouncer
from testing.servers import running_service

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "todo_project.settings",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "a-key-for-the-tests-which-is-long-enough-for-check-deploy",
    "AUTH_MODE": "single-user",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
}

# A crash of the machine may lose the tests' data, so PostgreSQL need not wait for the disk.
SKIP_DISK = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "ALTER SYSTEM SET synchronous_commit = off",
    "SELECT pg_reload_conf()",
)

# A pooler refuses settings for a session, so the role and the database have them: docs/deployment.md.
SET_PLANNER_COST = "ALTER ROLE CURRENT_USER SET random_page_cost = 1.1"
SET_STATEMENT_TIMEOUT = "ALTER DATABASE {name} SET statement_timeout = '1800ms'"
# Without this, sessions that the pooler keeps open would not have the new timeout.
END_SESSIONS = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{name}'"


def pytest_addoption(parser):
    """Add the option for the database."""
    parser.addoption("--database", choices=("sqlite", "postgresql", "pgbouncer"), default="sqlite")


def pytest_configure(config):
    """Configure Django from ``ENVIRONMENT`` alone, and start the database."""
    # A shell starts background jobs with SIGINT ignored, and the processes of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in re.findall(r"^#?([A-Z_]+)=", Path(__file__).with_name(".env.example").read_text(), re.MULTILINE):
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(ENVIRONMENT, DATABASE_URL=start_database(config))
    if config.getoption("database") == "pgbouncer":
        os.environ["DB_POOLER"] = "transaction"
    django.setup()
    post_migrate.connect(delete_removals, sender=apps.get_app_config("changes"))
    if config.getoption("database") != "sqlite":
        # The requests of the tests use a pool, as those of the server do. Commands have none.
        pool = {"min_size": 1, "max_size": 8, "timeout": 1, "reconnect_timeout": 1}
        settings.DATABASES["default"]["OPTIONS"]["pool"] = pool
    collect_static_files(config)
    settings.WHITENOISE_AUTOREFRESH = True  # without this, each test client scans all static files
    # Django's default takes a fifth of a second for each user that a test creates.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def delete_removals(**_):
    """Delete the removals that triggers of SQLite store while Django empties the tables after a test."""
    from changes.models import Removal

    if Removal._meta.db_table in connection.introspection.table_names():
        Removal.objects.all().delete()


def collect_static_files(config):
    """Collect the static files if they are missing, because the service does not start without them.

    The first process of the run does this before it starts workers of pytest-xdist.
    """
    if not (settings.STATIC_ROOT / "staticfiles.json").exists() and not hasattr(config, "workerinput"):
        call_command("collectstatic", interactive=False, verbosity=0)


def start_database(config):
    """Return the URL of the run's database, and start its server until the run ends.

    Workers of pytest-xdist inherit ``TEST_DATABASE_URL``, so all of them share the server.
    """
    if config.getoption("database") == "sqlite":
        return "sqlite:///:memory:"
    if "TEST_DATABASE_URL" not in os.environ:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        url = stack.enter_context(running_postgresql())
        execute(url, *SKIP_DISK)
        if config.getoption("database") == "pgbouncer":
            url = start_pgbouncer(stack, url)
        os.environ["TEST_DATABASE_URL"] = url
    return os.environ["TEST_DATABASE_URL"]


def start_pgbouncer(stack, url):
    """Return the URL of a pooler in front of the server at ``url``."""
    execute(url, SET_PLANNER_COST)
    [host] = parse_qs(urlsplit(url).query)["host"]
    port = stack.enter_context(running_pgbouncer(host))
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def execute(url, *statements):
    """Run statements on PostgreSQL, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def pytest_runtest_setup(item):
    """Skip a test with the mark ``once`` in the run on PostgreSQL."""
    if item.get_closest_marker("once") and item.config.getoption("database") != "sqlite":
        pytest.skip("once: the run on SQLite includes this test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape lone surrogates in captured logs, because a worker of pytest-xdist cannot send them."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_collection_finish():
    """Exclude the collected tests from garbage collection, because thousands of them live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_keepdb(request):
    """Keep Django's test database behind a pooler, whose sessions would stop ``DROP DATABASE``."""
    return request.config.getoption("database") == "pgbouncer" or request.config.getvalue("reuse_db")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings):
    """Make SQLite's test database a temporary file, because threads cannot share a database in memory."""
    database = settings.DATABASES["default"]
    with TemporaryDirectory() as directory:
        if database["ENGINE"] == "database.sqlite":
            database.setdefault("TEST", {})["NAME"] = f"{directory}/test.sqlite3"
        yield


@pytest.fixture
def client():
    """Return a client that answers with the server's failures; Django's own raises them in the test."""
    return Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def free_slots():
    """Free the slots of this process, because an unread streamed response would keep one."""
    from throttling.concurrency import worker_slots

    worker_slots.cache_clear()


@pytest.fixture
def fail_with(settings, monkeypatch):
    """Return a function that sets the error which the views of ``rest/tests/urls.py`` raise."""
    settings.ROOT_URLCONF = "rest.tests.urls"
    return lambda error: monkeypatch.setattr("rest.tests.urls.error", error)


@pytest.fixture
def got_request_exceptions():
    """Yield the requests for which Django has sent ``got_request_exception``, which error trackers use."""
    requests = []

    def receive(request, **_):
        requests.append(request)

    got_request_exception.connect(receive)
    yield requests
    got_request_exception.disconnect(receive)


@pytest.fixture
def as_user(client):
    """Return a client in single-user mode, where a request without a token is the user ``default``."""
    return client


@pytest.fixture
def provider():
    """Yield an identity provider that publishes the keys of its tokens."""
    from testing.identity_provider import Provider

    with closing(Provider()) as provider:
        yield provider


@pytest.fixture
def jwt_mode(provider, settings, monkeypatch):
    """Authenticate as ``AUTH_MODE=jwt`` does, with the tokens of ``provider``."""
    from rest_framework.views import APIView

    from identity import key_set, tokens
    from testing.identity_provider import AUDIENCE, ISSUER

    settings.JWT_JWKS_URL, settings.JWT_ISSUER, settings.JWT_AUDIENCE = provider.url, ISSUER, AUDIENCE
    monkeypatch.setattr(APIView, "authentication_classes", [tokens.JWTAuthentication])
    key_set.provider_keys.cache_clear()
    tokens.read_claims.cache_clear()
    with closing(key_set.provider_keys()) as keys:
        keys.deadline = keys.wait_timeout = 60  # on a busy machine the provider answers late
        yield
    key_set.provider_keys.cache_clear()


@pytest.fixture
def client_of(jwt_mode, provider):
    """Return a function that makes a client with the token of a user, or without a token."""

    def client(user=None):
        return Client(headers={"Authorization": f"Bearer {provider.token(user)}"} if user else {})

    return client


@pytest.fixture(scope="session")
def migrated_database(pytestconfig):
    """Yield the URL of a migrated database that nobody changes, because other databases are copies of it."""
    with new_database(pytestconfig.getoption("database")) as url:
        yield url


@pytest.fixture(scope="module")
def database_url(migrated_database, pytestconfig):
    """Yield the URL of a migrated database for the processes that the tests of a module start."""
    with database_copy(migrated_database) as url:
        if pytestconfig.getoption("database") == "pgbouncer":
            name = urlsplit(url).path[1:]
            execute(url, SET_STATEMENT_TIMEOUT.format(name=name))
            execute(os.environ["DATABASE_URL"], END_SESSIONS.format(name=name))
        yield url


@pytest.fixture(scope="module")
def server(database_url):
    """Yield the running service, with a database of its own."""
    with running_service(database_url) as server:
        yield server
