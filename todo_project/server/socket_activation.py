"""Socket activation: the listening socket is systemd's and outlives the server, which says when it can serve.

docs/decisions/0013-socket.md
"""

import os
import socket
from contextlib import suppress

#: The first descriptor that is passed (sd_listen_fds(3)).
PASSED = 3


def passed_address() -> tuple[str, int] | None:
    """Where the socket listens that was passed to this process; ``None`` if none was."""
    if (os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS")) != (str(os.getpid()), "1"):
        return None
    with socket.socket(fileno=os.dup(PASSED)) as passed:
        host, port, *_ = passed.getsockname()
        return host, port


def notify_ready() -> None:
    """Tell whoever started this that it can serve now, if they still listen (sd_notify(3))."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, suppress(OSError):
            manager.sendto(b"READY=1", address.replace("@", "\0", 1))
