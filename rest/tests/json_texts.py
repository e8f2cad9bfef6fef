"""JSON texts that the parser refuses, and the reason that it gives."""

import sys

NOT_UTF_8 = "The body is not UTF-8"
OUT_OF_RANGE = "The body has a number that is out of range"
BYTE_ORDER_MARK = "The body begins with a byte order mark; send it without one"
NO_NUMBER = "NaN and Infinity are not JSON"
TOO_DEEP = "The body nests deeper than 32 levels"

#: Python 3.13 reports a trailing comma itself, not the character after it.
AFTER_COMMA = 0 if sys.version_info >= (3, 13) else 1


def invalid(column, line=1):
    return f"The body is not valid JSON: line {line}, column {column}"


def arrays(depth):
    return b"[" * depth + b"]" * depth


def objects(depth):
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


UNREADABLE = {
    "blank": (b" \r\n\t", invalid(2, line=2)),
    "form-data": (b"title=Buy+milk", invalid(1)),
    "gzip": (b"\x1f\x8b\x08\x00", NOT_UTF_8),
    "byte-order-mark": (b'\xef\xbb\xbf{"title": "x"}', BYTE_ORDER_MARK),
    "utf-16": ('{"title": "x"}'.encode("utf-16"), NOT_UTF_8),
    "utf-16-without-mark": ('{"title": "x"}'.encode("utf-16-le"), invalid(2)),
    "utf-32": ('{"title": "x"}'.encode("utf-32"), NOT_UTF_8),
    "latin-1": ('{"title": "Grüße"}'.encode("latin-1"), NOT_UTF_8),
    "surrogate-in-utf-8": (b'{"title": "\xed\xa0\x80"}', NOT_UTF_8),
    "overlong-utf-8": (b'{"title": "\xc0\xaf"}', NOT_UTF_8),
    "cut-off-utf-8": (b'{"title": "\xf0\x9f\x92"}', NOT_UTF_8),
    "past-unicode": (b'{"title": "\xf4\x90\x80\x80"}', NOT_UTF_8),
    "past-unicode-lead-byte": (b'"\xf5\x80\x80\x80"', NOT_UTF_8),
    "nan": (b"NaN", NO_NUMBER),
    "nan-member": (b'{"title": NaN}', NO_NUMBER),
    "nan-in-read-only-field": (b'{"title": "x", "version": NaN}', NO_NUMBER),
    "infinity": (b'{"title": [Infinity]}', NO_NUMBER),
    "minus-infinity": (b'{"title": -Infinity}', NO_NUMBER),
    "lower-case-nan": (b"nan", invalid(1)),
    "minus-nan": (b"-NaN", invalid(1)),
    "1e400": (b"1e400", OUT_OF_RANGE),
    "1E+400": (b"1E+400", OUT_OF_RANGE),
    "minus-1e400": (b'{"title": -1e400}', OUT_OF_RANGE),
    "1e400-in-array": (b"[1e400]", OUT_OF_RANGE),
    "1e400-in-read-only-field": (b'{"title": "x", "version": [1e400]}', OUT_OF_RANGE),
    "5000-digits": (b'{"title": ' + b"9" * 5000 + b"}", OUT_OF_RANGE),
    "minus-5000-digits": (b"-" + b"9" * 5000, OUT_OF_RANGE),
    "leading-zero": (b'{"title": 01}', invalid(12)),
    "plus-sign": (b'{"title": +1}', invalid(11)),
    "no-digit-before-point": (b'{"title": .5}', invalid(11)),
    "no-digit-after-point": (b"1.", invalid(2)),
    "hexadecimal": (b'{"title": 0x1}', invalid(12)),
    "underscore": (b"1_000", invalid(2)),
    "arabic-digit": ("\u0661".encode(), invalid(1)),
    "second-object": (b'{"title": "x"}{}', invalid(15)),
    "second-object-after-space": (b"{} {}", invalid(4)),
    "second-line": (b'{"title": "x"}\n{"title": "x"}', invalid(1, line=2)),
    "trailing-nul": (b'{"title": "x"}\0', invalid(15)),
    "trailing-comma-in-object": (b'{"title": "x",}', invalid(14 + AFTER_COMMA)),
    "trailing-comma-in-array": (b"[1,]", invalid(3 + AFTER_COMMA)),
    "line-comment": (b"{} // no", invalid(4)),
    "comment": (b'{"title": "x" /* no */}', invalid(15)),
    "comment-first": (b'{/* no */ "a": 1}', invalid(2)),
    "single-quotes": (b"{'title': 'x'}", invalid(2)),
    "unquoted-key": (b'{title: "x"}', invalid(2)),
    "number-as-key": (b'{1: "x"}', invalid(2)),
    "python-true": (b'{"title": "x", "completed": True}', invalid(29)),
    "undefined": (b'{"a": undefined}', invalid(7)),
    "raw-line-feed": (b'{"title": "a\nb"}', invalid(13)),
    "raw-nul": (b'{"title": "a\0b"}', invalid(13)),
    "raw-tab": (b'{"a": "\tb"}', invalid(8)),
    "unknown-escape": (rb'{"title": "\x41"}', invalid(12)),
    "short-escape": (rb'{"title": "\u12"}', invalid(13)),
    "broken-escape": (rb'"\u12g4"', invalid(3)),
    "cut-off": (b'{"title": ', invalid(11)),
    "cut-off-after-value": (b'{"a": 1', invalid(8)),
    "semicolon-on-second-line": (b'{\n  "a": 1;\n}', invalid(9, line=2)),
    "form-feed": (b'\f{"title": "x"}', invalid(1)),
    "no-break-space": ('\u00a0{"title": "x"}'.encode(), invalid(1)),
    "33-objects": (objects(33), TOO_DEEP),
    "33-arrays": (arrays(33), TOO_DEEP),
    "33-arrays-further-on": (b"[1," + arrays(32) + b"]", TOO_DEEP),
    "32-arrays-in-object": (b'{"version":' + arrays(32) + b"}", TOO_DEEP),
    "5000-arrays": (arrays(5000), TOO_DEEP),
    "32000-arrays": (arrays(32_000), TOO_DEEP),
    "60000-open-arrays": (b"[" * 60_000, TOO_DEEP),
    "13000-open-objects": (b'{"a":' * 13_000, TOO_DEEP),
}

