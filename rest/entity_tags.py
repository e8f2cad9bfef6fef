"""``If-Match`` and ``If-None-Match`` (RFC 9110, section 13.1) for entity tags that are versions."""

import re
from collections.abc import Container, Iterable

#: What RFC 9110 admits in a tag for older software's sake.
OBS_TEXT = r"\x80-\xff"

_TAG = rf'(?:W/)?"[!#-~{OBS_TEXT}]*"'

#: A star, or a list whose elements may be empty (RFC 9110, section 5.6.1); in words that JSON Schema has too.
ENTITY_TAGS = rf"^[ \t]*(?:\*[ \t]*|(?:,[ \t]*)*{_TAG}[ \t]*(?:,[ \t]*(?:{_TAG}[ \t]*)?)*)$"

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
    """The tags of a header that is no star."""
    if not re.fullmatch(ENTITY_TAGS, value):
        raise ValueError(MALFORMED)
    tags = re.findall(_TAG, value)
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must not name more than {MAX_TAGS} entity tags")
    return tags


def _versions(tags: Iterable[str]) -> frozenset[int]:
    """The versions that ``tags`` name; no version has a tag of any other form."""
    versions = (int(match[1]) for match in map(_VERSION.fullmatch, tags) if match)
    return frozenset(version for version in versions if version in ANY_VERSION)
