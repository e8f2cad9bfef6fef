"""Print measurements as tables, write them as JSON, and draw them as a chart."""

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from benchmarks.command_line import print_table
from benchmarks.contenders import DRF, FASTAPI, FASTIFY, NINJA, OURS
from benchmarks.measurements import Measurement
from benchmarks.operations import LABELS, WRITES
from testing.process_tree import proc_fields

#: For each peer: operations, and the goal for this project's rate divided by the peer's rate.
GOALS: dict[str, list[tuple[Sequence[str], float]]] = {
    FASTAPI.name: [
        (("get", "patch", "toggle", "delete", "page", "deep", "filtered"), 2.5),
        (("create",), 2.3),
        (("all",), 8.0),
    ],
    DRF.name: [(tuple(LABELS), 2.5)],
    NINJA.name: [(tuple(LABELS), 1.0)],
    FASTIFY.name: [(("all",), 1.0)],
}


class Summary:
    """The valid measurements for one number of tasks, and their medians."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.measurements = [each for each in measurements if not each.errors]
        self.invalid = [each for each in measurements if each.errors]
        self.contenders = list(dict.fromkeys(each.contender for each in self.measurements))
        self.operations = [name for name in LABELS if any(each.operation == name for each in self.measurements)]

    def by_round(self, contender: str, operation: str, connections: int, field: str) -> dict[int, float]:
        """Return the value of a field in each round."""
        return {
            each.round: getattr(each, field)
            for each in self.measurements
            if (each.contender, each.operation, each.connections) == (contender, operation, connections)
        }

    def median(self, contender: str, operation: str, connections: int, field: str = "rate") -> float | None:
        """Return the median of the rounds, or ``None`` without a valid measurement."""
        values = self.by_round(contender, operation, connections, field)
        return statistics.median(values.values()) if values else None

    def ratio(
        self, peer: str, operation: str, connections: int, field: str = "rate", ours: str = OURS.name
    ) -> float | None:
        """Return the median ratio of this project to a peer, or ``None`` without a common round."""
        our_values, peer_values = (self.by_round(name, operation, connections, field) for name in (ours, peer))
        return median_ratio(our_values, peer_values)

    def connections(self, operation: str) -> list[int]:
        """Return the numbers of clients that an operation was measured with."""
        return sorted({each.connections for each in self.measurements if each.operation == operation})


def median_ratio(values: Mapping[int, float], others: Mapping[int, float]) -> float | None:
    """Return the median of the ratios in the rounds that both have, or ``None`` without such a round."""
    ratios = [values[number] / others[number] for number in values.keys() & others.keys() if others[number]]
    return statistics.median(ratios) if ratios else None


def format_number(number: float | None) -> str:
    """Format a number with one decimal below 100 and none above."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def print_rates(summary: Summary, pgbench: dict[str, dict[str, float]], healthz: float | None) -> None:
    """Print the requests per second of all contenders and of PostgreSQL alone."""
    print("Requests per second, medians of the rounds; in brackets the median ratio of this project to the peer.\n")
    header = ("operation", "clients", *summary.contenders, "pgbench prepared", "pgbench simple", "/healthz")
    rows = []
    for operation in summary.operations:
        alone = [format_number(pgbench.get(operation, {}).get(protocol)) for protocol in ("prepared", "simple")]
        for connections in summary.connections(operation):
            rates = [_format_rate(summary, name, operation, connections) for name in summary.contenders]
            rows.append((LABELS[operation], connections, *rates, *alone, format_number(healthz)))
    print_table(header, rows)


def _format_rate(summary: Summary, name: str, operation: str, connections: int) -> str:
    ratio = None if name == OURS.name else summary.ratio(name, operation, connections)
    rate = format_number(summary.median(name, operation, connections))
    return rate if ratio is None else f"{rate} ({ratio:.2f}x)"


def print_times(summary: Summary, connections: int) -> None:
    """Print the response times with a number of clients."""
    print(f"Milliseconds at {connections} clients: median / 99th percentile.\n")
    rows = [
        (LABELS[operation], *(_format_times(summary, name, operation, connections) for name in summary.contenders))
        for operation in summary.operations
        if connections in summary.connections(operation)
    ]
    print_table(("operation", *summary.contenders), rows)


def _format_times(summary: Summary, name: str, operation: str, connections: int) -> str:
    times = (summary.median(name, operation, connections, field) for field in ("median", "p99"))
    return " / ".join(map(format_number, times))


def print_processor_times(summary: Summary) -> None:
    """Print the processor time of servers and database, which other load on the machine disturbs least."""
    print("Processor seconds for 1,000 requests: server + PostgreSQL; in brackets the sum divided by this project's.\n")
    rows = [
        (LABELS[operation], *(_format_processor_time(summary, name, operation) for name in summary.contenders))
        for operation in summary.operations
    ]
    print_table(("operation", *summary.contenders), rows)


