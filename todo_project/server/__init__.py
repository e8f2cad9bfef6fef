"""The production server: ``manage.py serve``."""

import os
import signal

#: The signals of the server's main process. A worker that gets ``SIGHUP`` sends ``SIGUSR1``.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

#: Requests in progress may take these seconds after a stop.
STOP_SECONDS = 10


def hold_sighup() -> None:
    """Let a ``SIGHUP`` during the start wait for the server's handlers, and then reload.

    With a terminal, ``SIGHUP`` ends the process as usual, because a terminal that closes sends ``SIGHUP`` too.
    """
    if not has_terminal():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal: tty(4)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True
