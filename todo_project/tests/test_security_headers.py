"""The headers that restrict what browsers do with a response, and the cookies of the admin."""

import re

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

NOTHING = {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
PAGE = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
SWAGGER_UI = PAGE - {"img-src 'self'"} | {"img-src 'self' data:"}
REDOC = SWAGGER_UI - {"style-src 'self'"} | {"style-src 'self' 'unsafe-inline'", "worker-src blob:"}


def policy_of(response):
    return set(response.headers["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/", 302, NOTHING),
        ("/api/tasks", 200, NOTHING),
        ("/api/tasks?limit=0", 400, NOTHING),
        ("/api/tasks/nowhere", 404, NOTHING),
        ("/api/schema", 200, NOTHING),
        ("/api/docs", 200, SWAGGER_UI),
        ("/api/redoc", 200, REDOC),
        ("/problems/not_found", 200, NOTHING),
        ("/healthz", 200, NOTHING),
        ("/readyz", 200, NOTHING),
        ("/favicon.ico", 302, NOTHING),
        ("/nowhere", 404, NOTHING),
        ("/admin", 302, NOTHING),
        ("/admin/", 200, PAGE),
        ("/admin/login/", 302, PAGE),
        ("/admin/nowhere/", 404, PAGE),
        ("/admin/%00", 400, PAGE),
    ],
)
def test_each_response_has_a_policy(admin_client, path, status, policy):
    response = admin_client.get(path)
    assert (response.status_code, policy_of(response)) == (status, policy)
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_page_of_the_api_has_nothing_inline(client, path):
    content = client.get(path).content.decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", content) == []


def test_static_file_has_a_policy(settings, tmp_path):
    (tmp_path / "file.css").write_text("")
    settings.STATIC_ROOT = tmp_path
    response = Client().get("/static/file.css")
    response.close()
    assert (response.status_code, policy_of(response)) == (200, NOTHING)
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_debug_page_keeps_its_inline_styles(settings, client):
    settings.DEBUG = True
    assert "Content-Security-Policy" not in client.get("/nowhere").headers
    assert policy_of(client.get("/api/tasks")) == NOTHING


@pytest.mark.parametrize("path", ["/admin/", "/api/tasks"])
def test_refused_host_has_a_policy(client, path):
    assert "Content-Security-Policy" in client.get(path, headers={"host": "evil.example"}).headers