#: Bodies and the JSON pointers of their repeated keys.
REPEATED_KEYS = {
    "repeated": (b'{"title": "a", "title": "b"}', "#/title"),
    "same-value": (b'{"title": "a", "title": "a"}', "#/title"),
    "three-times": (b'{"title": 1, "title": 2, "title": 3}', "#/title"),
    "two-keys": (b'{"a": 1, "b": 1, "b": 2, "a": 2, "c": 0}', "#/a", "#/b"),
    "beside-invalid-fields": (b'{"title": "", "title": 1, "x": 1}', "#/title"),
    "nested": (b'{"version": {"a": 1, "a": 2}}', "#/version/a"),
    "in-array": (b'{"id": [0, {"a": 1, "a": 2}]}', "#/id/1/a"),
    "in-outer-array": (b'[0, {"b": 1, "b": 2}]', "#/1/b"),
    "deep": (b'{"a": [[{"b": {"c": 1, "c": 2}}]]}', "#/a/0/0/b/c"),
    "around-another": (b'{"a": 1, "a": {"b": 1, "b": 2}}', "#/a", "#/a/b"),
    "escaped": (rb'{"title": "a", "\u0074itle": "b"}', "#/title"),
    "escaped-beyond-ascii": (rb'{"\u00e9": 1, "' + "é".encode() + b'": 2}', "#/%C3%A9"),
    "beyond-ascii": ('{"ü": 1, "ü": 2}'.encode(), "#/%C3%BC"),
    "empty-key": (b'{"": 1, "": 2}', "#/"),
    "slash": (b'{"a/b": 1, "a/b": 2}', "#/a~1b"),
    "tilde": (b'{"~": 1, "~": 2}', "#/~0"),
    "tilde-1": (b'{"~1": 1, "~1": 2}', "#/~01"),
    "percent": (b'{"%25": 1, "%25": 2}', "#/%2525"),
    "outside-fragment": (b'{"a b#\\"": 1, "a b#\\"": 2}', "#/a%20b%23%22"),
    "emoji": ('{"\N{DECIDUOUS TREE}": 1, "\N{DECIDUOUS TREE}": 2}'.encode(), "#/%F0%9F%8C%B3"),
    "line-feed": (rb'{"\n": 1, "\n": 2}', "#/%0A"),
    "lone-surrogate": (rb'{"\ud800": 1, "\ud800": 2}', "#/?"),
}
REPEATED_KEY = "This key is repeated"
