"""The accepted values of ``Accept`` and ``Content-Type`` (RFC 9110, sections 12.5.1 and 8.3).

``tasks/tests/api/refusals.py`` has the values that are refused.
"""

import json

import pytest

from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

ACCEPTED = [
    None,
    "",
    " ",
    ",",
    "*/*",
    "application/*",
    "application/json",
    "APPLICATION/JSON",
    "Application/Json;Q=0.5",
    "application/problem+json",
    "Application/Problem+JSON",
    " application/json ",
    "application/json;q=0.001",
    "application/json; q=1.000",
    "application/json ; q=0.5",
    "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
    "text/html,application/json",
    "text/html, application/*;q=0.1",
    "*/*;q=0, application/json",
    "*/*;q=0, application/json;q=0.1",
    "application/*;q=0, application/problem+json",
    "application/json, */*;q=0",
    "application/json;q=0, application/problem+json",
    "application/problem+json;q=0, application/json",
    "application/json;q=0, */*",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; charset="utf-8"',
    "application/json; charset=utf-8; q=0.5",
    "application/problem+json; charset=utf-8",
    "garbage, application/json",
    ";;;, */*",
    "text/html; x*=bogus''1, application/json",
]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_accept_with_json_or_problems_is_answered(client, accept):
    response = client.get("/api/tasks", headers={} if accept is None else {"accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(response.getvalue()) == []


def test_accept_beyond_ascii_is_refused(client):
    """Granian drops such a value, so this cannot be tested with the running server."""
    assert client.get("/api/tasks", headers={"accept": "é"}).status_code == 406


@pytest.mark.parametrize(
    ("path", "accept", "content_type"),
    [
        ("/api/schema", "*/*", "application/vnd.oai.openapi"),
        ("/api/schema", "application/yaml", "application/yaml"),
        ("/api/schema", "application/json", "application/json"),
        ("/api/schema", "application/problem+json", "application/vnd.oai.openapi"),
        ("/api/docs", "application/json", "text/html; charset=utf-8"),
        ("/api/redoc", "text/plain", "text/html; charset=utf-8"),
    ],
)
def test_page_with_any_accept_is_answered(client, path, accept, content_type):
    response = client.get(path, headers={"accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)


def test_openapi_document_is_built_once(client, monkeypatch):
    first = client.get("/api/schema")
    monkeypatch.setattr("todo_project.api_docs.SchemaGenerator", None)
    assert client.get("/api/schema").content == first.content
    assert first.headers["Content-Disposition"] == 'inline; filename="openapi.yaml"'


def test_error_with_accept_of_json_alone_is_a_problem(client):
    response = client.get("/api/tasks/1", headers={"accept": "application/json"})
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


UTF_8_JSON = [
    "application/json",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=Utf-8",
    "application/json; charset=utf8",
    "application/json; Charset=UTF8",
    'application/json; charset="utf-8"',
    'application/json; charset="UTF-8"',
    "application/json ; charset=utf-8",
    "application/json;",
    "application/json; profile=a",
]
MERGE_PATCH = [
    "application/merge-patch+json",
    "Application/Merge-Patch+JSON",
    "application/merge-patch+json; charset=utf-8",
]
BODY = '{"title": "Bäume gießen"}'.encode()


@pytest.mark.parametrize("content_type", UTF_8_JSON)
def test_post_of_utf_8_json_is_read(client, content_type):
    response = client.generic("POST", "/api/tasks", BODY, content_type)
    assert (response.status_code, response.json()["title"]) == (201, "Bäume gießen")
    assert Task.objects.get().title == "Bäume gießen"


@pytest.mark.parametrize("content_type", UTF_8_JSON + MERGE_PATCH)
def test_patch_of_utf_8_json_or_merge_patch_is_read(client, content_type):
    task = TaskFactory(title="Before")
    response = client.generic("PATCH", f"/api/tasks/{task.id}", BODY, content_type)
    assert (response.status_code, response.json()["title"]) == (200, "Bäume gießen")
    assert Task.objects.get().title == "Bäume gießen"
