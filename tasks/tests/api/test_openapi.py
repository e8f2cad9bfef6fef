"""The patterns and links of the OpenAPI document, compared with what the service does."""

import re

import pytest
from django.core.exceptions import ValidationError
from drf_spectacular.generators import SchemaGenerator

from rest import entity_tags
from rest.openapi import character_except
from rest.tests.test_entity_tags import LISTS, MALFORMED
from tasks.api.filters import SEARCH
from tasks.rules import clean_label, validate_description, validate_title
from tasks.tests.api.contract import validator_of
from tasks.tests.api.test_due_and_priority import ACCEPTED

#: The basic multilingual plane without lone surrogates, which JSON in UTF-8 cannot have.
CHARACTERS = [chr(point) for point in range(0x10000) if not 0xD800 <= point < 0xE000]


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(public=True)


@pytest.fixture(scope="module")
def operations(document):
    return operations_of(document)


def operations_of(document):
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
    assert schemas["TaskPatch"]["properties"][field]["pattern"] == pattern
    assert mismatches(pattern, validate, template) == []


@pytest.mark.parametrize("template", ["{}", "x{}x", "{0}{0}"])
def test_pattern_of_label_matches_what_service_accepts(document, operations, template):
    pattern = parameter_schema(operations["listTasks"], "label")["pattern"]
    assert document["components"]["schemas"]["Label"]["pattern"] == pattern
    assert mismatches(pattern, clean_label, template) == []


@pytest.mark.parametrize("due", ACCEPTED)
def test_pattern_of_due_matches_accepted_forms(document, due):
    schemas = document["components"]["schemas"]
    for name in ("TaskRequest", "TaskPatch"):
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


def test_character_except_spells_ranges():
    assert character_except("cabx\U0001f600") == r"[^\u0061-\u0063\u0078]"
    assert character_except('"\\,\t\n') == r"[^\t-\n\u0022\u002c\\]"


@pytest.mark.parametrize(
    ("characters", "pattern"),
    [
        ("\u2028\u2029", r"(?:[^\u2027-\u202a]|[\u2027\u202a])"),
        ("\u2027\u2028\u2029", r"(?:[^\u2027-\u202a]|[\u202a])"),
        ("\u2028\u2029\u202a", r"(?:[^\u2027-\u202a]|[\u2027])"),
        ("\u2027\u2028\u2029\u202a", r"[^\u2027-\u202a]"),
    ],
)
def test_character_except_spells_no_line_end(characters, pattern):
    assert character_except(characters) == pattern
    refused = [character for character in CHARACTERS if not re.fullmatch(pattern, character)]
    assert "".join(refused) == characters


# What generators, linters and Swagger UI read


def nodes(value, path=()):
    """Yield each object of the document with its path."""
    if isinstance(value, dict):
        yield path, value
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(child, (*path, key))


def test_operations_have_tag_and_summary(operations):
    assert {name: (*operation["tags"], operation["summary"]) for name, operation in operations.items()} == {
        "listTasks": ("tasks", "List tasks"),
        "createTask": ("tasks", "Create a task"),
        "countTasks": ("tasks", "Count tasks"),
        "listChanges": ("tasks", "List changes since a state"),
        "bulkTasks": ("tasks", "Carry out many operations at once"),
        "getTask": ("tasks", "Get a task"),
        "putTask": ("tasks", "Create a task under an id that the client made"),
        "updateTask": ("tasks", "Change a task"),
        "deleteTask": ("tasks", "Move a task to the trash"),
        "toggleTask": ("tasks", "Toggle a task"),
        "restoreTask": ("trash", "Restore a task from the trash"),
        "listTrash": ("trash", "List the trash"),
        "getTrashedTask": ("trash", "Get a task in the trash"),
        "removeTask": ("trash", "Remove a task for good"),
    }


def test_document_has_servers_license_and_tags(document):
    assert document["info"]["license"] == {"name": "BSD 3-Clause License", "identifier": "BSD-3-Clause"}
    assert document["servers"] == [{"url": "/", "description": "The service that serves this document."}]
    assert document["tags"] == [
        {"name": "tasks", "description": "The caller's tasks outside the trash."},
        {"name": "trash", "description": "The caller's deleted tasks."},
    ]


