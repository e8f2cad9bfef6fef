"""The forms of a due date. ``e2e/test_temporal.py`` compares them with Temporal."""

import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks import due
from tasks.due import (
    DUE_FORMS,
    DUE_MAX_LENGTH,
    DUE_MESSAGES,
    canonical_due,
    parse_wall_clock,
    time_zone,
    time_zone_names,
    wall_clock,
)

INVALID = "Due must be a date, a local time, an instant or a local time with a zone"
UNKNOWN_TIME_ZONE = "Due names an unknown time zone"
WRONG_OFFSET = "Due has an offset that its time zone does not have then"
WALL_CLOCK_RULE = "must be a date such as 2026-12-24, or a local time such as 2026-12-24T18:00:00"

CANONICAL = [
    "2026-12-24",
    "2026-12-24T18:00:00",
    "2026-12-24T17:00:00Z",
    "2026-12-24T18:00:00[Europe/Berlin]",
    # The first and the last of each form.
    "0001-01-01",
    "9999-12-31",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00[Pacific/Kiritimati]",
    "9999-12-31T23:59:59[Pacific/Pago_Pago]",
    # Leap days.
    "2028-02-29",
    "2000-02-29T12:00:00",
    # Names of time zones: links, Etc, without a continent, the longest.
    "2026-12-24T18:00:00[US/Pacific]",
    "2026-12-24T18:00:00[Etc/GMT+2]",
    "2026-12-24T18:00:00[Etc/UTC]",
    "2026-12-24T18:00:00[UTC]",
    "2026-12-24T18:00:00[EST5EDT]",
    "2026-12-24T18:00:00[GB-Eire]",
    "2026-12-24T18:00:00[America/Argentina/ComodRivadavia]",
    # A gap, a fold, and the day that Samoa skipped.
    "2026-03-29T02:30:00[Europe/Berlin]",
    "2026-10-25T02:30:00[Europe/Berlin]",
    "2011-12-30T12:00:00[Pacific/Apia]",
]

CONVERTED = [
    # Fractions are cut off.
    ("2026-12-24T17:00:00.0Z", "2026-12-24T17:00:00Z"),
    ("2026-12-24T17:00:00.999999999999Z", "2026-12-24T17:00:00Z"),
    ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59Z"),
    ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59Z"),
    ("2026-12-24T18:00:00.5+01:00", "2026-12-24T17:00:00Z"),
    ("2026-12-24T18:00:00.5+01:00[Europe/Berlin]", "2026-12-24T18:00:00[Europe/Berlin]"),
    ("2026-12-24T17:00:00.5Z[Europe/Berlin]", "2026-12-24T18:00:00[Europe/Berlin]"),
    # Offsets are converted to UTC.
    ("2026-12-24T18:00:00+00:00", "2026-12-24T18:00:00Z"),
    ("2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00Z"),
    ("2026-12-24T18:00:00-01:30", "2026-12-24T19:30:00Z"),
    ("2026-12-31T23:59:59-23:59", "2027-01-01T23:58:59Z"),
    ("2028-03-01T00:30:00+23:59", "2028-02-29T00:31:00Z"),
    ("0001-01-01T00:00:00-00:01", "0001-01-01T00:01:00Z"),
    ("0001-01-01T00:01:00+00:01", "0001-01-01T00:00:00Z"),
    ("9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59Z"),
    # With a time zone, its offset is dropped.
    ("2026-07-01T18:00:00+02:00[Europe/Berlin]", "2026-07-01T18:00:00[Europe/Berlin]"),
    ("2026-12-24T18:00:00-08:00[US/Pacific]", "2026-12-24T18:00:00[US/Pacific]"),
    ("2026-12-24T18:00:00-02:00[Etc/GMT+2]", "2026-12-24T18:00:00[Etc/GMT+2]"),
    ("2026-12-24T18:00:00+00:00[Etc/UTC]", "2026-12-24T18:00:00[Etc/UTC]"),
    ("9999-12-31T23:59:59+14:00[Pacific/Kiritimati]", "9999-12-31T23:59:59[Pacific/Kiritimati]"),
    # Z with a time zone is converted to its wall clock.
    ("2026-07-01T18:00:00Z[Europe/Berlin]", "2026-07-01T20:00:00[Europe/Berlin]"),
    ("2026-12-31T23:30:00Z[Asia/Kolkata]", "2027-01-01T05:00:00[Asia/Kolkata]"),
    ("2026-12-24T18:00:00Z[Etc/GMT+2]", "2026-12-24T16:00:00[Etc/GMT+2]"),
    ("9999-12-31T23:59:59Z[America/New_York]", "9999-12-31T18:59:59[America/New_York]"),
    ("0001-01-01T00:00:00Z[Europe/Berlin]", "0001-01-01T00:53:28[Europe/Berlin]"),
    # In a fold either offset fits, and both instants have the same wall time.
    ("2026-10-25T02:30:00+02:00[Europe/Berlin]", "2026-10-25T02:30:00[Europe/Berlin]"),
    ("2026-10-25T02:30:00+01:00[Europe/Berlin]", "2026-10-25T02:30:00[Europe/Berlin]"),
    ("2026-10-25T00:30:00Z[Europe/Berlin]", "2026-10-25T02:30:00[Europe/Berlin]"),
    ("2026-10-25T01:30:00Z[Europe/Berlin]", "2026-10-25T02:30:00[Europe/Berlin]"),
    # The seconds on both sides of a gap.
    ("2026-03-29T01:59:59+01:00[Europe/Berlin]", "2026-03-29T01:59:59[Europe/Berlin]"),
    ("2026-03-29T03:00:00+02:00[Europe/Berlin]", "2026-03-29T03:00:00[Europe/Berlin]"),
    # The offsets of early years have seconds: -04:56:02, +09:18:59, +00:17:30, -00:01:15 and -00:00:52.
    ("1800-01-01T00:00:00-04:56[America/New_York]", "1800-01-01T00:00:00[America/New_York]"),
    ("1800-01-01T00:00:00+09:18[Asia/Tokyo]", "1800-01-01T00:00:00[Asia/Tokyo]"),
    ("1800-01-01T00:00:00+09:19[Asia/Tokyo]", "1800-01-01T00:00:00[Asia/Tokyo]"),
    ("1800-01-01T00:00:00+00:17[Europe/Brussels]", "1800-01-01T00:00:00[Europe/Brussels]"),
    ("1800-01-01T00:00:00+00:18[Europe/Brussels]", "1800-01-01T00:00:00[Europe/Brussels]"),
    ("1800-01-01T00:00:00-00:01[Europe/London]", "1800-01-01T00:00:00[Europe/London]"),
]

