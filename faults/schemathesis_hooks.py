"""What schemathesis cannot know, for faults/test_schema.py: it finds this by ``SCHEMATHESIS_HOOKS``."""

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from tasks.preconditions import ENTITY_TAGS, OBS_TEXT

TAGS = ENTITY_TAGS.replace(OBS_TEXT, "")

# For headers it makes letters and digits only, whatever the pattern, unless they have a format of their own.
schemathesis.openapi.format("entity-tags", strategies.from_regex(TAGS, fullmatch=True))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["schema"].get("pattern") == TAGS:
                    parameter["schema"]["format"] = "entity-tags"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """But for what OpenAPI has no words for: a cursor is one that the service made, and a title is trimmed first."""
    if isinstance(failure, RejectedPositiveData):
        return [fault.get("parameter") for fault in response.json().get("errors", ())] != ["cursor"]
    if isinstance(failure, AcceptedNegativeData) and isinstance(case.body, dict):
        title = case.body.get("title", "")
        return title == title.strip()
    return True
