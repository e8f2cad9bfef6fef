"""``Authorization`` headers that are refused, and what the log says of each.

``make`` makes the header from an identity provider, whose key ``first`` is an Ed25519 key that the service knows; the
provider has ``more`` keys, ``rsa`` and ``ec``. ``None`` sends no header. ``reason`` is what the log says; without one
there is no token, and the log says nothing.
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
FORM = "it is not three parts in base64url"
NO_HEADER = "its header is not a JSON object with kid and alg"
KID_OR_ALG = "its kid is not a string, or its alg not among JWT_ALGORITHMS"
NO_KEY = "the provider has no key of its kid and alg"
SIGNATURE = "InvalidSignatureError"
DECODE = "DecodeError"
MISSING = "MissingRequiredClaimError"
TYPE = "its typ is of another kind of token, or its crit not understood"
SUBJECT = "its sub is not 1 to 255 visible ASCII characters"
TIMES = "its iat, nbf or exp is not an integer"
EXPIRED = "it has expired"
EARLY = "its nbf or iat is yet to come"
LONG = "it lives longer than JWT_MAX_LIFETIME"

YEAR = 365 * 24 * 60 * 60

RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = Ed25519PrivateKey.generate()


def public_jwk(key, algorithm, kid):
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid}


MORE_KEYS = [public_jwk(RSA, "RS256", "rsa"), public_jwk(EC, "ES256", "ec"), public_jwk(WEAK_RSA, "RS256", "weak")]


class Sign(NamedTuple):
    """A key, as ``Provider.signed`` takes it, that signs as ``sign`` does."""

    sign: Callable[[bytes], bytes]


def hmac_with(secret):
    def sign(data):
        code = hmac.HMAC(secret, hashes.SHA256())
        code.update(data)
        return code.finalize()

    return Sign(sign)


def pem(key):
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki)


RS256 = Sign(lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA256()))
WEAK_RS256 = Sign(lambda data: WEAK_RSA.sign(data, padding.PKCS1v15(), hashes.SHA256()))
DER_ES256 = Sign(lambda data: EC.sign(data, ec.ECDSA(hashes.SHA256())))
UNSIGNED = Sign(lambda _: b"")
ZEROS = Sign(lambda _: bytes(64))


def es256(data):
    numbers = decode_dss_signature(EC.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)


ES256 = Sign(es256)


class BadToken(NamedTuple):
    name: str
    make: Callable[[Provider], str | None]
    reason: str | None


def bearer(name, token, reason):
    return BadToken(name, lambda provider: f"Bearer {token(provider)}", reason)


def header(name, reason, key=None, **members):
    """A token whose header is sound but for these members."""
    return bearer(name, lambda provider: provider.token(header=members, key=key), reason)


def claims(name, reason, **claims):
    """A token whose payload is sound but for these claims, or what they are some seconds from now."""
    return bearer(name, lambda provider: provider.token(**{n: settled(value) for n, value in claims.items()}), reason)


def settled(value):
    return int(time.time()) + value.seconds if isinstance(value, FromNow) else value


class FromNow(NamedTuple):
    seconds: int


def payload(name, text, reason):
    """A signed token of any payload; ``{…}`` around it, and the sound claims but for ``exp`` before it, are given."""

    def token(provider):
        sound = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice"})[1:-1]
        return provider.signed(sound_header(provider), text % {b"sound": sound.encode()})

    return bearer(name, token, reason)


def sound_header(provider):
    return json.dumps({"alg": "EdDSA", "kid": next(iter(provider.keys))}).encode()


def raw_header(name, text, reason):
    return bearer(name, lambda provider: provider.signed(text, b"{}"), reason)


def changed(name, change, reason):
    """A sound token whose text is then changed."""
    return bearer(name, lambda provider: change(provider.token()), reason)


def parts(change):
    return lambda token: ".".join(change(*token.split(".")))


def flipped(part, bit=1):
    """The same text in base64url, with one bit of what it stands for flipped."""
    value = bytearray(base64.urlsafe_b64decode(part + "=="))
    value[len(value) // 2] ^= bit
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def edited(part, **members):
    value = json.loads(base64.urlsafe_b64decode(part + "=="))
    return base64.urlsafe_b64encode(json.dumps({**value, **members}).encode()).rstrip(b"=").decode()


def unused_bits(part):
    """The same bytes, from another text: the last character's unused bits are set."""
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
    BadToken("another scheme with a sound token", lambda provider: f"Token {provider.token()}", None),
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
    bearer("not ASCII", lambda provider: provider.token() + "é", FORM),
    bearer("NUL inside", lambda provider: provider.token() + "\0", FORM),
    bearer("quoted", lambda provider: f'"{provider.token()}"', NO_HEADER),
    bearer("padded", lambda provider: f"{provider.token()}=", FORM),
    bearer("two tokens", lambda provider: f"{provider.token()} {provider.token()}", FORM),
    bearer("two headers, joined", lambda provider: f"{provider.token()}, Bearer {provider.token()}", FORM),
    bearer("the scheme twice", lambda provider: f"Bearer {provider.token()}", NO_HEADER),
    bearer("100 KB", lambda _: "YQ.YQ." + "YQ" * 50_000, TOO_LONG),
    bearer("8 KB and a character, signed", lambda provider: provider.token(more="x" * 8192), TOO_LONG),
    changed("two parts of a sound token", parts(lambda head, body, _: (head, body)), FORM),
    changed("four parts, three of them sound", lambda token: f"{token}.YQ", FORM),
    changed("no signature", parts(lambda head, body, _: (head, body, "")), FORM),
]