REFUSED = [
    # Nearly a date.
    ("", INVALID),
    ("tomorrow", INVALID),
    ("2026", INVALID),
    ("2026-12", INVALID),
    ("20261224", INVALID),
    ("2026-358", INVALID),
    ("2026-W52-4", INVALID),
    ("2026-12-4", INVALID),
    ("26-12-24", INVALID),
    ("+002026-12-24", INVALID),
    ("-2026-12-24", INVALID),
    ("2026/12/24", INVALID),
    ("24.12.2026", INVALID),
    ("2026-12-24Z", INVALID),
    ("2026-12-24+01:00", INVALID),
    ("2026-12-24[Europe/Berlin]", INVALID),
    ("2026-12-24T", INVALID),
    ("--12-24", INVALID),
    # White space, and digits that are not ASCII.
    (" 2026-12-24", INVALID),
    ("2026-12-24 ", INVALID),
    ("2026-12-24\n", INVALID),
    ("2026-12-24T18:00:00Z\n", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin]\n", INVALID),
    ("2026-12-24 18:00:00", INVALID),
    ("2026-12-24T18:00:00 Z", INVALID),
    ("２０２６-12-24", INVALID),  # noqa: RUF001
    ("2026-12-2٤", INVALID),
    ("2026-12-24T18:00:00+0١:00", INVALID),  # noqa: RUF001
    ("2026\u201012\u201024", INVALID),
    ("2026-12-24T18:00:00\u221201:00", INVALID),
    ("2026-12-24\0", INVALID),
    # Dates and times that do not exist.
    ("0000-01-01", INVALID),
    ("0000-12-31T23:59:59-01:00", INVALID),
    ("2026-00-01", INVALID),
    ("2026-13-01", INVALID),
    ("2026-12-00", INVALID),
    ("2026-12-32", INVALID),
    ("2026-02-29", INVALID),
    ("2026-02-29T12:00:00", INVALID),
    ("2026-02-29T12:00:00Z", INVALID),
    ("1900-02-29T12:00:00[Europe/Berlin]", INVALID),
    ("2026-04-31", INVALID),
    ("2026-12-24T24:00:00", INVALID),
    ("2026-12-24T24:00:00Z", INVALID),
    ("2026-12-24T18:60:00", INVALID),
    ("2026-12-31T23:59:60", INVALID),
    ("2016-12-31T23:59:60Z", INVALID),
    ("2017-01-01T00:59:60+01:00[Europe/Berlin]", INVALID),
    # Nearly a time.
    ("18:00:00", INVALID),
    ("2026-12-24T18", INVALID),
    ("2026-12-24T18:00", INVALID),
    ("2026-12-24T18:00Z", INVALID),
    ("2026-12-24T18:00[Europe/Berlin]", INVALID),
    ("2026-12-24T180000", INVALID),
    ("2026-12-24T8:00:00", INVALID),
    ("2026-12-24t18:00:00", INVALID),
    ("2026-12-24T18:00:00z", INVALID),
    ("2026-12-24T18:00:00z[Europe/Berlin]", INVALID),
    ("2026-12-24T18:00:00.5", INVALID),
    ("2026-12-24T18:00:00.5[Europe/Berlin]", INVALID),
    ("2026-12-24T18:00:00.Z", INVALID),
    ("2026-12-24T18:00:00,5Z", INVALID),
    ("2026-12-24T18:00.5Z", INVALID),
    # Offsets.
    ("2026-12-24T18:00:00-00:00", INVALID),
    ("2026-12-24T18:00:00-00:00[Europe/London]", INVALID),
    ("2026-12-24T18:00:00+1:00", INVALID),
    ("2026-12-24T18:00:00+01", INVALID),
    ("2026-12-24T18:00:00+0100", INVALID),
    ("2026-12-24T18:00:00+01:00:00", INVALID),
    ("2026-12-24T18:00:00+24:00", INVALID),
    ("2026-12-24T18:00:00+01:60", INVALID),
    ("2026-12-24T18:00:00Z+01:00", INVALID),
    ("2026-12-24T18:00:00 01:00", INVALID),
    # An instant outside the years 0001 to 9999, or a wall time of its zone.
    ("0001-01-01T00:00:00+00:01", INVALID),
    ("9999-12-31T23:59:59-00:01", INVALID),
    ("0001-01-01T00:00:00Z[America/New_York]", INVALID),
    ("9999-12-31T23:59:59Z[Asia/Tokyo]", INVALID),
    # Brackets.
    ("2026-12-24T18:00:00[]", INVALID),
    ("2026-12-24T18:00:00Z[]", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin", INVALID),
    ("2026-12-24T18:00:00Europe/Berlin", INVALID),
    ("2026-12-24T18:00:00(Europe/Berlin)", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin]Z", INVALID),
    ("2026-12-24T18:00:00[[Europe/Berlin]]", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin]]", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin][Europe/Berlin]", INVALID),
    ("2026-12-24T18:00:00[Europe/Berlin][u-ca=gregory]", INVALID),
    ("2026-02-30T18:00:00[Mars/Olympus_Mons]", INVALID),
    # No names of the IANA database.
    ("2026-12-24T18:00:00[Mars/Olympus_Mons]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00+01:00[Mars/Olympus_Mons]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00Z[Mars/Olympus_Mons]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[europe/berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[EUROPE/BERLIN]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/Berlin ]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/Berlin\n]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/Berlin\0]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/\ud800]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[utc]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Z]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[GMT+2]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[UTC+2]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[CEST]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Etc/Unknown]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[+01:00]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00+01:00[+01:00]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[!Europe/Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[u-ca=gregory]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[localtime]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Factory]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[posixrules]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[posix/Europe/Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[right/Europe/Berlin]", UNKNOWN_TIME_ZONE),
    # Files.
    ("2026-12-24T18:00:00[/etc/localtime]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[/usr/share/zoneinfo/Europe/Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[../Europe/Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/../Europe/Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe//Berlin]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[./UTC]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[Europe/Berlin/]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[tzdata.zi]", UNKNOWN_TIME_ZONE),
    ("2026-12-24T18:00:00[__init__.py]", UNKNOWN_TIME_ZONE),
    # Offsets that are not the zone's.
    ("2026-12-24T18:00:00+02:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-07-01T18:00:00+01:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-12-24T18:00:00-01:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-12-24T18:00:00+01:01[Europe/Berlin]", WRONG_OFFSET),
    ("2026-12-24T18:00:00+00:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-12-24T18:00:00+02:00[Etc/GMT+2]", WRONG_OFFSET),
    # A gap has no offset.
    ("2026-03-29T02:30:00+01:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-03-29T02:30:00+02:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-03-29T02:00:00+01:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-03-29T02:59:59+02:00[Europe/Berlin]", WRONG_OFFSET),
    ("2011-12-30T12:00:00-10:00[Pacific/Apia]", WRONG_OFFSET),
    ("2011-12-30T12:00:00+14:00[Pacific/Apia]", WRONG_OFFSET),
    # A fold has two.
    ("2026-10-25T02:30:00+00:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-10-25T02:30:00+01:30[Europe/Berlin]", WRONG_OFFSET),
    ("2026-10-25T01:59:59+01:00[Europe/Berlin]", WRONG_OFFSET),
    ("2026-10-25T03:00:00+02:00[Europe/Berlin]", WRONG_OFFSET),
    # Seconds of an offset are cut off or rounded: -04:56:02, +00:53:28 and -00:01:15.
    ("1800-01-01T00:00:00-04:57[America/New_York]", WRONG_OFFSET),
    ("1800-01-01T00:00:00-04:55[America/New_York]", WRONG_OFFSET),
    ("1800-01-01T00:00:00+00:54[Europe/Berlin]", WRONG_OFFSET),
    ("1800-01-01T00:00:00-00:02[Europe/London]", WRONG_OFFSET),
]


