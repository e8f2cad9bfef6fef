"""The page of a task: adding, changing and moving to the trash, beside others who do the same."""

import re
from threading import Barrier, Thread

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks.admin.task_admin import TaskAdmin
from tasks.models import Task
from tasks.tests.admin.admin_pages import (
    ADD,
    LIST,
    Form,
    errors,
    history,
    listed,
    opened,
    page_of,
    saved,
    text_of,
    typed,
)
from tasks.tests.api.contract import moment
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

IN_THE_TRASH = "Not saved: the task has gone to the trash since you opened it."
CHANGED_MEANWHILE = (
    "Not saved: the task has changed since you opened it. "
    "Below stands what it is now where that differs from yours; open it anew to go on from there."
)
FORBIDDEN_IN_TITLE = "Title must not contain control characters, line breaks or lone surrogates"
FORBIDDEN_IN_DESCRIPTION = (
    "Description must not contain control characters other than tab and line breaks, or lone surrogates"
)

KEPT = "id", "user_id", "title", "description", "completed", "created_at"


# Adding.


def test_the_add_page_asks_for_what_a_task_is_and_shows_no_more(admin_client):
    form = Form(admin_client.get(ADD))
    assert typed(form.values, csrfmiddlewaretoken=None) == {"title": "", "description": "", "user_id": ""}
    assert set(form.controls) == {"csrfmiddlewaretoken", "title", "description", "completed", "user_id"}
    for label in ("Id:", "Created:", "Updated:", "Version:"):
        assert label not in text_of(admin_client.get(ADD))


def test_a_task_is_added(admin_client):
    values = typed(
        opened(admin_client, ADD),
        title=" Buy milk\t",
        description=" Two\r\n\r\nlitres \r\n",
        completed="on",
        user_id="default",
    )
    saved(admin_client.post(ADD, values), "The task “Buy milk” was added successfully.")
    task = Task.objects.get()
    assert {name: getattr(task, name) for name in KEPT[1:-1]} == {
        "title": "Buy milk",
        "description": " Two\n\nlitres \n",
        "completed": True,
        "user_id": "default",
    }
    assert (task.id.version, task.version, task.updated_at, task.deleted_at) == (7, 1, task.created_at, None)
    assert history() == [("Buy milk", "Added.")]


WRONG = [
    pytest.param({"title": ""}, {"title": ["Title is required"]}, id="title-empty"),
    pytest.param({"title": " \u2003"}, {"title": ["Title is required"]}, id="title-of-white-space"),
    pytest.param({"title": "\u200b"}, {"title": ["Title must not be blank"]}, id="title-invisible"),
    pytest.param({"title": "a" * 201}, {"title": ["Title exceeds maximum length of 200 characters"]}, id="title-long"),
    pytest.param({"title": "a\nb"}, {"title": [FORBIDDEN_IN_TITLE]}, id="title-line-break"),
    pytest.param({"title": "a\0b"}, {"title": [FORBIDDEN_IN_TITLE]}, id="title-nul"),
    pytest.param(
        {"description": "a" * 2001},
        {"description": ["Description exceeds maximum length of 2000 characters"]},
        id="description-long",
    ),
    pytest.param({"description": "a\x1bb"}, {"description": [FORBIDDEN_IN_DESCRIPTION]}, id="description-control"),
    pytest.param({"description": "a\0b"}, {"description": [FORBIDDEN_IN_DESCRIPTION]}, id="description-nul"),
    pytest.param(
        {"title": "", "description": "\0"},
        {"title": ["Title is required"], "description": [FORBIDDEN_IN_DESCRIPTION]},
        id="both",
    ),
]


@pytest.mark.parametrize(("wrong", "messages"), WRONG)
def test_what_the_api_refuses_is_not_added(admin_client, wrong, messages):
    values = typed(opened(admin_client, ADD), title="Buy milk", user_id="default")
    assert errors(admin_client.post(ADD, {**values, **wrong})) == messages
    assert (Task.objects.count(), history()) == (0, [])


@pytest.mark.parametrize(
    "longest",
    [
        {"title": " " + "\U0001f95b" * 200 + " "},
        {"description": "\U0001f95b" * 2000},
        {"description": "\r\n" * 2000},
    ],
    ids=["title", "description", "line-breaks"],
)
def test_limits_count_code_points_of_what_is_kept(admin_client, longest):
    values = typed(opened(admin_client, ADD), **{"title": "Buy milk", "user_id": "default", **longest})
    assert admin_client.post(ADD, values).status_code == 302