HEADERS = [
    bearer("a length that base64 does not have", lambda _: "Y.YQ.YQ", NO_HEADER),
    raw_header("a header that is not JSON", b"alg=EdDSA", NO_HEADER),
    raw_header("a header that is not UTF-8", b'{"alg":"\xff"}', NO_HEADER),
    raw_header("a header that nests", b"[" * 3000, NO_HEADER),
    raw_header("a header that is a list", b'["EdDSA"]', NO_HEADER),
    raw_header("a header that is a text", b'"EdDSA"', NO_HEADER),
    raw_header("a header without members", b"{}", NO_HEADER),
    header("no alg", NO_HEADER, alg=LEFT_OUT),
    header("alg none, unsigned", KID_OR_ALG, UNSIGNED, alg="none"),
    header("alg none", KID_OR_ALG, alg="none"),
    header("alg None", KID_OR_ALG, alg="None"),
    header("alg NONE", KID_OR_ALG, alg="NONE"),
    header("alg null", KID_OR_ALG, alg=None),
    header("alg a list", KID_OR_ALG, alg=["EdDSA"]),
    header("alg an object", KID_OR_ALG, alg={}),
    header("alg in another case", KID_OR_ALG, alg="eddsa"),
    header("an algorithm that is not on the list", KID_OR_ALG, alg="ES384"),
    header("an algorithm that nobody knows", KID_OR_ALG, alg="XYZ"),
    header("HS256 with the public key", KID_OR_ALG, hmac_with(pem(RSA)), alg="HS256", kid="rsa"),
    header("HS256 with the public key as JWK", KID_OR_ALG, hmac_with(json.dumps(MORE_KEYS[0]).encode()), alg="HS256"),
    header("HS256 with an empty secret", KID_OR_ALG, hmac_with(b""), alg="HS256"),
    header("an algorithm that does not fit the key", NO_KEY, alg="ES256"),
    header("RS256 with the id of an elliptic key", NO_KEY, RS256, alg="RS256", kid="ec"),
    header("no kid", NO_HEADER, kid=LEFT_OUT),
    header("kid null", KID_OR_ALG, kid=None),
    header("kid a number", KID_OR_ALG, kid=1),
    header("kid a list", KID_OR_ALG, kid=["first"]),
    header("an unknown kid", NO_KEY, kid="unknown"),
    header("an empty kid", NO_KEY, kid=""),
    header("kid of a file", NO_KEY, kid="../../../../dev/null"),
    header("kid of a query", NO_KEY, kid="first' OR '1'='1"),
    header("kid with a line feed", NO_KEY, kid="first\nINFO all is well"),
    header("kid of 10 KB", TOO_LONG, kid="k" * 10_000),
    header("kid of 4 KB", NO_KEY, kid="k" * 4_000),
    header("crit", "InvalidTokenError", crit=["exp"]),
    header("crit, empty", "InvalidTokenError", crit=[]),
    header("crit of what is there", TYPE, crit=["b64"], b64=True),
    header("an unencoded payload", DECODE, crit=["b64"], b64=False),
    header("typ of a logout token", TYPE, typ="logout+jwt"),
    header("typ of a security event", TYPE, typ="secevent+jwt"),
    header("typ of a proof", TYPE, typ="dpop+jwt"),
    header("typ null", TYPE, typ=None),
    header("typ a list", TYPE, typ=["JWT"]),
]

SIGNATURES = [
    changed("a bit of the signature flipped", parts(lambda head, body, sig: (head, body, flipped(sig))), SIGNATURE),
    changed("another subject put in", parts(lambda head, body, sig: (head, edited(body, sub="bob"), sig)), SIGNATURE),
    changed("a header put in", parts(lambda head, body, sig: (edited(head, typ="JWT"), body, sig)), SIGNATURE),
    changed("half a signature", parts(lambda head, body, sig: (head, body, sig[:44])), SIGNATURE),
    changed("a signature spelled otherwise", parts(lambda head, body, sig: (head, body, unused_bits(sig))), DECODE),
    header("another key under the same kid", SIGNATURE, STRANGER),
    header("zeros for a signature", SIGNATURE, ZEROS),
    header("zeros for an elliptic signature", SIGNATURE, ZEROS, alg="ES256", kid="ec"),
    header("an elliptic signature in DER", SIGNATURE, DER_ES256, alg="ES256", kid="ec"),
    header("an RSA key of 1024 bits", "InvalidKeyError", WEAK_RS256, alg="RS256", kid="weak"),
]

