"""The admin site: the front page, groups, log-ins, security headers, the log and error pages."""

import html
import re

import pytest
from axes.models import AccessFailureLog
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client

from tasks.apps import create_groups
from tasks.models import Task
from tasks.tests.admin.admin_pages import LIST, run_action, shown_messages, text_of
from tasks.tests.factories import TaskFactory

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


@pytest.fixture
def operator():
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


def test_front_page_lists_tasks_first(admin_client):
    names = re.findall(r'class="section" title="[^"]*">([^<]*)</a>', admin_client.get("/admin/").content.decode())
    assert names == ["Tasks", "Administration", "Authentication and Authorization"]


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


def test_overlong_user_name_is_refused(client):
    assert "has at most 150 characters (it has 256)" in text_of(log_in(client, "u" * 256))
    assert not AccessFailureLog.objects.exists()


# Security headers and cookies.


def policy_of(response):
    return set(response.headers["Content-Security-Policy"].split("; "))


@pytest.mark.parametrize("path", ["/admin/", LOGIN, LIST, f"{LIST}add/", "/admin/nowhere/"])
def test_admin_page_has_a_policy_and_nothing_inline(as_operator, path):
    response = as_operator.get(path)
    assert policy_of(response) == POLICY
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", response.content.decode()) == []


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
    assert "Time User Object Change" in text
    newer, older = "olga Buy milk Moved to the trash.", f"olga 1 task completed Mark completed. Ids: {task.pk} "
    assert 0 < text.find(newer) < text.find(older)


@pytest.mark.parametrize("page", ["add/", "1/change/", "1/delete/"])
def test_log_is_read_only(admin_client, as_operator, page):
    task = TaskFactory()
    as_operator.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    LogEntry.objects.update(id=1)
    assert admin_client.post(f"/admin/admin/logentry/{page}", {"post": "yes"}).status_code == 403
    assert LogEntry.objects.count() == 1


# Lookups and texts that a database cannot take.


@pytest.mark.parametrize(
    "query",
    [
        "admin/logentry/?object_repr__regex=(a%2B)%2B$",
        "admin/logentry/?user__password__startswith=p",
        "auth/user/?username__regex=(a%2B)%2B$",
        "auth/user/?password__startswith=p",
        "auth/user/?date_joined__gte=2026-01-01",
        "auth/group/?name__regex=(a%2B)%2B$",
        "auth/group/?permissions__codename=view_task",
        "tasks/task/?title__regex=(a%2B)%2B$",
    ],
)
def test_lookup_beyond_the_filters_is_refused(admin_client, query):
    response = admin_client.get(f"/admin/{query}")
    assert response.status_code == 400
    assert "<h1>Invalid request</h1>" in response.content.decode()


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("auth/user/", "is_staff__exact=perhaps"),
        ("auth/user/", "groups__id__exact=x"),
        ("tasks/task/", "where=nowhere"),
    ],
)
def test_each_list_names_an_invalid_filter(admin_client, path, filters):
    response = admin_client.get(f"/admin/{path}?{filters}")
    [(level, message)] = shown_messages(response)
    assert (response.status_code, level) == (302, "error")
    assert message.startswith(f"The address has an invalid filter: {filters}.")


def test_filters_of_users_that_are_on_are_named(admin_client):
    content = admin_client.get("/admin/auth/user/?is_staff__exact=1").content.decode()
    assert re.findall('<a class="chip" [^>]*>(.*?) <span', content) == ["Staff status: Yes"]
    assert "<summary>Filters (1 on)</summary>" in content


@pytest.mark.parametrize("model_admin", admin.site._registry.values(), ids=str)
def test_each_list_refuses_lookups_of_its_fields(rf, model_admin):
    names = [field.name for field in model_admin.model._meta.get_fields()]
    lookups = [f"{name}__{lookup}" for name in names for lookup in ("regex", "iregex", "startswith", "contains", "gte")]
    assert [name for name in lookups if model_admin.lookup_allowed(name, "a", rf.get("/"))] == []


def test_filters_of_the_users_list_work(admin_client, operator):
    page = admin_client.get("/admin/auth/user/").content.decode()
    queries = [html.unescape(query) for query in re.findall(r'<a href="(\?[^"]*__[^"]*)"', page)]
    assert len(queries) == 9  # three filters with two choices, two groups, and no group
    assert {admin_client.get(f"/admin/auth/user/{query}").status_code for query in queries} == {200}


