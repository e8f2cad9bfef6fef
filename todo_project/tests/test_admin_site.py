"""The operators' site: its front page, who gets in, and what a browser may do there."""

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

from tasks.apps import make_groups
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
def _forget():
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


def text_of(response):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode()))


# The front page.


def test_the_front_page_shows_totals_and_30_days(as_operator):
    TaskFactory(completed=True)
    TaskFactory(trashed=True)
    response = as_operator.get("/admin/")
    text = text_of(response)
    assert "Live 1 Completed 1 In the trash 1 Oldest trash 2" in text
    content = response.content.decode()
    assert content.count('<rect class="created"') == content.count('<rect class="completed"') == 30
    assert len(re.findall(r'<th scope="row">\d{4}-\d\d-\d\d</th>', content)) == 30
    assert 'style="' not in content


def test_the_front_page_of_no_tasks_says_what_to_do(as_operator):
    text = text_of(as_operator.get("/admin/"))
    assert "There are no tasks yet. They come in at the API , or add one here ." in text


def test_the_front_page_takes_few_queries(as_operator, django_assert_num_queries):
    """The session, the operator, two of permissions, five of figures, the last actions; the figures once a minute."""
    TaskFactory()
    with django_assert_num_queries(10):
        as_operator.get("/admin/")
    with django_assert_num_queries(5):
        as_operator.get("/admin/")


def test_whom_no_group_lets_in_sees_no_figures(client):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    response = client.get("/admin/")
    assert response.status_code == 200
    assert "Live" not in text_of(response)


# Groups and accounts.