CLAIMS = [
    payload("a payload that is not JSON", b"%%", DECODE),
    payload("a payload that is a list", b"[]", DECODE),
    payload("a payload that is not UTF-8", b'{"sub": "\xff"}', DECODE),
    payload("a payload that nests", b'{"a":' + b"[" * 3000, DECODE),
    payload("an empty payload", b"{}", MISSING),
    claims("expired", EXPIRED, iat=FromNow(-100), exp=FromNow(-31)),
    claims("expired in 1970", EXPIRED, iat=0, exp=0),
    claims("expired long before", EXPIRED, iat=-(10**30), exp=-(10**30)),
    claims("not yet valid", EARLY, nbf=FromNow(40)),
    claims("issued in the future", EARLY, iat=FromNow(40), exp=FromNow(900)),
    claims("valid in 10^30", EARLY, nbf=10**30),
    claims("no exp", MISSING, exp=LEFT_OUT),
    claims("exp null", MISSING, exp=None),
    claims("exp a text", TIMES, exp="4102444800"),
    claims("exp a fraction", TIMES, exp=4102444800.5),
    claims("exp true", TIMES, exp=True),
    claims("exp a list", TIMES, exp=[4102444800]),
    payload("exp NaN", b'{%(sound)s, "exp": NaN}', TIMES),
    payload("exp Infinity", b'{%(sound)s, "exp": Infinity}', TIMES),
    payload("exp 1e30", b'{%(sound)s, "exp": 1e30}', TIMES),
    payload("exp of 5,000 digits", b'{%%(sound)s, "exp": %s}' % (b"9" * 5000), DECODE),
    claims("exp 10^30", LONG, exp=10**30),
    claims("exp 10^30, issued at no time", LONG, exp=10**30, iat=LEFT_OUT),
    claims("a life of a year", LONG, exp=FromNow(YEAR)),
    claims("a life of a year, issued at no time", LONG, exp=FromNow(YEAR), iat=LEFT_OUT),
    claims("a life of a year, nearly over", LONG, iat=FromNow(60 - YEAR), exp=FromNow(60)),
    claims("a life of an hour and a second", LONG, iat=FromNow(0), exp=FromNow(3601)),
    claims("nbf a text", TIMES, nbf="0"),
    claims("nbf null", TIMES, nbf=None),
    claims("iat a text", TIMES, iat="0"),
    claims("iat a fraction", TIMES, iat=0.5),
    claims("no issuer", MISSING, iss=LEFT_OUT),
    claims("another issuer", "InvalidIssuerError", iss="https://evil.example.org"),
    claims("an issuer with a slash", "InvalidIssuerError", iss=f"{ISSUER}/"),
    claims("an empty issuer", "InvalidIssuerError", iss=""),
    claims("a list of issuers", "InvalidIssuerError", iss=[ISSUER]),
    claims("no audience", MISSING, aud=LEFT_OUT),
    claims("another audience", "InvalidAudienceError", aud="https://other.example.org"),
    claims("an audience that begins alike", "InvalidAudienceError", aud=f"{AUDIENCE}.evil.example"),
    claims("a list of audiences without this one", "InvalidAudienceError", aud=["a", "b"]),
    claims("an empty list of audiences", MISSING, aud=[]),
    claims("a list of audiences that are no texts", "InvalidAudienceError", aud=[AUDIENCE, 1]),
    claims("an audience that is an object", "InvalidAudienceError", aud={AUDIENCE: 1}),
    claims("no subject", MISSING, sub=LEFT_OUT),
    claims("subject null", MISSING, sub=None),
    claims("an empty subject", SUBJECT, sub=""),
    claims("a subject that is a number", SUBJECT, sub=1),
    claims("a subject that is a list", SUBJECT, sub=["alice"]),
    claims("a subject of 256 characters", SUBJECT, sub="a" * 256),
    claims("a subject with NUL", SUBJECT, sub="ali\0ce"),
    claims("a subject with a surrogate", SUBJECT, sub="ali\ud800ce"),
    claims("a subject with a space", SUBJECT, sub="alice smith"),
    claims("a subject with a line feed", SUBJECT, sub="alice\n"),
    claims("a subject that is not ASCII", SUBJECT, sub="älice"),
    claims("a jti that is no text", "InvalidJTIError", jti=1),
]

BAD_TOKENS = [*NO_TOKEN, *FORMS, *HEADERS, *SIGNATURES, *CLAIMS]
