"""``Authorization`` headers that the service refuses, and the reasons that it logs.

``make`` builds the header from a provider whose first key, ``first``, is an Ed25519 key that the service knows. The
provider also publishes ``MORE_KEYS``. If ``make`` returns ``None``, no header is sent. If ``reason`` is ``None``, the
request has no bearer token, and the service logs nothing.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import jwt
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from testing.identity_provider import AUDIENCE, ISSUER, LEFT_OUT, Provider

TOO_LONG = "it is too long"
NOT_BASE64URL = "it is not three parts in base64url"
NO_HEADER = "its header is not a JSON object with kid and alg"
KID_OR_ALG = "its kid is not a string, or its alg is not in JWT_ALGORITHMS"
NO_KEY = "the provider has no key with its kid and alg"
WRONG_SIGNATURE = "InvalidSignatureError"
UNDECODABLE = "DecodeError"
MISSING_CLAIM = "MissingRequiredClaimError"
WRONG_TYPE = "its typ is not a JWT's, or its crit is not supported"
BAD_SUBJECT = "its sub must be 1 to 255 visible ASCII characters"
NOT_INTEGER = "its iat, nbf or exp is not an integer"
EXPIRED = "it has expired"
NOT_YET_VALID = "its nbf or iat is in the future"
LONG_LIFETIME = "its lifetime exceeds JWT_MAX_LIFETIME"

YEAR_SECONDS = 365 * 24 * 60 * 60

RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = Ed25519PrivateKey.generate()


def public_jwk(key, algorithm, kid):
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid}


MORE_KEYS = [public_jwk(RSA, "RS256", "rsa"), public_jwk(EC, "ES256", "ec"), public_jwk(WEAK_RSA, "RS256", "weak")]


class Signer(NamedTuple):
    """A key for ``Provider.sign`` that signs with the function ``sign``."""

    sign: Callable[[bytes], bytes]


def hmac_with(secret):
    def sign(data):
        code = hmac.HMAC(secret, hashes.SHA256())
        code.update(data)
        return code.finalize()

    return Signer(sign)


def pem(key):
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki)


RS256 = Signer(lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA256()))
WEAK_RS256 = Signer(lambda data: WEAK_RSA.sign(data, padding.PKCS1v15(), hashes.SHA256()))
DER_ES256 = Signer(lambda data: EC.sign(data, ec.ECDSA(hashes.SHA256())))
UNSIGNED = Signer(lambda _: b"")
ZEROS = Signer(lambda _: bytes(64))


def es256(data):
    numbers = decode_dss_signature(EC.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)


ES256 = Signer(es256)


class BadToken(NamedTuple):
    name: str
    make: Callable[[Provider], str | None]
    reason: str | None


def bearer(name, token, reason):
    return BadToken(name, lambda provider: f"Bearer {token(provider)}", reason)


def with_header(name, reason, key=None, **members):
    """Return a row for a valid token with these header members replaced."""
    return bearer(name, lambda provider: provider.token(header=members, key=key), reason)


def with_claims(name, reason, **claims):
    """Return a row for a valid token with these claims replaced."""
    return bearer(name, lambda provider: provider.token(**{n: resolve(value) for n, value in claims.items()}), reason)


def resolve(value):
    return int(time.time()) + value.seconds if isinstance(value, FromNow) else value


class FromNow(NamedTuple):
    seconds: int


def with_payload(name, text, reason):
    """Return a row for a signed token with this payload.

    The required claims, except ``exp``, replace ``%(valid)s`` in the payload.
    """

    def token(provider):
        valid = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice"})[1:-1]
        return provider.sign(valid_header(provider), text % {b"valid": valid.encode()})

    return bearer(name, token, reason)


def valid_header(provider):
    return json.dumps({"alg": "EdDSA", "kid": next(iter(provider.keys))}).encode()


def with_raw_header(name, text, reason):
    return bearer(name, lambda provider: provider.sign(text, b"{}"), reason)


def with_change(name, change, reason):
    """Return a row for a valid token that ``change`` alters after signing."""
    return bearer(name, lambda provider: change(provider.token()), reason)


def with_changed_parts(name, change, reason):
    """Return a row for a valid token whose three parts ``change`` alters after signing."""
    return with_change(name, lambda token: ".".join(change(*token.split("."))), reason)


def flip_bit(part):
    """Flip one bit of the bytes that ``part`` encodes."""
    value = bytearray(base64.urlsafe_b64decode(part + "=="))
    value[len(value) // 2] ^= 1
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def edit(part, **members):
    """Replace members of the JSON object that ``part`` encodes."""
    value = json.loads(base64.urlsafe_b64decode(part + "=="))
    return base64.urlsafe_b64encode(json.dumps({**value, **members}).encode()).rstrip(b"=").decode()


def set_unused_bit(part):
    """Set a bit of the last character that base64url ignores, so that the decoded bytes stay the same."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]