def test_there_are_two_groups():
    assert {
        group.name: sorted(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()
    } == {"viewer": ["view_task"], "operator": ["add_task", "change_task", "delete_task", "view_task"]}


def test_a_group_that_was_changed_stays_so():
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.clear()
    Group.objects.get(name="operator").delete()
    make_groups(using="default")
    assert viewer.permissions.count() == 0
    assert Group.objects.get(name="operator").permissions.count() == 4


def test_the_first_account_is_made_from_the_environment(client, monkeypatch):
    for name, value in {"USERNAME": "olga", "EMAIL": "olga@example.org", "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
    assert not User.objects.exists()
    call_command("createsuperuser", interactive=False, verbosity=0)
    assert log_in(client, "olga").status_code == 302


# Logging in.


def log_in(client, name="olga", password=PASSWORD, where="/admin/", **options):
    return client.post(LOGIN, {"username": name, "password": password, "next": where}, **options)


def is_locked(response):
    return response.status_code == 429 and "Too many attempts" in text_of(response)


@pytest.mark.parametrize(
    ("where", "leads"),
    [
        ("/admin/tasks/task/?where=trash", "/admin/tasks/task/?where=trash"),
        ("https://evil.example/", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/\\evil.example/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("http:evil.example", "/admin/"),
    ],
)
def test_logging_in_never_leads_away(client, operator, where, leads):
    response = log_in(client, where=where)
    assert (response.status_code, response.headers["Location"]) == (302, leads)


def test_five_failures_close_the_name_and_the_address(client, operator):
    for _ in range(4):
        assert log_in(client, password="wrong").status_code == 200
    assert is_locked(log_in(client, password="wrong"))
    assert is_locked(log_in(client))
    assert is_locked(log_in(client, REMOTE_ADDR="192.0.2.7"))
    assert is_locked(log_in(client, name="somebody-else"))
    assert "in 15 minutes" in text_of(log_in(client))


def test_others_may_go_on(client, operator):
    for _ in range(5):
        log_in(client, name="nobody", password="wrong", REMOTE_ADDR="192.0.2.7")
    assert log_in(client).status_code == 302


def test_who_gets_in_starts_anew(client, operator):
    for _ in range(3):
        for _ in range(4):
            log_in(client, password="wrong")
        assert log_in(client).status_code == 302


def test_who_gets_in_makes_nobody_else_start_anew(client, operator):
    User.objects.create_user("victor", password=PASSWORD, is_staff=True)
    for _ in range(4):
        assert log_in(client, password="wrong").status_code == 200
    assert log_in(client, name="victor").status_code == 302
    assert is_locked(log_in(client, password="wrong"))


def test_waiting_opens_again_and_trying_meanwhile_does_not_prolong_it(client, operator):
    for _ in range(5):
        log_in(client, password="wrong")
    opens = AccessAttempt.objects.get().attempt_time + settings.AXES_COOLOFF_TIME
    assert is_locked(log_in(client, password="wrong"))
    assert AccessAttempt.objects.get().attempt_time + settings.AXES_COOLOFF_TIME == opens
    AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - settings.AXES_COOLOFF_TIME)
    assert log_in(client).status_code == 302


def test_the_server_s_keeper_lets_one_in(client, operator):
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
def test_the_address_is_the_proxy_s_word_only_behind_one(rf, settings, https, forwarded, address):
    settings.HTTPS = https
    assert client_address(rf.get("/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded})) == address


def test_a_name_too_long_for_any_account_is_told(client):
    assert "has at most 150 characters (it has 256)" in text_of(log_in(client, "u" * 256))
    assert not AccessAttempt.objects.exists()


# What a browser may do.


def policy_of(response):
    return set(response.headers["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize("path", ["/admin/", LOGIN, "/admin/tasks/task/", "/admin/tasks/task/add/", "/admin/nowhere/"])
def test_pages_run_nothing_but_this_server_s_files(as_operator, path):
    response = as_operator.get(path)
    assert policy_of(response) == POLICY
    content = response.content.decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", content) == []


def test_swagger_ui_may_show_its_icons_as_well(client):
    assert policy_of(client.get("/api/docs")) == POLICY - {"img-src 'self'"} | {"img-src 'self' data:"}


@pytest.mark.parametrize("path", ["/api/tasks", "/healthz", "/problems/not_found"])
def test_no_other_answer_carries_a_policy(client, path):
    assert "Content-Security-Policy" not in client.get(path).headers


def test_cookies_go_to_the_admin_only(client, operator):
    cookies = log_in(client).cookies
    assert {name: (cookie["path"], cookie["samesite"]) for name, cookie in cookies.items()} == {
        "sessionid": ("/admin/", "Lax"),
        "csrftoken": ("/admin/", "Lax"),
    }
    assert (cookies["sessionid"]["httponly"], cookies["sessionid"]["max-age"]) == (True, 12 * 60 * 60)


# What was done.


def test_what_operators_did_is_kept_and_shown(admin_client, as_operator):
    task = TaskFactory(title="Buy milk")
    selection = {"action": "complete", "index": "0", "_selected_action": [str(task.pk)]}
    as_operator.post("/admin/tasks/task/", selection)
    as_operator.post(f"/admin/tasks/task/{task.pk}/delete/", {"post": "yes"})
    text = text_of(admin_client.get("/admin/admin/logentry/"))
    first, second = "olga Buy milk Moved to the trash.", f"olga 1 task completed Mark completed. Ids: {task.pk} "
    assert 0 < text.find(first) < text.find(second)


@pytest.mark.parametrize("page", ["add/", "1/delete/"])
def test_what_was_done_stays(admin_client, as_operator, page):
    task = TaskFactory()
    as_operator.post(f"/admin/tasks/task/{task.pk}/delete/", {"post": "yes"})
    LogEntry.objects.update(id=1)
    assert admin_client.post(f"/admin/admin/logentry/{page}", {"post": "yes"}).status_code == 403
    assert LogEntry.objects.count() == 1


# What goes wrong.


def test_a_page_that_is_not_there_is_told_in_the_site_s_looks(as_operator):
    response = as_operator.get("/admin/nowhere/")
    assert (response.status_code, "Nothing here" in text_of(response)) == (404, True)


def test_an_address_that_cannot_be_is_told_in_the_site_s_looks(as_operator):
    response = as_operator.get("/admin/tasks/task/?title__regex=a")
    assert (response.status_code, "Not understood" in text_of(response)) == (400, True)


def test_a_database_that_is_away_is_told_in_the_site_s_looks(as_operator, monkeypatch):
    def fail():
        raise OperationalError("secret")

    monkeypatch.setattr("todo_project.admin_site.figures", fail)
    response = as_operator.get("/admin/")
    assert response.status_code == 503
    assert "The database cannot answer for the moment" in text_of(response)
    assert "secret" not in response.content.decode()