@pytest.mark.parametrize("name", ["title", "description"])
def test_the_browser_cuts_nothing_off(admin_client, name):
    """``maxlength`` counts UTF-16 units, and shortens what is pasted."""
    assert "maxlength" not in Form(admin_client.get(ADD)).controls[name]


@pytest.mark.parametrize("owner", ["", "a" * 256, "a\0b", "a\x07", "two words", "\u200b", "\ufffd", "älice"])
def test_a_task_has_an_owner(admin_client, owner):
    values = typed(opened(admin_client, ADD), title="Buy milk", user_id=owner)
    assert list(errors(admin_client.post(ADD, values))) == ["user_id"]
    assert Task.objects.count() == 0


# Changing.


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description=" Two\nlitres\n")


def columns(task):
    """The task as it is stored, but for what every write moves."""
    stored = Task.objects.values().get(pk=task.pk)
    return {name: stored[name] for name in KEPT}, stored["version"]


def test_the_change_page_shows_the_task_and_offers_what_may_change(admin_client, task):
    response = admin_client.get(page_of(task))
    form = Form(response)
    assert typed(form.values, csrfmiddlewaretoken=None) == {
        "title": "Buy milk",
        "description": " Two\r\nlitres\r\n",
        "seen_version": "1",
    }
    assert set(form.controls) == {"csrfmiddlewaretoken", "title", "description", "completed", "seen_version"}
    assert form.controls["seen_version"]["type"] == "hidden"
    assert f"Owner: default Whose task it is: the subject of the identity provider. Id: {task.id}" in text_of(response)
    assert re.search(r"Created: .+ Updated: .+ Version: 1 ", text_of(response))
    assert "Seen version" not in text_of(response)


@pytest.mark.parametrize(
    ("change", "written", "message"),
    [
        ({"title": " Buy rye "}, {"title": "Buy rye"}, "Changed Title."),
        ({"description": "One\r\nlitre "}, {"description": "One\nlitre "}, "Changed Description."),
        ({"description": ""}, {"description": ""}, "Changed Description."),
        ({"completed": "on"}, {"completed": True}, "Changed Completed."),
        ({"title": "a", "completed": "on"}, {"title": "a", "completed": True}, "Changed Title and Completed."),
    ],
)
def test_what_is_typed_is_written_and_no_more(admin_client, task, change, written, message):
    before, _ = columns(task)
    values = typed(opened(admin_client, page_of(task)), **change)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = admin_client.post(page_of(task), values)
    after = Task.objects.get()
    saved(response, f"The task “{after.title}” was changed successfully.")
    assert columns(task) == ({**before, **written}, 2)
    assert after.updated_at > task.updated_at
    assert history() == [(after.title, message)]
    [update] = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "tasks_task"')]
    assert set(re.findall(r'"(\w+)" = ', update.partition(" WHERE ")[0])) == {"version", "updated_at", *written}


def test_a_box_that_is_no_longer_ticked_is_written(admin_client):
    task = TaskFactory(completed=True)
    values = opened(admin_client, page_of(task))
    assert values["completed"] == "on"
    assert admin_client.post(page_of(task), typed(values, completed=None)).status_code == 302
    assert (Task.objects.get().completed, Task.objects.get().version) == (False, 2)


@pytest.mark.parametrize("description", ["", " a ", "a\nb", "a\r\nb\rc\n\r\n", "\n\na", "\t<b>&amp;</b>"])
def test_a_save_that_changes_nothing_writes_nothing(admin_client, stored, description):
    task = TaskFactory(title="Buy milk", description=description)
    before = stored()
    response = admin_client.post(page_of(task), opened(admin_client, page_of(task)))
    saved(response, "The task “Buy milk” was changed successfully.")
    assert stored() == before


@pytest.mark.parametrize("description", [" a ", "a\r\nb\rc\n\r\n"])
def test_a_description_that_is_not_edited_stays_to_the_last_character(admin_client, description):
    task = TaskFactory(description=description)
    values = typed(opened(admin_client, page_of(task)), title="Buy rye")
    assert admin_client.post(page_of(task), values).status_code == 302
    assert columns(task)[0]["description"] == description
    assert columns(task)[0]["title"] == "Buy rye"