NO_TOKEN = [
    BadToken("no header", lambda _: None, None),
    BadToken("an empty header", lambda _: "", None),
    BadToken("white space", lambda _: "   ", None),
    BadToken("a scheme without a token", lambda _: "Bearer", None),
    BadToken("a scheme and a space", lambda _: "Bearer ", None),
    BadToken("a scheme and white space", lambda _: "Bearer    ", None),
    BadToken("another scheme", lambda _: "Basic YWxpY2U6c2VjcmV0", None),
    BadToken("another scheme with a valid token", lambda provider: f"Token {provider.token()}", None),
    BadToken("DPoP", lambda provider: f"DPoP {provider.token()}", None),
    BadToken("a token without a scheme", lambda provider: provider.token(), None),
    BadToken("a comma after the scheme", lambda provider: f"Bearer, {provider.token()}", None),
    BadToken("a colon after the scheme", lambda provider: f"Bearer: {provider.token()}", None),
    BadToken("a tab after the scheme", lambda provider: f"Bearer\t{provider.token()}", None),
    BadToken("a scheme that is not ASCII", lambda provider: f"Beärer {provider.token()}", None),
]

FORMS = [
    bearer("one word", lambda _: "undefined", NO_HEADER),
    bearer("one part", lambda _: "YQ", NO_HEADER),
    bearer("two parts", lambda _: "YQ.YQ", NO_HEADER),
    bearer("five parts, encrypted", lambda _: "YQ.YQ.YQ.YQ.YQ", NO_HEADER),
    bearer("three empty parts", lambda _: "..", NO_HEADER),
    bearer("not base64", lambda _: "%%%.???.!!!", NO_HEADER),
    bearer("not ASCII", lambda provider: provider.token() + "é", NOT_BASE64URL),
    bearer("NUL inside", lambda provider: provider.token() + "\0", NOT_BASE64URL),
    bearer("quoted", lambda provider: f'"{provider.token()}"', NO_HEADER),
    bearer("padded", lambda provider: f"{provider.token()}=", NOT_BASE64URL),
    bearer("two tokens", lambda provider: f"{provider.token()} {provider.token()}", NOT_BASE64URL),
    bearer("two joined headers", lambda provider: f"{provider.token()}, Bearer {provider.token()}", NOT_BASE64URL),
    bearer("the scheme twice", lambda provider: f"Bearer {provider.token()}", NO_HEADER),
    # Longer tokens never arrive, because the API refuses their header with a 431.
    bearer("8,219 characters, signed", lambda provider: provider.token(more="x" * 5_930), TOO_LONG),
    with_changed_parts("two parts of a valid token", lambda head, body, _: (head, body), NOT_BASE64URL),
    with_change("a valid token and a fourth part", lambda token: f"{token}.YQ", NOT_BASE64URL),
    with_changed_parts("no signature", lambda head, body, _: (head, body, ""), NOT_BASE64URL),
]

