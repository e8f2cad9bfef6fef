"""Readers of command-line options."""

from argparse import ArgumentTypeError
from datetime import timedelta

import pytest

from commands.arguments import age, ratio, whole_number


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("10", 10), ("007", 7)])
def test_whole_number_in_range_accepted(text, number):
    assert whole_number(1, 10)(text) == number


@pytest.mark.parametrize("text", ["", "0", "11", "-1", "+1", "1.5", "1e0", " 1", "x", "٣", "9" * 5000])
def test_whole_number_malformed_or_out_of_range_refused(text):
    with pytest.raises(ArgumentTypeError) as refusal:
        whole_number(1, 10)(text)
    assert str(refusal.value) == "must be a whole number from 1 to 10"


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("1", 1), ("0.25", 0.25), (".5", 0.5), ("1.0", 1)])
def test_ratio_from_0_to_1_accepted(text, number):
    assert ratio(text) == number


@pytest.mark.parametrize("text", ["", "2", "1.1", "-0.5", "nan", "inf", "1e-1", "50%", "0,5"])
def test_ratio_malformed_or_out_of_range_refused(text):
    with pytest.raises(ArgumentTypeError) as refusal:
        ratio(text)
    assert str(refusal.value) == "must be a number from 0 to 1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2w", timedelta(weeks=2)),
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("45m", timedelta(minutes=45)),
        ("90s", timedelta(seconds=90)),
        ("0s", timedelta()),
        ("36500d", timedelta(days=36500)),
    ],
)
def test_age_with_unit_accepted(text, value):
    assert age(text) == value


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1y", "36501d", "9999999999d", "999999999w", "٣d"])
def test_age_malformed_or_too_large_refused(text):
    with pytest.raises(ArgumentTypeError) as refusal:
        age(text)
    assert str(refusal.value) == "must be a number and a unit (w, d, h, m or s), at most 36500d: 30d, 12h"
