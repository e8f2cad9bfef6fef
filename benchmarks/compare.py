"""Compare this project with its peers.

Starts PostgreSQL, fills a database for each service, and serves all of them with 2 workers and at most 8 connections
each. Each round measures every operation of all services one right after another, so the ratios of a round hold even
on a noisy machine. A measurement with a failed request is invalid.

The part ``peers`` compares the services, ``sizes`` measures how this project's times grow with the number of tasks, and
``sqlite`` compares this project on SQLite with ``drf_plain`` on PostgreSQL. A short run: ``--rounds 1 --ops get``.

Prints tables, and writes the measurements and a chart to ``benchmarks/results/``.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import pgbench, report, sizes
from benchmarks.contenders import OURS, PEERS, Contender, available_peers, earlier_version
from benchmarks.load import Load, send_load
from benchmarks.measurements import FEW_CLIENTS, Measurement, measure, print_progress, serve_targets, warm_up
from benchmarks.operations import OPERATIONS, OWN_OPERATIONS, WRITES, Target
from benchmarks.rows import Rows, remove_created
from testing.databases import running_postgresql
from testing.process_tree import worker_memory

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
CLIENTS = (32, 100)
PARTS = ("peers", "sizes", "sqlite")
PGBENCH_SECONDS = 2


@dataclass
class Results:
    """The results for one number of tasks.

    Attributes:
        pgbench: the rates of PostgreSQL alone, by operation and protocol.
        healthz: the rate of this project's ``/healthz``.
        memory: MiB of each worker at the start and the end, by contender.
    """

    measurements: list[Measurement] = field(default_factory=list)
    pgbench: dict[str, dict[str, float]] = field(default_factory=dict)
    healthz: float | None = None
    memory: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def compare(server: str, contenders: list[Contender], rows: Rows, options: argparse.Namespace) -> Results:
    """Measure all contenders with the same rows."""
    results = Results()
    with serve_targets(server, [(contender, rows) for contender in contenders]) as targets:
        for target in targets:
            results.memory[target.contender.name] = {"at the start": worker_memory(target.server.pid)}
            warm_up(target)
        for number in range(1, options.rounds + 1):
            results.measurements += measure_round(targets[:: 1 if number % 2 else -1], number, options)
        for target in targets:
            results.memory[target.contender.name]["at the end"] = worker_memory(target.server.pid)
        healthz = Load("GET", [("/healthz", "")])
        results.healthz = send_load(targets[0].server, healthz, CLIENTS[0], options.seconds).rate
        results.pgbench = {operation: measure_pgbench(targets[0], operation) for operation in options.ops}
    return results


def measure_round(targets: list[Target], number: int, options: argparse.Namespace) -> list[Measurement]:
    """Measure each operation of all targets once."""
    measurements = []
    for operation in options.ops:
        for connections in (FEW_CLIENTS,) if operation == "all" else options.clients:
            for target in targets:
                measured = measure(target, operation, connections=connections, seconds=options.seconds, number=number)
                measurements.append(measured)
                print_progress(
                    f"round {number}/{options.rounds}, {operation}, {connections} clients: "
                    f"{measured.contender} {report.format_number(measured.rate)}/s"
                )
    return measurements


def measure_pgbench(target: Target, operation: str) -> dict[str, float]:
    """Measure an operation's statement in PostgreSQL alone."""
    rates = {
        protocol: pgbench.measure_rate(target.url, operation, target.rows, protocol, PGBENCH_SECONDS)
        for protocol in pgbench.PROTOCOLS
    }
    if operation in WRITES:
        remove_created(target.url, target.contender.table, target.rows)
    return rates


def print_results(results: Results, rows: Rows) -> None:
    """Print all tables for one number of tasks."""
    print(f"## {rows.size:,} tasks of {'1,000 users' if rows.shared else 'one user'}\n")
    summary = report.Summary(results.measurements)
    report.print_rates(summary, results.pgbench, results.healthz)
    report.print_times(summary, max(each.connections for each in results.measurements))
    report.print_processor_times(summary)
    report.print_memory(results.memory)
    report.print_goals(summary)
    report.print_invalid(summary.invalid)


def compare_peers(server: str, options: argparse.Namespace) -> dict[str, object]:
    """Compare this project with its peers at each number of tasks."""
    contenders = [OURS, *map(earlier_version, options.before), *available_peers(options.peers)]
    kept: dict[str, object] = {}
    for size in options.sizes:
        for shared in (False, True) if options.users == "both" else (options.users == "1000",):
            rows = Rows(size, shared)
            results = compare(server, contenders, rows, options)
            print_results(results, rows)
            kept[f"{size} tasks of {1000 if shared else 1}"] = vars(results)
            report.plot(RESULTS / "compare.svg", report.Summary(results.measurements))
    return kept


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement")
    every = (*OPERATIONS, *OWN_OPERATIONS)
    parser.add_argument(
        "--ops", type=names_of(every), help=f"{', '.join(every)}; the last {len(OWN_OPERATIONS)} for sizes"
    )
    parser.add_argument("--peers", type=names_of(tuple(PEERS)), default=tuple(PEERS), help=", ".join(PEERS))
    parser.add_argument(
        "--before", action="append", default=[], help="a checkout of an earlier commit, as a further peer"
    )
    parser.add_argument("--sizes", type=numbers, help="10000 for peers; 1000,10000,100000,1000000 for sizes")
    parser.add_argument("--clients", type=numbers, default=CLIENTS, help="connections at once")
    parser.add_argument("--users", choices=("1", "1000", "both"), help="1 for peers, both for sizes")
    parser.add_argument("--part", choices=(*PARTS, "all"), help="all; with --ops, peers")
    return parser.parse_args()


def names_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Make a type of argparse for a list of known names."""

    def read(text: str) -> tuple[str, ...]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return tuple(text.split(","))

    return read


def numbers(text: str) -> tuple[int, ...]:
    """Read a list of numbers."""
    return tuple(map(int, text.split(",")))


def main() -> None:
    """Run the chosen parts, and write the results after each."""
    options = read_options()
    part = options.part or ("peers" if options.ops else "all")
    chosen = PARTS if part == "all" else (part,)
    RESULTS.mkdir(exist_ok=True)
    with running_postgresql() as server:
        facts = report.describe_machine(server)
        report.print_machine(facts)
        results: dict[str, object] = {"machine": facts, "options": vars(options)}
        run_parts = {"peers": compare_peers, "sizes": sizes.measure_sizes, "sqlite": sizes.compare_sqlite}
        for name in chosen:
            results[name] = run_parts[name](server, with_defaults(options, name))
            report.write(RESULTS / "compare.json", results)
    print_progress(f"The measurements are in {RESULTS}")


def with_defaults(options: argparse.Namespace, part: str) -> argparse.Namespace:
    """Add the defaults that depend on the part."""
    defaults: dict[str, object] = {"sizes": (10_000,), "users": "1", "ops": OPERATIONS}
    if part == "sizes":
        defaults = {"sizes": sizes.SIZES, "users": "both", "ops": (*OPERATIONS, *OWN_OPERATIONS)}
    chosen = {name: value for name, value in vars(options).items() if value}
    return argparse.Namespace(**{**vars(options), **defaults, **chosen})


if __name__ == "__main__":
    main()
