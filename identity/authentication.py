"""Represent callers, and read and refuse tokens, for the modules of both modes (``AUTH_MODE``)."""

import logging
from dataclasses import dataclass
from typing import NoReturn

from rest.problems.types import AuthenticationFailed, NotAuthenticated

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of the tasks that a request may see; unrelated to the admin's users.

    Attributes:
        pk: the user id, under the name that REST framework reads.
    """

    pk: str
    is_authenticated: bool = True


def read_bearer_token(authorization: str) -> str:
    """Return the token of an ``Authorization`` header (RFC 6750, section 2.1) in any case of ``Bearer``.

    Raises:
        NotAuthenticated: the header has another scheme, or no token.
    """
    scheme, _, credentials = authorization.partition(" ")
    token = credentials.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated
    return token


def refuse_token(reason: object) -> NoReturn:
    """Log the reason of a refusal. The client only learns that the token is invalid.

    Raises:
        AuthenticationFailed: always.
    """
    logger.info("A token was refused: %s", reason)
    raise AuthenticationFailed from None
