"""Strict readers of command-line options that know tasks, for the ``type`` of ``argparse``.

Raises:
    ArgumentTypeError: every reader raises it for malformed text; ``argparse`` prints the message.
"""

import re
from argparse import ArgumentTypeError
from datetime import datetime

from django.core.exceptions import ValidationError

from identity.user_ids import USER_ID_MAX_LENGTH, USER_ID_RULE
from rest.timestamps import parse_timestamp
from tasks.rules import validate_user_id


def timestamp(text: str) -> datetime:
    """Read a time as RFC 3339 writes it."""
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def existing_user_id(text: str) -> str:
    """Read a user id that the database can store, even one that no token can name."""
    if not re.fullmatch(rf"[^\0\ud800-\udfff]{{1,{USER_ID_MAX_LENGTH}}}", text):
        raise ArgumentTypeError(f"must be a user id of 1 to {USER_ID_MAX_LENGTH} characters")
    return text


def new_user_id(text: str) -> str:
    """Read the user id of a future owner, which a token must be able to name."""
    try:
        validate_user_id(text)
    except ValidationError:
        raise ArgumentTypeError(USER_ID_RULE) from None
    return text
