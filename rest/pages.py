"""Walk a list page by page, by signed cursors and ``Link`` headers.

A cursor holds the sort key and the id of a page's last row (keyset pagination). So a walk neither repeats nor skips a
row if other rows are added or removed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import Field

from rest.parameters import ParameterType, invalid_parameter, whole_number
from rest.problems.types import InvalidRequest
from rest.timestamps import format_timestamp

LIMIT = whole_number(1, 1000, example=20)
CURSOR = ParameterType(str, {"type": "string", "minLength": 1}, needs="limit")


class Cursors:
    """The cursors of one list, which has one caller, one set of filters and one order.

    Args:
        bound_to: the list that the cursors are valid for, as JSON values.
        key_field: the field of the list's sort key.
    """

    def __init__(self, bound_to: Sequence[Any], key_field: "Field[Any, Any]") -> None:
        self.signer = Signer(salt=json.dumps(bound_to))
        self.key_field = key_field

    def write(self, key: Any, id: UUID) -> str:
        """Return the cursor for the rows after the one with this sort key and id."""
        text = format_timestamp(key.astimezone(UTC)) if isinstance(key, datetime) else key
        return self.signer.sign_object([text, str(id)])

    def read(self, cursor: str) -> tuple[Any, UUID]:
        """Return the sort key and the id that a cursor holds.

        Raises:
            InvalidRequest: the cursor is broken, or belongs to another list.
        """
        try:
            key, id_ = self.signer.unsign_object(cursor)
        except BadSignature:
            fault = invalid_parameter("cursor", "is broken, or belongs to another list")
            raise InvalidRequest(faults=[fault]) from None
        return self.key_field.to_python(key), UUID(id_)


def link_header(path: str, parameters: Mapping[str, str], next_cursor: str | None) -> str:
    """Return the ``Link`` (RFC 8288) to the next page, if there is one, and to the first page."""
    first = {name: text for name, text in parameters.items() if name != "cursor"}
    links = [] if next_cursor is None else [_link(path, {**first, "cursor": next_cursor}, "next")]
    return ", ".join([*links, _link(path, first, "first")])


def _link(path: str, parameters: Mapping[str, str], relation: str) -> str:
    return f'<{path}?{urlencode(parameters)}>; rel="{relation}"'