HEADERS = [
    bearer("a part of one character", lambda _: "Y.YQ.YQ", NO_HEADER),
    with_raw_header("a header that is not JSON", b"alg=EdDSA", NO_HEADER),
    with_raw_header("a header that is not UTF-8", b'{"alg":"\xff"}', NO_HEADER),
    with_raw_header("a deeply nested header", b"[" * 3000, NO_HEADER),
    with_raw_header("a header that is a list", b'["EdDSA"]', NO_HEADER),
    with_raw_header("a header that is a string", b'"EdDSA"', NO_HEADER),
    with_raw_header("a header without members", b"{}", NO_HEADER),
    with_header("no alg", NO_HEADER, alg=LEFT_OUT),
    with_header("alg none, unsigned", KID_OR_ALG, UNSIGNED, alg="none"),
    with_header("alg none", KID_OR_ALG, alg="none"),
    with_header("alg None", KID_OR_ALG, alg="None"),
    with_header("alg NONE", KID_OR_ALG, alg="NONE"),
    with_header("alg null", KID_OR_ALG, alg=None),
    with_header("alg a list", KID_OR_ALG, alg=["EdDSA"]),
    with_header("alg an object", KID_OR_ALG, alg={}),
    with_header("alg in another case", KID_OR_ALG, alg="eddsa"),
    with_header("an algorithm that JWT_ALGORITHMS lacks", KID_OR_ALG, alg="ES384"),
    with_header("an unknown algorithm", KID_OR_ALG, alg="XYZ"),
    with_header("HS256 with the public key", KID_OR_ALG, hmac_with(pem(RSA)), alg="HS256", kid="rsa"),
    with_header(
        "HS256 with the public key as JWK", KID_OR_ALG, hmac_with(json.dumps(MORE_KEYS[0]).encode()), alg="HS256"
    ),
    with_header("HS256 with an empty secret", KID_OR_ALG, hmac_with(b""), alg="HS256"),
    with_header("an algorithm that does not fit the key", NO_KEY, alg="ES256"),
    with_header("the algorithm of another curve, Ed448", NO_KEY, alg="Ed448"),
    with_header("RS256 with the id of an elliptic key", NO_KEY, RS256, alg="RS256", kid="ec"),
    with_header("no kid", NO_HEADER, kid=LEFT_OUT),
    with_header("kid null", KID_OR_ALG, kid=None),
    with_header("kid a number", KID_OR_ALG, kid=1),
    with_header("kid a list", KID_OR_ALG, kid=["first"]),
    with_header("an unknown kid", NO_KEY, kid="unknown"),
    with_header("an empty kid", NO_KEY, kid=""),
    with_header("kid with a path", NO_KEY, kid="../../../../dev/null"),
    with_header("kid with SQL", NO_KEY, kid="first' OR '1'='1"),
    with_header("kid with a line feed", NO_KEY, kid="first\nINFO all is well"),
    with_header("kid of 4 KB", NO_KEY, kid="k" * 4_000),
    with_header("crit", "InvalidTokenError", crit=["exp"]),
    with_header("an empty crit", "InvalidTokenError", crit=[]),
    with_header("crit of a header that is present", WRONG_TYPE, crit=["b64"], b64=True),
    with_header("an unencoded payload", UNDECODABLE, crit=["b64"], b64=False),
    with_header("typ of a logout token", WRONG_TYPE, typ="logout+jwt"),
    with_header("typ of a security event", WRONG_TYPE, typ="secevent+jwt"),
    with_header("typ of a proof", WRONG_TYPE, typ="dpop+jwt"),
    with_header("typ null", WRONG_TYPE, typ=None),
    with_header("typ a list", WRONG_TYPE, typ=["JWT"]),
]

SIGNATURES = [
    with_changed_parts(
        "a bit of the signature flipped", lambda head, body, sig: (head, body, flip_bit(sig)), WRONG_SIGNATURE
    ),
    with_changed_parts(
        "another subject after signing", lambda head, body, sig: (head, edit(body, sub="bob"), sig), WRONG_SIGNATURE
    ),
    with_changed_parts(
        "another header after signing", lambda head, body, sig: (edit(head, typ="JWT"), body, sig), WRONG_SIGNATURE
    ),
    with_changed_parts("half a signature", lambda head, body, sig: (head, body, sig[:44]), WRONG_SIGNATURE),
    with_changed_parts(
        "a signature with an unused bit set", lambda head, body, sig: (head, body, set_unused_bit(sig)), UNDECODABLE
    ),
    with_header("another key under the same kid", WRONG_SIGNATURE, STRANGER),
    with_header("zeros for a signature", WRONG_SIGNATURE, ZEROS),
    with_header("zeros for an elliptic signature", WRONG_SIGNATURE, ZEROS, alg="ES256", kid="ec"),
    with_header("an elliptic signature in DER", WRONG_SIGNATURE, DER_ES256, alg="ES256", kid="ec"),
    with_header("an RSA key of 1024 bits", "InvalidKeyError", WEAK_RS256, alg="RS256", kid="weak"),
]

