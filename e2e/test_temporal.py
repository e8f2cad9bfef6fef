"""Due dates, compared with the readings of Temporal in the polyfill of its authors.

``make test-e2e`` installs the polyfill, which needs Node 20 or newer. Node has another version of the IANA database. So
most zones are compared from 1970 to 2025 only, where both versions agree.
"""

import json
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from tasks.due import DUE_FORMS, canonical_due, time_zone, time_zone_names, wall_clock

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("node") is None, reason="NOT COMPARED WITH TEMPORAL: install Node"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "@js-temporal").exists(),
        reason="NOT COMPARED WITH TEMPORAL: run make test-e2e, which installs its polyfill",
    ),
]

RANDOM = random.Random(20261224)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = sorted(time_zone_names())
#: These have the same rules in every version, the local mean time of early years and the last years included.
STEADY_ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Etc/GMT+2",
    "UTC",
]
#: Zones whose clocks change by an hour, by half an hour, and by a day.
CHANGING_ZONES = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]
FRACTIONS = ["", "", ".0", ".5", ".999", ".123456789"]
FIRST_AND_LAST = ["0001-01-01T00:00:00", "0001-01-01T13:30:00", "9999-12-31T12:00:00", "9999-12-31T23:59:59"]
LEAP_DAYS = [f"{year:04}-02-29T12:00:00" for year in (4, 1900, 2000, 2023, 2024, 2100, 9996)]


def random_wall_time(first_year=1, last_year=9999):
    first = datetime(first_year, 1, 1, tzinfo=UTC)
    days = (datetime(last_year, 12, 31, tzinfo=UTC) - first).days
    return (first + timedelta(days=RANDOM.randint(0, days), seconds=RANDOM.randrange(86_400))).isoformat()[:19]


def random_offset():
    return RANDOM.choice(["Z", *(f"{sign}{RANDOM.randrange(24):02}:{RANDOM.randrange(60):02}" for sign in "++--")])


def offset_of(zone, wall_time):
    """Return the offset of a zone at a wall time, rounded to the minute as Temporal does."""
    minutes = time_zone(zone).utcoffset(datetime.fromisoformat(wall_time)) / timedelta(minutes=1)
    whole = int(abs(minutes) + 0.5)
    return f"{'-' if minutes < 0 and whole else '+'}{whole // 60:02}:{whole % 60:02}"


def in_zone(zone, wall_time):
    """Return a wall time in a zone, without offset, with Z, with a likely offset or with another."""
    another_hour = (datetime.fromisoformat(wall_time) + timedelta(hours=RANDOM.choice([-1, 1]))).isoformat()
    yield f"{wall_time}[{zone}]"
    yield f"{wall_time}{RANDOM.choice(FRACTIONS)}Z[{zone}]"
    yield f"{wall_time}{RANDOM.choice(FRACTIONS)}{offset_of(zone, wall_time)}[{zone}]"
    yield f"{wall_time}{RANDOM.choice(FRACTIONS)}{offset_of(zone, another_hour)}[{zone}]"
    yield f"{wall_time}{random_offset()}[{zone}]"


def is_skipped_or_repeated(zone, wall_time):
    first, second = (time_zone(zone).utcoffset(wall_time.replace(fold=fold)) for fold in (0, 1))
    return first != second


def near_changes(zone):
    """Return the half hours that the clocks of a zone skip or repeat, and the half hours before and after."""
    half_hour, day = timedelta(minutes=30), timedelta(days=1)
    midnights = [datetime.fromisoformat("1970-01-02") + number * day for number in range(365 * 55)]
    times = [
        midnight + number * half_hour
        for midnight in midnights
        if time_zone(zone).utcoffset(midnight - day) != time_zone(zone).utcoffset(midnight + 2 * day)
        for number in range(48)
    ]
    return [
        time.isoformat()
        for time in times
        if any(is_skipped_or_repeated(zone, time + distance * half_hour) for distance in (-1, 0, 1))
    ]


def generated():
    """Yield texts of all forms."""
    wall_times = [*FIRST_AND_LAST, *LEAP_DAYS, *(random_wall_time() for _ in range(1000))]
    for wall_time in wall_times:
        yield wall_time[:10]
        yield wall_time
        yield f"{wall_time}{RANDOM.choice(FRACTIONS)}{random_offset()}"
    for zone in ZONES:
        for _ in range(2):
            yield from in_zone(zone, random_wall_time(1970, 2025))
    for zone in STEADY_ZONES:
        for _ in range(100):
            yield from in_zone(zone, random_wall_time(2))
        for wall_time in FIRST_AND_LAST:
            yield from (f"{wall_time}[{zone}]", f"{wall_time}Z[{zone}]")
    for zone in CHANGING_ZONES:
        for wall_time in near_changes(zone):
            yield from in_zone(zone, wall_time)


