"""Walk a list page by page, by encrypted cursors and ``Link`` headers.

A cursor holds the sort key and the id of a page's last row (keyset pagination). So a walk neither repeats nor skips a
row if other rows are added or removed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings
from django.core.signing import b64_decode, b64_encode
from django.db.models import Field
from django.utils.crypto import salted_hmac

from rest.parameters import ParameterType, invalid_parameter, whole_number
from rest.problems.types import InvalidRequest
from rest.timestamps import format_timestamp

LIMIT = whole_number(1, 1000, example=20)
CURSOR = ParameterType(str, {"type": "string", "minLength": 1}, needs="limit")


class Cursors:
    """The cursors of one list, which has one caller, one set of filters and one order.

    A cursor is encrypted and authenticated (AES-SIV, RFC 5297), because a sort key can be a title, and logs of proxies
    contain the cursor.

    Args:
        bound_to: the list that the cursors are valid for, as JSON values.
        key_field: the field of the list's sort key.
    """

    def __init__(self, bound_to: Sequence[Any], key_field: "Field[Any, Any]") -> None:
        self.bound_to = [json.dumps(bound_to).encode()]
        self.key_field = key_field

    def write(self, key: Any, id: UUID) -> str:
        """Return the cursor for the rows after the one with this sort key and id."""
        text = format_timestamp(key.astimezone(UTC)) if isinstance(key, datetime) else key
        position = json.dumps([text, str(id)], ensure_ascii=False).encode()
        return b64_encode(cipher(settings.SECRET_KEY).encrypt(position, self.bound_to)).decode()

    def read(self, cursor: str) -> tuple[Any, UUID]:
        """Return the sort key and the id that a cursor holds.

        Raises:
            InvalidRequest: the cursor is broken, or belongs to another list.
        """
        try:
            key, id_ = json.loads(cipher(settings.SECRET_KEY).decrypt(decode(cursor), self.bound_to))
        except (ValueError, InvalidTag):
            fault = invalid_parameter(
                "cursor", "is broken, or belongs to another list; take it from a Link of this list"
            )
            raise InvalidRequest(faults=[fault]) from None
        return self.key_field.to_python(key), UUID(id_)


@cache
def cipher(secret_key: str) -> AESSIV:
    """Return the cipher of cursors, whose key comes from ``SECRET_KEY``."""
    return AESSIV(salted_hmac("rest.pages.Cursors", "", secret_key, algorithm="sha512").digest())


def decode(cursor: str) -> bytes:
    """Decode base64 strictly, because Python ignores characters that base64 does not have."""
    decoded = b64_decode(cursor.encode())
    if b64_encode(decoded).decode() != cursor:
        raise ValueError("not base64")
    return decoded


def link_header(path: str, parameters: Mapping[str, str], next_cursor: str | None) -> str:
    """Return the ``Link`` (RFC 8288) to the next page, if there is one, and to the first page."""
    first = {name: text for name, text in parameters.items() if name != "cursor"}
    links = [] if next_cursor is None else [_link(path, {**first, "cursor": next_cursor}, "next")]
    return ", ".join([*links, _link(path, first, "first")])


def _link(path: str, parameters: Mapping[str, str], relation: str) -> str:
    return f'<{path}?{urlencode(parameters)}>; rel="{relation}"'
