"""Single-user mode: a request needs no token, and every task belongs to ``default``."""

import json

import pytest
from rest_framework.permissions import IsAuthenticated
from rest_framework.test import APIRequestFactory

from identity.authentication import Caller
from identity.single_user import SINGLE_USER, SingleUserAuthentication
from tasks.models import Task
from tasks.tests.api.contract import ROUTES, headers, problem, problem_headers, send
from tasks.tests.factories import TaskFactory, make_task


def test_every_request_authenticates_the_single_user():
    assert SingleUserAuthentication().authenticate(APIRequestFactory().get("/")) == (SINGLE_USER, None)
    assert Caller("default") == SINGLE_USER


def test_single_user_is_authenticated_and_immutable():
    request = APIRequestFactory().get("/")
    request.user = SINGLE_USER
    assert IsAuthenticated().has_permission(request, None) is True
    with pytest.raises(AttributeError):
        SINGLE_USER.pk = "other"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer a.b.c", "Basic YTpi", "Token a", "é", "Bearer \0"]
)
def test_authorization_header_is_ignored(client, authorization):
    headers = {} if authorization is None else {"authorization": authorization}
    response = client.post("/api/tasks", {"title": "a"}, "application/json", headers=headers)
    assert (response.status_code, response.json()["user_id"]) == (201, "default")
    assert "WWW-Authenticate" not in response.headers


TOKEN = "the-token-of-the-only-user-0123456789+/="

#: Values of ``Authorization`` that do not carry ``TOKEN``, and the ``WWW-Authenticate`` of their refusals.
NO_TOKENS = [None, "", "Bearer", "Bearer ", "Basic YTpi", TOKEN, f"Token {TOKEN}"]
WRONG_TOKENS = [
    "a",
    "a.b.c",
    TOKEN[:-1],
    TOKEN[1:],
    f"{TOKEN}=",
    f"{TOKEN}, {TOKEN}",
    TOKEN.upper(),
    TOKEN.replace("t", "\xe9"),
    "\0",
]


@pytest.fixture
def api_token(settings):
    settings.API_TOKEN = TOKEN


def refusal_of(authorization, client, path="/api/tasks"):
    """Send a request that would create a task, and return status, body and headers of the refusal."""
    sent = {} if authorization is None else {"authorization": authorization}
    response = client.post(path, {"title": "a"}, "application/json", headers=sent)
    return response.status_code, response.json(), headers(response)


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_api_token_authenticates_the_single_user(client, api_token, scheme):
    sent = {"authorization": f"{scheme} {TOKEN}"}
    response = client.post("/api/tasks", {"title": "a"}, "application/json", headers=sent)
    assert (response.status_code, response.json()["user_id"]) == (201, "default")


@pytest.mark.django_db
@pytest.mark.parametrize("authorization", NO_TOKENS)
def test_request_without_api_token_is_refused(client, api_token, authorization):
    expected = problem("not_authenticated", "/api/tasks"), problem_headers(**{"WWW-Authenticate": "Bearer"})
    assert refusal_of(authorization, client) == (401, *expected)
    assert Task.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("token", WRONG_TOKENS)
def test_request_with_wrong_api_token_is_refused(client, api_token, token, caplog):
    caplog.set_level("INFO")
    authenticate = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    expected = problem("authentication_failed", "/api/tasks"), problem_headers(**authenticate)
    assert refusal_of(f"Bearer {token}", client) == (401, *expected)
    assert Task.objects.count() == 0
    logged = [record.getMessage() for record in caplog.records if record.name == "identity.authentication"]
    assert logged == ["A token was refused: it is not API_TOKEN"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ROUTES)
def test_every_route_needs_the_api_token(client, api_token, name):
    task = make_task(ROUTES[name])
    assert send(client, ROUTES[name], task).status_code == 401
    assert send(client, ROUTES[name], task, Authorization=f"Bearer {TOKEN}").status_code == ROUTES[name].status


@pytest.mark.django_db
def test_page_of_another_origin_with_api_token_is_refused(client, api_token):
    sent = {"authorization": f"Bearer {TOKEN}", "sec-fetch-site": "cross-site"}
    assert client.get("/api/tasks", headers=sent).status_code == 403


@pytest.mark.parametrize("path", ["/api/docs", "/api/schema", "/problems/conflict", "/healthz", "/readyz"])
@pytest.mark.django_db
def test_other_paths_need_no_api_token(client, api_token, path):
    assert client.get(path).status_code == 200


@pytest.mark.django_db
def test_user_id_in_the_body_is_ignored(client):
    response = client.post("/api/tasks", {"title": "a", "user_id": "other"}, "application/json")
    assert (response.status_code, response.json()["user_id"]) == (201, "default")
    assert [task.user_id for task in Task.objects.all()] == ["default"]


@pytest.mark.django_db
def test_tasks_of_other_owners_are_not_found(client):
    other = TaskFactory(user_id="other")
    path = f"/api/tasks/{other.id}"
    assert json.loads(client.get("/api/tasks").getvalue()) == []
    assert [
        client.get(path).status_code,
        client.patch(path, {"title": "a"}, "application/json").status_code,
        client.post(f"{path}/toggle").status_code,
        client.delete(path).status_code,
    ] == [404, 404, 404, 404]
    assert Task.objects.get().version == 1


@pytest.mark.django_db
def test_admin_session_does_not_change_the_caller(admin_client):
    response = admin_client.post("/api/tasks", {"title": "a"}, "application/json")
    assert (response.status_code, response.json()["user_id"]) == (201, "default")
