"""Reserve the disk space of a worker's metrics: docs/decisions/0021-metrics.md."""

import errno
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

#: prometheus_client keeps the metrics of each kind in a file, and changes the mode of a gauge into a kind.
KINDS = ("counter", "histogram", "gauge_livemax", "gauge_livesum")

#: Room for 300 combinations of method, route and status.
FILE_BYTES = 1024 * 1024


def reserve_metrics_files() -> None:
    """Reserve the space of the files, before prometheus_client opens them.

    A write that finds no space would end the worker with SIGBUS. Without the space, the worker keeps its metrics to
    itself.
    """
    directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    try:
        for kind in KINDS:
            with Path(directory, f"{kind}_{os.getpid()}.db").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        logger.warning("The metrics leave out this worker, because %s has no space: %s", directory, error.strerror)
        for file_of_worker in Path(directory).glob(f"*_{os.getpid()}.db"):
            file_of_worker.unlink()
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
