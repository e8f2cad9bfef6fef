"""An empty Debian in a directory, and processes in it. ``debootstrap`` makes the Debian."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.process_tree import process_tree
from testing.programs import find_program

#: The release that docs/deployment.md names. Its Python is the one of the image's default base.
RELEASE = "trixie"

#: The certificate authorities that this machine trusts besides Debian's.
LOCAL_AUTHORITIES = "usr/local/share/ca-certificates"

#: Without this file the scripts of packages would start their servers.
KEEP_SERVERS_STOPPED = "#!/bin/sh\nexit 101\n"

ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive")

#: The mounts that a machine needs, and a network with a loopback interface only.
PREPARE = """
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
ip link set lo up
echo ready
exec sleep infinity
"""


def install_debian(root: Path) -> None:
    """Install the essential packages of Debian below ``root``, or skip the test if this is not possible."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED IN AN EMPTY DEBIAN: only root can use debootstrap")
    subprocess.run([find_program("debootstrap", "debootstrap"), "--variant=minbase", RELEASE, root], check=True)
    root.chmod(0o755)
    if Path("/", LOCAL_AUTHORITIES).exists():
        shutil.copytree(f"/{LOCAL_AUTHORITIES}", root / LOCAL_AUTHORITIES, dirs_exist_ok=True)
    shutil.copy("/etc/resolv.conf", root / "etc")
    write_program(root / "usr/sbin/policy-rc.d", KEEP_SERVERS_STOPPED)


def write_program(path: Path, text: str) -> None:
    """Write a script that can be run."""
    path.write_text(text)
    path.chmod(0o755)


class Machine:
    """Processes of an installed Debian. They see its files, and a network of their own."""

    def __init__(self, root: Path, pid: int) -> None:
        self.root, self.pid = root, pid
        self.processes: list[subprocess.Popen[bytes]] = []

    def enter(self, *, own_network: bool = True) -> list[str]:
        """Return the beginning of a command that runs in the machine, with this system's files."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", *(["--net"] if own_network else [])]

    def shell(self, script: str, *, own_network: bool = True) -> list[str]:
        """Return the command that runs a script in the machine, with the machine's files."""
        environment = ("env", "-i", *ENVIRONMENT)
        bash = ("bash", "-euo", "pipefail", "-c", script)
        return [*self.enter(own_network=own_network), "chroot", str(self.root), *environment, *bash]

    def run(self, script: str, *, own_network: bool = True) -> str:
        """Run a script, and return its output. Without ``own_network`` it reaches the registries of packages."""
        command = self.shell(script, own_network=own_network)
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program that may use this system's files, and that ends with the machine."""
        self.processes.append(subprocess.Popen([*self.enter(), *command]))
        return self.processes[-1]

    def run_at_terminal(self, script: str, answers: Mapping[str, str]) -> None:
        """Run a script at a terminal, and type an answer after each prompt."""
        keyboard, terminal = pty.openpty()
        command = ["setsid", "--ctty", "--wait", *self.shell(script)]
        process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        for prompt, answer in answers.items():
            read_until(keyboard, prompt)
            os.write(keyboard, f"{answer}\n".encode())
        assert process.wait() == 0
        os.close(keyboard)


def read_until(terminal: int, prompt: str) -> None:
    """Read from a terminal up to ``prompt``.

    Raises:
        OSError: the program at the terminal has ended.
    """
    read = b""
    while prompt.encode() not in read:
        read += os.read(terminal, 1)


@contextmanager
def running_machine(root: Path) -> Iterator[Machine]:
    """Yield a machine, and end its processes at the end."""
    namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child"]
    command = ["unshare", *namespaces, "sh", "-euc", PREPARE.format(root=root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        machine = Machine(root, process_tree(process.pid)[1])
        try:
            yield machine
        finally:
            process.kill()
            for started in machine.processes:
                started.wait()
