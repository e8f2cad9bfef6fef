"""Measure times and memory by the number of tasks, and compare SQLite with a peer."""

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import replace

from benchmarks import report
from benchmarks.command_line import print_table
from benchmarks.contenders import DRF, OURS
from benchmarks.listing import read_list
from benchmarks.measurements import Measurement, measure, print_progress, serve_targets, warm_up
from benchmarks.memory import current_memory, peak_memory, reset_peak
from benchmarks.operations import LABELS, Target
from benchmarks.rows import Rows, fill
from testing.databases import new_database

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS = 32
SEARCH_CLIENTS = 1  # because one search of a million tasks keeps both cores busy
SQLITE_CLIENTS = 100
SQLITE_OPERATIONS = ("get", "page", "create")
OURS_ON_SQLITE = replace(OURS, name="this project on SQLite")
MAX_GROWTH = 1.3
MAX_MEBIBYTES = 40.0

#: Whole lists are measured from this size on, because smaller ones take too little time.
WHOLE_LIST_SIZE = 10_000


def measure_sizes(server: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure every operation at every size, with all sizes served at once."""
    kept: dict[str, object] = {}
    for shared in {"1": (False,), "1000": (True,), "both": (False, True)}[options.users]:
        with serve_targets(server, [(OURS, Rows(size, shared)) for size in options.sizes]) as targets:
            for target in targets:
                warm_up(target)
            measurements = [
                each for number in range(1, options.rounds + 1) for each in measure_round(targets, number, options)
            ]
            print_growth(measurements, options.sizes, shared=shared)
            kept["1,000 users" if shared else "one user"] = measurements
            if "all" in options.ops and not shared:
                kept["whole lists"] = measure_whole_lists(targets, options.rounds)
    return kept


def measure_round(targets: list[Target], number: int, options: argparse.Namespace) -> list[Measurement]:
    """Measure each operation at each size once."""
    measurements = []
    for operation in (name for name in options.ops if name != "all"):
        for target in targets[:: 1 if number % 2 else -1]:
            clients = SEARCH_CLIENTS if operation == "search" else CLIENTS
            measured = measure(target, operation, connections=clients, seconds=options.seconds, number=number)
            measurements.append(measured)
            rate = report.format_number(measured.rate)
            print_progress(f"round {number}/{options.rounds}, {operation}, {measured.size:,} tasks: {rate}/s")
    return measurements


def print_growth(measurements: list[Measurement], sizes: tuple[int, ...], *, shared: bool) -> None:
    """Print a row for each operation and a column for each size."""
    owners = "1,000 users, 500 of them the caller's" if shared else "one user"
    print(f"## Time for each request by number of tasks, of {owners}\n")
    print(f"Milliseconds between two responses at {CLIENTS} clients, for search at {SEARCH_CLIENTS}.")
    print("In brackets the median of the rounds' ratios to the first size.\n")
    rows = []
    for operation in (name for name in LABELS if any(each.operation == name for each in measurements)):
        by_size = [_times_by_round(measurements, operation, size) for size in sizes]
        cells = [_growth(times, by_size[0]) for times in by_size]
        formatted = (f"{milliseconds:.3f} ({ratio:.2f}x)" for milliseconds, ratio in cells)
        rows.append((LABELS[operation], *formatted, _verdict(operation, cells[-1][1])))
    print_table(("operation", *(f"{size:,}" for size in sizes), f"within {MAX_GROWTH}x"), rows)
    report.print_invalid([each for each in measurements if each.errors])


def _times_by_round(measurements: list[Measurement], operation: str, size: int) -> dict[int, float]:
    valid = (each for each in measurements if (each.operation, each.size) == (operation, size) and not each.errors)
    return {each.round: 1000 / each.rate for each in valid}


def _growth(times: dict[int, float], first: dict[int, float]) -> tuple[float, float]:
    ratio = report.median_ratio(times, first)
    return (float("nan"), float("nan")) if ratio is None else (statistics.median(times.values()), ratio)


def _verdict(operation: str, ratio: float) -> str:
    if operation == "search":
        return "no goal"
    return "yes" if ratio <= MAX_GROWTH else "MISSED"


def measure_whole_lists(targets: list[Target], rounds: int) -> dict[str, object]:
    """Measure the seconds of the whole list and the growth of the worker that sends it, by size."""
    measured = [target for target in targets if target.rows.size >= WHOLE_LIST_SIZE] or targets
    seconds: dict[int, list[float]] = {target.rows.size: [] for target in measured}
    growth: dict[int, list[float]] = {target.rows.size: [] for target in measured}
    for _ in range(rounds):
        for target in measured:
            size = target.rows.size
            at_rest = current_memory(target.server)
            reset_peak(target.server)
            seconds[size].append(read_list(target.server, size))
            growth[size].append(peak_memory(target.server) - at_rest)
            print_progress(f"the whole list of {size:,}: {seconds[size][-1]:.2f} s, {growth[size][-1]:.1f} MiB")
    print_whole_lists(seconds, growth)
    return {"seconds": seconds, "MiB": growth}


def print_whole_lists(seconds: dict[int, list[float]], growth: dict[int, list[float]]) -> None:
    """Print a row for each size."""
    print("## The whole list\n")
    per_task = {size: [1e6 * each / size for each in times] for size, times in seconds.items()}
    first = per_task[min(per_task)]
    rows = []
    for size, times in seconds.items():
        ratio = statistics.median(each / other for each, other in zip(per_task[size], first, strict=True))
        reached = ratio <= MAX_GROWTH and max(growth[size]) < MAX_MEBIBYTES
        cells = f"{statistics.median(times):.2f}", f"{statistics.median(per_task[size]):.1f}", f"{ratio:.2f}x"
        rows.append((f"{size:,}", *cells, f"{max(growth[size]):.1f}", "" if reached else "MISSED"))
    print_table(("tasks", "s", "µs per task", "ratio to the first", "growth of the worker, MiB", ""), rows)


def compare_sqlite(server: str, options: argparse.Namespace) -> dict[str, object]:
    """Compare this project on SQLite with ``drf_plain`` on PostgreSQL."""
    rows = Rows(options.sizes[0])
    with ExitStack() as stack:
        url = stack.enter_context(new_database("sqlite"))
        fill(url, rows)
        ours = Target(OURS_ON_SQLITE, stack.enter_context(OURS_ON_SQLITE.serve(url)), url, rows)
        targets = [ours, *stack.enter_context(serve_targets(server, [(DRF, rows)]))]
        for target in targets:
            warm_up(target)
        measurements = [
            measure(target, operation, connections=SQLITE_CLIENTS, seconds=options.seconds, number=number)
            for number in range(1, options.rounds + 1)
            for operation in SQLITE_OPERATIONS
            for target in targets
        ]
    print_sqlite(report.Summary(measurements))
    return {"measurements": measurements}


def print_sqlite(summary: report.Summary) -> None:
    """Print a row for each operation."""
    print(f"## SQLite, {SQLITE_CLIENTS} clients: requests per second\n")
    names = (OURS_ON_SQLITE.name, DRF.name)
    rows = []
    for operation in SQLITE_OPERATIONS:
        rates = [report.format_number(summary.median(name, operation, SQLITE_CLIENTS)) for name in names]
        ratio = summary.ratio(DRF.name, operation, SQLITE_CLIENTS, ours=OURS_ON_SQLITE.name) or float("nan")
        rows.append((LABELS[operation], *rates, f"{ratio:.2f}x", "" if ratio >= 1 else "MISSED"))
    print_table(("operation", OURS_ON_SQLITE.name, "drf_plain on PostgreSQL", "ratio", ""), rows)
    report.print_invalid(summary.invalid)
