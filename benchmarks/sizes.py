"""How this project's times and memory grow with the number of tasks, and what it does on SQLite."""

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import report
from benchmarks.contenders import DRF, OURS
from benchmarks.listing import forget_peaks, memory, read_list
from benchmarks.measuring import Measurement, measure, places, tell, warm_up
from benchmarks.operations import TITLES, Place
from benchmarks.rows import Rows, fill_sqlite
from testing.servers import database, print_table

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS = 32
SEARCH_CLIENTS = 1  # a search of a million tasks keeps both cores busy
MOST_CLIENTS = 100
SQLITE_OPERATIONS = ("get", "page", "create")
GROWTH = 1.3
MOST_MEBIBYTES = 40.0
WHOLE = 10_000


def sizes(server: str, options: argparse.Namespace, _: Path) -> dict[str, object]:
    """Every operation at every size, all sizes served at once and asked in turn."""
    kept: dict[str, object] = {}
    for shared in {"1": (False,), "1000": (True,), "both": (False, True)}[options.users]:
        with places(server, [(OURS, Rows(size, shared)) for size in options.sizes]) as found:
            for place in found:
                warm_up(place)
            seen = [each for number in range(1, options.rounds + 1) for each in one_round(found, number, options)]
            show_growth(seen, options.sizes, shared=shared)
            kept["1,000 users" if shared else "one user"] = seen
            if "all" in options.ops and not shared:
                kept["whole lists"] = whole_lists(found, options.rounds)
    return kept


def one_round(found: list[Place], number: int, options: argparse.Namespace) -> list[Measurement]:
    measurements = []
    for operation in (name for name in options.ops if name != "all"):
        for place in found[:: 1 if number % 2 else -1]:
            clients = SEARCH_CLIENTS if operation == "search" else CLIENTS
            seen = measure(place, operation, connections=clients, seconds=options.seconds, number=number)
            measurements.append(seen)
            tell(f"round {number}/{options.rounds}, {operation}, {seen.size:,} tasks: {report.number(seen.rate)}/s")
    return measurements


def show_growth(seen: list[Measurement], every: tuple[int, ...], *, shared: bool) -> None:
    """A row for each operation, a column for each size."""
    owners = "1,000 users, 500 of them the caller's" if shared else "one user"
    print(f"## Time for each request by number of tasks, of {owners}\n")
    print(
        f"Milliseconds between two answers at {CLIENTS} clients, {SEARCH_CLIENTS} for search; in brackets the median of"
    )
    print("the rounds' ratios to the first.\n")
    rows = []
    for operation in (name for name in TITLES if any(each.operation == name for each in seen)):
        by_size = {size: _by_round(seen, operation, size) for size in every}
        cells = [_growth(by_size[size], by_size[every[0]]) for size in every]
        rows.append(
            (TITLES[operation], *(f"{ms:.3f} ({ratio:.2f}x)" for ms, ratio in cells), _verdict(operation, cells[-1][1]))
        )
    print_table(("operation", *(f"{size:,}" for size in every), f"within {GROWTH}x"), rows)
    report.show_refused([each for each in seen if each.errors])


def _by_round(seen: list[Measurement], operation: str, size: int) -> dict[int, float]:
    """Milliseconds by round."""
    chosen = (each for each in seen if (each.operation, each.size) == (operation, size) and not each.errors)
    return {each.round: 1000 / each.rate for each in chosen}


def _growth(times: dict[int, float], first: dict[int, float]) -> tuple[float, float]:
    ratios = [times[number] / first[number] for number in times.keys() & first.keys()]
    return (statistics.median(times.values()), statistics.median(ratios)) if ratios else (float("nan"), float("nan"))


def _verdict(operation: str, ratio: float) -> str:
    if operation == "search":
        return "reported only"
    return "yes" if ratio <= GROWTH else "MISSED"


def whole_lists(found: list[Place], rounds: int) -> dict[str, object]:
    """Seconds of the whole list by size and round, and by how much the worker that sent it grew at its peak."""
    chosen = [place for place in found if place.rows.size >= WHOLE] or found
    seconds: dict[int, list[float]] = {place.rows.size: [] for place in chosen}
    growth: dict[int, list[float]] = {place.rows.size: [] for place in chosen}
    for _ in range(rounds):
        for place in chosen:
            took, grown = whole_list(place)
            seconds[place.rows.size].append(took)
            growth[place.rows.size].append(grown)
            tell(f"the whole list of {place.rows.size:,}: {took:.2f} s, {grown:.1f} MiB")
    show_whole(seconds, growth)
    return {"seconds": seconds, "MiB": growth}


def whole_list(place: Place) -> tuple[float, float]:
    at_rest = memory(place.server, "VmRSS")
    forget_peaks(place.server)
    seconds, tasks = read_list(place.server)
    if tasks != place.rows.size:
        raise RuntimeError(f"The list had {tasks} tasks, not {place.rows.size}")
    return seconds, memory(place.server, "VmHWM") - at_rest


def show_whole(seconds: dict[int, list[float]], growth: dict[int, list[float]]) -> None:
    print("## The whole list\n")
    each = {size: [1e6 * took / size for took in times] for size, times in seconds.items()}
    first = each[min(each)]
    rows = []
    for size, times in seconds.items():
        ratio = statistics.median(now / then for now, then in zip(each[size], first, strict=True))
        held = ratio <= GROWTH and max(growth[size]) < MOST_MEBIBYTES
        cells = f"{statistics.median(times):.2f}", f"{statistics.median(each[size]):.1f}", f"{ratio:.2f}x"
        rows.append((f"{size:,}", *cells, f"{max(growth[size]):.1f}", "" if held else "MISSED"))
    print_table(("tasks", "s", "µs a task", "to the first", "worker's growth, MiB", ""), rows)


def sqlite(server: str, options: argparse.Namespace, _: Path) -> dict[str, object]:
    """This project on SQLite against ``drf_plain`` on PostgreSQL, at 100 clients."""
    rows = Rows(options.sizes[0])
    with ExitStack() as stack:
        url = stack.enter_context(database("sqlite"))
        fill_sqlite(url.removeprefix("sqlite:///"), rows)
        embedded = Place(replace(OURS, name=EMBEDDED), stack.enter_context(OURS.serving(url)), url, rows)
        found = [embedded, *stack.enter_context(places(server, [(DRF, rows)]))]
        for place in found:
            warm_up(place)
        seen = [
            measure(place, operation, connections=MOST_CLIENTS, seconds=options.seconds, number=number)
            for number in range(1, options.rounds + 1)
            for operation in SQLITE_OPERATIONS
            for place in found
        ]
    show_sqlite(seen)
    return {"measurements": seen}


EMBEDDED = "this project on SQLite"


def show_sqlite(seen: list[Measurement]) -> None:
    print(f"## SQLite, {MOST_CLIENTS} clients: requests a second\n")
    figures = report.Figures(seen)
    rows = []
    for operation in SQLITE_OPERATIONS:
        ours, theirs = (figures.of(name, operation, MOST_CLIENTS, "rate") for name in (EMBEDDED, DRF.name))
        ratio = statistics.median(ours[number] / theirs[number] for number in ours.keys() & theirs.keys())
        rates = [report.number(statistics.median(rates.values())) for rates in (ours, theirs)]
        errors = sum(each.errors for each in seen if (each.contender, each.operation) == (EMBEDDED, operation))
        rows.append((TITLES[operation], *rates, f"{ratio:.2f}x", errors, "" if ratio >= 1 and not errors else "MISSED"))
    print_table(("operation", EMBEDDED, "drf_plain on PostgreSQL", "ratio", "errors", ""), rows)
