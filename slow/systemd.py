"""The work of systemd in a machine without it: ``systemctl`` keeps its arguments for a test."""

import os
import signal
import subprocess
from configparser import ConfigParser
from pathlib import Path

from slow.debian import Machine, write_program
from testing.process_tree import process_tree
from testing.programs import find_program

SYSTEMCTL = '#!/bin/sh\necho "$@" >> /var/log/systemctl\n'
UNITS = "todo.socket todo@1 todo@2"


def read_unit(path: Path) -> ConfigParser:
    """Read a unit; names of options keep their case, and an option may occur twice."""
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(path)
    return unit


class Systemd:
    """What ``systemctl`` asked for, and one instance of the service on the socket of its unit."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.log = machine.root / "var/log/systemctl"
        self.carried_out: list[str] = []
        self.service: subprocess.Popen[bytes] | None = None
        write_program(machine.root / "usr/local/bin/systemctl", SYSTEMCTL)

    def carry_out(self) -> None:
        """Do what ``systemctl`` asked for since the last call.

        Raises:
            KeyError: the documents use ``systemctl`` in another way.
        """
        actions = {
            f"enable --now {UNITS}": self.start_service,
            f"start {UNITS}": self.start_service,
            f"stop {UNITS}": self.stop_service,
            "restart todo@1": self.restart_service,
            "restart todo@2": lambda: None,
            "reload nginx": lambda: self.machine.run("nginx"),
            "restart pgbouncer": self.start_pgbouncer,
        }
        asked = self.log.read_text().splitlines() if self.log.exists() else []
        for line in asked[len(self.carried_out) :]:
            actions[line]()
            self.carried_out.append(line)

    def start_postgresql(self) -> None:
        """Start the server, as the installation of its package does."""
        version, cluster = self.machine.run("pg_lsclusters --no-header").split()[:2]
        self.machine.run(f"pg_ctlcluster {version} {cluster} start")

    def start_pgbouncer(self) -> None:
        """Start the pooler as its unit does."""
        self.machine.run("runuser -u postgres -- pgbouncer --daemon /etc/pgbouncer/pgbouncer.ini")

    def start_service(self) -> None:
        """Start an instance as its units describe it, without their hardening, and wait until it is ready."""
        units = self.machine.root / "etc/systemd/system"
        service, listening = read_unit(units / "todo@.service")["Service"], read_unit(units / "todo.socket")["Socket"]
        script = f"cd {service['WorkingDirectory']} && exec {service['ExecStart']}"
        user = ["setpriv", f"--reuid={service['User']}", f"--regid={service['User']}", "--clear-groups"]
        program = ["chroot", str(self.machine.root), *user, "env", service["Environment"], "sh", "-c", script]
        activate = find_program("systemd-socket-activate", "systemd")
        address = listening["ListenStream"]
        self.service = self.machine.start(activate, f"--listen={address}", *program)
        self.machine.run(f"curl --silent --fail --retry 30 --retry-connrefused http://{address}/readyz")

    def stop_service(self) -> None:
        """Stop the instance."""
        assert self.service is not None
        os.kill(process_tree(self.service.pid)[1], signal.SIGTERM)
        self.service.wait()

    def restart_service(self) -> None:
        """Stop the instance, and start it again."""
        self.stop_service()
        self.start_service()
