"""``If-Match`` and ``If-None-Match`` (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2)."""

import time

import pytest

from rest.entity_tags import entity_tag, parse_if_match, parse_if_none_match

VERSIONS = [1, 2, 7, 10**17, 10**18 - 1]

#: A list of entity tags, the versions that it names strongly, and those that it names weakly too.
LISTS = [
    ('"1"', {1}, {1}),
    (' "1" ', {1}, {1}),
    ('\t"1"\t', {1}, {1}),
    ('"1","2"', {1, 2}, {1, 2}),
    ('"1" , \t"2"', {1, 2}, {1, 2}),
    ('"1", "1"', {1}, {1}),
    # Empty elements are ignored (section 5.6.1.2).
    (',"1"', {1}, {1}),
    ('"1",', {1}, {1}),
    (' , ,,"1", \t,,"2",', {1, 2}, {1, 2}),
    # Weak tags
    ('W/"1"', set(), {1}),
    ('W/"1", "2"', {2}, {1, 2}),
    ('"1", W/"1"', {1}, {1}),
    # Tags of no version
    ('""', set(), set()),
    ('"*"', set(), set()),
    ('"0"', set(), set()),
    ('"01"', set(), set()),
    ('"007", "7"', {7}, {7}),
    ('"-1"', set(), set()),
    ('"+1"', set(), set()),
    ('"1.0"', set(), set()),
    ('"1e0"', set(), set()),
    ('"1_0"', set(), set()),
    ('"0x1"', set(), set()),
    ('"W/1"', set(), set()),
    ('"abc"', set(), set()),
    ("\"'1'\"", set(), set()),
    # obs-text, as WSGI hands it over; the superscript is a digit to Python.
    ('"\xb9"', set(), set()),
    ('"\xff", "1"', {1}, {1}),
    # A comma between quotes parts nothing, and a backslash escapes nothing.
    ('"1,2"', set(), set()),
    ('",", "1"', {1}, {1}),
    ('"1", "2,", ",7"', {1}, {1}),
    (r'"\", "1"', {1}, {1}),
    # Huge numbers
    ('"999999999999999999"', {10**18 - 1}, {10**18 - 1}),
    (f'"{"9" * 40}"', set(), set()),
    (f'"{"9" * 5000}", "1"', {1}, {1}),
]

MALFORMED = [
    ", ".join(f'"{version}"' for version in range(1, 102)),
    "",
    " ",
    ",",
    " , ,",
    "1",
    "abc",
    '"1',
    '1"',
    '"',
    '"""',
    '"1" "2"',
    '"1""2"',
    '"1";"2"',
    '"1", 2',
    '1, "2"',
    '"1" x',
    "'1'",
    'w/"1"',
    'W"1"',
    "W/1",
    'W/ "1"',
    'W /"1"',
    'W/W/"1"',
    "W/*",
    "**",
    '*, "1"',
    '"1", *',
    "*,",
    ", *",
    '"1 "',
    '"a b"',
    '"a\tb"',
    '"\x7f"',
    '"\x00"',
    '"1"\n',
    '\x0b"1"',
    '\xa0"1"',
    '"\u0661"',
    "“1”",
    '["1"]',
]


@pytest.mark.parametrize("version", [*VERSIONS, 10**18, 2**63 - 1])
def test_a_version_matches_its_own_entity_tag(version):
    assert version in parse_if_match(entity_tag(version))
    assert version in parse_if_none_match(entity_tag(version))


def test_an_entity_tag_is_the_quoted_version():
    assert entity_tag(3) == '"3"'


@pytest.mark.parametrize(("value", "strong", "weak"), LISTS)
def test_if_match_compares_strongly(value, strong, weak):
    assert set(parse_if_match(value)) == strong


@pytest.mark.parametrize(("value", "strong", "weak"), LISTS)
def test_if_none_match_compares_weakly(value, strong, weak):
    assert set(parse_if_none_match(value)) == weak


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_if_match_is_refused(value):
    with pytest.raises(ValueError, match="entity tags"):
        parse_if_match(value)


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_if_none_match_is_refused(value):
    with pytest.raises(ValueError, match="entity tags"):
        parse_if_none_match(value)


@pytest.mark.parametrize("value", [None, "*", " *", "*\t"])
def test_without_if_match_or_with_a_star_any_version_matches(value):
    assert parse_if_match(value) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_star_in_if_none_match_is_every_version(version):
    assert version in parse_if_none_match("*")
    assert version in parse_if_none_match(" *\t")


@pytest.mark.parametrize("version", VERSIONS)
def test_without_if_none_match_the_client_has_no_version(version):
    assert version not in parse_if_none_match(None)


@pytest.mark.parametrize(
    "value",
    [
        f",{' ' * 50_000}x",
        f'"1"{" " * 50_000}x',
        f"{',' * 50_000}x",
        f"{' ,' * 25_000}x",
        f'"{"," * 50_000}',
        f"{'W/' * 25_000}",
        f'{"W/" * 25_000}"1"',
        '"1",' * 20_000 + "x",
    ],
    ids=["spaces", "spaces after a tag", "commas", "both", "open quote", "W/", "W/ before a tag", "tags"],
)
def test_a_long_header_is_refused_in_no_time(value):
    """In time that grows with its length, and not with the square of it, which would be seconds."""
    start = time.process_time()
    with pytest.raises(ValueError, match="entity tags"):
        parse_if_match(value)
    assert time.process_time() - start < 1
