"""A PostgreSQL for all scenarios, a database for each, and the figures that they saw, printed at the end."""

from itertools import count
from tempfile import TemporaryDirectory

import pytest

from benchmarks.running import served
from faults.postgresql import PostgreSQL

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
    """The server, as a scenario finds it whatever the one before did."""
    cluster.restart()
    yield cluster
    cluster.restart()


@pytest.fixture
def database_url(postgresql):
    return postgresql.copied("template_todo", next(NAMES))


@pytest.fixture
def server(database_url):
    """The project, served on that database by two workers of four threads."""
    with served(database_url, WORKERS="2", LOG_LEVEL="CRITICAL") as server:
        yield server


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
