"""JSON as RFC 8259 has it: what is taken for it, and what is refused."""

import sys
from contextlib import suppress
from io import BytesIO

import pytest

from rest.json_parsers import JSONParser, MergePatchParser
from rest.problems.types import UnreadableBody


def parse(body):
    return JSONParser().parse(BytesIO(body))


def refusal(body):
    with pytest.raises(UnreadableBody) as raised:
        parse(body)
    return str(raised.value.detail), raised.value.faults


def arrays(depth):
    return b"[" * depth + b"]" * depth


def objects(depth):
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def nested(value, depth, wrap):
    for _ in range(depth - 1):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b"[]", []),
        (b'"text"', "text"),
        (b"true", True),
        (b"null", None),
        (b' \t\r\n{ "a" : [ 1 , null ] }\n ', {"a": [1, None]}),
        ('{"Müll": "Bäume 🌳"}'.encode(), {"Müll": "Bäume 🌳"}),
        (rb'"\u00e9\n\ud83c\udf33\/"', "é\n🌳/"),
        (b"1", 1),
        (b"-0", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"1.5e300", 1.5e300),
        (b"1e-400", 0),
        (b"0." + b"3" * 5000, 1 / 3),
        (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
        ('{"\u00e9": 1, "e\u0301": 2}'.encode(), {"\u00e9": 1, "e\u0301": 2}),
        (b'""', ""),
        (b'{"": 1}', {"": 1}),
        (arrays(32), nested([], 32, lambda value: [value])),
        (objects(32), nested({}, 32, lambda value: {"a": value})),
        (b'["' + b"[" * 60_000 + b'"]', ["[" * 60_000]),
    ],
)
def test_a_json_text_is_taken(body, value):
    assert parse(body) == value


@pytest.mark.parametrize("body", [rb'"\ud800"', rb'"\udfff\ud800"', rb'{"\udc00": 1}'])
def test_lone_surrogates_are_left_to_the_rules_of_the_fields(body):
    """They are within RFC 8259's grammar (section 8.2)."""
    parse(body)


NOT_UTF_8 = "The body is not UTF-8"
OUT_OF_RANGE = "The body has a number that is out of range"
NO_NUMBER = "NaN and Infinity are not JSON"
TOO_DEEP = "The body nests deeper than 32 levels"


