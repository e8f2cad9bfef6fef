"""The production server: ``manage.py serve``."""

import signal

#: The signals of the server's main process. A worker that gets ``SIGHUP`` sends ``SIGUSR1``.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
