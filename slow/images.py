"""The image of ``Dockerfile``, which buildah builds, and its containers without a container engine."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slow.debian import install_debian, running_machine
from testing.programs import find_program

#: What the default base of ``Dockerfile`` has besides the essential packages of Debian.
BASE_PACKAGES = "python3 python3-pip python3-venv"
INSTALL_BASE = f"""
apt-get install --yes --no-install-recommends {BASE_PACKAGES}
apt-get clean
rm -r /var/lib/apt/lists /usr/share/doc /usr/share/man /usr/share/locale
"""

REVISION = "0123abc"

#: The steps of a runtime for compose.yaml: read-only files, a private /tmp and a volume.
START = """
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -t tmpfs tmpfs {root}/tmp
mount --bind {volume} {root}/etc/todo
exec "$@"
"""


class Buildah:
    """buildah with images in a directory, and without namespaces of its own."""

    def __init__(self, directory: Path) -> None:
        program = find_program("buildah", "buildah")
        places = (f"--root={directory}/storage", f"--runroot={directory}/run")
        self.command = (program, *places, "--storage-driver=vfs")

    def run(self, *arguments: str) -> str:
        """Run a command of buildah, and return the last line of its output."""
        return subprocess.run([*self.command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def make_base(self, root: Path) -> str:
        """Make an image of Debian with Python from an empty directory, and return its name."""
        install_debian(root)
        with running_machine(root) as machine:
            machine.run(INSTALL_BASE, own_network=False)
        container = self.run("from", "scratch")
        self.run("copy", "--quiet", container, str(root), "/")
        self.run("commit", "--quiet", "--rm", container, "base")
        return "localhost/base"

    def build(self, context: Path, base: str) -> "Image":
        """Build the image of ``Dockerfile`` in a directory."""
        arguments = (f"--build-arg=BASE={base}", f"--build-arg=REVISION={REVISION}")
        options = ("--isolation=chroot", "--format=docker", *arguments, "--quiet")
        name = self.run("build", *options, str(context)).splitlines()[-1]
        root = self.run("mount", self.run("from", name))
        return Image(Path(root), json.loads(self.run("inspect", "--type=image", name))["Docker"]["config"])


class Image:
    """The files and the configuration of an image."""

    def __init__(self, root: Path, config: Mapping[str, Any]) -> None:
        self.root, self.config = root, config

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file() or path.is_symlink())

    def command(
        self, volume: Path, *arguments: str, entrypoint: list[str] | None = None, **variables: str
    ) -> list[str]:
        """Return the command that runs a container as its first process, with ``volume`` at /etc/todo."""
        user, group = self.config["User"].split(":")
        limits = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
        environment = (*self.config["Env"], *(f"{name}={value}" for name, value in variables.items()))
        program = ((self.config["Entrypoint"] if entrypoint is None else entrypoint), arguments or self.config["Cmd"])
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("sh", "-euc", START.format(root=self.root, volume=volume), "sh"),
            *("chroot", str(self.root), "setpriv", f"--reuid={user}", f"--regid={group}", *limits),
            *("env", "-i", *environment, "sh", "-euc", f'cd {self.config["WorkingDir"]}; exec "$@"', "sh"),
            *program[0],
            *program[1],
        ]
