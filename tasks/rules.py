"""The rules of a task's values: characters, limits, messages and validators.

The characters are listed here instead of coming from ``unicodedata``, because the database's constraints contain the
same sets. A newer Python has newer Unicode tables, which must not change the rules for stored tasks.
"""

import re
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import IntegerChoices

from identity.user_ids import USER_ID, USER_ID_RULE
from tasks.due import DUE_MESSAGES, canonical_due


def characters(ranges: str) -> str:
    """Return the characters of inclusive ranges: ``characters("41-43 61")`` is ``"ABCa"``."""
    bounds = (part.partition("-") for part in ranges.split())
    return "".join(
        chr(point) for first, _, last in bounds for point in range(int(first, 16), int(last or first, 16) + 1)
    )


NUL = "\0"

#: The characters that ``str.strip`` removes.
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

#: Categories Cc, Cf, Zs, Zl and Zp: a title of only these characters looks empty.
INVISIBLE = CONTROLS + FORMATS + SEPARATORS + characters("20 A0 1680 2000-200A 202F 205F 3000")

TITLE_FORBIDDEN = CONTROLS + SEPARATORS
DESCRIPTION_FORBIDDEN = CONTROLS.translate(dict.fromkeys(map(ord, "\t\n\r")))

TITLE_MAX_LENGTH = 200
DESCRIPTION_MAX_LENGTH = 2000

LABEL_MAX_LENGTH = 50
LABELS_MAX_NUMBER = 20

#: A label may have neither the characters that JSON escapes, nor the comma that separates labels in a file.
LABEL_FORBIDDEN = TITLE_FORBIDDEN + '"\\,'

#: JavaScript's ``JSON.parse`` keeps this name, but an assignment to it changes the object's prototype.
RESERVED_LABEL = "__proto__"

#: The highest version that an import accepts, because JavaScript's numbers are exact up to here (RFC 8259, section 6).
#: Further writes add 1 each, and cannot reach the limit of the column.
MAX_VERSION = 2**53

#: The first and the last time that RFC 3339 can write.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

#: The accepted difference between the clocks of two servers.
CLOCK_SKEW = timedelta(minutes=1)


class Priority(IntegerChoices):
    """A priority; the label is the word in JSON, where ``NONE`` is ``null``."""

    NONE = 0, "none"
    LOW = 1, "low"
    MEDIUM = 2, "medium"
    HIGH = 3, "high"


#: The messages of each field by the codes of Django's and REST framework's validators.
MESSAGES: dict[str, dict[str, str]] = {
    "title": {
        "required": "Title is required",
        "null": "Title must be a string",
        "invalid": "Title must be a string",
        "blank": "Title must not be blank",
        "max_length": f"Title exceeds maximum length of {TITLE_MAX_LENGTH} characters",
        "forbidden_character": "Title must not contain control characters, line breaks or lone surrogates",
    },
    "description": {
        "invalid": "Description must be a string",
        "max_length": f"Description exceeds maximum length of {DESCRIPTION_MAX_LENGTH} characters",
        "forbidden_character": (
            "Description must not contain control characters other than tab and line breaks, or lone surrogates"
        ),
    },
    "completed": {
        "null": "Completed must be true or false",
        "invalid": "Completed must be true or false",
    },
    "due": DUE_MESSAGES,
    "priority": {"invalid": "Priority must be low, medium, high or null"},
    "labels": {
        "invalid": "Labels must be an object of names to true, or an array of names",
        "max_number": f"Labels exceed the maximum number of {LABELS_MAX_NUMBER}",
        "not_true": "A label must have the value true",
        "not_true_or_null": "A label must have the value true, or null to remove it",
        "blank": "A label must not be blank",
        "untrimmed": "A label must not begin or end with white space",
        "max_length": f"A label exceeds the maximum length of {LABEL_MAX_LENGTH} characters",
        "forbidden_character": (
            'A label must not contain ", \\, commas, control characters, line breaks or lone surrogates'
        ),
        "reserved": f"A label must not be {RESERVED_LABEL}",
        "duplicate": "A label must appear only once",
    },
}
_FORBIDDEN_IN_TITLE = re.compile(f"[{re.escape(TITLE_FORBIDDEN)}\ud800-\udfff]")
_FORBIDDEN_IN_LABEL = re.compile(f"[{re.escape(LABEL_FORBIDDEN)}\ud800-\udfff]")
_FORBIDDEN_IN_DESCRIPTION = re.compile(f"[{re.escape(DESCRIPTION_FORBIDDEN)}\ud800-\udfff]")


def validate_title(title: str) -> None:
    """Refuse a trimmed title that looks empty or is not one line of text.

    Raises:
        ValidationError: the title is blank or has a forbidden character.
    """
    if not title.strip(INVISIBLE):
        raise ValidationError(MESSAGES["title"]["blank"], code="blank")
    if _FORBIDDEN_IN_TITLE.search(title):
        raise ValidationError(MESSAGES["title"]["forbidden_character"], code="forbidden_character")


def validate_description(description: str) -> None:
    """Refuse characters that JSON, PostgreSQL or a terminal cannot carry.

    Raises:
        ValidationError: the description has such a character.
    """
    if _FORBIDDEN_IN_DESCRIPTION.search(description):
        raise ValidationError(MESSAGES["description"]["forbidden_character"], code="forbidden_character")


def validate_due(due: str) -> None:
    """Refuse a due date that is not in its stored form.

    Raises:
        ValidationError: the text is no due date, or has another stored form.
    """
    if canonical_due(due) != due:
        raise ValidationError(MESSAGES["due"]["invalid"], code="invalid")


def clean_label(text: str) -> str:
    """Return the trimmed name of a label.

    Raises:
        ValidationError: the name breaks a rule.
    """
    name = text.strip(WHITE_SPACE)
    code = _label_fault(name)
    if code:
        raise ValidationError(MESSAGES["labels"][code], code=code)
    return name


def _label_fault(name: str) -> str | None:
    if not name.strip(INVISIBLE):
        return "blank"
    if len(name) > LABEL_MAX_LENGTH:
        return "max_length"
    if _FORBIDDEN_IN_LABEL.search(name):
        return "forbidden_character"
    return "reserved" if name == RESERVED_LABEL else None


def validate_labels(labels: frozenset[str]) -> None:
    """Refuse too many labels, and names that break a rule.

    Raises:
        ValidationError: there are too many labels, or a name is not in the form that ``clean_label`` returns.
    """
    if len(labels) > LABELS_MAX_NUMBER:
        raise ValidationError(MESSAGES["labels"]["max_number"], code="max_number")
    for name in labels:
        if clean_label(name) != name:
            raise ValidationError(MESSAGES["labels"]["untrimmed"], code="untrimmed")


def validate_user_id(user_id: str) -> None:
    """Refuse an owner that no token can name.

    Raises:
        ValidationError: the user id breaks ``USER_ID_RULE``.
    """
    if not USER_ID.fullmatch(user_id):
        raise ValidationError(f"Owner {USER_ID_RULE}", code="invalid")
