"""The admin site: the front page, groups, log-ins, security headers, the log and error pages."""

import re

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client

from tasks.apps import create_groups
from tasks.tests.admin.admin_pages import LIST, run_action, text_of
from tasks.tests.factories import TaskFactory
from todo_project.admin_site import client_address

pytestmark = pytest.mark.django_db

PASSWORD = "a-password-of-the-tests"
LOGIN = "/admin/login/"
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _fast_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def operator(_fast_passwords):
    user = User.objects.create_user("olga", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    return user


@pytest.fixture
def as_operator(operator):
    client = Client(raise_request_exception=False)
    client.force_login(operator)
    return client


# The front page.


def test_front_page_shows_totals_and_30_days(as_operator):
    TaskFactory(completed=True)
    TaskFactory(trashed=True)
    response = as_operator.get("/admin/")
    assert "Live 1 Completed 1 In the trash 1 Oldest trash 2" in text_of(response)
    content = response.content.decode()
    assert content.count('<rect class="created"') == content.count('<rect class="completed"') == 30
    assert len(re.findall(r'<th scope="row">\d{4}-\d\d-\d\d</th>', content)) == 30


def test_front_page_without_tasks_says_what_to_do(as_operator):
    text = text_of(as_operator.get("/admin/"))
    assert "There are no tasks yet. Create tasks through the API or add one here ." in text


def test_front_page_takes_5_queries_and_5_per_minute(as_operator, django_assert_num_queries):
    """The session, the user, two for permissions, the last actions; and five for the statistics."""
    TaskFactory()
    with django_assert_num_queries(10):
        as_operator.get("/admin/")
    with django_assert_num_queries(5):
        as_operator.get("/admin/")


def test_user_without_group_sees_no_statistics(client):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    response = client.get("/admin/")
    assert response.status_code == 200
    assert "Live" not in text_of(response)


# Groups and accounts.


def test_migrate_creates_two_groups():
    assert {
        group.name: sorted(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()
    } == {"viewer": ["view_task"], "operator": ["add_task", "change_task", "delete_task", "view_task"]}


def test_changed_group_is_not_reset():
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.clear()
    Group.objects.get(name="operator").delete()
    create_groups(using="default")
    assert viewer.permissions.count() == 0
    assert Group.objects.get(name="operator").permissions.count() == 4


def test_first_account_is_created_from_the_environment(client, monkeypatch):
    for name, value in {"USERNAME": "olga", "EMAIL": "olga@example.org", "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
    assert not User.objects.exists()
    call_command("createsuperuser", interactive=False, verbosity=0)
    assert log_in(client, "olga").status_code == 302


# Log-ins.


def log_in(client, name="olga", password=PASSWORD, next_url="/admin/", **options):
    return client.post(LOGIN, {"username": name, "password": password, "next": next_url}, **options)


def is_locked(response):
    return response.status_code == 429 and "Too many attempts" in text_of(response)


@pytest.mark.parametrize(
    ("next_url", "location"),
    [
        ("/admin/tasks/task/?where=trash", "/admin/tasks/task/?where=trash"),
        ("https://evil.example/", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/\\evil.example/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("http:evil.example", "/admin/"),
    ],
)
def test_log_in_never_redirects_to_another_host(client, operator, next_url, location):
    response = log_in(client, next_url=next_url)
    assert (response.status_code, response.headers["Location"]) == (302, location)


def test_five_failures_lock_the_name_and_the_address(client, operator):
    for _ in range(4):
        assert log_in(client, password="wrong").status_code == 200
    assert is_locked(log_in(client, password="wrong"))
    assert is_locked(log_in(client))
    assert is_locked(log_in(client, REMOTE_ADDR="192.0.2.7"))
    assert is_locked(log_in(client, name="somebody-else"))
    assert "Try again in 15 minutes" in text_of(log_in(client))


def test_failures_of_another_name_and_address_lock_nobody(client, operator):
    for _ in range(5):
        log_in(client, name="nobody", password="wrong", REMOTE_ADDR="192.0.2.7")
    assert log_in(client).status_code == 302


def test_log_in_resets_the_failures_of_the_name(client, operator):
    for _ in range(3):
        for _ in range(4):
            log_in(client, password="wrong")
        assert log_in(client).status_code == 302


def test_log_in_keeps_the_failures_of_other_names(client, operator):
    User.objects.create_user("victor", password=PASSWORD, is_staff=True)
    for _ in range(4):
        assert log_in(client, password="wrong").status_code == 200
    assert log_in(client, name="victor").status_code == 302
    assert is_locked(log_in(client, password="wrong"))


def test_lock_ends_and_further_attempts_do_not_prolong_it(client, operator):
    for _ in range(5):
        log_in(client, password="wrong")
    locked_at = AccessAttempt.objects.get().attempt_time
    assert is_locked(log_in(client, password="wrong"))
    assert AccessAttempt.objects.get().attempt_time == locked_at
    AccessAttempt.objects.update(attempt_time=locked_at - settings.AXES_COOLOFF_TIME)
    assert log_in(client).status_code == 302


def test_command_unlocks_a_name(client, operator):
    for _ in range(5):
        log_in(client, password="wrong")
    call_command("axes_reset_username", "olga", verbosity=0)
    assert log_in(client).status_code == 302


@pytest.mark.parametrize(
    ("https", "forwarded", "address"),
    [
        (False, "", "192.0.2.1"),
        (False, "198.51.100.9", "192.0.2.1"),
        (True, "198.51.100.9", "198.51.100.9"),
        (True, "203.0.113.66, 198.51.100.9", "198.51.100.9"),
        (True, "198.51.100.9:5678", "198.51.100.9"),
        (True, "2001:db8::1", "2001:db8::1"),
        (True, "[2001:db8::1]:5678", "2001:db8::1"),
        (True, "", "192.0.2.1"),
        (True, "unknown", "192.0.2.1"),
        (True, "[::1", "192.0.2.1"),
        (True, "a" * 300, "192.0.2.1"),
    ],
)
def test_forwarded_address_counts_only_behind_a_proxy(rf, settings, https, forwarded, address):
    settings.HTTPS = https
    assert client_address(rf.get("/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded})) == address


def test_overlong_user_name_is_refused(client):
    assert "has at most 150 characters (it has 256)" in text_of(log_in(client, "u" * 256))
    assert not AccessAttempt.objects.exists()


# Security headers and cookies.


def policy_of(response):
    return set(response.headers["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize("path", ["/admin/", LOGIN, LIST, f"{LIST}add/", "/admin/nowhere/"])
def test_admin_page_has_a_policy_and_nothing_inline(as_operator, path):
    response = as_operator.get(path)
    assert policy_of(response) == POLICY
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", response.content.decode()) == []


def test_swagger_ui_may_also_load_inline_images(client):
    assert policy_of(client.get("/api/docs")) == POLICY - {"img-src 'self'"} | {"img-src 'self' data:"}


@pytest.mark.parametrize("path", ["/api/tasks", "/healthz", "/problems/not_found"])
def test_response_outside_the_admin_has_no_policy(client, path):
    assert "Content-Security-Policy" not in client.get(path).headers


def test_cookies_are_limited_to_the_admin(client, operator):
    cookies = log_in(client).cookies
    assert {name: (cookie["path"], cookie["samesite"]) for name, cookie in cookies.items()} == {
        "sessionid": ("/admin/", "Lax"),
        "csrftoken": ("/admin/", "Lax"),
    }
    assert (cookies["sessionid"]["httponly"], cookies["sessionid"]["max-age"]) == (True, 12 * 60 * 60)


# The log.


def test_log_shows_the_actions_of_operators(admin_client, as_operator):
    task = TaskFactory(title="Buy milk")
    run_action(as_operator, "complete", [task])
    as_operator.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    text = text_of(admin_client.get("/admin/admin/logentry/"))
    newer, older = "olga Buy milk Moved to the trash.", f"olga 1 task completed Mark completed. Ids: {task.pk} "
    assert 0 < text.find(newer) < text.find(older)


@pytest.mark.parametrize("page", ["add/", "1/change/", "1/delete/"])
def test_log_is_read_only(admin_client, as_operator, page):
    task = TaskFactory()
    as_operator.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    LogEntry.objects.update(id=1)
    assert admin_client.post(f"/admin/admin/logentry/{page}", {"post": "yes"}).status_code == 403
    assert LogEntry.objects.count() == 1


# Error pages.


@pytest.mark.parametrize(
    ("path", "status", "heading"),
    [
        ("/admin/nowhere/", 404, "Page not found"),
        (f"{LIST}?title__regex=a", 400, "Invalid request"),
    ],
)
def test_error_page_has_the_style_of_the_site(as_operator, path, status, heading):
    response = as_operator.get(path)
    assert response.status_code == status
    assert f"<h1>{heading}</h1>" in response.content.decode()
    assert "To-do tasks" in text_of(response)


def test_unavailable_database_has_an_error_page(as_operator, monkeypatch):
    def fail():
        raise OperationalError("secret")

    monkeypatch.setattr("todo_project.dashboard.build_context", fail)
    response = as_operator.get("/admin/")
    assert response.status_code == 503
    assert "The database is unavailable, or the request took too long." in text_of(response)
    assert "secret" not in response.content.decode()
