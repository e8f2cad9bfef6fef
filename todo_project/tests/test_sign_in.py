"""Attempts to sign in: their limits, and the events that the log has of them."""

import logging
from datetime import timedelta

import pytest
from axes.models import AccessFailureLog
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from observability.security_events import client_address
from tasks.tests.admin.admin_pages import text_of
from todo_project.sign_in import ADDRESS, NAME, PAIR, SignInHandler, counted_address, is_address_of_one_client

pytestmark = pytest.mark.django_db

PASSWORD = "a-password-of-the-tests"
LOGIN = "/admin/login/"
PROXY = "10.0.0.1"
STRANGER = "198.51.100.9"


@pytest.fixture(autouse=True)
def operator():
    user = User.objects.create_user("olga", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    return user


@pytest.fixture
def behind_proxy(settings):
    """Trust ``X-Forwarded-For``, as ``HTTPS=on`` does."""
    settings.HTTPS = True


@pytest.fixture
def events(caplog):
    """Return a function that returns the security events so far: name, level, user and address."""
    caplog.set_level(logging.INFO, "todo_project.security")
    return lambda: [
        (record.event, record.levelname, record.user, record.address)
        for record in caplog.records
        if record.name == "todo_project.security"
    ]


def log_in(client, name="olga", password=PASSWORD, address="127.0.0.1", forwarded_for=None):
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    return client.post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address, headers=headers)


def is_locked(response):
    return response.status_code == 429 and "Too many attempts" in text_of(response)


def add_failures(number, names=("olga",), address="192.0.2.{}", age=timedelta()):
    """Store failures of other names or addresses, because so many requests would be slow."""
    AccessFailureLog.objects.bulk_create(
        AccessFailureLog(username=names[index % len(names)], ip_address=address.format(index % 250 + 1))
        for index in range(number)
    )
    AccessFailureLog.objects.update(attempt_time=timezone.now() - age)


# The pair of name and address.


def test_five_failures_lock_the_pair(client):
    for _ in range(PAIR.failures - 1):
        assert log_in(client, password="wrong").status_code == 200
    assert is_locked(log_in(client, password="wrong"))
    text = text_of(log_in(client))
    assert "After 5 failed attempts, the user name and the address cannot sign in." in text
    assert "Try again in 15 minutes" in text


def test_strangers_do_not_lock_the_operator(client, behind_proxy):
    for number in range(2 * PAIR.failures):
        log_in(client, password="wrong", address=PROXY, forwarded_for=f"192.0.2.{number % 2}")
    assert log_in(client, address=PROXY, forwarded_for=STRANGER).status_code == 302


def test_other_names_at_the_address_are_not_locked(client):
    for _ in range(PAIR.failures):
        log_in(client, name="nobody", password="wrong")
    assert log_in(client).status_code == 302


def test_log_in_resets_the_failures_of_the_pair(client):
    for _ in range(3):
        for _ in range(PAIR.failures - 1):
            log_in(client, password="wrong")
        assert log_in(client).status_code == 302


def test_log_in_keeps_the_failures_of_others(client, behind_proxy):
    User.objects.create_user("victor", password=PASSWORD, is_staff=True)
    for _ in range(PAIR.failures - 1):
        log_in(client, password="wrong", forwarded_for=STRANGER)
    assert log_in(client, forwarded_for="192.0.2.1").status_code == 302
    assert log_in(client, name="victor", forwarded_for=STRANGER).status_code == 302
    assert is_locked(log_in(client, password="wrong", forwarded_for=STRANGER))


def test_lock_ends_and_further_attempts_do_not_prolong_it(client):
    for _ in range(PAIR.failures):
        log_in(client, password="wrong")
    assert is_locked(log_in(client, password="wrong"))
    assert AccessFailureLog.objects.count() == PAIR.failures
    AccessFailureLog.objects.update(attempt_time=timezone.now() - PAIR.period)
    assert log_in(client).status_code == 302


@pytest.mark.parametrize("command", [("axes_reset_username", "olga"), ("axes_reset_ip", "127.0.0.1"), ("axes_reset",)])
def test_command_unlocks(client, command):
    for _ in range(PAIR.failures):
        log_in(client, password="wrong")
    add_failures(1, names=("victor",))
    call_command(*command, verbosity=0)
    assert log_in(client).status_code == 302
    assert AccessFailureLog.objects.filter(username="victor").exists() is (command != ("axes_reset",))


def test_command_unlocks_the_network_of_an_ipv6_address(client, behind_proxy):
    for _ in range(PAIR.failures):
        log_in(client, password="wrong", forwarded_for="2001:db8::7")
    assert is_locked(log_in(client, forwarded_for="2001:db8::8"))
    call_command("axes_reset_ip", "2001:db8::9", verbosity=0)
    assert log_in(client, forwarded_for="2001:db8::8").status_code == 302


# An address, and a name.


@pytest.mark.parametrize(
    ("failed", "locked", "free"),
    [
        (STRANGER, STRANGER, "198.51.100.10"),
        ("2001:db8:0:1::7", "2001:db8:0:1:ffff::1", "2001:db8:0:2::7"),
        ("::ffff:198.51.100.9", STRANGER, "::ffff:198.51.100.10"),
    ],
)
def test_50_failures_lock_the_address(client, behind_proxy, rf, failed, locked, free):
    request = rf.get("/", headers={"x-forwarded-for": failed})
    names = [f"user-{number}" for number in range(ADDRESS.failures)]
    add_failures(ADDRESS.failures - 1, names, counted_address(request))
    assert log_in(client, "nobody", "wrong", forwarded_for=failed).status_code == 429
    assert "After 50 failed attempts, the address cannot sign in." in text_of(log_in(client, forwarded_for=locked))
    assert log_in(client, forwarded_for=free).status_code == 302


