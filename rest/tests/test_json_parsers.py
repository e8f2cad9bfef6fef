"""The JSON parser, which takes RFC 8259 and nothing more."""

import sys
from contextlib import suppress
from io import BytesIO

import pytest
from django.test import RequestFactory

from rest.json_parsers import JSONParser, MergePatchParser
from rest.problems.types import UnreadableBody
from rest.tests.json_texts import REPEATED_KEY, REPEATED_KEYS, TOO_DEEP, UNREADABLE, arrays, invalid, objects

MAX_BODY = 64 * 1024


def parse(body):
    return JSONParser().parse(BytesIO(body))


def refusal(body):
    with pytest.raises(UnreadableBody) as raised:
        parse(body)
    return str(raised.value.detail), raised.value.faults


def nested(value, depth, wrap):
    for _ in range(depth - 1):
        value = wrap(value)
    return value


VALUES = {
    "object": (b"{}", {}),
    "array": (b"[]", []),
    "string": (b'"text"', "text"),
    "empty-string": (b'""', ""),
    "true": (b"true", True),
    "null": (b"null", None),
    "white-space": (b' \t\r\n{ "a" : [ 1 , null ] }\n ', {"a": [1, None]}),
    "beyond-ascii": ('{"Müll": "Bäume 🌳"}'.encode(), {"Müll": "Bäume 🌳"}),
    "escapes": (rb'"\u00e9\n\ud83c\udf33\/"', "é\n🌳/"),
    "integer": (b"1", 1),
    "minus-zero": (b"-0", 0),
    "largest-bigint": (b"9223372036854775807", 2**63 - 1),
    "large-double": (b"1.5e300", 1.5e300),
    "underflow": (b"1e-400", 0),
    "5000-digits-after-point": (b"0." + b"3" * 5000, 1 / 3),
    "keys-in-other-case": (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
    "key-in-two-objects": (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
    "key-in-inner-object": (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
    "keys-not-normalized": ('{"\u00e9": 1, "e\u0301": 2}'.encode(), {"\u00e9": 1, "e\u0301": 2}),
    "empty-key": (b'{"": 1}', {"": 1}),
    "32-arrays": (arrays(32), nested([], 32, lambda value: [value])),
    "32-objects": (objects(32), nested({}, 32, lambda value: {"a": value})),
    "60000-brackets-in-string": (b'["' + b"[" * 60_000 + b'"]', ["[" * 60_000]),
}


@pytest.mark.parametrize(("body", "value"), VALUES.values(), ids=VALUES)
def test_parser_json_text_returns_value(body, value):
    assert parse(body) == value


@pytest.mark.parametrize("body", [rb'"\ud800"', rb'"\udfff\ud800"', rb'{"\udc00": 1}'])
def test_parser_lone_surrogate_is_left_to_fields(body):
    """RFC 8259, section 8.2, allows lone surrogates in JSON texts."""
    parse(body)


@pytest.mark.parametrize(("body", "detail"), UNREADABLE.values(), ids=UNREADABLE)
def test_parser_other_text_is_refused(body, detail):
    assert refusal(body) == (detail, [])


def test_parser_empty_text_is_refused():
    assert refusal(b"") == (invalid(1), [])


def test_parser_text_shorter_than_content_length_is_refused():
    request = RequestFactory().post("/", b"{}", content_type="application/json")
    request.META["CONTENT_LENGTH"] = "3"
    with pytest.raises(UnreadableBody, match="The body ended before its Content-Length"):
        JSONParser().parse(BytesIO(b"{}"), parser_context={"request": request})


@pytest.mark.parametrize("row", REPEATED_KEYS.values(), ids=REPEATED_KEYS)
def test_parser_repeated_key_is_refused_by_name(row):
    body, *pointers = row
    faults = [{"pointer": pointer, "code": "repeated_key", "detail": REPEATED_KEY} for pointer in pointers]
    assert refusal(body) == (REPEATED_KEY, faults)


def test_parser_deep_nesting_comes_before_repeated_keys():
    assert refusal(b'{"a": 1, "a": ' + arrays(32) + b"}") == (TOO_DEEP, [])


def test_merge_patch_parser_differs_only_in_media_type():
    assert JSONParser.media_type == "application/json"
    assert MergePatchParser.media_type == "application/merge-patch+json"
    assert MergePatchParser.parse is JSONParser.parse


def count_calls(body):
    """Count the function calls of parsing a body, because this measures time equally on every machine."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with suppress(UnreadableBody):
            parse(body)
    finally:
        sys.setprofile(before)
    return calls


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
    """Return a body whose long outer key is part of every pointer."""
    return b'{"' + b"k" * (size // 2) + b'":' + many_keys(size // 2) + b"}"


def no_repeated_key(size):
    return b"[" + b",".join(b'{"%04x":1}' % key for key in range(size // 11)) + b"]"


REPEATING_SHAPES = [one_key, many_keys, many_objects, deep_objects, long_path]


@pytest.mark.parametrize("shape", [*REPEATING_SHAPES, no_repeated_key])
def test_parser_work_grows_linearly_with_body(shape):
    half, whole = (count_calls(shape(size)) for size in (MAX_BODY // 2, MAX_BODY))
    assert half > 10
    assert whole <= 2.1 * half


@pytest.mark.parametrize("shape", REPEATING_SHAPES)
def test_parser_pointers_are_bounded_by_body_length(shape):
    body = shape(MAX_BODY)
    assert len(body) <= MAX_BODY
    detail, faults = refusal(body)
    assert detail == REPEATED_KEY
    assert sum(len(fault["pointer"]) for fault in faults) <= 10 * len(body)
