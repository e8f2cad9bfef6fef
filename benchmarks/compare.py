"""``python -m benchmarks.compare``: this project and its peers, side by side.

Starts PostgreSQL, fills a database for each, serves all with 2 workers and at most 8 connections each, and measures
them in turn: in each round every operation of one right after that of the other, so that the ratio of a round holds on
a noisy machine. A measurement in which any request failed does not count.

Parts: ``peers`` compares; ``sizes`` asks how this project's times grow with the number of tasks; ``sqlite`` sets this
project on SQLite against ``drf_plain`` on PostgreSQL. A quick look: ``--rounds 1 --ops get``.

Prints tables and writes them, raw, to ``benchmarks/results/compare.json``, with a plot beside it; ``quick.json`` when
operations, peers or fewer than 5 rounds are asked for.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import report, sizes
from benchmarks.contenders import OURS, PEERS, Contender, present
from benchmarks.floor import PROTOCOLS, floor
from benchmarks.load import Load, send
from benchmarks.measuring import FEW_CLIENTS, Measurement, measure, places, tell, warm_up
from benchmarks.operations import OPERATIONS, WRITES, Place
from benchmarks.rows import Rows, tidy
from testing.processes import mebibytes
from testing.servers import postgresql_server

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
CLIENTS = (32, 100)
PARTS = ("peers", "sizes", "sqlite")


@dataclass
class Results:
    """Of one size: ``floors`` by operation and protocol, ``hello`` in requests a second, ``memory`` in MiB."""

    measurements: list[Measurement] = field(default_factory=list)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    hello: float | None = None
    memory: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def compare(server: str, contenders: list[Contender], rows: Rows, options: argparse.Namespace) -> Results:
    results = Results()
    with places(server, [(contender, rows) for contender in contenders]) as found:
        for place in found:
            results.memory[place.contender.name] = {"at rest": mebibytes(place.server)}
            warm_up(place)
        for number in range(1, options.rounds + 1):
            results.measurements += one_round(found[:: 1 if number % 2 else -1], number, options)
        for place in found:
            results.memory[place.contender.name]["at the end"] = mebibytes(place.server)
        results.hello = send(found[0].server, Load("GET", [("/healthz", "")]), CLIENTS[0], options.seconds).rate
        results.floors = {name: floors(found[0], name) for name in options.ops}
    return results


def one_round(found: list[Place], number: int, options: argparse.Namespace) -> list[Measurement]:
    measurements = []
    for operation in options.ops:
        for connections in (FEW_CLIENTS,) if operation == "all" else options.clients:
            for place in found:
                seen = measure(place, operation, connections=connections, seconds=options.seconds, number=number)
                measurements.append(seen)
                tell(
                    f"round {number}/{options.rounds}, {operation}, {connections} clients: "
                    f"{seen.contender} {report.number(seen.rate)}/s"
                )
    return measurements


def floors(place: Place, operation: str) -> dict[str, float]:
    rates = {protocol: floor(place.url, operation, place.rows, protocol, 2) for protocol in PROTOCOLS}
    if operation in WRITES:
        tidy(place.url, place.contender.table, place.rows)
    return rates


def show(results: Results, rows: Rows) -> None:
    print(f"## {rows.size:,} tasks of {'1,000 users' if rows.shared else 'one user'}\n")
    figures = report.Figures(results.measurements)
    report.show_rates(figures, results.floors, results.hello)
    report.show_times(figures, max(each.connections for each in results.measurements))
    report.show_processor(figures)
    report.show_memory(results.memory)
    report.show_goals(figures)
    report.show_refused(figures.refused)


def peers(server: str, options: argparse.Namespace, file: Path) -> dict[str, object]:
    contenders = [OURS, *present(options.peers)]
    kept: dict[str, object] = {}
    for size in options.sizes:
        for shared in (False, True) if options.users == "both" else (options.users == "1000",):
            rows = Rows(size, shared)
            results = compare(server, contenders, rows, options)
            show(results, rows)
            kept[f"{size} tasks of {1000 if shared else 1}"] = vars(results)
            report.plot(file.with_suffix(".svg"), report.Figures(results.measurements))
    return kept


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--ops", type=names(OPERATIONS), default=OPERATIONS, help=", ".join(OPERATIONS))
    parser.add_argument("--peers", type=names(tuple(PEERS)), default=tuple(PEERS), help=", ".join(PEERS))
    parser.add_argument("--sizes", type=numbers, help="10000 for peers; 1000,10000,100000,1000000 for sizes")
    parser.add_argument("--clients", type=numbers, default=CLIENTS, help="connections at once")
    parser.add_argument("--users", choices=("1", "1000", "both"), help="1 for peers, both for sizes")
    parser.add_argument("--part", choices=(*PARTS, "all"), help="all, but peers where --ops is given")
    return parser.parse_args()


def names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
        return tuple(text.split(","))

    return read


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main() -> None:
    options = read_options()
    part = options.part or ("all" if options.ops == OPERATIONS else "peers")
    chosen = PARTS if part == "all" else (part,)
    quick = options.ops != OPERATIONS or options.peers != tuple(PEERS) or options.rounds < ROUNDS
    file = RESULTS / ("quick.json" if quick else "compare.json")
    file.parent.mkdir(exist_ok=True)
    with postgresql_server() as server:
        facts = report.machine(server)
        report.show_machine(facts)
        results: dict[str, object] = {"machine": facts, "options": vars(options)}
        for name, run_part in (("peers", peers), ("sizes", sizes.sizes), ("sqlite", sizes.sqlite)):
            if name in chosen:
                results[name] = run_part(server, with_defaults(options, name), file)
                report.write(file, results)
    tell(f"written: {file.name}")


def with_defaults(options: argparse.Namespace, part: str) -> argparse.Namespace:
    """What is not given, and differs from part to part."""
    sizes_of = {"sizes": sizes.SIZES}.get(part, (10_000,))
    users = {"sizes": "both"}.get(part, "1")
    return argparse.Namespace(**{**vars(options), "sizes": options.sizes or sizes_of, "users": options.users or users})


if __name__ == "__main__":
    main()
