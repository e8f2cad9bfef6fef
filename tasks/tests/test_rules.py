"""The character sets, compared with the Unicode tables of the running Python.

Its tables may be older than the sets, and call characters that they do not know unassigned (Cn).
"""

import sys
import unicodedata
from collections import defaultdict

import pytest
from django.core.exceptions import ValidationError

from tasks import rules
from tasks.rules import (
    CONTROLS,
    DESCRIPTION_FORBIDDEN,
    FORMATS,
    INVISIBLE,
    NUL,
    SEPARATORS,
    TITLE_FORBIDDEN,
    WHITE_SPACE,
    validate_labels,
)

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]


BY_CATEGORY = defaultdict(set)
for character in EVERY_CHARACTER:
    BY_CATEGORY[unicodedata.category(character)].add(character)


def of(*categories):
    return set().union(*(BY_CATEGORY[category] for category in categories))


def names(characters):
    return sorted(f"U+{ord(character):04X}" for character in characters)


@pytest.mark.parametrize(
    ("listed", "categories"),
    [
        (CONTROLS, ["Cc"]),
        (FORMATS, ["Cf"]),
        (SEPARATORS, ["Zl", "Zp"]),
        (INVISIBLE, ["Cc", "Cf", "Zs", "Zl", "Zp"]),
        (TITLE_FORBIDDEN, ["Cc", "Zl", "Zp"]),
    ],
    ids=["CONTROLS", "FORMATS", "SEPARATORS", "INVISIBLE", "TITLE_FORBIDDEN"],
)
def test_set_has_all_characters_of_its_categories(listed, categories):
    known = of(*categories)
    assert names(known - set(listed)) == []
    assert names(set(listed) - known - of("Cn")) == []


def test_only_formats_are_newer_than_python():
    assert set(INVISIBLE) - set(FORMATS) <= of("Cc", "Zs", "Zl", "Zp")


def test_white_space_is_what_isspace_accepts():
    assert names(WHITE_SPACE) == names(character for character in EVERY_CHARACTER if character.isspace())


def test_white_space_is_what_strip_removes():
    assert "".join(EVERY_CHARACTER[:0xD800]).strip() == "".join(EVERY_CHARACTER[:0xD800]).strip(WHITE_SPACE)
    assert [character for character in WHITE_SPACE if f"{character}x{character}".strip() != "x"] == []


def test_white_space_is_invisible():
    assert names(set(WHITE_SPACE) - set(INVISIBLE)) == []


def test_description_allows_tabs_and_line_breaks():
    assert set(CONTROLS) - set(DESCRIPTION_FORBIDDEN) == {"\t", "\n", "\r"}
    assert set(DESCRIPTION_FORBIDDEN) < set(CONTROLS)


def test_nul_is_a_control():
    assert NUL == "\x00"
    assert NUL in CONTROLS


@pytest.mark.parametrize(
    "listed",
    [WHITE_SPACE, CONTROLS, SEPARATORS, FORMATS, INVISIBLE, TITLE_FORBIDDEN, DESCRIPTION_FORBIDDEN],
    ids=["WHITE_SPACE", "CONTROLS", "SEPARATORS", "FORMATS", "INVISIBLE", "TITLE_FORBIDDEN", "DESCRIPTION_FORBIDDEN"],
)
def test_set_has_no_character_twice(listed):
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("ranges", "expected"), [("", ""), ("41", "A"), ("41-43 61", "ABCa"), ("1F600-1F601", "\U0001f600\U0001f601")]
)
def test_characters_include_both_ends_of_range(ranges, expected):
    assert rules.characters(ranges) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({" home"}, "A label must not begin or end with white space"),
        ({"home", "\u200b"}, "A label must not be blank"),
        (map(str, range(21)), "Labels exceed the maximum number of 20"),
    ],
)
def test_labels_that_break_a_rule_are_refused(names, message):
    with pytest.raises(ValidationError) as refusal:
        validate_labels(frozenset(names))
    assert refusal.value.messages == [message]