def test_schemas_have_names(document):
    """Generators invent a name for an object that is no component."""
    assert sorted(document["components"]["schemas"]) == [
        "BulkOperation",
        "Change",
        "ChangePage",
        "ChangeState",
        "CreateOperation",
        "DeleteOperation",
        "Label",
        "LabelPatch",
        "Labels",
        "Priority",
        "Problem",
        "ProblemError",
        "RemoveOperation",
        "RestoreOperation",
        "Task",
        "TaskCount",
        "TaskPatch",
        "TaskRequest",
        "ToggleOperation",
        "UpdateOperation",
    ]
    objects = [path for path, node in nodes(document) if "properties" in node and "type" in node]
    assert [path for path in objects if path[:2] != ("components", "schemas") or len(path) != 3] == []


def test_examples_match_their_schemas(document):
    pairs = []
    for path, node in nodes(document):
        if isinstance(node.get("examples"), list):
            pairs += [(path, node, example) for example in node["examples"]]
        elif "examples" in node:
            pairs += [(path, node["schema"], example["value"]) for example in node["examples"].values()]
    assert len(pairs) > 100
    assert [path for path, schema, example in pairs if not validator_of(document, schema).is_valid(example)] == []


def test_parameters_have_no_examples_that_are_sent(operations):
    """Swagger UI sends the examples of a parameter, but not the ``examples`` of its schema."""
    parameters = [parameter for operation in operations.values() for parameter in operation.get("parameters", ())]
    assert [each for each in parameters if {"example", "examples"} & {*each} or "example" in each["schema"]] == []
    defaults = {(each["name"], each["schema"]["default"]) for each in parameters if "default" in each["schema"]}
    assert defaults == {
        ("If-None-Match", "*"),
        ("limit", 100),
        ("ordering", "-created_at"),
        ("ordering", "-updated_at"),
    }


def test_path_parameter_has_description_and_example(operations):
    ids = [
        each for operation in operations.values() for each in operation.get("parameters", ()) if each["in"] == "path"
    ]
    assert ids == 8 * [
        {
            "in": "path",
            "name": "id",
            "schema": {"type": "string", "format": "uuid", "examples": ["019bac10-5b00-7000-8000-000000000000"]},
            "required": True,
            "description": "The id of the task: a UUID in lower case. For a new task, a UUID of version 7.",
        }
    ]


def test_enumerations_have_distinct_names(document):
    """``title`` and ``-title`` would get the same name."""
    enumerations = [node for _, node in nodes(document) if isinstance(node.get("enum"), list)]
    names = [node.get("x-enum-varnames", node["enum"]) for node in enumerations]
    assert len(names) > 5
    for each in names:
        assert all(re.fullmatch("[A-Za-z][A-Za-z_]*", name) for name in each), each
        assert len({name.upper() for name in each}) == len(each)
    orderings = parameter_schema(operations_of(document)["listTasks"], "ordering")
    assert dict(zip(orderings["enum"], orderings["x-enum-varnames"], strict=True))["-due"] == "DUE_DESCENDING"


def test_versions_are_numbers_of_json(document):
    """Generators map ``int64`` to BigInt, or to text."""
    schemas = document["components"]["schemas"]
    assert schemas["Task"]["properties"]["version"].items() >= {"type": "integer", "minimum": 1}.items()
    assert [path for path, node in nodes(document) if node.get("format") in ("int64", "int32")] == []


def test_response_schemas_are_not_read_only(document):
    """Generators omit read-only properties, so a ``Task`` would have no ``id``."""
    assert [path for path, node in nodes(document) if "readOnly" in node] == []


def test_patterns_suit_other_languages(document):
    """Rust has no lookaround, and generators for JavaScript write the characters of these escapes."""
    patterns = {node["pattern"] for _, node in nodes(document) if isinstance(node.get("pattern"), str)}
    assert len(patterns) > 5
    assert [pattern for pattern in patterns if re.search(r"\(\?[=!<]|u(000[ad]|005c|202[89])", pattern)] == []


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
