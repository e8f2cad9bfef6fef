"""The figures as tables, as JSON and as a plot, and what machine they are of."""

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from benchmarks.contenders import DRF, FASTAPI, NINJA, NODE, OURS
from benchmarks.measuring import Measurement
from benchmarks.operations import TITLES, WRITES
from testing.servers import print_table, status_of

#: What issue and README promise: for each peer the operations and how many times its requests a second.
GOALS: dict[str, list[tuple[Sequence[str], float]]] = {
    FASTAPI.name: [(("get", *WRITES, "page", "deep", "filtered"), 2.0), (("all",), 8.0)],
    DRF.name: [(tuple(TITLES), 2.5)],
    NINJA.name: [(tuple(TITLES), 1.0)],
    NODE.name: [(("all",), 1.0)],
}


class Figures:
    """All measurements of one size, and their medians."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.measurements = [each for each in measurements if not each.errors]
        self.refused = [each for each in measurements if each.errors]
        self.contenders = list(dict.fromkeys(each.contender for each in self.measurements))
        self.operations = [name for name in TITLES if any(each.operation == name for each in self.measurements)]

    def of(self, contender: str, operation: str, connections: int, field: str) -> dict[int, float]:
        """A figure by round."""
        return {
            each.round: getattr(each, field)
            for each in self.measurements
            if (each.contender, each.operation, each.connections) == (contender, operation, connections)
        }

    def median(self, contender: str, operation: str, connections: int, field: str = "rate") -> float | None:
        figures = self.of(contender, operation, connections, field)
        return statistics.median(figures.values()) if figures else None

    def ratio(self, peer: str, operation: str, connections: int, field: str = "rate") -> float | None:
        """The median of the rounds' ratios of this project to a peer."""
        ours, theirs = (self.of(name, operation, connections, field) for name in (OURS.name, peer))
        ratios = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys() if theirs[number]]
        return statistics.median(ratios) if ratios else None

    def connections(self, operation: str) -> list[int]:
        return sorted({each.connections for each in self.measurements if each.operation == operation})


def show_rates(figures: Figures, floors: dict[str, dict[str, float]], hello: float | None) -> None:
    """Requests a second; in brackets how many times a peer's this project's are."""
    print(
        "Requests a second, medians of the rounds; in brackets the median of the rounds' ratios, ours to the peer's.\n"
    )
    header = ("operation", "clients", *figures.contenders, "pgbench prepared", "pgbench simple", "hello")
    rows = []
    for operation in figures.operations:
        for connections in figures.connections(operation):
            cells = [_rate(figures, name, operation, connections) for name in figures.contenders]
            alone = [number(floors.get(operation, {}).get(protocol)) for protocol in ("prepared", "simple")]
            rows.append((TITLES[operation], connections, *cells, *alone, number(hello)))
    print_table(header, rows)


def _rate(figures: Figures, name: str, operation: str, connections: int) -> str:
    ratio = None if name == OURS.name else figures.ratio(name, operation, connections)
    rate = number(figures.median(name, operation, connections))
    return rate if ratio is None else f"{rate} ({ratio:.2f}x)"


