"""HAProxy with ``deploy/haproxy.cfg`` and ``deploy/haproxy-cells.cfg``, on other addresses."""

import datetime
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from testing.ports import HOST, free_port
from testing.programs import directory_owned_by, find_program, running_program
from testing.python_processes import ROOT

HOST_NAME = "todo.example.org"
ONE_SERVICE = (ROOT / "deploy" / "haproxy.cfg").read_text()
CELLS = ONE_SERVICE.partition("frontend machines ")[0] + (ROOT / "deploy" / "haproxy-cells.cfg").read_text()


class HAProxy:
    """A running HAProxy: its ports for http and https, and the directory of its files."""

    def __init__(self, home: Path) -> None:
        self.port, self.tls_port, self.home = free_port(), free_port(), home

    def command(self, line: str) -> str:
        """Send a command to HAProxy's socket, and return its output."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.home / "admin.sock"))
            connection.sendall(f"{line}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def server_states(self) -> dict[str, str]:
        """Return the state of each server, such as ``UP``, by its name."""
        lines = [line.split(",") for line in self.command("show stat").splitlines()]
        return {line[1]: line[17] for line in lines if len(line) > 17 and line[1].startswith("app")}


def replace_parts(configuration: str, replacements: Mapping[str, str]) -> str:
    """Replace parts of a configuration, each of which must be there."""
    for old, new in replacements.items():
        assert old in configuration, old
        configuration = configuration.replace(old, new)
    return configuration


def write_configuration(configuration: str, home: Path, proxy: HAProxy) -> Path:
    """Write a configuration with its certificate and its map of moved users, and return its path."""
    (home / "todo.example.org.pem").write_bytes(make_certificate())
    if "moved_users.map" in configuration:
        (home / "moved_users.map").touch()
        configuration = configuration.replace("/etc/haproxy/moved_users.map", str(home / "moved_users.map"))
    addresses = {
        "/etc/haproxy/todo.example.org.pem": str(home / "todo.example.org.pem"),
        "/run/haproxy/admin.sock": str(home / "admin.sock"),
        "bind :80\n": f"bind {HOST}:{proxy.port}\n",
        "bind :443 ": f"bind {HOST}:{proxy.tls_port} ",
        "127.0.0.1:8002": f"{HOST}:{free_port()}",
    }
    path = home / "haproxy.cfg"
    path.write_text(replace_parts(configuration, addresses))
    return path


def make_certificate() -> bytes:
    """Return a certificate that no client trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST_NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, SHA256())
    )
    private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private_key


def check_configuration(configuration: str) -> tuple[int, str]:
    """Return the exit code and the warnings of ``haproxy -c``."""
    program = find_program("haproxy", "haproxy")
    with directory_owned_by(None) as home:
        path = write_configuration(configuration, home, HAProxy(home))
        process = subprocess.run([program, "-c", "-f", path], capture_output=True, text=True, check=False)
    return process.returncode, process.stderr


@contextmanager
def run_haproxy(configuration: str, replacements: Mapping[str, str]) -> Iterator[HAProxy]:
    """Run HAProxy with a configuration, of which a test replaces parts."""
    program = find_program("haproxy", "haproxy")
    with directory_owned_by(None) as home:
        proxy = HAProxy(home)
        path = write_configuration(replace_parts(configuration, replacements), home, proxy)
        with running_program([program, "-db", "-f", str(path)], proxy.port, None, home / "log"):
            yield proxy
