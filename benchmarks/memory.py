"""The memory of a server's largest worker."""

from pathlib import Path

from testing.process_tree import worker_memory
from testing.servers import Server


def current_memory(server: Server) -> float:
    """Return the MiB that the worker uses now."""
    return worker_memory(server.pid, "VmRSS", 1)[0]


def peak_memory(server: Server) -> float:
    """Return the most MiB that the worker has used since ``reset_peak``."""
    return worker_memory(server.pid, "VmHWM", 1)[0]


def reset_peak(server: Server) -> None:
    """Set each worker's peak to its current memory: proc(5), clear_refs."""
    for worker in server.workers():
        Path(f"/proc/{worker}/clear_refs").write_text("5")