def test_address_is_free_after_15_minutes(client, behind_proxy):
    names = [f"user-{number}" for number in range(ADDRESS.failures)]
    add_failures(ADDRESS.failures, names, STRANGER, age=ADDRESS.period)
    assert log_in(client, forwarded_for=STRANGER).status_code == 302


def test_200_failures_in_an_hour_lock_the_name(client, behind_proxy):
    add_failures(NAME.failures - 1, age=timedelta(minutes=59))
    assert log_in(client, password="wrong", forwarded_for=STRANGER).status_code == 429
    text = text_of(log_in(client, forwarded_for="203.0.113.1"))
    assert "After 200 failed attempts, the user name cannot sign in. Try again in 60 minutes" in text


def test_name_is_free_after_an_hour(client, behind_proxy):
    add_failures(NAME.failures, age=NAME.period)
    assert log_in(client, forwarded_for=STRANGER).status_code == 302


def test_failures_older_than_an_hour_are_deleted(client):
    add_failures(10, age=NAME.period)
    log_in(client, password="wrong")
    assert AccessFailureLog.objects.count() == 1


# Addresses.


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


@pytest.mark.parametrize(
    ("https", "peer", "forwarded", "one_client"),
    [
        (False, "127.0.0.1", None, True),
        (False, "::1", None, True),
        (False, "127.0.0.1", STRANGER, False),
        (False, PROXY, None, False),
        (False, PROXY, STRANGER, False),
        (False, "", None, False),
        (True, PROXY, STRANGER, True),
        (True, PROXY, None, False),
        (True, "127.0.0.1", "unknown", False),
    ],
)
def test_address_of_a_proxy_is_recognised(rf, settings, https, peer, forwarded, one_client):
    settings.HTTPS = https
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert is_address_of_one_client(rf.get("/", REMOTE_ADDR=peer, headers=headers)) is one_client


def test_address_of_a_proxy_is_never_locked(client):
    add_failures(NAME.failures, ("olga", *map(str, range(100))), PROXY)
    add_failures(NAME.failures)
    AccessFailureLog.objects.filter(username="olga", ip_address=PROXY).delete()
    assert log_in(client, address=PROXY).status_code == 302
    for _ in range(PAIR.failures):
        log_in(client, password="wrong", address=PROXY)
    assert is_locked(log_in(client, address=PROXY))


# Events.


def test_log_has_each_log_in_and_log_out(client, events):
    log_in(client)
    client.post("/admin/logout/")
    assert events() == [
        ("sign_in", "INFO", "olga", "127.0.0.1"),
        ("sign_out", "INFO", "olga", "127.0.0.1"),
    ]


def test_log_has_each_failure_and_each_lock(client, events, caplog):
    for _ in range(PAIR.failures + 1):
        log_in(client, "mallory", "wrong")
    who = ("WARNING", "mallory", "127.0.0.1")
    assert events() == [("sign_in_failed", *who)] * 5 + [("sign_in_locked", *who), ("sign_in_refused", *who)]
    assert "Locked the user name and the address after 5 failed attempts" in caplog.text
    assert "wrong" not in caplog.text


def test_log_has_the_whole_ipv6_address(client, behind_proxy, events):
    log_in(client, password="wrong", forwarded_for="2001:db8::7")
    assert events() == [("sign_in_failed", "WARNING", "olga", "2001:db8::7")]


def test_log_has_log_ins_of_accounts_without_staff_status(client, events):
    User.objects.create_user("nora", password=PASSWORD)
    assert log_in(client, "nora").status_code == 200
    assert events() == [("sign_in_refused", "WARNING", "nora", "127.0.0.1")]


def test_log_has_refused_permissions(client, operator, events):
    client.force_login(operator)
    assert client.get("/admin/auth/user/").status_code == 403
    assert events()[-1] == ("permission_refused", "WARNING", "olga", "127.0.0.1")


def test_log_has_forms_without_token(operator, events, caplog):
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    response = client.post("/admin/auth/user/add/", {"username": "mallory"})
    assert response.status_code == 403
    assert "Form refused" in text_of(response)
    assert events()[-1] == ("csrf_refused", "WARNING", "olga", "127.0.0.1")
    assert "CSRF cookie not set." in caplog.text


@pytest.mark.parametrize("path", ["/api/tasks", "/api/docs", "/admin/", LOGIN])
def test_log_has_foreign_hosts(client, events, caplog, path):
    assert client.get(path, headers={"host": "evil.example"}).status_code == 400
    assert events() == [("host_refused", "WARNING", None, "127.0.0.1")]
    assert "Host is not in ALLOWED_HOSTS: evil.example" in caplog.text
    assert [record.name for record in caplog.records] == ["todo_project.security"]


def test_log_out_without_session_is_no_event(caplog):
    SignInHandler().user_logged_out(sender=None, request=HttpRequest(), user=None)
    assert caplog.records == []
