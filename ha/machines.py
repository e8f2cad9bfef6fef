"""Machines with a network of their own, in zones that one switch connects."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from testing.process_tree import process_tree

#: Process 1 of a machine ignores SIGCHLD. Without this, killed processes without a parent would stay as zombies.
INIT = "ip link set lo up && echo ready && exec env --ignore-signal=CHLD sleep infinity"
NAMESPACES = ("--mount", "--pid", "--net")

#: Programs may search all directories, because Python may be below ``/root``. They have no other right.
RIGHTS = ("--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")

SWITCH = "switch"


class Machine:
    """Processes that see only each other and a network of their own."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the machine without a network, or skip the test if this is not possible."""
        # The machine ends with this process, however that ends.
        command = ["setpriv", "--pdeathsig=KILL", "unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
        self.unshare = subprocess.Popen([*command, "sh", "-c", INIT], stdout=subprocess.PIPE)
        assert self.unshare.stdout is not None
        if self.unshare.stdout.readline() != b"ready\n":
            self.unshare.communicate()
            pytest.skip("this process cannot create network namespaces: only root can")
        self.pid = process_tree(self.unshare.pid)[1]
        self.programs: list[subprocess.Popen[bytes]] = []
        self.threads = ThreadPoolExecutor(1, initializer=self.enter_network)

    def kill(self) -> None:
        """End all processes and the network at once, as a loss of power does."""
        self.threads.shutdown()
        os.kill(self.pid, signal.SIGKILL)
        for process in (self.unshare, *self.programs):
            process.wait()
        self.unshare.stdout.close()  # type: ignore[union-attr]

    def start_program(self, command: list[str], user: int, log: Path, **environment: str) -> None:
        """Start a program that ends with the machine."""
        enter = [
            "nsenter",
            f"--target={self.pid}",
            *NAMESPACES,
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            *RIGHTS,
        ]
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}
        with log.open("ab") as output:
            self.programs.append(subprocess.Popen([*enter, *command], env=environment, stdout=output, stderr=output))

    def enter_network(self) -> None:
        """Let the current thread, and the processes that it starts, use this machine's network."""
        with Path(f"/proc/{self.pid}/ns/net").open() as namespace:
            assert ctypes.CDLL(None).setns(namespace.fileno(), 0) == 0

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function in a thread that uses this machine's network."""
        return self.threads.submit(function, *arguments, **options).result()


class Network:
    """A bridge for each zone, and a switch between the zones."""

    def __init__(self, zones: list[str]) -> None:
        self.machine = Machine()
        for bridge in [SWITCH, *zones]:
            self._ip(f"link add name {bridge} up type bridge")
        for zone in zones:
            self._ip(f"link add name {zone}-up type veth peer name {zone}-down")
            self._ip(f"link set {zone}-up master {zone} up")
            self._ip(f"link set {zone}-down master {SWITCH} up")

    def _ip(self, arguments: str, machine: Machine | None = None) -> None:
        command = ["nsenter", f"--target={(machine or self.machine).pid}", "--net", "ip", *arguments.split()]
        subprocess.run(command, check=True)

    def connect(self, machine: Machine, name: str, address: str, zone: str) -> None:
        """Give a machine an address, and connect it with its zone."""
        self._ip(f"link add name {name} type veth peer name eth0 netns {machine.pid}")
        self._ip(f"link set {name} master {zone} up")
        self._ip(f"address add {address}/24 dev eth0", machine)
        self._ip("link set eth0 up", machine)

    def cut(self, zone: str) -> None:
        """Drop all packets between a zone and the others; no connection ends."""
        self._ip(f"link set {zone}-down down")

    def join(self, zone: str) -> None:
        """Connect a zone with the others again."""
        self._ip(f"link set {zone}-down up")

    def close(self) -> None:
        """Remove the network."""
        self.machine.kill()
