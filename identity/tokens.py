"""Authenticate callers by the tokens of an identity provider: ``AUTH_MODE=jwt``."""

import binascii
import json
import re
from functools import lru_cache
from time import time
from typing import Any, NamedTuple

import jwt
from django.conf import settings
from jwt.utils import base64url_decode
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from identity.authentication import Caller, read_bearer_token, refuse_token
from identity.key_set import EDDSA_CURVES, provider_keys
from identity.user_ids import USER_ID, USER_ID_RULE

#: In characters. A longer token is refused before anything reads it.
MAX_TOKEN_LENGTH = 8 * 1024

#: The compact serialization (RFC 7515, section 3.1).
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)

#: ``typ`` of access tokens (RFC 9068, section 2.1) and of JWTs in general (RFC 7519, section 5.1), in lower case.
TOKEN_TYPES = {"at+jwt", "application/at+jwt", "jwt", "application/jwt"}

#: PyJWT checks ``iss``, ``aud`` and the signature. This module checks the times and ``sub``, because PyJWT accepts
#: strings as times, and an empty ``sub``.
DECODE_OPTIONS: Any = {
    "require": ["exp", "sub", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "enforce_minimum_key_length": True,
}


class InvalidTokenError(Exception):
    """The reason why a token is refused, worded for the log, without any part of the token."""


class Claims(NamedTuple):
    """The claims of a verified token (RFC 7519, section 4.1).

    Attributes:
        subject: the user id, ``sub``.
        valid_from: the later of ``iat`` and ``nbf``, in seconds since 1970; 0 if the token has neither.
        expires: ``exp``, in seconds since 1970.
    """

    subject: str
    valid_from: int
    expires: int


class JWTAuthentication(BaseAuthentication):
    """The authentication by bearer tokens (RFC 6750), checked by the rules of RFC 8725 and RFC 9068.

    Raises:
        NotAuthenticated: the request has no bearer token.
        AuthenticationFailed: the token is invalid.
        ServiceUnavailable: no key of the provider is known, so no token can be verified.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Claims]:
        token = read_bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        try:
            claims = verify_token(token)
        except InvalidTokenError as reason:
            refuse_token(reason)
        return Caller(claims.subject), claims


def verify_token(token: str) -> Claims:
    """Return the claims of ``token`` if it is valid now.

    - ``kid`` selects a key of ``JWT_JWKS_URL``. The headers ``jku``, ``x5u``, ``x5c`` and ``jwk`` are ignored
      (RFC 8725, section 3.10).
    - The key determines the algorithm, which must be in ``JWT_ALGORITHMS`` (RFC 8725, sections 3.1 and 3.2).
      ``Ed25519`` and ``Ed448`` (RFC 9864) are names of ``EdDSA``.
    - ``exp`` is required (RFC 7519, section 4.1.4); ``nbf`` and ``iat`` are optional (sections 4.1.5 and 4.1.6).
      Clocks may differ by ``JWT_LEEWAY`` seconds.
    - ``exp`` is at most ``JWT_MAX_LIFETIME`` seconds from now, because a stolen token cannot be revoked.

    Raises:
        InvalidTokenError: the token is invalid.
        ServiceUnavailable: no key of the provider is known.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidTokenError("it is too long")
    key = provider_keys().find(*read_header(token.partition(".")[0]))
    if key is None:
        raise InvalidTokenError("the provider has no key with its kid and alg")
    claims = read_claims(token, key)
    now = time()
    if now >= claims.expires + settings.JWT_LEEWAY:
        raise InvalidTokenError("it has expired")
    if now < claims.valid_from - settings.JWT_LEEWAY:
        raise InvalidTokenError("its nbf or iat is in the future")
    if claims.expires > now + settings.JWT_MAX_LIFETIME + settings.JWT_LEEWAY:
        raise InvalidTokenError("its lifetime exceeds JWT_MAX_LIFETIME")
    return claims


@lru_cache(maxsize=64)
def read_header(segment: str) -> tuple[str, str]:
    """Return ``kid`` and ``alg`` of a token's first part, which is not verified yet.

    Raises:
        InvalidTokenError: the header is malformed, or ``alg`` is not in ``JWT_ALGORITHMS``.
    """
    try:
        header = json.loads(base64url_decode(segment))
        kid, algorithm = header["kid"], header["alg"]
    except (binascii.Error, ValueError, RecursionError, TypeError, KeyError):
        raise InvalidTokenError("its header is not a JSON object with kid and alg") from None
    family = "EdDSA" if algorithm in EDDSA_CURVES else algorithm
    if not isinstance(kid, str) or family not in settings.JWT_ALGORITHMS:
        raise InvalidTokenError("its kid is not a string, or its alg is not in JWT_ALGORITHMS")
    return kid, algorithm


# Cached, because verifying a signature takes most of the time. Each fetch makes new key objects, so no cached result
# outlives its key. ``verify_token`` compares the times at every request: docs/decisions/0006-tokens.md.
@lru_cache(maxsize=4096)
def read_claims(token: str, key: jwt.PyJWK) -> Claims:
    """Return the claims of ``token`` if ``key`` signed it.

    - The token is three parts in base64url, without padding (RFC 7515, sections 2 and 3.1).
    - ``alg`` of the header is the key's, and ``crit`` is absent (RFC 7515, section 4.1.11).
    - ``typ`` is absent, or in ``TOKEN_TYPES`` (RFC 8725, section 3.11).
    - ``iss`` is ``JWT_ISSUER`` (RFC 8725, section 3.8); ``aud`` is or contains ``JWT_AUDIENCE`` (section 3.9).
    - ``sub`` is a user id.
    - ``iat``, ``nbf`` and ``exp`` are integers, and ``exp`` is at most ``JWT_MAX_LIFETIME`` seconds after ``iat``.

    Raises:
        InvalidTokenError: the token breaks one of these rules.
    """
    if not TOKEN.fullmatch(token):
        raise InvalidTokenError("it is not three parts in base64url")
    try:
        decoded = jwt.decode_complete(
            token,
            key,
            algorithms=[key.algorithm_name],
            options=DECODE_OPTIONS,
            audience=settings.JWT_AUDIENCE,
            issuer=settings.JWT_ISSUER,
        )
    except jwt.PyJWTError as error:
        raise InvalidTokenError(type(error).__name__) from None
    header, payload = decoded["header"], decoded["payload"]
    if "crit" in header or str(header.get("typ", "JWT")).lower() not in TOKEN_TYPES:
        raise InvalidTokenError("its typ is not a JWT's, or its crit is not supported")
    if not isinstance(payload["sub"], str) or not USER_ID.fullmatch(payload["sub"]):
        raise InvalidTokenError(f"its sub {USER_ID_RULE}")
    times = {name: payload[name] for name in ("iat", "nbf", "exp") if name in payload}
    if not all(type(seconds) is int for seconds in times.values()):
        raise InvalidTokenError("its iat, nbf or exp is not an integer")
    if times["exp"] - times.get("iat", times["exp"]) > settings.JWT_MAX_LIFETIME:
        raise InvalidTokenError("its lifetime exceeds JWT_MAX_LIFETIME")
    return Claims(payload["sub"], max(times.get("iat", 0), times.get("nbf", 0)), times["exp"])
