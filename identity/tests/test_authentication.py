"""Single-user mode: a request needs no token, and every task belongs to ``default``."""

import json

import pytest
from rest_framework.permissions import IsAuthenticated
from rest_framework.test import APIRequestFactory

from identity.authentication import SINGLE_USER, Caller, SingleUserAuthentication
from tasks.models import Task
from tasks.tests.factories import TaskFactory


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
