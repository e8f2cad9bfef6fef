"""Instances of the service on machines of their own, and clients on these machines."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psycopg

from ha.cluster import SERVERS, Cluster
from ha.machines import Machine, Network
from resilience.operations import create_and_change
from testing.api_clients import BackgroundClients, RecordingClient, RequestRecord
from testing.programs import find_program
from testing.servers import Server, running_service
from testing.waiting import wait_for

#: Each instance: its address, its zone and the hosts of its ``DATABASE_URL``, if not all servers.
APPS = {
    "beside": ("10.77.0.21", "zone1", {}),
    "several hosts": ("10.77.0.22", "zone2", {}),
    "HAProxy": ("10.77.0.23", "zone2", {"hosts": "127.0.0.1:5000"}),
}

HAPROXY = Path(__file__).with_name("haproxy.cfg")
NOBODY = 65534

WRITERS, READERS = 2, 1

#: Without a pause, clients that get a 503 at once would take all the CPU time.
PAUSE = 0.05


class App:
    """A machine that runs the service, and the clients that send requests there."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.server: Server

    def clients(self, number: int, send: object) -> BackgroundClients:
        """Return clients on this machine, which call ``send`` repeatedly."""

        def send_requests(client: RecordingClient, number: int) -> Sequence[RequestRecord]:
            self.machine.enter_network()
            time.sleep(PAUSE)
            return send(client, number)  # type: ignore[operator]

        return BackgroundClients(self.server.port, number, send_requests)

    def writers(self) -> BackgroundClients:
        """Return clients that create and change tasks."""
        return self.clients(WRITERS, create_and_change)

    def readers(self) -> BackgroundClients:
        """Return clients that read the newest task."""
        return self.clients(READERS, lambda client, _: [client.send("GET", "/api/tasks?limit=1")])


def knows_primary(url: str) -> bool:
    """Tell whether HAProxy uses only the primary; it uses each server in turn until it has checked them."""
    with suppress(psycopg.OperationalError):
        for _ in SERVERS:
            psycopg.connect(url).close()
        return True
    return False


@contextmanager
def running_apps(network: Network, cluster: Cluster, directory: Path) -> Iterator[dict[str, App]]:
    """Yield the running instances by name."""
    with ExitStack() as stack:
        apps = {}
        for number, (name, (address, zone, options)) in enumerate(APPS.items()):
            machine = Machine()
            stack.callback(machine.kill)
            network.connect(machine, f"app{number}", address, zone)
            if options:
                haproxy = [find_program("haproxy", "haproxy"), "-f", str(HAPROXY)]
                machine.start_program(haproxy, NOBODY, directory / "haproxy.log")
                url = cluster.url(**options)
                wait_for(lambda: machine.call(knows_primary, url), "HAProxy knows the primary", pause=0.5)  # noqa: B023
            apps[name] = App(machine)
            serving = running_service(cluster.url(**options), WORKERS="1", LOG_LEVEL="CRITICAL")
            apps[name].server = machine.call(stack.enter_context, serving)
        yield apps


def longest_gap(records: Sequence[RequestRecord], since: float, until: float) -> float:
    """Return the most seconds between two acknowledged writes."""
    acknowledged = sorted(record.end for record in records if record.status in {200, 201})
    moments = [since, *(moment for moment in acknowledged if since <= moment <= until), until]
    return max(after - before for before, after in pairwise(moments))
