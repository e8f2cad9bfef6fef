"""Read entity tags that are versions from ``If-Match`` and ``If-None-Match`` (RFC 9110, section 13.1)."""

import re
from collections.abc import Container, Iterable

#: Bytes that RFC 9110 allows in a tag because older software sends them.
OBS_TEXT = r"\x80-\xff"

_TAG = rf'(?:W/)?"[!#-~{OBS_TEXT}]*"'

#: ``*``, or a list whose elements may be empty (RFC 9110, section 5.6.1). JSON Schema has the same syntax.
ENTITY_TAGS = rf"^[ \t]*(?:\*[ \t]*|(?:,[ \t]*)*{_TAG}[ \t]*(?:,[ \t]*(?:{_TAG}[ \t]*)?)*)$"

_VERSION = re.compile(r'(?:W/)?"([1-9][0-9]{0,18})"')

ANY_VERSION = range(1, 2**63)

#: The most tags in a header, because each number of tags needs another compiled statement.
MAX_TAGS = 100


def entity_tag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def parse_if_match(value: str | None) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` admits by strong comparison; ``None`` admits any.

    Raises:
        ValueError: the header is malformed.
    """
    if value is None or value.strip(" \t") == "*":
        return None
    return _versions(tag for tag in _parse_tags(value) if not tag.startswith("W/"))


def parse_if_none_match(value: str | None) -> Container[int]:
    """Return the versions that the client has, by weak comparison.

    Raises:
        ValueError: the header is malformed.
    """
    if value is None:
        return ()
    return ANY_VERSION if value.strip(" \t") == "*" else _versions(_parse_tags(value))


def _parse_tags(value: str) -> list[str]:
    if not re.fullmatch(ENTITY_TAGS, value):
        raise ValueError("must be * or a list of quoted entity tags")
    tags = re.findall(_TAG, value)
    if len(tags) > MAX_TAGS:
        raise ValueError(f"must not name more than {MAX_TAGS} entity tags")
    return tags


def _versions(tags: Iterable[str]) -> frozenset[int]:
    """Return the versions that ``tags`` name; skip tags that name no version."""
    versions = (int(match[1]) for match in map(_VERSION.fullmatch, tags) if match)
    return frozenset(version for version in versions if version in ANY_VERSION)