def _format_processor_time(summary: Summary, name: str, operation: str) -> str:
    theirs, ours = (_processor_seconds(summary, each, operation) for each in (name, OURS.name))
    cell = " + ".join(f"{seconds:.2f}" for seconds in theirs)
    return cell if name == OURS.name or not sum(ours) else f"{cell} ({sum(theirs) / sum(ours):.2f}x)"


def _processor_seconds(summary: Summary, name: str, operation: str) -> list[float]:
    connections = summary.connections(operation)[0]
    fields = ("server_seconds", "database_seconds")
    return [summary.median(name, operation, connections, field) or 0.0 for field in fields]


def print_memory(memory: dict[str, dict[str, list[float]]]) -> None:
    """Print the memory of each worker."""
    print("MiB of each worker (VmRSS).\n")
    rows = [
        (name, *(", ".join(f"{size:.0f}" for size in sizes) for sizes in by_time.values()))
        for name, by_time in memory.items()
    ]
    print_table(("contender", "at the start", "at the end"), rows)


def print_goals(summary: Summary) -> None:
    """Print each goal, and whether it was reached."""
    rows = list(_goals(summary))
    if rows:
        print("Goals.\n")
        print_table(("operation", "clients", "peer", "at least", "measured", ""), rows)


def _goals(summary: Summary) -> Iterator[tuple[object, ...]]:
    for peer, goals in GOALS.items():
        for operations, least in goals:
            for operation in (name for name in operations if name in summary.operations):
                connections = summary.connections(operation)[0]
                ratio = summary.ratio(peer, operation, connections)
                if ratio is not None:
                    missed = "" if ratio >= least else "MISSED"
                    yield LABELS[operation], connections, peer, f"{least}x", f"{ratio:.2f}x", missed
    for operation in ("get", *WRITES):
        ratio = summary.ratio(FASTAPI.name, operation, 100, "p99")
        if ratio is not None:
            missed = "" if ratio <= 1 else "MISSED"
            yield LABELS[operation], 100, f"{FASTAPI.name}: p99", "≤ 1x", f"{ratio:.2f}x", missed


def print_invalid(invalid: Sequence[Measurement]) -> None:
    """Print the measurements in which requests failed."""
    if invalid:
        print("Invalid, because requests failed.\n")
        rows = [(each.round, each.contender, each.operation, each.connections, each.errors) for each in invalid]
        print_table(("round", "contender", "operation", "clients", "failed"), rows)


def describe_machine(url: str) -> dict[str, str]:
    """Return the hardware, the versions and the load of this machine."""
    total = int(proc_fields("/proc/meminfo")["MemTotal"].split()[0]) / 1024**2
    models = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()) or [platform.machine()]
    with psycopg.connect(url) as connection:
        version = str((connection.execute("SELECT version()").fetchone() or ("",))[0])
        trigrams = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'").fetchone()
    return {
        "processor": f"{os.cpu_count()} cores of {models[0]}",
        "memory": f"{total:.0f} GiB",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "PostgreSQL": version.split(" on ", maxsplit=1)[0].removeprefix("PostgreSQL "),
        "pg_trgm": "available" if trigrams else "missing",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
    }


def print_machine(facts: dict[str, str]) -> None:
    """Print the description of the machine and the command."""
    print("; ".join(f"{name} {fact}" for name, fact in facts.items()) + ".")
    print(f"Command: `{' '.join(['python -m benchmarks.compare', *sys.argv[1:]])}`.")
    print("Server, database and load share the machine: compare ratios, not rates.\n", flush=True)


def write(file: Path, results: dict[str, object]) -> None:
    """Write the results as JSON."""
    file.write_text(json.dumps(results, indent=1, default=asdict) + "\n")


def plot(file: Path, summary: Summary) -> None:
    """Draw a bar for each operation and peer: the ratio of this project's rate to the peer's."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "todo"
    mpl.rcParams["svg.fonttype"] = "none"  # letters as outlines would double the size of the file
    from matplotlib import pyplot

    peers = [name for name in summary.contenders if name != OURS.name]
    chart, axes = pyplot.subplots(figsize=(9, 1 + 0.7 * len(summary.operations)), layout="constrained")
    height = 0.8 / max(1, len(peers))
    for position, peer in enumerate(peers):
        ratios = [summary.ratio(peer, name, summary.connections(name)[0]) or 0 for name in summary.operations]
        bars = axes.barh([y + position * height for y in range(len(ratios))], ratios, height, label=peer)
        axes.bar_label(bars, fmt="%.1fx", padding=3, fontsize=8)
    axes.set_yticks([y + 0.4 - height / 2 for y in range(len(summary.operations))])
    axes.set_yticklabels([LABELS[name] for name in summary.operations])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set_xlabel("requests per second of this service, divided by the peer's")
    axes.legend()
    chart.savefig(file, metadata={"Date": None})
