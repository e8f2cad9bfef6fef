"""Sessions of the admin: how long they last, and how an administrator ends them."""

import logging
import re
import time

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client

from tasks.tests.admin.admin_pages import shown_messages
from todo_project import admin_sessions

pytestmark = pytest.mark.django_db

HOUR = 60 * 60
MINUTE = 60
USERS = "/admin/auth/user/"


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves the clock of the sessions by seconds."""
    offset = 0

    def move(seconds):
        nonlocal offset
        offset += seconds

    real_time = time.time
    monkeypatch.setattr(admin_sessions.time, "time", lambda: real_time() + offset)
    return move


def is_signed_in(client):
    return client.get("/admin/").status_code == 200


def new_client(user):
    client = Client()
    client.force_login(user)
    return client


# How long a session lasts.


def test_unused_session_ends_after_8_hours(admin_client, clock):
    clock(8 * HOUR)
    assert not is_signed_in(admin_client)
    assert not Session.objects.exists()
    clock(-8 * HOUR)
    assert not is_signed_in(admin_client)


def test_session_that_is_used_after_7_hours_continues(admin_client, clock):
    clock(7 * HOUR)
    assert is_signed_in(admin_client)
    clock(4 * HOUR)
    assert is_signed_in(admin_client)


def test_idle_time_is_a_setting(admin_client, clock, settings):
    settings.ADMIN_SESSION_IDLE = 10 * MINUTE
    clock(10 * MINUTE)
    assert not is_signed_in(admin_client)


def test_used_session_ends_after_12_hours(admin_client, clock):
    for _ in range(11):
        clock(HOUR)
        assert is_signed_in(admin_client)
    clock(HOUR)
    assert not is_signed_in(admin_client)


def test_writes_of_the_last_use_do_not_prolong_the_cookie(admin_client, clock):
    [before] = Session.objects.values_list("expire_date", flat=True)
    clock(7 * HOUR)
    assert is_signed_in(admin_client)
    assert admin_client.cookies["sessionid"]["max-age"] in range(5 * HOUR - MINUTE, 5 * HOUR + 1)
    assert Session.objects.get().expire_date <= before


def test_last_use_is_written_every_5_minutes(admin_client, clock):
    def is_written():
        admin_client.cookies["sessionid"]["max-age"] = ""
        admin_client.get("/admin/")
        return admin_client.cookies["sessionid"]["max-age"] != ""

    written = []
    for _ in range(12):
        clock(MINUTE)
        written.append(is_written())
    assert written == [False, False, False, False, True] * 2 + [False, False]


def test_session_without_times_has_ended(admin_client):
    session = admin_client.session
    del session["started_at"]
    session.save()
    assert not is_signed_in(admin_client)


# Ending the sessions of somebody.


def end_sessions(client, *users):
    ids = [user.pk for user in users]
    return client.post(USERS, {"action": "end_sessions", "index": "0", "_selected_action": ids})


@pytest.fixture
def olga():
    return User.objects.create_user("olga", is_staff=True)


@pytest.fixture
def victor():
    return User.objects.create_user("victor", is_staff=True)


def test_action_ends_all_sessions_of_a_user(admin_client, olga, victor, caplog):
    caplog.set_level(logging.WARNING, "todo_project.security")
    of_olga, of_victor = [new_client(olga), new_client(olga)], new_client(victor)
    response = end_sessions(admin_client, olga)
    assert shown_messages(response) == [("success", "2 sessions ended")]
    assert [is_signed_in(client) for client in (*of_olga, of_victor, admin_client)] == [False, False, True, True]
    assert LogEntry.objects.get().get_change_message() == "Ended all sessions."
    [record] = caplog.records
    assert (record.event, record.user, record.getMessage()) == (
        "sessions_ended",
        "admin",
        "Ended the sessions of olga",
    )


def test_action_keeps_the_session_of_its_request(admin_client, admin_user):
    elsewhere = new_client(admin_user)
    assert shown_messages(end_sessions(admin_client, admin_user)) == [("success", "1 session ended")]
    assert (is_signed_in(admin_client), is_signed_in(elsewhere)) == (True, False)


def test_action_needs_the_permission_to_change_users(olga, victor):
    client, of_victor = new_client(olga), new_client(victor)
    olga.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert re.findall("end_sessions", client.get(USERS).content.decode()) == []
    end_sessions(client, victor)
    assert is_signed_in(of_victor)


def test_control_without_action_sessions_stay(admin_client, olga):
    of_olga = new_client(olga)
    admin_client.get(USERS)
    assert is_signed_in(of_olga)
