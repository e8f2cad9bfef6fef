"""Read and write times as RFC 3339 in UTC.

https://www.rfc-editor.org/rfc/rfc3339#section-5.6
"""

import re
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

TIMESTAMP_RULE = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"

#: Seconds may have any number of digits after the point, and a space may replace the ``T``.
RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)

OFFSET_WITHOUT_COLON = re.compile(r"([+-]\d\d)(\d\d)\Z", re.ASCII)


def parse_timestamp(text: str) -> datetime:
    """Return the instant in UTC, without digits past the sixth.

    Raises:
        ValueError: ``text`` breaks ``TIMESTAMP_RULE``; the message is the broken part of the rule.
    """
    match = RFC_3339.fullmatch(text)
    if not match:
        raise ValueError(_broken_rule(text))
    date, time, fraction, offset = match.groups(default="")
    try:
        return datetime.fromisoformat(f"{date}T{time}.{fraction[1:7]:0<6}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(TIMESTAMP_RULE) from None


def is_timestamp(text: str) -> bool:
    """Tell whether ``text`` has the form of RFC 3339, even if the calendar lacks its day."""
    return RFC_3339.fullmatch(text) is not None


def _broken_rule(text: str) -> str:
    """Return the rule that ``text`` breaks, because many programs write an offset without a colon."""
    offset = OFFSET_WITHOUT_COLON.search(text)
    if offset and is_timestamp(f"{text[: offset.start()]}Z"):
        return f"must have a colon in its offset; send {offset[1]}:{offset[2]}"
    return TIMESTAMP_RULE


def format_timestamp(time: datetime) -> str:
    """Return a time in UTC with six digits of microseconds and a ``Z``."""
    return f"{time.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class TimestampField(serializers.DateTimeField):
    """A time; REST framework's own field accepts other forms, and omits zero microseconds."""

    default_error_messages = {"invalid": f"{{label}} {TIMESTAMP_RULE}"}

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_timestamp(value)
        except (TypeError, ValueError):
            self.fail("invalid", label=self.label)

    def to_representation(self, value: datetime) -> str:
        return format_timestamp(value)