CLAIMS = [
    with_payload("a payload that is not JSON", b"%%", UNDECODABLE),
    with_payload("a payload that is a list", b"[]", UNDECODABLE),
    with_payload("a payload that is not UTF-8", b'{"sub": "\xff"}', UNDECODABLE),
    with_payload("a deeply nested payload", b'{"a":' + b"[" * 3000, UNDECODABLE),
    with_payload("an empty payload", b"{}", MISSING_CLAIM),
    with_claims("expired", EXPIRED, iat=FromNow(-100), exp=FromNow(-31)),
    with_claims("expired in 1970", EXPIRED, iat=0, exp=0),
    with_claims("expired at -10^30", EXPIRED, iat=-(10**30), exp=-(10**30)),
    with_claims("not yet valid", NOT_YET_VALID, nbf=FromNow(40)),
    with_claims("issued in the future", NOT_YET_VALID, iat=FromNow(40), exp=FromNow(900)),
    with_claims("valid from 10^30", NOT_YET_VALID, nbf=10**30),
    with_claims("no exp", MISSING_CLAIM, exp=LEFT_OUT),
    with_claims("exp null", MISSING_CLAIM, exp=None),
    with_claims("exp a string", NOT_INTEGER, exp="4102444800"),
    with_claims("exp a fraction", NOT_INTEGER, exp=4102444800.5),
    with_claims("exp true", NOT_INTEGER, exp=True),
    with_claims("exp a list", NOT_INTEGER, exp=[4102444800]),
    with_payload("exp NaN", b'{%(valid)s, "exp": NaN}', NOT_INTEGER),
    with_payload("exp Infinity", b'{%(valid)s, "exp": Infinity}', NOT_INTEGER),
    with_payload("exp 1e30", b'{%(valid)s, "exp": 1e30}', NOT_INTEGER),
    with_payload("exp of 5,000 digits", b'{%%(valid)s, "exp": %s}' % (b"9" * 5000), UNDECODABLE),
    with_claims("exp 10^30", LONG_LIFETIME, exp=10**30),
    with_claims("exp 10^30, no iat", LONG_LIFETIME, exp=10**30, iat=LEFT_OUT),
    with_claims("a lifetime of a year", LONG_LIFETIME, exp=FromNow(YEAR_SECONDS)),
    with_claims("a lifetime of a year, no iat", LONG_LIFETIME, exp=FromNow(YEAR_SECONDS), iat=LEFT_OUT),
    with_claims("a lifetime of a year, nearly over", LONG_LIFETIME, iat=FromNow(60 - YEAR_SECONDS), exp=FromNow(60)),
    with_claims("a lifetime of an hour and a second", LONG_LIFETIME, iat=FromNow(0), exp=FromNow(3601)),
    with_claims("nbf a string", NOT_INTEGER, nbf="0"),
    with_claims("nbf null", NOT_INTEGER, nbf=None),
    with_claims("iat a string", NOT_INTEGER, iat="0"),
    with_claims("iat a fraction", NOT_INTEGER, iat=0.5),
    with_claims("no issuer", MISSING_CLAIM, iss=LEFT_OUT),
    with_claims("another issuer", "InvalidIssuerError", iss="https://evil.example.org"),
    with_claims("an issuer with a slash", "InvalidIssuerError", iss=f"{ISSUER}/"),
    with_claims("an empty issuer", "InvalidIssuerError", iss=""),
    with_claims("a list of issuers", "InvalidIssuerError", iss=[ISSUER]),
    with_claims("no audience", MISSING_CLAIM, aud=LEFT_OUT),
    with_claims("another audience", "InvalidAudienceError", aud="https://other.example.org"),
    with_claims("an audience with the same beginning", "InvalidAudienceError", aud=f"{AUDIENCE}.evil.example"),
    with_claims("a list of audiences without this one", "InvalidAudienceError", aud=["a", "b"]),
    with_claims("an empty list of audiences", MISSING_CLAIM, aud=[]),
    with_claims("a list of audiences with a number", "InvalidAudienceError", aud=[AUDIENCE, 1]),
    with_claims("an audience that is an object", "InvalidAudienceError", aud={AUDIENCE: 1}),
    with_claims("no subject", MISSING_CLAIM, sub=LEFT_OUT),
    with_claims("subject null", MISSING_CLAIM, sub=None),
    with_claims("an empty subject", BAD_SUBJECT, sub=""),
    with_claims("a subject that is a number", BAD_SUBJECT, sub=1),
    with_claims("a subject that is a list", BAD_SUBJECT, sub=["alice"]),
    with_claims("a subject of 256 characters", BAD_SUBJECT, sub="a" * 256),
    with_claims("a subject with NUL", BAD_SUBJECT, sub="ali\0ce"),
    with_claims("a subject with a surrogate", BAD_SUBJECT, sub="ali\ud800ce"),
    with_claims("a subject with a space", BAD_SUBJECT, sub="alice smith"),
    with_claims("a subject with a line feed", BAD_SUBJECT, sub="alice\n"),
    with_claims("a subject that is not ASCII", BAD_SUBJECT, sub="älice"),
    with_claims("a jti that is a number", "InvalidJTIError", jti=1),
]

BAD_TOKENS = [*NO_TOKEN, *FORMS, *HEADERS, *SIGNATURES, *CLAIMS]
