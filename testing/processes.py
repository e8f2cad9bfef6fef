"""What processes cost: the memory of a server's workers, and processor time of whole process trees (proc(5))."""

import os
from collections import defaultdict
from pathlib import Path

import psycopg

from testing.servers import Server, status_of

TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """A process and all below it."""
    children = defaultdict(list)
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            children[status_of(path / "status").get("PPid")].append(int(path.name))
    found = [root]
    for pid in found:
        found += children[str(pid)]
    return found


def processor_seconds(root: int | None) -> float:
    """What a tree has used, processes that have ended included; 0 for no process."""
    return sum(seconds_by_process(root).values()) if root else 0.0


def seconds_by_process(root: int) -> dict[int, float]:
    return {pid: _ticks(pid) / TICKS for pid in tree(root)}


def share_of_busiest(before: dict[int, float], after: dict[int, float]) -> float:
    """Of what all processes have used in between: 0.5 where two workers share the work evenly."""
    used = [seconds - before.get(pid, 0.0) for pid, seconds in after.items()]
    return max(used) / sum(used) if sum(used) else 0.0


def _ticks(pid: int) -> int:
    """utime, stime, cutime and cstime."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def mebibytes(server: Server, field: str = "VmRSS", workers: int = 2) -> list[float]:
    """The memory of the largest processes below the server, which are its workers, largest first."""
    sizes = [status_of(Path(f"/proc/{pid}/status")).get(field, "0 kB") for pid in tree(server.pid)[1:]]
    return sorted((int(size.split()[0]) / 1024 for size in sizes), reverse=True)[:workers]


def postmaster(url: str) -> int | None:
    """The process at the root of PostgreSQL, if it runs on this machine."""
    with psycopg.connect(url) as connection:
        directory = connection.execute("SELECT current_setting('data_directory')").fetchone()
    try:
        return int(Path(directory[0] if directory else "", "postmaster.pid").read_text().split()[0])
    except OSError:
        return None
