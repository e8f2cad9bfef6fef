"""A PostgreSQL server for all scenarios, a database for each, and the results, printed at the end."""

import sys
from itertools import count
from shutil import rmtree
from tempfile import TemporaryDirectory

import pytest

from resilience.standbys import start_standby
from testing.ports import HOST, free_port
from testing.postgresql import PostgreSQL
from testing.servers import running_service

RESULTS = pytest.StashKey[list[str]]()
DATABASE_NAMES = (f"scenario_{number}" for number in count())


@pytest.fixture(scope="session")
def postgresql_server():
    with TemporaryDirectory(prefix="todo-resilience-") as directory:
        server = PostgreSQL.create_in(directory)
        server.start()
        server.create_migrated_database("template_todo")
        yield server
        server.kill()


@pytest.fixture
def postgresql(postgresql_server):
    """Restart the server, whatever the last scenario did to it, and drop that scenario's databases.

    After a kill PostgreSQL syncs each of its files, so every left database would slow the recovery down.
    """
    postgresql_server.restart()
    for [name] in postgresql_server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'scenario%'"):
        postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return postgresql_server


@pytest.fixture
def database_url(postgresql):
    return postgresql.copy_database("template_todo", next(DATABASE_NAMES))


@pytest.fixture
def database_name(database_url):
    return database_url.rpartition("/")[2]


@pytest.fixture
def primary(postgresql, database_url):
    """Start a copy of the server that acknowledges a write only after its standby has stored the write."""
    primary = postgresql.clone("primary")
    primary.start(synchronous_standby_names="*")
    yield primary
    primary.kill()
    rmtree(primary.directory)


@pytest.fixture
def standby(primary):
    standby = start_standby(primary, "standby")
    yield standby
    standby.kill()
    rmtree(standby.directory)


@pytest.fixture
def url(primary, standby, database_name):
    """Return the URL that names both servers."""
    hosts = f"{HOST}:{primary.port},{HOST}:{standby.port}"
    return f"postgresql://todo@{hosts}/{database_name}?target_session_attrs=read-write"


@pytest.fixture
def server(database_url):
    """Serve the project with two workers of four threads."""
    with running_service(database_url, WORKERS="2", LOG_LEVEL="CRITICAL") as server:
        yield server


@pytest.fixture
def serve_without(database_url):
    """Return a function that serves the project without a safeguard, with as many workers and threads."""

    def serve_without(safeguard, url=database_url, **options):
        port = free_port()
        granian = ("-m", "granian", "--interface=wsgi", f"--port={port}", "--workers=2", "--blocking-threads=4")
        command = (sys.executable, *granian, "resilience.without_safeguard:application")
        options = {"LOG_LEVEL": "CRITICAL", **options}
        return running_service(url, command, port, WITHOUT_SAFEGUARD=safeguard, **options)

    return serve_without


@pytest.fixture
def report_result(request):
    """Return a function that keeps a result of the scenario for the end of the run."""
    results = request.config.stash.setdefault(RESULTS, [])
    return lambda text: results.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("results")
    for line in config.stash.get(RESULTS, []):
        terminalreporter.write_line(line)
    for skipped in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"NOT RUN: {skipped.nodeid}: {skipped.longrepr[2]}", red=True, bold=True)
