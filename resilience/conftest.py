"""A PostgreSQL for all scenarios, a database for each, and the figures that they saw, printed at the end."""

import sys
from itertools import count
from tempfile import TemporaryDirectory

import pytest

from testing.postgresql import PostgreSQL
from testing.servers import free_port, served

FIGURES = pytest.StashKey[list[str]]()
NAMES = (f"scenario_{number}" for number in count())


@pytest.fixture(scope="session")
def cluster():
    with TemporaryDirectory(prefix="todo-faults-") as directory:
        cluster = PostgreSQL.in_directory(directory)
        cluster.start()
        cluster.migrated("template_todo")
        yield cluster
        cluster.kill()


@pytest.fixture
def postgresql(cluster):
    """The server, as a scenario finds it whatever the one before did.

    After a kill it syncs each file that it has, so that databases of scenarios before would make it slower and slower.
    """
    cluster.restart()
    for [name] in cluster.execute("SELECT datname FROM pg_database WHERE datname LIKE 'scenario%'"):
        cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return cluster


@pytest.fixture
def database_url(postgresql):
    return postgresql.copied("template_todo", next(NAMES))


@pytest.fixture
def server(database_url):
    """The project, served on that database by two workers of four threads."""
    with served(database_url, WORKERS="2", LOG_LEVEL="CRITICAL") as server:
        yield server


@pytest.fixture
def served_by(database_url):
    """Serves another application on that database, with as many workers and threads: a control."""

    def serve(application, url=database_url, **variables):
        port = free_port()
        granian = ("-m", "granian", "--interface=wsgi", f"--port={port}", "--workers=2", "--blocking-threads=4")
        command = (sys.executable, *granian, f"resilience.{application}:application")
        return served(url, command, port, LOG_LEVEL="CRITICAL", **variables)

    return serve


@pytest.fixture
def figure(request):
    """Notes what a scenario saw, for ``docs/reliability.md``."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda text: figures.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("figures")
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
    for skipped in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"NOT PLAYED: {skipped.nodeid}: {skipped.longrepr[2]}", red=True, bold=True)
