"""``If-Match`` and ``If-None-Match`` (RFC 9110, section 13.1) for entity tags that are versions."""

import re
from collections.abc import Container, Iterable

#: One element of a list (section 5.6.1), which may be empty, and the comma after it.
_ELEMENT = re.compile(r'[ \t]*(?:((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|\Z)')
_VERSION = re.compile(r'(?:W/)?"([1-9][0-9]{0,18})"')

ANY_VERSION = range(1, 2**63)

#: Each is a value of the statement, and each number of them a statement of its own.
MAX_TAGS = 100

MALFORMED = "must be * or a list of quoted entity tags"


def entity_tag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def if_match(value: str | None) -> frozenset[int] | None:
    """The versions that ``If-Match`` admits, compared strongly; ``None`` where any will do.

    Raises:
        ValueError: the header is malformed.
    """
    if value is None or value.strip(" \t") == "*":
        return None
    return _versions(tag for tag in _entity_tags(value) if not tag.startswith("W/"))


def if_none_match(value: str | None) -> Container[int]:
    """The versions that the client has already, compared weakly.

    Raises:
        ValueError: the header is malformed.
    """
    if value is None:
        return ()
    return ANY_VERSION if value.strip(" \t") == "*" else _versions(_entity_tags(value))


def _entity_tags(value: str) -> list[str]:
    tags: list[str] = []
    position = 0
    while position < len(value):
        element = _ELEMENT.match(value, position)
        if element is None:
            raise ValueError(MALFORMED)
        position = element.end()
        tags += filter(None, element.groups())
    if not tags:
        raise ValueError(MALFORMED)
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must not name more than {MAX_TAGS} entity tags")
    return tags


def _versions(tags: Iterable[str]) -> frozenset[int]:
    """The versions that ``tags`` name; no version has a tag of any other form."""
    versions = (int(match[1]) for match in map(_VERSION.fullmatch, tags) if match)
    return frozenset(version for version in versions if version in ANY_VERSION)