ZONES = sorted(time_zone_names())
OFFSETS = st.integers(min_value=-1439, max_value=1439)
WALL_TIMES = st.datetimes().map(lambda wall_time: wall_time.replace(microsecond=0))
FRACTIONS = st.sampled_from(["", ".0", ".5", ".999999999999"])


@cache
def transitions(name, year):
    """Return the first instant after each change of a zone's clocks in a year.

    Without a change, return each day.
    """
    midnight = datetime(year, 1, 1, tzinfo=UTC)
    days = [midnight + timedelta(days=day) for day in range(367)]
    return [
        first_instant_after_change(name, day, following)
        for day, following in pairwise(days)
        if offset_at(name, day) != offset_at(name, following)
    ] or days


def offset_at(name, instant):
    return instant.astimezone(time_zone(name)).utcoffset()


def first_instant_after_change(name, before, after):
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if offset_at(name, middle) == offset_at(name, before):
            before = middle
        else:
            after = middle
    return after


@st.composite
def instants_near_transitions(draw):
    """Draw a time zone, and an instant within three hours of a change of its clocks."""
    name = draw(st.sampled_from(ZONES))
    instant = draw(st.sampled_from(transitions(name, draw(st.integers(min_value=1840, max_value=2150)))))
    return name, instant + timedelta(seconds=draw(st.integers(min_value=-10_800, max_value=10_800)))


