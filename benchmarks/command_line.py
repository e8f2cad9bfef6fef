"""The options that benchmarks share, and the tables that they print."""

import argparse
from collections.abc import Sequence

DATABASES = ("sqlite", "postgresql")


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option ``--database``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    return parser


def selected_databases(option: str) -> Sequence[str]:
    """Return the kinds of databases that ``--database`` selects."""
    return DATABASES if option == "both" else (option,)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print(flush=True)
