"""What schemathesis cannot know, for resilience/test_schema.py: it finds this by ``SCHEMATHESIS_HOOKS``."""

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

from rest.entity_tags import ENTITY_TAGS, OBS_TEXT

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


#: Tasks that came back from the trash.
restored = set()


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.path.endswith("/restore") and response.status_code == 200:
        restored.add(case.path_parameters["id"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """But for what OpenAPI has no words for.

    A cursor is one that the service made, a title is trimmed before it is measured, and what was deleted can be
    restored.
    """
    match failure:
        case RejectedPositiveData():
            return [fault.get("parameter") for fault in response.json().get("errors", ())] != ["cursor"]
        case AcceptedNegativeData() if isinstance(case.body, dict) and isinstance(case.body.get("title"), str):
            return case.body["title"] == case.body["title"].strip()
        case UseAfterFree():
            return case.path_parameters["id"] not in restored
        case _:
            return True
