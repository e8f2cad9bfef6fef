"""Processes and their descendants: CPU time, memory and signals (proc(5))."""

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psycopg

from testing.waiting import wait_for

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def proc_fields(path: str | Path) -> dict[str, str]:
    """Return the fields of a file such as ``/proc/1/status``, or nothing if the process has ended."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def process_tree(root: int) -> list[int]:
    """Return a process and its descendants, the process first."""
    children = defaultdict(list)
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            children[proc_fields(path / "status").get("PPid")].append(int(path.name))
    found = [root]
    for pid in found:
        found += children[str(pid)]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs, and is no zombie."""
    return not proc_fields(f"/proc/{pid}/status").get("State", "Z").startswith("Z")


def signal_tree(root: int, number: signal.Signals) -> None:
    """Send a signal to a process and its descendants."""
    for pid in process_tree(root):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_tree(root: int) -> None:
    """Kill a process and its descendants, and wait until they have ended.

    The process is stopped first, because it could start another process meanwhile.
    """
    os.kill(root, signal.SIGSTOP)
    pids = process_tree(root)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), "killed processes have ended")


def cpu_seconds(root: int | None) -> float:
    """Return the CPU seconds of a process and its descendants, including ended ones; 0 without a process."""
    return sum(cpu_seconds_by_process(root).values()) if root else 0.0


def cpu_seconds_by_process(root: int) -> dict[int, float]:
    """Return the CPU seconds of a process and of each descendant, by pid."""
    return {pid: _ticks(pid) / TICKS_PER_SECOND for pid in process_tree(root)}


def busiest_share(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the busiest process's share of the CPU time between two calls of ``cpu_seconds_by_process``.

    Two workers that share the work evenly have 0.5 each.
    """
    used = [seconds - before.get(pid, 0.0) for pid, seconds in after.items()]
    return max(used) / sum(used) if sum(used) else 0.0


def _ticks(pid: int) -> int:
    """Return utime, stime, cutime and cstime together."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def worker_memory(root: int, field: str = "VmRSS", workers: int = 2) -> list[float]:
    """Return the MiB of the largest descendants, largest first; below a server they are its workers."""
    sizes = [proc_fields(f"/proc/{pid}/status").get(field, "0 kB") for pid in process_tree(root)[1:]]
    return sorted((int(size.split()[0]) / 1024 for size in sizes), reverse=True)[:workers]


def postmaster_pid(url: str) -> int | None:
    """Return the pid of PostgreSQL's first process, or ``None`` if it runs on another machine."""
    with psycopg.connect(url) as connection:
        directory = connection.execute("SELECT current_setting('data_directory')").fetchone()
    try:
        return int(Path(directory[0] if directory else "", "postmaster.pid").read_text().split()[0])
    except OSError:
        return None