def ask_temporal(texts):
    answer = subprocess.run(
        ["node", "temporal.mjs"],
        cwd=HERE,
        input=json.dumps({"pattern": DUE_FORMS, "texts": texts}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout)


def readings(texts):
    return [answer["reading"] for answer in ask_temporal(texts)]


def seconds(instant):
    return (instant.replace(tzinfo=UTC) - EPOCH) // timedelta(seconds=1)


def meaning(stored):
    """Return what Temporal shall read in a stored form.

    Temporal shows a time that the clocks skip as they show it then, later by the length of the gap.
    """
    wall, _, zone = stored.rstrip("]").partition("[")
    if zone:
        wall_time = datetime.fromisoformat(wall)
        before, after = (time_zone(zone).utcoffset(wall_time.replace(fold=fold)) for fold in (0, 1))
        shown = wall_time + max(after - before, timedelta(0))
        return {"wall": shown.isoformat(), "zone": zone, "instant": seconds(wall_time) - before // timedelta(seconds=1)}
    instant = seconds(datetime.fromisoformat(wall[:-1])) if wall.endswith("Z") else None
    return {"wall": wall_clock(stored), "zone": None, "instant": instant}


def result(text):
    """Return the stored form of a text, or the code of its refusal."""
    try:
        return canonical_due(text)
    except ValidationError as error:
        return error.code


def is_refusal(answer):
    return answer in ("invalid", "unknown_time_zone", "wrong_offset")


@pytest.fixture(scope="module")
def compared():
    """Return each generated text with our result and Temporal's reading."""
    texts = list(dict.fromkeys(generated()))
    return list(zip(texts, map(result, texts), readings(texts), strict=True))


def test_temporal_reads_what_each_stored_form_means(compared):
    stored = sorted({answer for _, answer, _ in compared if not is_refusal(answer)})
    answers = ask_temporal(stored)
    assert len(stored) > 9000
    assert sum(wall_clock(form) != meaning(form)["wall"] for form in stored) > 400  # in gaps
    assert [answer["reading"] for answer in answers] == [meaning(form) for form in stored]
    assert all(answer["matches"] for answer in answers)


def test_temporal_reads_the_same_in_what_was_sent(compared):
    """A zoned text may mean an hour more or less than its stored form, because a fold drops the offset."""
    accepted = [(text, meaning(answer), reading) for text, answer, reading in compared if not is_refusal(answer)]
    assert len(accepted) > 15_000
    for text, stored, reading in accepted:
        compare = ("wall", "zone") if stored["zone"] else ("wall", "zone", "instant")
        assert reading is not None, text
        assert {name: reading[name] for name in compare} == {name: stored[name] for name in compare}, text


def test_temporal_refuses_offsets_that_are_refused(compared):
    refused = [(text, reading) for text, answer, reading in compared if answer == "wrong_offset"]
    assert len(refused) > 3500
    assert [text for text, reading in refused if reading is not None] == []


def test_temporal_refuses_or_leaves_the_years(compared):
    refused = [(text, reading) for text, answer, reading in compared if answer == "invalid"]
    assert len(refused) > 10
    within = re.compile(r"(?!0000)\d{4}-")
    assert [text for text, reading in refused if reading is not None and within.match(reading["wall"])] == []


ONLY_TEMPORAL_ACCEPTS = [
    ("20261224", "invalid"),
    ("2026-12-24T18:00", "invalid"),
    ("2026-12-24T18", "invalid"),
    ("2026-12-24 18:00:00", "invalid"),
    ("2026-12-24t18:00:00", "invalid"),
    ("2026-12-24T18:00:00z", "invalid"),
    ("2026-12-24T18:00:00.5", "invalid"),
    ("2026-12-24T18:00:00.5[Europe/Berlin]", "invalid"),
    ("2026-12-24T18:00:00,5Z", "invalid"),
    ("2026-12-24T23:59:60", "invalid"),  # Temporal takes it for :59
    ("2026-12-24T18:00:00-00:00", "invalid"),
    ("2026-12-24T18:00:00+0100", "invalid"),
    ("2026-12-24T18:00:00+01:00:00", "invalid"),
    ("2026-12-24[Europe/Berlin]", "invalid"),
    ("2026-12-24T18:00:00[Europe/Berlin][u-ca=gregory]", "invalid"),
    ("0000-01-01", "invalid"),
    ("-000001-01-01", "invalid"),
    ("+010000-01-01", "invalid"),
    ("2026-12-24T18:00:00[europe/berlin]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[!Europe/Berlin]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[+01:00]", "unknown_time_zone"),
]
ONLY_WE_ACCEPT = [
    # Temporal reads nine digits at most. RFC 3339 sets no limit.
    ("2026-12-24T18:00:00.1234567890Z", "2026-12-24T18:00:00Z"),
    # Temporal rounds +09:18:59. PostgreSQL, Go and strftime cut its seconds off.
    ("1800-01-01T00:00:00+09:18[Asia/Tokyo]", "1800-01-01T00:00:00[Asia/Tokyo]"),
]
BOTH_REFUSE = [
    ("2026-12-24T24:00:00", "invalid"),
    ("2026-12-24T18:00:00+24:00", "invalid"),
    ("2026-02-30", "invalid"),
    ("2026-12-24T18:00:00[]", "invalid"),
    ("2026-12-24T18:00:00[u-ca=gregory]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[GMT+2]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[../Europe/Berlin]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[posix/Europe/Berlin]", "unknown_time_zone"),
    ("2026-12-24T18:00:00[Factory]", "unknown_time_zone"),
    ("2026-03-29T02:30:00+01:00[Europe/Berlin]", "wrong_offset"),
]


@pytest.mark.parametrize(
    ("table", "accepted"), [(ONLY_TEMPORAL_ACCEPTS, True), (ONLY_WE_ACCEPT, False), (BOTH_REFUSE, False)]
)
def test_differences_from_temporal_are_these(table, accepted):
    assert [(text, result(text)) for text, _ in table] == table
    answers = readings([text for text, _ in table])
    assert [text for (text, _), answer in zip(table, answers, strict=True) if (answer is not None) != accepted] == []