def rfc3339_offset(minutes):
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def result(text):
    """Return the stored form of a text, or the message of its refusal."""
    try:
        return canonical_due(text)
    except ValidationError as error:
        return error.message


def test_messages_stand_by_their_codes():
    assert DUE_MESSAGES == {
        "invalid": INVALID,
        "unknown_time_zone": UNKNOWN_TIME_ZONE,
        "wrong_offset": WRONG_OFFSET,
    }


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_form_is_kept(text):
    assert result(text) == text


@pytest.mark.parametrize(("text", "expected"), CONVERTED)
def test_accepted_text_becomes_canonical(text, expected):
    assert result(text) == expected


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_bad_text_gets_its_message(text, message):
    with pytest.raises(ValidationError) as caught:
        canonical_due(text)
    assert caught.value.messages == [message]
    assert DUE_MESSAGES[caught.value.code] == message


def test_every_zone_of_tzdata_is_accepted():
    texts = [f"2026-12-24T18:00:00[{name}]" for name in ZONES]
    assert [result(text) for text in texts] == texts
    assert all(re.fullmatch(DUE_FORMS, text) for text in texts)


def test_longest_zone_of_the_guideline_fits():
    text = f"2026-12-24T18:00:00[{'/'.join(['a' * 14] * 3)}]"
    assert len(text) == DUE_MAX_LENGTH
    assert re.fullmatch(DUE_FORMS, text)
    assert not re.fullmatch(DUE_FORMS, text.replace("]", "a]"))


def test_zones_are_those_that_zoneinfo_lists(no_system_zones):
    assert time_zone_names() == zoneinfo.available_timezones() - {"Factory"}
    assert len(time_zone_names()) > 590