@pytest.mark.parametrize(("wrong", "messages"), WRONG)
def test_what_the_api_refuses_is_not_written(admin_client, task, stored, wrong, messages):
    before = stored()
    values = {**opened(admin_client, page_of(task)), **wrong}
    assert errors(admin_client.post(page_of(task), values)) == messages
    assert (stored(), history()) == (before, [])


@pytest.mark.parametrize(
    "forged",
    [
        {"user_id": "other"},
        {"id": "01a1fae6-0000-7000-8000-000000000000"},
        {"version": "7"},
        {"created_at": "2026-01-11"},
        {"deleted_at_0": "2026-01-11", "deleted_at_1": "09:30"},
    ],
    ids=lambda forged: next(iter(forged)),
)
def test_what_the_page_does_not_offer_cannot_be_changed(admin_client, task, stored, forged):
    before = stored()
    assert admin_client.post(page_of(task), {**opened(admin_client, page_of(task)), **forged}).status_code == 302
    assert stored() == before


def test_the_history_of_a_task_tells_its_changes(admin_client, task):
    values = typed(opened(admin_client, page_of(task)), title="Buy rye")
    admin_client.post(page_of(task), values)
    assert re.search(r" admin Changed Title\. ", text_of(admin_client.get(f"{LIST}{task.pk}/history/")))


def test_who_may_only_look_sees_the_task_and_changes_nothing(client, task, stored):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(viewer)
    before = stored()
    response = client.get(page_of(task))
    assert re.search(r"Title: Buy milk .* Owner: default .* Version: 1 ", text_of(response))
    assert "Seen version" not in text_of(response)
    assert set(Form(response).controls) == {"csrfmiddlewaretoken"}
    forged = {"title": "Buy rye", "description": "", "seen_version": "1"}
    assert client.post(page_of(task), forged).status_code == 403
    assert stored() == before


# What somebody else did while the page was open.


def elsewhere(task, **values):
    [now] = Task.objects.addressed(task.pk).change(**values)
    return now


def check_refused(client, task, values, stored, messages):
    """Nothing is written, logged or called a success, and the page has the form as it was sent."""
    before = stored()
    response = client.post(page_of(task), values)
    assert errors(response) == messages
    assert typed(Form(response).values, csrfmiddlewaretoken=None) == typed(values, csrfmiddlewaretoken=None)
    text = text_of(response)
    assert [message for told in messages.values() for message in told if message not in text] == []
    assert (stored(), history()) == (before, [])


@pytest.mark.parametrize(
    ("other", "messages"),
    [
        ({"title": "Buy oats"}, {"title": ["It is now “Buy oats”."]}),
        ({"title": "Buy rye"}, {}),
        ({"description": ""}, {"description": ["It is now “”."]}),
        ({"completed": True}, {"completed": ["It is now completed."]}),
        (
            {"title": "Buy oats", "description": "No", "completed": True},
            {
                "title": ["It is now “Buy oats”."],
                "description": ["It is now “No”."],
                "completed": ["It is now completed."],
            },
        ),
    ],
    ids=["title", "same-title", "description", "completed", "all"],
)
def test_a_task_that_changed_meanwhile_is_not_written_over(admin_client, task, stored, other, messages):
    values = typed(opened(admin_client, page_of(task)), title="Buy rye")
    elsewhere(task, **other)
    messages = {"title": ["It is now “Buy milk”."], **messages} if "title" not in other else messages
    check_refused(admin_client, task, values, stored, {"__all__": [CHANGED_MEANWHILE], **messages})


def test_a_task_that_was_opened_again_meanwhile_is_not_written_over(admin_client, stored):
    task = TaskFactory(completed=True)
    values = opened(admin_client, page_of(task))
    elsewhere(task, completed=False)
    messages = {"__all__": [CHANGED_MEANWHILE], "completed": ["It is now not completed."]}
    check_refused(admin_client, task, values, stored, messages)


def test_a_task_that_changed_to_and_fro_is_not_the_one_that_was_seen(admin_client, task, stored):
    values = opened(admin_client, page_of(task))
    elsewhere(task, completed=True)
    elsewhere(task, completed=False)
    check_refused(admin_client, task, values, stored, {"__all__": [CHANGED_MEANWHILE]})


