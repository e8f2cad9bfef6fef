"""The characters that the rules of a task's texts speak of.

They are spelled out, not asked of ``unicodedata``, because the same sets stand in the database's constraints: a newer
Python, which brings newer Unicode tables, must not change what a stored task may be.
"""


def characters(ranges: str) -> str:
    """The characters of some inclusive ranges: ``characters("41-43 61")`` is ``"ABCa"``."""
    bounds = (part.partition("-") for part in ranges.split())
    return "".join(
        chr(point) for first, _, last in bounds for point in range(int(first, 16), int(last or first, 16) + 1)
    )


NUL = "\0"

#: What ``str.strip`` takes off.
WHITE_SPACE = characters("09-0D 1C-20 85 A0 1680 2000-200A 2028-2029 202F 205F 3000")

#: General category Cc.
CONTROLS = characters("00-1F 7F-9F")

#: Categories Zl and Zp.
SEPARATORS = characters("2028-2029")

#: Category Cf, as of Unicode 16.
FORMATS = characters(
    "AD 600-605 61C 6DD 70F 890-891 8E2 180E 200B-200F 202A-202E 2060-2064 2066-206F FEFF FFF9-FFFB "
    "110BD 110CD 13430-1343F 1BCA0-1BCA3 1D173-1D17A E0001 E0020-E007F"
)

#: Categories Cc, Cf, Zs, Zl and Zp: a title of nothing else shows nothing.
INVISIBLE = CONTROLS + FORMATS + SEPARATORS + characters("20 A0 1680 2000-200A 202F 205F 3000")

TITLE_FORBIDDEN = CONTROLS + SEPARATORS
DESCRIPTION_FORBIDDEN = CONTROLS.translate(dict.fromkeys(map(ord, "\t\n\r")))