def number(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


def show_times(figures: Figures, connections: int) -> None:
    print(f"Milliseconds at {connections} clients: 50th / 99th percentile.\n")
    rows = [
        (TITLES[operation], *(_times(figures, name, operation, connections) for name in figures.contenders))
        for operation in figures.operations
        if connections in figures.connections(operation)
    ]
    print_table(("operation", *figures.contenders), rows)


def _times(figures: Figures, *key: str | int) -> str:
    times = (figures.median(*key, field) for field in ("median", "slowest"))  # type: ignore[arg-type]
    return " / ".join(number(time) for time in times)


def show_processor(figures: Figures) -> None:
    print(
        "Processor seconds for 1,000 requests: server + PostgreSQL; in brackets how many times ours the sum is, which"
    )
    print("other load on the machine disturbs least.\n")
    rows = [
        (TITLES[operation], *(_processor(figures, name, operation) for name in figures.contenders))
        for operation in figures.operations
    ]
    print_table(("operation", *figures.contenders), rows)


def _processor(figures: Figures, name: str, operation: str) -> str:
    theirs, ours = (_seconds(figures, each, operation) for each in (name, OURS.name))
    cell = " + ".join(f"{seconds:.2f}" for seconds in theirs)
    return cell if name == OURS.name or not sum(ours) else f"{cell} ({sum(theirs) / sum(ours):.2f}x)"


def _seconds(figures: Figures, name: str, operation: str) -> list[float]:
    connections = figures.connections(operation)[0]
    fields = ("server_seconds", "database_seconds")
    return [figures.median(name, operation, connections, field) or 0.0 for field in fields]


def show_memory(memory: dict[str, dict[str, list[float]]]) -> None:
    print("MiB of each worker (VmRSS).\n")
    rows = [
        (name, *(", ".join(f"{size:.0f}" for size in sizes) for sizes in at.values())) for name, at in memory.items()
    ]
    print_table(("contender", "at rest", "at the end"), rows)


def show_goals(figures: Figures) -> None:
    rows = list(_goals(figures))
    if rows:
        print("What it must show.\n")
        print_table(("operation", "clients", "against", "at least", "seen", ""), rows)


def _goals(figures: Figures) -> Iterable[tuple[object, ...]]:
    for peer, goals in GOALS.items():
        for operations, least in goals:
            for operation in (name for name in operations if name in figures.operations):
                connections = figures.connections(operation)[0]
                seen = figures.ratio(peer, operation, connections)
                if seen is not None:
                    missed = "" if seen >= least else "MISSED"
                    yield TITLES[operation], connections, peer, f"{least}x", f"{seen:.2f}x", missed
    for operation in ("get", *WRITES):
        seen = figures.ratio(FASTAPI.name, operation, 100, "slowest")
        if seen is not None:
            yield TITLES[operation], 100, f"{FASTAPI.name}: p99", "≤ 1x", f"{seen:.2f}x", "" if seen <= 1 else "MISSED"


def show_refused(refused: Sequence[Measurement]) -> None:
    if refused:
        print("Refused, because requests failed.\n")
        rows = [(each.round, each.contender, each.operation, each.connections, each.errors) for each in refused]
        print_table(("round", "contender", "operation", "clients", "failed"), rows)


def machine(url: str) -> dict[str, str]:
    """What the figures are of."""
    total = int(status_of(Path("/proc/meminfo"))["MemTotal"].split()[0]) / 1024**2
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
        "pg_trgm": "there" if trigrams else "not there",
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
    }


def show_machine(facts: dict[str, str]) -> None:
    print("; ".join(f"{name} {fact}" for name, fact in facts.items()) + ".")
    print(f"Command: `python -m benchmarks.compare {' '.join(sys.argv[1:])}`".replace(" `", "`").replace(":`", ": `"))
    print("Server, database and load share the machine: the ratios hold, the figures do not.\n", flush=True)


def write(file: Path, results: dict[str, object]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=1, default=asdict) + "\n")


def plot(file: Path, figures: Figures) -> None:
    """Bars: how many times the requests a second of each peer."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "todo"
    mpl.rcParams["svg.fonttype"] = "none"  # letters as outlines would double the size of the file
    from matplotlib import pyplot

    peers = [name for name in figures.contenders if name != OURS.name]
    chart, axes = pyplot.subplots(figsize=(9, 1 + 0.7 * len(figures.operations)), layout="constrained")
    height = 0.8 / max(1, len(peers))
    for at, peer in enumerate(peers):
        ratios = [figures.ratio(peer, name, figures.connections(name)[0]) or 0 for name in figures.operations]
        bars = axes.barh([y + at * height for y in range(len(ratios))], ratios, height, label=peer)
        axes.bar_label(bars, fmt="%.1fx", padding=3, fontsize=8)
    axes.set_yticks([y + 0.4 - height / 2 for y in range(len(figures.operations))])
    axes.set_yticklabels([TITLES[name] for name in figures.operations])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.set_xlabel("requests per second of this service, divided by the peer's")
    axes.legend()
    chart.savefig(file, metadata={"Date": None})
