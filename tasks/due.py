"""When a task is due: a date, a local time, an instant, or a local time with a time zone.

``canonical_due`` reads what a client sends, and returns one of the four stored forms of RFC 3339 and RFC 9557.

The rules of the time zones come from the package ``tzdata``, so that every machine has the same rules. The files of the
operating system are never read: docs/decisions/0018-due-dates.md.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from math import copysign
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

#: The messages of ``canonical_due`` by code.
DUE_MESSAGES = {
    "invalid": "Due must be a date, a local time, an instant or a local time with a zone",
    "unknown_time_zone": "Due names an unknown time zone",
    "wrong_offset": "Due has an offset that its time zone does not have then",
}

_YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DATE = f"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

#: IANA's guideline for names of time zones (tzdb, theory.html) allows components of 14 characters. No name has more
#: than three components, and each has only these characters.
ZONE_NAME_MAX_LENGTH = 3 * 14 + 2
_ZONE_NAME = f"[A-Za-z][A-Za-z0-9_+/-]{{0,{ZONE_NAME_MAX_LENGTH - 1}}}"

#: The shape of the stored forms, in the syntax that PostgreSQL, ECMAScript (JSON Schema, section 6.4) and Python share.
#: The shape admits dates such as February 30 and unknown time zones, which ``canonical_due`` refuses.
#: Python needs ``fullmatch``, because its ``$`` also matches before a last line feed.
DUE_FORMS = rf"^{_DATE}(T{_TIME}(Z|\[{_ZONE_NAME}\])?)?$"

#: ``Z``, or an offset except ``-00:00``, without a lookahead, because Rust's regular expressions have none.
_OFFSET = r"(Z|\+([01][0-9]|2[0-3]):[0-5][0-9]|-00:(0[1-9]|[1-5][0-9])|-(0[1-9]|1[0-9]|2[0-3]):[0-5][0-9])"

#: The shape of the accepted forms, in the same syntax.
ACCEPTED_DUE_FORMS = rf"^{_DATE}(T{_TIME}((\.[0-9]+)?{_OFFSET})?(\[{_ZONE_NAME}\])?)?$"

DUE_EXAMPLES = [
    "2026-12-24",
    "2026-12-24T18:00:00",
    "2026-12-24T17:00:00Z",
    "2026-12-24T18:00:00[Europe/Berlin]",
]

#: The shape of a date or a local time.
WALL_CLOCK_FORMS = f"^{_DATE}(T{_TIME})?$"

#: The length of a local time, two brackets and the longest name of a time zone.
DUE_MAX_LENGTH = len("2026-12-24T18:00:00[]") + ZONE_NAME_MAX_LENGTH

#: The accepted text. A fraction needs an offset or Z. Any text between the brackets may be meant as a time zone.
_DUE = re.compile(
    rf"(?P<date>{_DATE})"
    rf"(T(?P<time>{_TIME})"
    rf"((\.[0-9]+)?(?P<offset>{_OFFSET}))?"
    r"(\[(?P<zone>[^\]]+)\])?)?"
)
_WALL_CLOCK_RULE = "must be a date such as 2026-12-24, or a local time such as 2026-12-24T18:00:00"


def canonical_due(text: str) -> str:
    """Return the stored form of a due date.

    Raises:
        ValidationError: the text is none of the accepted forms, or its time zone does not fit.
    """
    match = _DUE.fullmatch(text)
    if match is None:
        raise _refusal("invalid")
    day, time, offset, zone_name = match.group("date", "time", "offset", "zone")
    try:
        if time is None:
            return date.fromisoformat(day).isoformat()
        wall_time = datetime.fromisoformat(f"{day}T{time}")
        if zone_name is not None:
            return f"{_wall_time_in(zone_name, wall_time, offset).isoformat()}[{zone_name}]"
        if offset is not None:
            return f"{(wall_time - _utc_offset(offset)).isoformat()}Z"
    except (ValueError, OverflowError) as error:  # February 30, or outside the years 0001 to 9999
        raise _refusal("invalid") from error
    return wall_time.isoformat()


def wall_clock(due: str) -> str:
    """Return the date, or the date and the time, that a stored form shows."""
    return due[: len("2026-12-24T18:00:00")]


def wall_clocks(moments: Sequence[datetime], local: ZoneInfo) -> dict[tuple[str, ...], list[str]]:
    """Return the endings of due dates by the times that their clocks show at some moments.

    A date or a local time, which has no ending, means the clocks of the time zone ``local``.
    """
    zones = {"": local, "Z": UTC, **{f"[{name}]": _load_time_zone(name) for name in sorted(time_zone_names())}}
    clocks = defaultdict(list)
    for ending, zone in zones.items():
        shown = tuple(f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S}" for moment in moments)
        clocks[shown].append(ending)
    return clocks


def parse_wall_clock(text: str) -> str:
    """Return a date or a local time without a time zone, unchanged.

    Raises:
        ValueError: the text is neither.
    """
    if not re.fullmatch(WALL_CLOCK_FORMS, text):
        raise ValueError(_WALL_CLOCK_RULE)
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(_WALL_CLOCK_RULE) from error
    return text


def time_zone(name: str) -> ZoneInfo | None:
    """Return the rules of an IANA time zone, or ``None`` for an unknown name."""
    return _load_time_zone(name) if name in time_zone_names() else None


@cache
def time_zone_names() -> frozenset[str]:
    """Return the names of the IANA database, links such as ``US/Pacific`` included."""
    names = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    return frozenset(names) - {"Factory"}  # a placeholder for computers whose time zone nobody has set


@cache
def _load_time_zone(name: str) -> ZoneInfo:
    # The constructor of ZoneInfo would prefer the files of the operating system.
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _wall_time_in(zone_name: str, wall_time: datetime, offset: str | None) -> datetime:
    """Return the time on the wall clock of a time zone, for a wall time with the given offset."""
    zone = time_zone(zone_name)
    if zone is None:
        raise _refusal("unknown_time_zone")
    if offset == "Z":
        return wall_time.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    if offset is not None and not _has_offset(zone, wall_time, _utc_offset(offset)):
        raise _refusal("wrong_offset")
    return wall_time


def _has_offset(zone: ZoneInfo, wall_time: datetime, offset: timedelta) -> bool:
    """Tell whether the zone's clocks show the wall time at that offset."""
    first, second = (zone.utcoffset(wall_time.replace(fold=fold)) or timedelta(0) for fold in (0, 1))
    if first < second:  # the clocks skip this wall time (PEP 495)
        return False
    return any(offset in _in_whole_minutes(each) for each in (first, second))


def _in_whole_minutes(offset: timedelta) -> tuple[timedelta, timedelta]:
    """Return an offset without its seconds, and the offset rounded to the minute.

    The offsets of early years have seconds, which RFC 3339 cannot write. Temporal rounds them (half away from zero), as
    an example of RFC 3339 does. PostgreSQL, Go and ``strftime`` cut them off.
    """
    minutes = offset.total_seconds() / 60
    return timedelta(minutes=int(minutes)), timedelta(minutes=int(minutes + copysign(0.5, minutes)))


def _utc_offset(text: str) -> timedelta:
    """Return the offset that ``Z`` or ``+01:00`` means."""
    if text == "Z":
        return timedelta(0)
    distance = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return -distance if text[0] == "-" else distance


def _refusal(code: str) -> ValidationError:
    return ValidationError(DUE_MESSAGES[code], code=code)
