"""What the commands take on the command line, read strictly: ``argparse`` turns a ``ValueError`` into a refusal."""

import argparse
import re
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from tasks.api.listing import instant
from tasks.models import USER_ID_MAX_LENGTH, USER_ID_RULE, validate_user_id

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
MAX_DAYS = 36_500


def ratio(text: str) -> float:
    if not re.fullmatch(r"0|1|[01]?\.[0-9]+", text) or float(text) > 1:
        raise argparse.ArgumentTypeError("must be a number from 0 to 1")
    return float(text)


def age(text: str) -> timedelta:
    """``30d``: a number of weeks, days, hours, minutes or seconds."""
    parts = re.fullmatch("([0-9]{1,10})([wdhms])", text)
    if parts is None or int(parts[1]) > timedelta(days=MAX_DAYS) // UNITS[parts[2]]:
        raise argparse.ArgumentTypeError(f"must be a number and one of w, d, h, m, s, up to {MAX_DAYS}d: 30d, 12h")
    return int(parts[1]) * UNITS[parts[2]]


def moment(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def owner(text: str) -> str:
    """Whose tasks are meant: anybody whom the database may have, since not every task came in by the rules."""
    if not re.fullmatch(rf"[^\0\ud800-\udfff]{{1,{USER_ID_MAX_LENGTH}}}", text):
        raise argparse.ArgumentTypeError(f"must be a user id of 1 to {USER_ID_MAX_LENGTH} characters")
    return text


def subject(text: str) -> str:
    """Whose tasks become."""
    try:
        validate_user_id(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(USER_ID_RULE) from None
    return text
