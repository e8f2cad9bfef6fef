"""Socket activation: systemd keeps the listening socket open while the server restarts.

docs/decisions/0013-socket.md
"""

import os
import socket
from contextlib import suppress

#: The descriptor of the first passed socket (sd_listen_fds(3)).
LISTEN_FDS_START = 3


def passed_socket() -> socket.socket | None:
    """Return the socket that systemd passed to this process, or ``None``."""
    if (os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS")) != (str(os.getpid()), "1"):
        return None
    return socket.socket(fileno=LISTEN_FDS_START)


def notify_ready() -> None:
    """Tell systemd that the service is ready (sd_notify(3)), unless systemd has stopped listening."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, suppress(OSError):
            manager.sendto(b"READY=1", address.replace("@", "\0", 1))