@pytest.fixture
def no_system_zones():
    zoneinfo.reset_tzpath([])
    yield
    zoneinfo.reset_tzpath()


@pytest.fixture
def false_system_zones(tmp_path):
    """Let the operating system say that Berlin has the time of Tokyo."""
    (tmp_path / "Europe").mkdir()
    tokyo = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe" / "Berlin").write_bytes(tokyo)
    (tmp_path / "Nowhere").write_bytes(tokyo)
    due._load_time_zone.cache_clear()
    time_zone_names.cache_clear()
    ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath([tmp_path])
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


def test_zones_come_from_tzdata_alone(false_system_zones):
    assert result("2026-12-24T18:00:00Z[Europe/Berlin]") == "2026-12-24T19:00:00[Europe/Berlin]"
    assert result("2026-12-24T18:00:00[Nowhere]") == UNKNOWN_TIME_ZONE


def test_control_without_tzdata_berlin_has_another_time(false_system_zones):
    instant = datetime(2026, 12, 24, 18, tzinfo=UTC)
    assert instant.astimezone(ZoneInfo("Europe/Berlin")).isoformat() == "2026-12-25T03:00:00+09:00"
    assert "Nowhere" in zoneinfo.available_timezones()


@pytest.fixture
def opened(monkeypatch):
    """Return the list of names of time zones whose files are opened."""
    names = []
    load = due._load_time_zone.__wrapped__

    def load_and_note(name):
        names.append(name)
        return load(name)

    monkeypatch.setattr(due, "_load_time_zone", load_and_note)
    return names


def test_unknown_zone_opens_no_file(opened):
    for text, message in REFUSED:
        if message == UNKNOWN_TIME_ZONE:
            assert result(text) == message
    assert opened == []
    assert result("2026-12-24T18:00:00[Europe/Berlin]") == "2026-12-24T18:00:00[Europe/Berlin]"
    assert opened == ["Europe/Berlin"]


def test_zone_is_loaded_once():
    assert time_zone("Europe/Berlin") is time_zone("Europe/Berlin")
    assert time_zone("Europe/Berlin").key == "Europe/Berlin"
    assert time_zone("europe/berlin") is None


@settings(deadline=None)
@given(WALL_TIMES, FRACTIONS, OFFSETS)
def test_instant_stays_the_same(wall_time, fraction, minutes):
    text = f"{wall_time.isoformat()}{fraction}{rfc3339_offset(minutes)}"
    try:
        instant = wall_time.replace(tzinfo=timezone(timedelta(minutes=minutes))).astimezone(UTC)
    except OverflowError:
        assert result(text) == INVALID
    else:
        assert result(text) == instant.isoformat().replace("+00:00", "Z")


@settings(deadline=None)
@given(WALL_TIMES, FRACTIONS, st.sampled_from(ZONES))
def test_instant_of_a_zone_gets_its_wall_time(instant, fraction, name):
    text = f"{instant.isoformat()}{fraction}Z[{name}]"
    try:
        expected = instant.replace(tzinfo=UTC).astimezone(time_zone(name)).isoformat()[:19]
    except OverflowError:
        assert result(text) == INVALID
    else:
        assert result(text) == f"{expected}[{name}]"


@settings(deadline=None)
@given(instants_near_transitions(), FRACTIONS)
def test_instant_near_a_transition_keeps_its_wall_time(moment, fraction):
    """The offset of the clocks fits what they show, before and after the change."""
    name, instant = moment
    local = instant.astimezone(time_zone(name))
    expected = f"{local.isoformat()[:19]}[{name}]"
    assert result(f"{instant.isoformat()[:19]}{fraction}Z[{name}]") == expected
    minutes = int(local.utcoffset() / timedelta(minutes=1))
    assert result(f"{local.isoformat()[:19]}{fraction}{rfc3339_offset(minutes)}[{name}]") == expected


@settings(deadline=None)
@given(instants_near_transitions(), st.integers(min_value=-180, max_value=180))
def test_offset_fits_if_the_clocks_show_the_wall_time(moment, difference):
    """The offset is right if the instant that it gives leads back to the wall time."""
    name, instant = moment
    zone = time_zone(name)
    assume(not offset_at(name, instant) % timedelta(minutes=1))
    wall_time = (instant + timedelta(minutes=difference)).replace(tzinfo=None) + offset_at(name, instant)
    for minutes in range(-720, 841, 15):
        at = wall_time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        fits = at.astimezone(zone).replace(tzinfo=None) == wall_time
        expected = f"{wall_time.isoformat()}[{name}]" if fits else WRONG_OFFSET
        assert result(f"{wall_time.isoformat()}{rfc3339_offset(minutes)}[{name}]") == expected, minutes


