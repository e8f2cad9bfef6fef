"""Who is asking. ``AUTH_MODE`` chooses the class, and nothing else asks for the mode."""

import binascii
import json
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Any, NamedTuple

import jwt
from django.conf import settings
from jwt.utils import base64url_decode
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from identity.key_set import provider_keys
from rest.problems.types import AuthenticationFailed, NotAuthenticated

logger = logging.getLogger(__name__)

#: Characters of a token that is looked at.
MAX_TOKEN_LENGTH = 8 * 1024

#: The compact serialization (RFC 7515, section 3.1).
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)

#: A user id: visible ASCII characters.
SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")

#: The ``typ`` of access tokens (RFC 9068, section 2.1), and of tokens that say no more than that they are one.
TYPES = {"at+jwt", "application/at+jwt", "jwt", "application/jwt"}

#: Of which PyJWT looks at ``iss``, ``aud`` and the signature; what it would be lenient with is looked at below.
DECODING: Any = {
    "require": ["exp", "sub", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "enforce_minimum_key_length": True,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request: a subject that owns tasks, and no Django user.

    ``pk`` is the user id, by the name that REST framework asks a user for it.
    """

    pk: str
    is_authenticated: bool = True


SINGLE_USER = Caller("default")


class SingleUserAuthentication(BaseAuthentication):
    """``AUTH_MODE=single-user``: no token is asked for, and every task belongs to ``default``."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        return SINGLE_USER, None


class InvalidTokenError(Exception):
    """Why a token does not hold, in words for the log, which quote nothing of it."""


class Claims(NamedTuple):
    """What a token says: whose it is, and between which seconds since 1970 it holds."""

    subject: str
    begins: int
    expires: int


class JWTAuthentication(BaseAuthentication):
    """``AUTH_MODE=jwt``: a bearer token (RFC 6750) that the identity provider signed, by RFC 8725 and RFC 9068.

    What is wrong with a token stands in the log; the client learns no more than that it does not hold.

    Raises:
        NotAuthenticated: there is no bearer token.
        AuthenticationFailed: it does not hold.
        ServiceUnavailable: no key of the provider is known, so that nothing can be said of any token.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Claims]:
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        try:
            claims = verify(token)
        except InvalidTokenError as reason:
            logger.info("A token was refused: %s", reason)
            raise AuthenticationFailed from None
        return Caller(claims.subject), claims


def bearer_token(authorization: str) -> str:
    """The credentials of an ``Authorization`` header (RFC 6750, section 2.1); the scheme's case is of no account."""
    scheme, _, credentials = authorization.partition(" ")
    token = credentials.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated
    return token


def verify(token: str) -> Claims:
    """What ``token`` says, if it holds now.

    - Its size is bounded before anything of it is read.
    - ``kid`` finds the key, among those of ``JWT_JWKS_URL`` only: ``jku``, ``x5u``, ``x5c`` and ``jwk`` are not
      followed (RFC 8725, section 3.10). The key names the algorithm, out of ``JWT_ALGORITHMS`` (sections 3.1 and 3.2).
    - ``exp`` (RFC 7519, section 4.1.4), and ``nbf`` and ``iat`` where they are there (4.1.5 and 4.1.6), with
      ``JWT_LEEWAY`` seconds for clocks that differ. A life of more than ``JWT_MAX_LIFETIME`` seconds is refused, so
      that a stolen token, which nobody can call back, does not last.

    Raises:
        InvalidTokenError: it does not hold.
        ServiceUnavailable: no key of the provider is known.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidTokenError("it is too long")
    key = provider_keys().find(*read_header(token.partition(".")[0]))
    if key is None:
        raise InvalidTokenError("the provider has no key of its kid and alg")
    claims = read_claims(token, key)
    now = time()
    if now >= claims.expires + settings.JWT_LEEWAY:
        raise InvalidTokenError("it has expired")
    if now < claims.begins - settings.JWT_LEEWAY:
        raise InvalidTokenError("its nbf or iat is yet to come")
    if claims.expires > now + settings.JWT_MAX_LIFETIME + settings.JWT_LEEWAY:
        raise InvalidTokenError("it lives longer than JWT_MAX_LIFETIME")
    return claims


@lru_cache(maxsize=64)
def read_header(segment: str) -> tuple[str, str]:
    """``kid`` and ``alg`` of a header, of which nothing has been verified yet."""
    try:
        header = json.loads(base64url_decode(segment))
        kid, algorithm = header["kid"], header["alg"]
    except (binascii.Error, ValueError, RecursionError, TypeError, KeyError):
        raise InvalidTokenError("its header is not a JSON object with kid and alg") from None
    if not isinstance(kid, str) or algorithm not in settings.JWT_ALGORITHMS:
        raise InvalidTokenError("its kid is not a string, or its alg not among JWT_ALGORITHMS")
    return kid, algorithm


# The signature of a token that has been verified with a key holds for as long as there is that key, which is another
# object whenever the keys are fetched anew. Whether it has expired is asked each time. docs/decisions/0006-tokens.md.
@lru_cache(maxsize=4096)
def read_claims(token: str, key: jwt.PyJWK) -> Claims:
    """What ``token`` says, if it is signed with ``key``.

    - It is three parts in base64url, without padding (RFC 7515, sections 2 and 3.1).
    - The header's ``alg`` is the key's own, and its ``crit`` is understood (RFC 7515, section 4.1.11).
    - ``typ``, where it is there, is that of an access token or of a token in general (RFC 8725, section 3.11).
    - ``iss`` is ``JWT_ISSUER`` (section 3.8), ``aud`` is or holds ``JWT_AUDIENCE`` (section 3.9).
    - ``sub`` is a user id, the times are integers, and ``exp`` is no later than ``JWT_MAX_LIFETIME`` after ``iat``.

    Raises:
        InvalidTokenError: one of these is not so.
    """
    if not TOKEN.fullmatch(token):
        raise InvalidTokenError("it is not three parts in base64url")
    try:
        decoded = jwt.decode_complete(
            token,
            key,
            algorithms=settings.JWT_ALGORITHMS,
            options=DECODING,
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
        )
    except jwt.PyJWTError as error:
        raise InvalidTokenError(type(error).__name__) from None
    header, payload = decoded["header"], decoded["payload"]
    if "crit" in header or str(header.get("typ", "JWT")).lower() not in TYPES:
        raise InvalidTokenError("its typ is of another kind of token, or its crit not understood")
    if not isinstance(payload["sub"], str) or not SUBJECT.fullmatch(payload["sub"]):
        raise InvalidTokenError("its sub is not 1 to 255 visible ASCII characters")
    times = {name: payload[name] for name in ("iat", "nbf", "exp") if name in payload}
    if not all(type(moment) is int for moment in times.values()):
        raise InvalidTokenError("its iat, nbf or exp is not an integer")
    if times["exp"] - times.get("iat", times["exp"]) > settings.JWT_MAX_LIFETIME:
        raise InvalidTokenError("it lives longer than JWT_MAX_LIFETIME")
    return Claims(payload["sub"], max(times.get("iat", 0), times.get("nbf", 0)), times["exp"])