def invalid(column, line=1):
    return f"The body is not valid JSON: line {line}, column {column}"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(b"", invalid(1), id="empty"),
        pytest.param(b" ", invalid(2), id="blank"),
        pytest.param(b"\xef\xbb\xbf{}", invalid(1), id="byte-order-mark"),
        pytest.param('{"title": "a"}'.encode("utf-16"), NOT_UTF_8, id="utf-16"),
        pytest.param('{"title": "a"}'.encode("utf-16-le"), invalid(2), id="utf-16-without-mark"),
        pytest.param('{"title": "a"}'.encode("utf-32"), NOT_UTF_8, id="utf-32"),
        pytest.param('"é"'.encode("latin-1"), NOT_UTF_8, id="latin-1"),
        pytest.param(b'"\xed\xa0\x80"', NOT_UTF_8, id="surrogate-in-utf-8"),
        pytest.param(b'"\xc0\xaf"', NOT_UTF_8, id="overlong"),
        pytest.param(b'"\xf5\x80\x80\x80"', NOT_UTF_8, id="past-unicode"),
        pytest.param(b"NaN", NO_NUMBER, id="nan"),
        pytest.param(b'{"a": [Infinity]}', NO_NUMBER, id="infinity"),
        pytest.param(b"-Infinity", NO_NUMBER, id="minus-infinity"),
        pytest.param(b"nan", invalid(1), id="lower-case-nan"),
        pytest.param(b"-NaN", invalid(1), id="minus-nan"),
        pytest.param(b"1e400", OUT_OF_RANGE, id="1e400"),
        pytest.param(b'{"a": -1e400}', OUT_OF_RANGE, id="-1e400"),
        pytest.param(b"1E+400", OUT_OF_RANGE, id="1E+400"),
        pytest.param(b"9" * 5000, OUT_OF_RANGE, id="5,000-digits"),
        pytest.param(b"-" + b"9" * 5000, OUT_OF_RANGE, id="minus-5,000-digits"),
        pytest.param(b"01", invalid(2), id="leading-zero"),
        pytest.param(b"+1", invalid(1), id="plus"),
        pytest.param(b".5", invalid(1), id="no-digit-before-the-point"),
        pytest.param(b"1.", invalid(2), id="no-digit-after-the-point"),
        pytest.param(b"0x1", invalid(2), id="hexadecimal"),
        pytest.param(b"1_000", invalid(2), id="underscore"),
        pytest.param("\u0661".encode(), invalid(1), id="digit-of-another-script"),
        pytest.param(b"{} {}", invalid(4), id="trailing-text"),
        pytest.param(b"{}\0", invalid(3), id="trailing-nul"),
        pytest.param(b"{} // no", invalid(4), id="line-comment"),
        pytest.param(b'{/* no */ "a": 1}', invalid(2), id="comment"),
        pytest.param(b"{'a': 1}", invalid(2), id="single-quotes"),
        pytest.param(b"{a: 1}", invalid(2), id="bare-key"),
        pytest.param(b"{1: 1}", invalid(2), id="number-as-key"),
        pytest.param(b"True", invalid(1), id="python"),
        pytest.param(b'{"a": undefined}', invalid(7), id="undefined"),
        pytest.param(b'"a\nb"', invalid(3), id="raw-line-feed"),
        pytest.param(b'"a\0b"', invalid(3), id="raw-nul"),
        pytest.param(b'{"a": "\tb"}', invalid(8), id="raw-tab"),
        pytest.param(rb'"\x41"', invalid(2), id="unknown-escape"),
        pytest.param(rb'"\u12g4"', invalid(3), id="broken-escape"),
        pytest.param(b'{"a": 1', invalid(8), id="cut-off"),
        pytest.param(b'{\n  "a": 1;\n}', invalid(9, line=2), id="on-the-second-line"),
        pytest.param("\u00a0{}".encode(), invalid(1), id="white-space-that-json-does-not-know"),
        pytest.param(arrays(33), TOO_DEEP, id="33-arrays"),
        pytest.param(objects(33), TOO_DEEP, id="33-objects"),
        pytest.param(b'{"a":' + arrays(32) + b"}", TOO_DEEP, id="32-arrays-in-an-object"),
        pytest.param(b"[1," + arrays(32) + b"]", TOO_DEEP, id="33-further-on"),
        pytest.param(b"[" * 60_000, TOO_DEEP, id="60,000-arrays"),
        pytest.param(b'{"a":' * 13_000, TOO_DEEP, id="13,000-objects"),
        pytest.param(arrays(32_000), TOO_DEEP, id="32,000-closed-arrays"),
    ],
)
def test_what_is_no_json_text_is_refused(body, detail):
    assert refusal(body) == (detail, [])


def test_trailing_commas_are_refused():
    """Python 3.13 counts the column otherwise."""
    for body in (b"[1,]", b'{"a": 1,}'):
        assert refusal(body)[0].startswith("The body is not valid JSON: line 1, column ")


