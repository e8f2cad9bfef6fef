"""Parse the rate limits of the settings."""

import re

from django.core.exceptions import ImproperlyConfigured

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 60 * 60, "day": 24 * 60 * 60}


def parse_quota(rate: str) -> tuple[int, int]:
    """Return a number of requests and a period in seconds: ``600/minute`` is ``(600, 60)``.

    Raises:
        ImproperlyConfigured: ``rate`` has another form.
    """
    match = re.fullmatch("([1-9][0-9]{0,8})/(second|minute|hour|day)", rate)
    if not match:
        raise ImproperlyConfigured(
            "Set THROTTLE_READ and THROTTLE_WRITE to a number of requests and a time, such as 600/minute (or /second, "
            "/hour, /day), or to nothing for no limit"
        )
    return int(match[1]), UNIT_SECONDS[match[2]]