#: What each list and form of Django's admin reads from a query, and the filters of ours.
PARAMETERS = (
    *("q", "p", "o", "e", "all", "_popup", "_to_field", "_facets", "_changelist_filters", "next", "username", "title"),
    *("where", "owner", "created", "completed__exact", "is_staff__exact", "groups__id__exact", "groups__isnull"),
    *("object_repr", "user__id__exact", "\0"),
)


@pytest.mark.parametrize("path", ["auth/user/", "auth/group/", "admin/logentry/", "tasks/task/"])
def test_nul_in_a_query_is_no_failure(admin_client, path):
    """PostgreSQL refuses NUL; forms and filters refuse it before, and other lookups are not allowed."""
    for parameter in PARAMETERS:
        response = admin_client.get(f"/admin/{path}", {parameter: "a\0b"})
        assert (parameter, response.status_code) in {(parameter, status) for status in (200, 302, 400)}
    everything = {**dict.fromkeys(PARAMETERS, "a\0b"), "_to_field": "id"}
    for page in ("add/", "1/change/", "1/history/"):
        response = admin_client.get(f"/admin/{path}{page}", everything)
        assert (page, response.status_code) in {(page, status) for status in (200, 302, 400, 403, 404)}


def test_nul_in_a_path_is_refused(admin_client):
    response = admin_client.get("/admin/tasks/task/%00/change/")
    assert response.status_code == 400
    assert "<h1>Invalid request</h1>" in response.content.decode()


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("auth/group/add/", {"name": "a\0b"}),
        ("auth/user/add/", {"username": "a\0b"}),
        ("auth/user/", {"action": "end_sessions\0", "_selected_action": "1"}),
        ("tasks/task/add/", {"title": "a\0b"}),
        ("tasks/task/", {"action": "complete", "_selected_action": "a\0b"}),
    ],
)
def test_nul_in_a_form_is_refused_with_a_message(admin_client, path, form):
    assert admin_client.post(f"/admin/{path}", form).status_code in {200, 302}
    assert (Group.objects.count(), User.objects.count(), Task.objects.count()) == (2, 1, 0)


@pytest.mark.parametrize("path", ["auth/user/", "auth/group/", "tasks/task/"])
def test_nul_in_a_search_is_refused_with_a_message(admin_client, path):
    assert "Null characters are not allowed." in text_of(admin_client.get(f"/admin/{path}?q=a%00b"))


def test_nul_in_a_log_in_is_refused_with_a_message(client, operator):
    response = log_in(client, "olga\0")
    assert response.status_code == 200
    assert "Null characters are not allowed." in text_of(response)


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages"])
def test_nul_in_a_cookie_is_refused(client, name):
    for path in ("/admin/", LOGIN):
        assert client.get(path, headers={"cookie": rf'{name}="aaaaaaaa\000bbbbbbbb"'}).status_code == 400


def test_control_without_nul_middleware_nul_reaches_the_database(settings, as_operator):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("nul_middleware")]
    client = Client(raise_request_exception=False, headers={"cookie": r'sessionid="aaaaaaaa\000bbbbbbbb"'})
    # SQLite compares the NUL as any other character; PostgreSQL refuses it.
    assert client.get("/admin/").status_code == (500 if connection.vendor == "postgresql" else 302)


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


ADD_TO_GROUP = "Ask an administrator to add you to the group “operator”."
ASK = "If you need it, ask an administrator."


@pytest.mark.parametrize(
    ("groups", "permissions", "advice"),
    [
        ([], True, ADD_TO_GROUP),
        (["viewer"], True, ADD_TO_GROUP),
        (["operator"], True, ASK),
        (["viewer", "operator"], True, ASK),
        (["operator"], False, ASK),
    ],
)
def test_403_page_names_no_group_of_the_user(client, groups, permissions, advice):
    user = User.objects.create_user("olga", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    if not permissions:
        Group.objects.get(name="operator").permissions.clear()
    client.force_login(user)
    response = client.get("/admin/admin/logentry/")
    assert response.status_code == 403
    assert f"Your account does not have permission for this. {advice} Go to" in text_of(response)


def test_unavailable_database_has_an_error_page(as_operator, monkeypatch):
    def fail():
        raise OperationalError("secret")

    monkeypatch.setattr("todo_project.dashboard.build_context", fail)
    response = as_operator.get("/admin/")
    assert response.status_code == 503
    assert "The database is unavailable, or the request took too long." in text_of(response)
    assert "secret" not in response.content.decode()
