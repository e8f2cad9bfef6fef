"""The spelled-out characters, held against the tables of the Python that runs.

Its tables may be older than the sets: what they do not know yet, they call unassigned (Cn).
"""

import sys
import unicodedata

import pytest

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
)

EVERY_CHARACTER = [chr(point) for point in range(sys.maxunicode + 1)]


def of(*categories):
    return {character for character in EVERY_CHARACTER if unicodedata.category(character) in categories}


def names(some):
    return sorted(f"U+{ord(character):04X}" for character in some)


@pytest.mark.parametrize(
    ("spelled_out", "categories"),
    [
        (CONTROLS, ["Cc"]),
        (FORMATS, ["Cf"]),
        (SEPARATORS, ["Zl", "Zp"]),
        (INVISIBLE, ["Cc", "Cf", "Zs", "Zl", "Zp"]),
        (TITLE_FORBIDDEN, ["Cc", "Zl", "Zp"]),
    ],
    ids=["CONTROLS", "FORMATS", "SEPARATORS", "INVISIBLE", "TITLE_FORBIDDEN"],
)
def test_a_set_is_its_categories(spelled_out, categories):
    known = of(*categories)
    assert names(known - set(spelled_out)) == []
    assert names(set(spelled_out) - known - of("Cn")) == []


def test_only_formats_may_be_newer_than_this_python():
    assert set(INVISIBLE) - set(FORMATS) <= of("Cc", "Zs", "Zl", "Zp")


def test_white_space_is_what_a_string_calls_space():
    assert names(WHITE_SPACE) == names(character for character in EVERY_CHARACTER if character.isspace())


def test_white_space_is_what_strip_takes_off():
    assert "".join(EVERY_CHARACTER[:0xD800]).strip() == "".join(EVERY_CHARACTER[:0xD800]).strip(WHITE_SPACE)
    assert [character for character in WHITE_SPACE if f"{character}x{character}".strip() != "x"] == []


def test_all_white_space_is_invisible():
    assert names(set(WHITE_SPACE) - set(INVISIBLE)) == []


def test_a_description_may_hold_tabs_and_line_breaks():
    assert set(CONTROLS) - set(DESCRIPTION_FORBIDDEN) == {"\t", "\n", "\r"}
    assert set(DESCRIPTION_FORBIDDEN) < set(CONTROLS)


def test_nul_is_a_control():
    assert NUL == "\x00"
    assert NUL in CONTROLS


@pytest.mark.parametrize(
    "spelled_out", [WHITE_SPACE, CONTROLS, SEPARATORS, FORMATS, INVISIBLE, TITLE_FORBIDDEN, DESCRIPTION_FORBIDDEN]
)
def test_no_character_stands_twice(spelled_out):
    assert len(spelled_out) == len(set(spelled_out))


@pytest.mark.parametrize(
    ("ranges", "expected"), [("", ""), ("41", "A"), ("41-43 61", "ABCa"), ("1F600-1F601", "\U0001f600\U0001f601")]
)
def test_ranges_are_inclusive(ranges, expected):
    assert rules.characters(ranges) == expected
