"""Timestamps: RFC 3339 with an offset in, UTC with microseconds out."""

import datetime

import pytest
from rest_framework.exceptions import ValidationError

from rest.timestamps import TIMESTAMP_RULE, TimestampField


def test_field_with_offset_gives_utc():
    time = TimestampField().run_validation("2026-01-11T10:30:00.5+01:00")
    assert time == datetime.datetime(2026, 1, 11, 9, 30, 0, 500000, tzinfo=datetime.UTC)
    assert TimestampField().to_representation(time) == "2026-01-11T09:30:00.500000Z"


@pytest.mark.parametrize("value", ["2026-01-11", "2026-01-11T10:30:00", "soon", "", 1, True, [], {}])
def test_field_with_other_value_names_the_rule(value):
    field = TimestampField(label="Reviewed at")
    with pytest.raises(ValidationError) as refusal:
        field.run_validation(value)
    assert refusal.value.detail == [f"Reviewed at {TIMESTAMP_RULE}"]
