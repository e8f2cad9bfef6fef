"""What the OpenAPI document says of texts, tags and links, held against what the service does."""

import re

import pytest
from django.core.exceptions import ValidationError
from drf_spectacular.generators import SchemaGenerator

from rest import entity_tags
from tasks.api.filters import SEARCH
from rest.openapi import character_class
from tasks.rules import validate_description, validate_title
from rest.tests.test_entity_tags import LISTS, MALFORMED

#: Of the first plane, but for lone surrogates, which no JSON that is UTF-8 holds.
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


def parameter(operation, name):
    [found] = [each for each in operation["parameters"] if each["name"] == name]
    return found["schema"]


def accepts(validate, value):
    try:
        validate(value)
    except (ValidationError, ValueError):
        return False
    return True


@pytest.mark.parametrize("schema", ["TaskRequest", "PatchedTaskRequest"])
@pytest.mark.parametrize(("field", "validate"), [("title", validate_title), ("description", validate_description)])
@pytest.mark.parametrize("text", ["{}", "{}x", "x{}", "x{}x", " {} ", "{0}{0}"])
def test_a_text_of_any_character_matches_if_it_is_accepted(document, schema, field, validate, text):
    pattern = re.compile(document["components"]["schemas"][schema]["properties"][field]["pattern"])
    texts = [text.format(character) for character in CHARACTERS]
    assert [each for each in texts if bool(pattern.fullmatch(each)) != accepts(validate, each)] == []


@pytest.mark.parametrize("text", ["{}", " {}", "{}x", "{0}\t{0}"])
def test_so_does_a_search(operations, text):
    pattern = re.compile(parameter(operations["listTasks"], "q")["pattern"])
    texts = [text.format(character) for character in CHARACTERS]
    assert [each for each in texts if bool(pattern.fullmatch(each)) != accepts(SEARCH.parse, each)] == []


@pytest.mark.parametrize("header", [value for value, *_ in LISTS] + MALFORMED)
@pytest.mark.parametrize(("operation", "name"), [("updateTask", "If-Match"), ("getTask", "If-None-Match")])
def test_so_does_a_list_of_tags_but_for_its_length_and_what_is_beyond_ascii(operations, operation, name, header):
    accepted = accepts(entity_tags.parse_if_match, header) or header.count(",") >= entity_tags.MAX_TAGS
    pattern = parameter(operations[operation], name)["pattern"]
    assert bool(re.fullmatch(pattern, header)) is (accepted and header.isascii())


def test_a_class_spells_ranges_out():
    assert character_class("cabx\U0001f600") == r"\u0061-\u0063\u0078"


def test_a_task_leads_to_what_may_be_done_with_it(operations):
    links = {name: links_of(operation) for name, operation in operations.items()}
    live = ["getTask", "updateTask", "toggleTask", "deleteTask"]
    trashed = ["getTrashedTask", "restoreTask", "removeTask"]
    assert {name: targets for name, targets in links.items() if targets} == {
        "createTask": live,
        "getTask": live,
        "updateTask": live,
        "toggleTask": live,
        "restoreTask": live,
        "deleteTask": trashed,
        "getTrashedTask": trashed,
    }


def links_of(operation):
    return [name for response in operation["responses"].values() for name in response.get("links", ())]


def test_a_link_names_the_task_and_binds_a_write_to_its_version(document):
    links = document["components"]["links"]
    assert links["toggleTask"] == {
        "operationId": "toggleTask",
        "parameters": {"path.id": "$response.body#/id", "header.If-Match": "$response.header.ETag"},
    }
    assert links["getTask"] == {"operationId": "getTask", "parameters": {"path.id": "$response.body#/id"}}
