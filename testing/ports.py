"""Ports of this machine."""

import random
import socket
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

HOST = "127.0.0.1"


def client_address(number: int) -> str:
    """Return another loopback address for each number, because nginx limits the clients of one address."""
    return str(IPv4Address("127.0.1.0") + number)


def free_port() -> int:
    """Return a free port outside Linux's range for clients, so that a server can start there again."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while is_open(port := random.randrange(10_000, lowest_ephemeral)):
        pass
    return port


def is_open(port: int) -> bool:
    """Tell whether a process listens on the port."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