def test_a_page_that_was_refused_is_refused_again(admin_client, task, stored):
    """Only a page that shows the task as it is may change it."""
    values = typed(opened(admin_client, page_of(task)), title="Buy rye")
    elsewhere(task, completed=True)
    refused = Form(admin_client.post(page_of(task), values)).values
    messages = {
        "__all__": [CHANGED_MEANWHILE],
        "title": ["It is now “Buy milk”."],
        "completed": ["It is now completed."],
    }
    check_refused(admin_client, task, refused, stored, messages)
    again = typed(opened(admin_client, page_of(task)), title="Buy rye")
    assert admin_client.post(page_of(task), again).status_code == 302
    assert columns(task) == ({**columns(task)[0], "title": "Buy rye", "completed": True}, 3)


def test_faults_of_what_was_typed_are_told_beside_what_changed(admin_client, task, stored):
    values = typed(opened(admin_client, page_of(task)), title="")
    elsewhere(task, description="No")
    before = stored()
    assert errors(admin_client.post(page_of(task), values)) == {
        "title": ["Title is required", "It is now “Buy milk”."],
        "description": ["It is now “No”."],
        "__all__": [CHANGED_MEANWHILE],
    }
    assert stored() == before


def test_a_task_that_went_to_the_trash_meanwhile_is_not_written(admin_client, task, stored):
    values = typed(opened(admin_client, page_of(task)), title="Buy rye", completed="on")
    Task.objects.addressed(task.pk).move_to_trash()
    check_refused(admin_client, task, values, stored, {"__all__": [IN_THE_TRASH]})


@pytest.mark.parametrize("seen", ["", "a", "0", "2", "1.5"])
def test_a_version_that_no_page_showed_is_refused(admin_client, task, stored, seen):
    before = stored()
    values = {**opened(admin_client, page_of(task)), "title": "Buy rye", "seen_version": seen}
    assert errors(admin_client.post(page_of(task), values))["__all__"] == [CHANGED_MEANWHILE]
    assert (stored(), history()) == (before, [])


def test_a_form_without_a_version_is_refused(admin_client, task, stored):
    before = stored()
    values = typed(opened(admin_client, page_of(task)), title="Buy rye", seen_version=None)
    assert errors(admin_client.post(page_of(task), values))["__all__"] == [CHANGED_MEANWHILE]
    assert (stored(), history()) == (before, [])


# In the trash.


def test_a_task_in_the_trash_is_shown_and_offers_to_be_restored_or_removed(admin_client):
    task = TaskFactory(title="Buy milk", trashed=True)
    response = admin_client.get(page_of(task))
    text = text_of(response)
    assert set(Form(response).controls) == {"csrfmiddlewaretoken"}
    assert "This task is in the trash since" in text
    assert "Title: Buy milk" in text
    assert "Trashed: " in text
    assert re.findall('<form id="(.*)" method="post" action="([^"]*where[^"]*)">', response.content.decode()) == [
        ("restore", f"{LIST}?where=trash"),
        ("delete_for_good", f"{LIST}?where=trash"),
    ]
    assert admin_client.get(f"{LIST}{task.pk}/history/").status_code == 200


def test_a_task_in_the_trash_offers_a_viewer_nothing(client):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(viewer)
    assert "<button form=" not in client.get(page_of(TaskFactory(trashed=True))).content.decode()


@pytest.mark.parametrize("page", ["change", "delete"])
def test_a_task_in_the_trash_is_not_changed(admin_client, stored, page):
    task = TaskFactory(trashed=True)
    before = stored()
    response = admin_client.post(f"{LIST}{task.pk}/{page}/", {"post": "yes", "title": "Buy rye", "description": ""})
    assert response.status_code == 403
    assert "Not permitted" in text_of(response)
    assert (stored(), history()) == (before, [])


