"""The patterns and links of the OpenAPI document, compared with what the service does."""

import re

import pytest
from django.core.exceptions import ValidationError
from drf_spectacular.generators import SchemaGenerator

from rest import entity_tags
from rest.openapi import character_class
from rest.tests.test_entity_tags import LISTS, MALFORMED
from tasks.api.filters import SEARCH
from tasks.rules import clean_label, validate_description, validate_title
from tasks.tests.api.test_due_and_priority import ACCEPTED

#: The basic multilingual plane without lone surrogates, which JSON in UTF-8 cannot have.
CHARACTERS = [chr(point) for point in range(0x10000) if not 0xD800 <= point < 0xE000]


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(public=True)


@pytest.fixture(scope="module")
def operations(document):
    return {
        operation["operationId"]: operation
        for operations in document["paths"].values()
        for operation in operations.values()
    }


def parameter_schema(operation, name):
    [found] = [each for each in operation["parameters"] if each["name"] == name]
    return found["schema"]


def accepts(validate, value):
    try:
        validate(value)
    except (ValidationError, ValueError):
        return False
    return True


def mismatches(pattern, validate, template):
    """Return the texts that only one of the pattern and the rule accepts, with each character."""
    matches = re.compile(pattern).fullmatch
    texts = [template.format(character) for character in CHARACTERS]
    return [text for text in texts if bool(matches(text)) != accepts(validate, text)]


@pytest.mark.parametrize(("field", "validate"), [("title", validate_title), ("description", validate_description)])
@pytest.mark.parametrize("template", ["{}", "{}x", "x{}", "x{}x", " {} ", "{0}{0}"])
def test_pattern_of_field_matches_what_service_accepts(document, field, validate, template):
    schemas = document["components"]["schemas"]
    pattern = schemas["TaskRequest"]["properties"][field]["pattern"]
    assert schemas["PatchedTaskRequest"]["properties"][field]["pattern"] == pattern
    assert mismatches(pattern, validate, template) == []


@pytest.mark.parametrize("template", ["{}", "x{}x", "{0}{0}"])
def test_pattern_of_label_matches_what_service_accepts(document, operations, template):
    pattern = parameter_schema(operations["listTasks"], "label")["pattern"]
    labels, names, _ = document["components"]["schemas"]["TaskRequest"]["properties"]["labels"]["anyOf"]
    assert labels["propertyNames"]["pattern"] == names["items"]["pattern"] == pattern
    assert mismatches(pattern, clean_label, template) == []


@pytest.mark.parametrize("due", ACCEPTED)
def test_pattern_of_due_matches_accepted_forms(document, due):
    schemas = document["components"]["schemas"]
    for name in ("TaskRequest", "PatchedTaskRequest"):
        assert re.fullmatch(schemas[name]["properties"]["due"]["pattern"], due)
    assert re.fullmatch(schemas["Task"]["properties"]["due"]["pattern"], ACCEPTED[due])


@pytest.mark.parametrize("template", ["{}", " {}", "{}x", "{0}\t{0}"])
def test_pattern_of_search_matches_what_service_accepts(operations, template):
    pattern = parameter_schema(operations["listTasks"], "q")["pattern"]
    assert mismatches(pattern, SEARCH.parse, template) == []


@pytest.mark.parametrize("header", [value for value, *_ in LISTS] + MALFORMED)
@pytest.mark.parametrize(("operation", "name"), [("updateTask", "If-Match"), ("getTask", "If-None-Match")])
def test_pattern_of_entity_tags_matches_accepted_ascii(operations, operation, name, header):
    """The pattern does not limit the number of tags."""
    accepted = accepts(entity_tags.parse_if_match, header) or header.count(",") >= entity_tags.MAX_TAGS
    pattern = parameter_schema(operations[operation], name)["pattern"]
    assert bool(re.fullmatch(pattern, header)) is (accepted and header.isascii())


def test_character_class_spells_ranges():
    assert character_class("cabx\U0001f600") == r"\u0061-\u0063\u0078"


def links_of(operation):
    return [name for response in operation["responses"].values() for name in response.get("links", ())]


def test_links_lead_to_operations_on_task(operations):
    live = ["getTask", "updateTask", "toggleTask", "deleteTask"]
    trashed = ["getTrashedTask", "restoreTask", "removeTask"]
    links = {name: links_of(operation) for name, operation in operations.items()}
    assert {name: targets for name, targets in links.items() if targets} == {
        "createTask": live,
        "putTask": live,
        "getTask": live,
        "updateTask": live,
        "toggleTask": live,
        "restoreTask": live,
        "deleteTask": trashed,
        "getTrashedTask": trashed,
    }


def test_links_to_writes_bind_version(document):
    links = document["components"]["links"]
    assert links["toggleTask"] == {
        "operationId": "toggleTask",
        "parameters": {"path.id": "$response.body#/id", "header.If-Match": "$response.header.ETag"},
    }
    assert links["getTask"] == {"operationId": "getTask", "parameters": {"path.id": "$response.body#/id"}}