@settings(deadline=None)
@given(st.text() | st.from_regex(due._DUE, fullmatch=True) | st.from_regex(DUE_FORMS))
def test_any_text_is_refused_or_canonical(text):
    answer = result(text)
    if answer not in DUE_MESSAGES.values():
        assert re.fullmatch(DUE_FORMS, answer)
        assert len(answer) <= DUE_MAX_LENGTH
        assert result(answer) == answer


@pytest.mark.parametrize("text", CANONICAL)
def test_forms_admit_each_canonical_form(text):
    assert re.fullmatch(DUE_FORMS, text)


#: The database knows neither the calendar nor the time zones.
ADMITTED_BY_FORMS = {
    "2026-02-29",
    "2026-04-31",
    "2026-02-29T12:00:00",
    "2026-02-29T12:00:00Z",
    "1900-02-29T12:00:00[Europe/Berlin]",
    "2026-02-30T18:00:00[Mars/Olympus_Mons]",
    *(
        f"2026-12-24T18:00:00[{name}]"
        for name in (
            *("Mars/Olympus_Mons", "europe/berlin", "EUROPE/BERLIN", "Europe", "Europe//Berlin", "Europe/Berlin/"),
            *("utc", "Z", "GMT+2", "UTC+2", "CEST", "Etc/Unknown", "localtime", "Factory", "posixrules"),
            *("posix/Europe/Berlin", "right/Europe/Berlin"),
        )
    ),
}
OTHER_TEXTS = [text for text, _ in CONVERTED + REFUSED]


def test_forms_admit_other_texts_of_the_same_shape_only():
    assert {text for text in OTHER_TEXTS if re.fullmatch(DUE_FORMS, text)} == ADMITTED_BY_FORMS


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL's regular expressions")
def test_forms_mean_the_same_to_postgresql():
    texts = [text for text in CANONICAL + OTHER_TEXTS if not re.search("[\0\ud800]", text)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM unnest(%s::text[]) AS text WHERE text ~ %s", [texts, DUE_FORMS])
        matching = {text for (text,) in cursor}
    assert matching == {*CANONICAL, *ADMITTED_BY_FORMS}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-12-24", "2026-12-24"),
        ("2026-12-24T18:00:00", "2026-12-24T18:00:00"),
        ("2026-12-24T17:00:00Z", "2026-12-24T17:00:00"),
        ("2026-12-24T18:00:00[Europe/Berlin]", "2026-12-24T18:00:00"),
    ],
)
def test_wall_clock_of_each_form_has_no_zone(stored, shown):
    assert wall_clock(stored) == shown


@settings(deadline=None)
@given(st.dates(), WALL_TIMES)
def test_wall_clocks_sort_as_their_times(day, wall_time):
    """As text, a day comes before its times."""
    text, other = wall_clock(result(day.isoformat())), wall_clock(result(f"{wall_time.isoformat()}[Asia/Tokyo]"))
    assert (text < other) == (day <= wall_time.date())


@pytest.mark.parametrize(
    "text", ["2026-12-24", "2026-12-24T18:00:00", "0001-01-01", "9999-12-31T23:59:59", "2028-02-29T00:00:00"]
)
def test_wall_clock_parameter_is_kept(text):
    assert parse_wall_clock(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "2026",
        "2026-12-24 ",
        "2026-12-24\n",
        "2026-12-24T18:00",
        "2026-12-24T18:00:00\n",
        "2026-12-24T18:00:00.0",
        "2026-12-24T18:00:00Z",
        "2026-12-24T18:00:00+01:00",
        "2026-12-24T18:00:00[Europe/Berlin]",
        "2026-12-24 18:00:00",
        "2026-12-24t18:00:00",
        "2026-12-24T24:00:00",
        "2026-12-24T23:59:60",
        "2026-02-29",
        "2026-02-29T18:00:00",
        "0000-12-31",
        "10000-01-01",
        "２０２６-12-24",  # noqa: RUF001
    ],
)
def test_other_wall_clock_parameter_is_refused(text):
    with pytest.raises(ValueError, match=f"^{WALL_CLOCK_RULE}$"):
        parse_wall_clock(text)