@pytest.mark.parametrize("id", ["nowhere", "01a1fae6-0000-7000-8000-000000000000"])
def test_no_task_has_no_page(admin_client, id):
    response = admin_client.get(f"{LIST}{id}/change/")
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite lets one transaction write at a time, from its start",
)
def test_of_two_operators_who_save_at_once_one_is_refused(admin_user, monkeypatch):
    """Both have read the task when the first one's write begins."""
    task = TaskFactory(title="Buy milk")
    both_have_read = Barrier(2, timeout=10)
    get_object = TaskAdmin.get_object

    def read_together(*args):
        task = get_object(*args)
        both_have_read.wait()
        return task

    clients = [Client(), Client()]
    for client in clients:
        client.force_login(admin_user)
    values = opened(clients[0], page_of(task))
    monkeypatch.setattr(TaskAdmin, "get_object", read_together)
    answers = {}

    def save(client, title):
        try:
            answers[title] = client.post(page_of(task), typed(values, title=title))
        finally:
            connection.close()

    threads = [Thread(target=save, args=pair) for pair in zip(clients, ("Buy rye", "Buy oats"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [title for title, answer in answers.items() if answer.status_code == 302]
    [loser] = [title for title in answers if title != winner]
    assert errors(answers[loser]) == {"__all__": [CHANGED_MEANWHILE], "title": [f"It is now “{winner}”."]}
    assert [(task.title, task.version) for task in Task.objects.all()] == [(winner, 2)]
    assert history() == [(winner, "Changed Title.")]


def test_a_task_that_changes_while_the_form_is_read_is_not_written_over(admin_client, task, stored, monkeypatch):
    get_object = TaskAdmin.get_object

    def read_before_it_changes(*args):
        read = get_object(*args)
        elsewhere(task, title="Buy oats")
        return read

    values = typed(opened(admin_client, page_of(task)), title="Buy rye")
    monkeypatch.setattr(TaskAdmin, "get_object", read_before_it_changes)
    assert errors(admin_client.post(page_of(task), values)) == {
        "__all__": [CHANGED_MEANWHILE],
        "title": ["It is now “Buy oats”."],
    }
    assert (columns(task)[0]["title"], history()) == ("Buy oats", [])


# Deleting.


def test_deleting_asks_first(admin_client, task, stored):
    before = stored()
    response = admin_client.get(f"{LIST}{task.pk}/delete/")
    assert "Move the task “ Buy milk ” of default to the trash? It can be restored from there." in text_of(response)
    assert stored() == before


def check_trashed(before):
    """The task is in the trash, by one write, and is otherwise as it was."""
    now = Task.objects.get(pk=before["id"])
    assert {name: getattr(now, name) for name in KEPT} == {name: before[name] for name in KEPT}
    assert (now.version, now.deleted_at) == (before["version"] + 1, now.updated_at)
    assert now.updated_at > before["updated_at"]


def test_deleting_moves_a_task_to_the_trash(admin_client, task, stored):
    other = TaskFactory()
    [before, untouched] = stored()
    response = admin_client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    saved(response, "The task “Buy milk” was moved to the trash.")
    check_trashed(before)
    assert stored()[1] == untouched
    assert listed(admin_client) == [other.title]
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.is_change(), entry.change_message) == ("Buy milk", True, "Moved to the trash.")
    assert "Moved to the trash." in text_of(admin_client.get(f"{LIST}{task.pk}/history/"))


def test_a_task_that_went_to_the_trash_just_before_is_not_logged_twice(admin_client, task, monkeypatch):
    write = TaskAdmin.delete_model
    monkeypatch.setattr(TaskAdmin, "delete_model", lambda *args: Task.objects.move_to_trash() and write(*args))
    admin_client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    assert Task.objects.get().version == 2
    assert LogEntry.objects.count() == 0


def test_an_api_client_is_told_the_version_that_the_admin_wrote(admin_client, as_user, task):
    admin_client.post(page_of(task), typed(opened(admin_client, page_of(task)), title="Buy rye"))
    response = as_user.get(f"/api/tasks/{task.pk}")
    now = Task.objects.get()
    assert (response.headers["ETag"], response.json()["title"]) == ('"2"', "Buy rye")
    assert response.json()["updated_at"] == moment(now.updated_at)


def test_a_save_has_nothing_to_say_in_the_log(admin_client, caplog):
    """Django checks the constraints by queries of its own, and logs those that fail."""
    task = TaskFactory()
    admin_client.post(f"{LIST}{task.pk}/change/", {"title": "Buy bread", "seen_version": "1"})
    assert Task.objects.get().title == "Buy bread"
    assert caplog.messages == []
