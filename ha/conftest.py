"""The cluster and the instances of the service, and the table of seconds, printed at the end."""

from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ha.apps import APPS, running_apps
from ha.cluster import ZONES, Cluster
from ha.machines import Machine, Network
from resilience.conftest import pytest_terminal_summary as print_results
from resilience.conftest import report_result  # noqa: F401
from testing.programs import find_program

ROWS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def directory():
    with TemporaryDirectory(prefix="todo-ha-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def network():
    """Yield the zones, or skip the tests without a program that they need."""
    for program, package in (("etcd", "etcd-server"), ("haproxy", "haproxy"), ("ip", "iproute2")):
        find_program(program, package)
    pytest.importorskip("patroni", reason="Patroni is missing: make test-ha installs it")
    with closing(Network(ZONES)) as network:
        yield network


@pytest.fixture(scope="session")
def new_cluster(network, directory):
    with ExitStack() as stack:
        operator = Machine()
        stack.callback(operator.kill)
        network.connect(operator, "operator", "10.77.0.9", ZONES[2])
        cluster = stack.enter_context(closing(Cluster(network, operator, directory)))
        cluster.wait_until_healthy()
        cluster.create_database()
        yield cluster


@pytest.fixture(scope="session")
def apps(network, new_cluster, directory):
    with running_apps(network, new_cluster, directory) as apps:
        yield apps


@pytest.fixture
def cluster(new_cluster):
    """Return the cluster with the primary in the first zone, and two standbys."""
    new_cluster.wait_until_healthy()
    if new_cluster.wait_for_leader() != "db1":
        new_cluster.fail_over("db1")
        new_cluster.wait_until_healthy()
    assert new_cluster.wait_for_leader() == "db1"
    return new_cluster


@pytest.fixture
def report_seconds(request):
    """Return a function that keeps a row of the table: seconds of each instance, and lost tasks."""
    rows = request.config.stash.setdefault(ROWS, [])

    def report_seconds(fault, gaps, lost):
        cells = [f"{gaps[name]:.1f} s" if name in gaps else "" for name in APPS]
        rows.append(f"| {' | '.join([fault, *cells, lost])} |")

    return report_seconds


def pytest_terminal_summary(terminalreporter, config):
    print_results(terminalreporter, config)
    terminalreporter.section("the longest time between two acknowledged writes")
    header = f"| {' | '.join(['fault', *APPS, 'tasks lost'])} |"
    for line in (header, f"|{'---|' * (len(APPS) + 2)}", *config.stash.get(ROWS, [])):
        terminalreporter.write_line(line)