REPEATED = "A key stands more than once"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        pytest.param(b'{"a": 1, "a": 2}', ["#/a"], id="top"),
        pytest.param(b'{"a": 1, "a": 1, "a": 1}', ["#/a"], id="three-times"),
        pytest.param(b'{"a": 1, "b": 1, "b": 2, "a": 2, "c": 0}', ["#/a", "#/b"], id="two-keys"),
        pytest.param(b'{"a": {"b": 1, "b": 2}}', ["#/a/b"], id="nested"),
        pytest.param(b'[0, {"b": 1, "b": 2}]', ["#/1/b"], id="array"),
        pytest.param(b'{"a": [[{"b": {"c": 1, "c": 2}}]]}', ["#/a/0/0/b/c"], id="deep"),
        pytest.param(b'{"a": 1, "a": {"b": 1, "b": 2}}', ["#/a", "#/a/b"], id="around-another"),
        pytest.param(rb'{"a": 1, "\u0061": 2}', ["#/a"], id="escaped"),
        pytest.param(rb'{"\u00e9": 1, "' + "é".encode() + b'": 2}', ["#/%C3%A9"], id="escaped-non-ascii"),
        pytest.param(b'{"": 1, "": 2}', ["#/"], id="empty-key"),
        pytest.param(b'{"a/b": 1, "a/b": 2}', ["#/a~1b"], id="slash"),
        pytest.param(b'{"~": 1, "~": 2}', ["#/~0"], id="tilde"),
        pytest.param(b'{"~1": 1, "~1": 2}', ["#/~01"], id="tilde-1"),
        pytest.param(b'{"%25": 1, "%25": 2}', ["#/%2525"], id="percent"),
        pytest.param(b'{"a b#\\"": 1, "a b#\\"": 2}', ["#/a%20b%23%22"], id="outside-a-fragment"),
        pytest.param("{'🌳': 1, '🌳': 2}".replace("'", '"').encode(), ["#/%F0%9F%8C%B3"], id="emoji"),
        pytest.param(rb'{"\n": 1, "\n": 2}', ["#/%0A"], id="line-feed"),
        pytest.param(rb'{"\ud800": 1, "\ud800": 2}', ["#/?"], id="lone-surrogate"),
    ],
)
def test_a_repeated_key_is_refused_by_name(body, pointers):
    faults = [{"pointer": pointer, "code": "repeated_key", "detail": REPEATED} for pointer in pointers]
    assert refusal(body) == (REPEATED, faults)


def test_nesting_is_refused_before_repeated_keys():
    assert refusal(b'{"a": 1, "a": ' + arrays(32) + b"}") == (TOO_DEEP, [])


def test_the_parsers_differ_in_their_media_type_alone():
    assert (JSONParser.media_type, MergePatchParser.media_type) == (
        "application/json",
        "application/merge-patch+json",
    )
    assert MergePatchParser.parse is JSONParser.parse


# The work grows with the body and no faster.

MAX_BODY = 64 * 1024


def calls(work, body):
    """How many functions ``work(body)`` calls: a measure of time that is the same on every machine."""
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work(body)
    finally:
        sys.setprofile(before)
    return counted


def one_key(size):
    return b"{" + b",".join([b'"a":1'] * (size // 6)) + b"}"


def many_keys(size):
    return b"{" + b",".join(b'"%04x":1,"%04x":1' % (key, key) for key in range(size // 18)) + b"}"


def many_objects(size):
    return b"[" + b",".join([b'{"a":1,"a":1}'] * (size // 14)) + b"]"


def deep_objects(size):
    objects = b",".join([b'{"a":1,"a":1}'] * ((size - 300) // 14))
    return b'{"k":' * 30 + b"[" + objects + b"]" + b"}" * 30


def long_path(size):
    """Half of the body is one key, which stands in the pointer of every fault of the other half."""
    return b'{"' + b"k" * (size // 2) + b'":' + many_keys(size // 2) + b"}"


def without_repeats(size):
    return b"[" + b",".join(b'{"%04x":1}' % key for key in range(size // 11)) + b"]"


SHAPES = [one_key, many_keys, many_objects, deep_objects, long_path]


def try_to_parse(body):
    with suppress(UnreadableBody):
        parse(body)


@pytest.mark.parametrize("shape", [*SHAPES, without_repeats])
def test_twice_the_body_takes_twice_the_calls(shape):
    half, whole = (calls(try_to_parse, shape(size)) for size in (MAX_BODY // 2, MAX_BODY))
    assert half > 10
    assert whole <= 2.1 * half


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_said_of_a_body_is_not_much_longer_than_the_body(shape):
    body = shape(MAX_BODY)
    assert len(body) <= MAX_BODY
    detail, faults = refusal(body)
    assert detail == REPEATED
    assert sum(len(fault["pointer"]) for fault in faults) <= 10 * len(body)
