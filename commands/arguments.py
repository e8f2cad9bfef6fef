"""Strict readers of command-line options, for the ``type`` of ``argparse``.

Raises:
    ArgumentTypeError: every reader raises it for malformed text; ``argparse`` prints the message.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
MAX_DAYS = 36_500


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def ratio(text: str) -> float:
    """Read a decimal number from 0 to 1."""
    if not re.fullmatch(r"0|1|[01]?\.[0-9]+", text) or float(text) > 1:
        raise ArgumentTypeError("must be a number from 0 to 1")
    return float(text)


def age(text: str) -> timedelta:
    """Read a number and a unit: weeks, days, hours, minutes or seconds, such as ``30d``."""
    parts = re.fullmatch("([0-9]{1,10})([wdhms])", text)
    if parts is None or int(parts[1]) > timedelta(days=MAX_DAYS) // UNITS[parts[2]]:
        raise ArgumentTypeError(f"must be a number and a unit (w, d, h, m or s), at most {MAX_DAYS}d: 30d, 12h")
    return int(parts[1]) * UNITS[parts[2]]
