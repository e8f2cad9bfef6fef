"""Write and read a ``state``: the place up to which a client has followed the feed.

A state needs no secret, because a forged one shows only tasks of the forger. It ends with a digest that includes the
caller, so that a damaged state and another caller's state are refused. A new ``SECRET_KEY`` ends no state.
"""

from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import NamedTuple
from uuid import UUID

from django.core.signing import b64_encode

from changes.models import Position
from rest.pages import decode

DIGEST_LENGTH = 8
LAYOUT = Struct(f">{DIGEST_LENGTH}s q16s q16s {DIGEST_LENGTH}s")


class State(NamedTuple):
    """The place up to which a client has followed the feed.

    Attributes:
        history: identifies the history of the database, which a restore or a failover ends.
        position: the last change that the client got.
        forgotten: the last forgotten removal when the client began. The client needs no removal up to that one.
    """

    history: bytes
    position: Position
    forgotten: Position

    def write(self, user_id: str) -> str:
        """Return the text for this caller."""
        (number, id_), (forgotten_number, forgotten_id) = self.position, self.forgotten
        fields = (self.history, number, id_.bytes, forgotten_number, forgotten_id.bytes)
        content = LAYOUT.pack(*fields, b"")[:-DIGEST_LENGTH]
        return b64_encode(content + digest(content, user_id)).decode()


@lru_cache(maxsize=1024)  # without news, a client sends the same text again
def read_state(text: str, user_id: str) -> State:
    """Return the state in a text.

    Raises:
        ValueError: the text is broken, or another caller's.
    """
    with suppress(ValueError):
        encoded = decode(text)
        if len(encoded) == LAYOUT.size and digest(encoded[:-DIGEST_LENGTH], user_id) == encoded[-DIGEST_LENGTH:]:
            return _unpack(encoded)
    raise ValueError("is broken, or another caller's; send the state of an earlier answer, or no since to start again")


def _unpack(encoded: bytes) -> State:
    history, number, id_, forgotten_number, forgotten_id, _ = LAYOUT.unpack(encoded)
    position, forgotten = Position(number, UUID(bytes=id_)), Position(forgotten_number, UUID(bytes=forgotten_id))
    return State(history, position, forgotten)


@lru_cache(maxsize=16)
def history_digest(history: str) -> bytes:
    """Return the short digest of a history, which stays the same for a long time."""
    return digest(history.encode())


def digest(content: bytes, user_id: str = "") -> bytes:
    """Return a short digest."""
    return sha256(content + user_id.encode()).digest()[:DIGEST_LENGTH]
