"""``If-Match`` and ``If-None-Match`` (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2)."""

import time

import pytest

from rest.entity_tags import entity_tag, parse_if_match, parse_if_none_match

VERSIONS = [1, 2, 7, 10**17, 10**18 - 1]

#: A list of entity tags, the versions that it names strongly, and all that it names.
LISTS = [
    ('"1"', {1}, {1}),
    (' "1" ', {1}, {1}),
    ('\t"1"\t', {1}, {1}),
    ('"1","2"', {1, 2}, {1, 2}),
    ('"1" , \t"2"', {1, 2}, {1, 2}),
    ('"1", "1"', {1}, {1}),
    # RFC 9110, section 5.6.1.2, ignores empty elements.
    (',"1"', {1}, {1}),
    ('"1",', {1}, {1}),
    (' , ,,"1", \t,,"2",', {1, 2}, {1, 2}),
    ('W/"1"', set(), {1}),
    ('W/"1", "2"', {2}, {1, 2}),
    ('"1", W/"1"', {1}, {1}),
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
    # Python takes the superscript one for a digit.
    ('"\xb9"', set(), set()),
    ('"\xff", "1"', {1}, {1}),
    # Between quotes a comma separates nothing, and a backslash escapes nothing.
    ('"1,2"', set(), set()),
    ('",", "1"', {1}, {1}),
    ('"1", "2,", ",7"', {1}, {1}),
    (r'"\", "1"', {1}, {1}),
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


LONG = {
    "spaces": f",{' ' * 50_000}x",
    "spaces after a tag": f'"1"{" " * 50_000}x',
    "commas": f"{',' * 50_000}x",
    "spaces and commas": f"{' ,' * 25_000}x",
    "open quote": f'"{"," * 50_000}',
    "W/": f"{'W/' * 25_000}",
    "W/ before a tag": f'{"W/" * 25_000}"1"',
    "tags": '"1",' * 20_000 + "x",
}


def test_entity_tag_is_quoted_version():
    assert entity_tag(3) == '"3"'


@pytest.mark.parametrize("version", [*VERSIONS, 10**18, 2**63 - 1])
def test_entity_tag_names_its_version(version):
    assert version in parse_if_match(entity_tag(version))
    assert version in parse_if_none_match(entity_tag(version))


@pytest.mark.parametrize(("value", "strong", "every"), LISTS)
def test_list_in_if_match_is_compared_strongly(value, strong, every):
    assert set(parse_if_match(value)) == strong


@pytest.mark.parametrize(("value", "strong", "every"), LISTS)
def test_list_in_if_none_match_is_compared_weakly(value, strong, every):
    assert set(parse_if_none_match(value)) == every


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize("parse", [parse_if_match, parse_if_none_match])
def test_malformed_list_is_refused(parse, value):
    with pytest.raises(ValueError, match="entity tags"):
        parse(value)


@pytest.mark.parametrize("value", [None, "*", " *", "*\t"])
def test_if_match_absent_or_star_admits_any_version(value):
    assert parse_if_match(value) is None


@pytest.mark.parametrize("value", ["*", " *\t"])
def test_if_none_match_star_names_every_version(value):
    assert all(version in parse_if_none_match(value) for version in VERSIONS)


def test_if_none_match_absent_names_no_version():
    assert not any(version in parse_if_none_match(None) for version in VERSIONS)


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_long_list_is_refused_in_linear_time(value):
    """Quadratic time would be seconds."""
    start = time.process_time()
    with pytest.raises(ValueError, match="entity tags"):
        parse_if_match(value)
    assert time.process_time() - start < 1
