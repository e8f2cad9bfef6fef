"""What a client accepts (RFC 9110, section 12.5.1), and what it may send (section 8.3)."""

import json
from uuid import UUID

import pytest

from tasks.models import Task
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

NOT_ACCEPTABLE = {
    "type": "/problems/not_acceptable",
    "title": "Not Acceptable",
    "status": 406,
    "detail": "Only application/json and application/problem+json can be answered",
    "instance": "/api/tasks",
    "code": "not_acceptable",
}


@pytest.mark.parametrize(
    "accept",
    [
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
    ],
)
def test_whoever_accepts_json_or_problems_is_answered(client, accept):
    response = client.get("/api/tasks", headers={} if accept is None else {"accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(response.getvalue()) == []


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/*",
        "application/xml",
        "application/yaml, text/csv",
        "application/jsonp",
        "application/ld+json",
        "application/merge-patch+json",
        "application/json;q=0",
        "application/json; q=0.000",
        "APPLICATION/JSON;Q=0",
        "application/*;q=0",
        "*/*;q=0",
        "text/html, */*;q=0",
        "*/*, application/*;q=0",
        "*/*;q=0.5, application/json;q=0, application/problem+json;q=0",
        "application/*, application/json;q=0, application/problem+json;q=0",
        "application/json; charset=utf-16",
        "garbage",
        "json",
        "*",
        "application",
        "application/",
        "/json",
        "/",
        ";",
        "é",
        "application/json; q*=bogus''1",
        "application/json; x*=bogus''1",
        "a" * 10_000,
        "text/html," * 1_000,
    ],
)
def test_whoever_does_not_is_told_what_can_be_had(client, accept):
    response = client.get("/api/tasks", headers={"accept": accept})
    assert response.json() == NOT_ACCEPTABLE
    assert (response.status_code, response.headers["Content-Type"]) == (406, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "accept", "answered"),
    [
        ("/api/schema", "*/*", "application/vnd.oai.openapi"),
        ("/api/schema", "application/yaml", "application/yaml"),
        ("/api/schema", "application/json", "application/json"),
        ("/api/schema", "application/problem+json", "application/vnd.oai.openapi"),
        ("/api/docs", "application/json", "text/html; charset=utf-8"),
        ("/api/redoc", "text/plain", "text/html; charset=utf-8"),
    ],
)
def test_a_page_is_shown_to_whoever_accepts_something_else(client, path, accept, answered):
    response = client.get(path, headers={"accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, answered)


def test_the_document_is_made_once(client, monkeypatch):
    first = client.get("/api/schema")
    monkeypatch.setattr("todo_project.api_docs.SchemaGenerator", None)
    assert client.get("/api/schema").content == first.content
    assert first.headers["Content-Disposition"] == 'inline; filename="openapi.yaml"'


def test_an_accept_header_that_cannot_be_read_hides_none_that_can(client):
    response = client.get("/api/tasks", headers={"accept": "text/html; x*=bogus''1, application/json"})
    assert response.status_code == 200


def test_an_error_is_a_problem_for_whoever_accepts_json_alone(client):
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

OTHER = [
    "text/json",
    "text/plain",
    "text/plain; charset=utf-8",
    "application/json; charset=utf-16",
    "application/json; charset=UTF-16LE",
    "application/json; charset=utf-32",
    "application/json; charset=utf-7",
    "application/json; charset=latin-1",
    "application/json; charset=iso-8859-1",
    "application/json; charset=us-ascii",
    "application/json; charset=bogus",
    "application/json; charset=",
    'application/json; charset=""',
    "application/json; CHARSET=latin-1",
    "application/json; charset*=utf-8''utf-16",
    "application/jsonp",
    "application/ld+json",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=a",
    "application/json, text/plain",
    "application/*",
    "*/*",
    "json",
    "application",
    "é",
]

MERGE_PATCH = [
    "application/merge-patch+json",
    "Application/Merge-Patch+JSON",
    "application/merge-patch+json; charset=utf-8",
]

BODY = '{"title": "Bäume gießen"}'.encode()


def unsupported_media_type(instance):
    return {
        "type": "/problems/unsupported_media_type",
        "title": "Unsupported Media Type",
        "status": 415,
        "detail": "The body must be UTF-8 JSON, sent with its Content-Type and without a Content-Encoding",
        "instance": instance,
        "code": "unsupported_media_type",
    }


@pytest.fixture
def task():
    return TaskFactory(title="Before")


def titles():
    return [task.title for task in Task.objects.all()]


@pytest.mark.parametrize("content_type", UTF_8_JSON)
def test_post_takes_utf_8_json(client, content_type):
    response = client.generic("POST", "/api/tasks", BODY, content_type)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/tasks/{UUID(response.json()['id'])}"
    assert titles() == ["Bäume gießen"]


@pytest.mark.parametrize("content_type", UTF_8_JSON + MERGE_PATCH)
def test_patch_takes_utf_8_json_and_a_merge_patch(client, task, content_type):
    response = client.generic("PATCH", f"/api/tasks/{task.id}", BODY, content_type)
    assert (response.status_code, response.json()["title"]) == (200, "Bäume gießen")
    assert titles() == ["Bäume gießen"]


@pytest.mark.parametrize("content_type", OTHER + MERGE_PATCH)
def test_post_takes_nothing_else(client, content_type):
    response = client.generic("POST", "/api/tasks", BODY, content_type)
    assert response.json() == unsupported_media_type("/api/tasks")
    assert response.status_code == 415
    assert titles() == []


@pytest.mark.parametrize("content_type", OTHER)
def test_patch_takes_nothing_else(client, task, content_type):
    response = client.generic("PATCH", f"/api/tasks/{task.id}", BODY, content_type)
    assert response.json() == unsupported_media_type(f"/api/tasks/{task.id}")
    assert response.status_code == 415
    assert titles() == ["Before"]


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize("content_type", ["", " "])
def test_a_body_without_a_content_type_is_refused(client, task, method, content_type):
    path = "/api/tasks" if method == "post" else f"/api/tasks/{task.id}"
    response = client.generic(method.upper(), path, BODY, content_type)
    assert response.json() == unsupported_media_type(path)
    assert response.status_code == 415


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br, gzip", "deflate", "identity", "bogus"])
def test_an_encoded_body_is_refused(client, task, method, encoding):
    path = "/api/tasks" if method == "post" else f"/api/tasks/{task.id}"
    headers = {"content-encoding": encoding}
    response = getattr(client, method)(path, BODY, "application/json", headers=headers)
    assert response.json() == unsupported_media_type(path)
    assert response.status_code == 415


@pytest.mark.parametrize("content_type", OTHER + MERGE_PATCH)
def test_a_body_that_is_ignored_may_be_of_any_type(client, task, content_type):
    response = client.generic("POST", f"/api/tasks/{task.id}/toggle", b"\xff", content_type)
    assert (response.status_code, response.json()["completed"]) == (200, True)


def test_the_methods_whose_body_is_ignored_need_no_type_and_take_any_encoding(client, task):
    headers = {"content-encoding": "gzip"}
    assert client.generic("POST", f"/api/tasks/{task.id}/toggle", b"\xff", "", headers=headers).status_code == 200
    assert client.generic("DELETE", f"/api/tasks/{task.id}", b"\xff", "", headers=headers).status_code == 200
