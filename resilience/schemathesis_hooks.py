"""Exceptions for schemathesis from rules that OpenAPI cannot express.

``resilience/test_schema.py`` names this module in ``SCHEMATHESIS_HOOKS``.
"""

import re

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

from rest.entity_tags import ENTITY_TAGS, OBS_TEXT

ENTITY_TAGS_PATTERN = ENTITY_TAGS.replace(OBS_TEXT, "")

# Without a format, schemathesis ignores a header's pattern and generates only letters and digits.
schemathesis.openapi.format("entity-tags", strategies.from_regex(ENTITY_TAGS_PATTERN, fullmatch=True))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["schema"].get("pattern") == ENTITY_TAGS_PATTERN:
                    parameter["schema"]["format"] = "entity-tags"


#: The parameters and fields whose rules OpenAPI cannot express.
UNEXPRESSED_RULES = {"cursor", "since", "due_after", "due_before", "#/due", "#/labels", "#/id", "#/if_match"}

#: The beginning of the pointer to a field of a bulk's operation.
OPERATION = re.compile(r"^#/\d+(/task)?/")

restored_ids = set()


def trimmed_texts(case):
    """Yield the texts that the service trims."""
    yield (case.query or {}).get("label")
    operations = case.body if isinstance(case.body, list) else [{"task": case.body}]
    for operation in operations:
        task = operation.get("task") if isinstance(operation, dict) else None
        if isinstance(task, dict):
            yield task.get("title")
            yield from task["labels"] if isinstance(task.get("labels"), dict | list) else ()


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.path.endswith("/restore") and response.status_code == 200:
        restored_ids.add(case.path_parameters["id"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keep a failure unless OpenAPI cannot express its rule.

    The service accepts only its own cursors and states, dates of the calendar, known time zones, labels that the task
    has room for, and in a bulk the ids and versions of tasks. The service trims titles and labels before it checks
    them, and lets a client restore a deleted task.
    """
    match failure:
        case RejectedPositiveData():
            errors = response.json().get("errors", ())
            places = {error.get("parameter") or OPERATION.sub("#/", error.get("pointer", "")) for error in errors}
            return not places or not places <= UNEXPRESSED_RULES
        case AcceptedNegativeData():
            return all(text == text.strip() for text in trimmed_texts(case) if isinstance(text, str))
        case UseAfterFree():
            return case.path_parameters["id"] not in restored_ids
        case _:
            return True
