"""The history of a task: what the log has, and the versions that others wrote."""

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from tasks.admin.history import read_history
from tasks.models import Task
from tasks.tests.admin.admin_pages import (
    ADD,
    LIST,
    change_url,
    fill_in,
    read_form,
    run_action,
    run_action_on_all,
    text_of,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def history(task):
    """Return the user, the sentence and the values of each write."""
    task = Task.objects.get(pk=task.pk)
    return [(write.user, write.sentence, [tuple(values) for values in write.values]) for write in read_history(task)]


def at(time):
    return f"at {time:%Y-%m-%d %H:%M:%S} UTC"


def created(task):
    return ("its owner", f"Version 1, by its owner, {at(task.created_at)}", [])


def last(task, version, writer="its owner"):
    time = Task.objects.get(pk=task.pk).updated_at
    return (writer, f"Version {version}, by {writer}, {at(time)}", [])


def save(client, task, **changes):
    client.post(change_url(task), fill_in(read_form(client, change_url(task)), **changes))


def test_history_of_the_api_has_no_values(as_user):
    id_ = as_user.post("/api/tasks", {"title": "Buy milk"}, "application/json").json()["id"]
    task = Task.objects.get(pk=id_)
    assert history(task) == [created(task)]
    as_user.post(f"/api/tasks/{id_}/toggle")
    assert history(task) == [created(task), last(task, 2)]
    as_user.post(f"/api/tasks/{id_}/toggle")
    assert history(task) == [created(task), ("its owner", "Version 2, by its owner", []), last(task, 3)]
    as_user.delete(f"/api/tasks/{id_}")
    middle = ("its owner", "Versions 2 to 3, by its owner", [])
    assert history(task) == [created(task), middle, last(task, 4)]


def test_history_of_a_form_has_old_and_new_values(admin_client):
    task = TaskFactory(title="Buy milk", labels=frozenset({"home"}))
    new = {"title": "Buy rye", "description": "Two\nlitres\u2028", "completed": "on", "priority": "3"}
    save(admin_client, task, **new, labels="home, work", due_date="2026-12-24")
    values = [
        ("title", "Buy milk", "Buy rye"),
        ("description", "", "Two\nlitres\u2028"),
        ("completed", "no", "yes"),
        ("due", "", "2026-12-24"),
        ("priority", "", "high"),
        ("labels", "home", "home, work"),
    ]
    sentence = "Version 2: Changed Title, Description, Completed, Due, Priority and Labels."
    assert history(task) == [created(task), ("admin", sentence, values)]


def test_history_tells_admin_and_api_apart(admin_client, as_user):
    task = TaskFactory(title="Buy milk")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    save(admin_client, task, title="Buy rye")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    assert history(task) == [
        created(task),
        ("its owner", "Versions 2 to 3, by its owner", []),
        ("admin", "Version 4: Changed Title.", [("title", "Buy milk", "Buy rye")]),
        last(task, 5),
    ]


def test_history_of_an_added_task_begins_with_its_operator(admin_client):
    values = fill_in(read_form(admin_client, ADD), title="Buy milk", user_id="default")
    admin_client.post(ADD, values)
    assert history(Task.objects.get()) == [("admin", "Version 1: Added.", [])]


def test_history_of_a_save_without_changes_has_no_version(admin_client):
    task = TaskFactory()
    save(admin_client, task)
    assert history(task) == [("admin", "No fields changed.", []), created(task)]


def test_history_of_an_action_has_the_values_of_the_task(admin_client, tasks):
    ids = ", ".join(str(task.pk) for task in tasks.values())
    run_action(admin_client, "complete", tasks.values())
    run_action(admin_client, "add_label", tasks.values(), confirmed="yes", value="home")
    complete = ("admin", f"Version 2: Mark completed. Ids: {ids}", [("completed", "no", "yes")])
    label = f"Add label “home”. Ids: {ids}"
    assert history(tasks["open"]) == [
        created(tasks["open"]),
        complete,
        ("admin", f"Version 3: {label}", [("labels", "", "home")]),
    ]
    assert history(tasks["completed"]) == [
        created(tasks["completed"]),
        ("admin", f"Version 2: {label}", [("labels", "", "home")]),
    ]
    assert history(tasks["trashed"]) == [created(tasks["trashed"])]


def test_history_of_the_trash_has_the_time(admin_client):
    task = TaskFactory(title="Buy milk")
    admin_client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    trashed = f"{Task.objects.get().deleted_at:%Y-%m-%d %H:%M:%S} UTC"
    run_action(admin_client, "restore", [task])
    assert history(task) == [
        created(task),
        ("admin", "Version 2: Moved to the trash.", [("trashed", "", trashed)]),
        ("admin", f"Version 3: Restore. Ids: {task.pk}", [("trashed", trashed, "")]),
    ]


def test_history_names_an_action_on_a_whole_list(admin_client, as_user):
    """The log has not the ids of these tasks, so the action may have written the version."""
    task = TaskFactory()
    run_action_on_all(admin_client, "complete", query="", confirmed="yes").getvalue()
    assert history(task) == [created(task), last(task, 2, "its owner or an action on a whole list")]
    save(admin_client, task, title="Buy rye")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    assert history(task)[3:] == [last(task, 4)]


def test_history_shows_entries_without_a_version(admin_client, admin_user):
    """Entries of former releases and of other programs have neither versions nor values."""
    task = TaskFactory(version=3)
    content_type = ContentType.objects.get_for_model(Task)
    for flag, object_id, message in (
        (ADDITION, str(task.pk), '[{"added": {}}]'),
        (CHANGE, str(task.pk), '[{"changed": {"fields": ["Title"]}}]'),
        (CHANGE, str(task.pk), "Corrected.\nBy hand."),
        (CHANGE, None, f"Reopen. Ids: {task.pk}, {TaskFactory().pk}"),
    ):
        LogEntry.objects.create(
            user=admin_user, content_type=content_type, object_id=object_id, action_flag=flag, change_message=message
        )
    sentences = [sentence for _, sentence, _ in history(task)]
    assert sentences[:3] == ["Version 1: Added.", "Changed Title.", "Corrected."]
    assert sentences[3].startswith("Reopen. Ids: ")
    assert sentences[4:] == ["Version 2, by its owner", last(task, 3)[1]]


def test_history_page_shows_writes_and_values(admin_client, as_user):
    task = TaskFactory(title="<b>Buy</b>")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    as_user.post(f"/api/tasks/{task.pk}/toggle")
    save(admin_client, task, title="Buy rye")
    response = admin_client.get(f"{LIST}{task.pk}/history/")
    text = text_of(response)
    assert f"UTC its owner Version 1, by its owner, {at(task.created_at)} not known its owner Versions 2 to 3" in text
    assert "admin Version 4: Changed Title. Title &lt;b&gt;Buy&lt;/b&gt; → Buy rye " in text


def test_history_page_of_an_unknown_task_redirects(admin_client):
    response = admin_client.get(f"{LIST}nowhere/history/")
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def test_log_shows_sentences_without_values(admin_client):
    task = TaskFactory(title="Buy milk")
    save(admin_client, task, title="Buy rye")
    text = text_of(admin_client.get("/admin/admin/logentry/"))
    assert "Buy rye Changed Title. 1 log entry" in text
