"""What is done to many tasks at once: to a selection, and to all that a filter finds."""

import csv
import json
import re
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Group, User
from django.core.signals import request_finished
from django.db import OperationalError, close_old_connections

from tasks.admin import bulk_actions, export_actions
from tasks.models import Task
from tasks.tests.admin.admin_pages import LIST, said, text_of
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

NOWHERE = "01a1fae6-0000-7000-8000-000000000000"


@pytest.fixture
def tasks():
    """One of each kind, of two owners."""
    return {
        "open": TaskFactory(title="Open"),
        "done": TaskFactory(title="Done", completed=True),
        "gone": TaskFactory(title="Gone", trashed=True, foreign=True),
    }


@pytest.fixture
def as_member(client):
    """A client of a member of that group."""

    def as_member(group):
        user = User.objects.create_user(group, is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        client.force_login(user)
        return client

    return as_member


def act(client, action, tasks, query="?where=both", **more):
    """Run an action of the list on a selection."""
    ids = [str(task.pk) for task in tasks]
    return client.post(LIST + query, {"action": action, "index": "0", "_selected_action": ids, **more})


def act_on_all(client, action, query="?where=both", **more):
    """The same on all that the list finds: one box is ticked, and “Select all” is pressed."""
    return act(client, action, [Task.objects.first()], query, select_across="1", **more)


def state():
    """What the actions write, by title."""
    return {
        task.title: (task.completed, task.deleted_at is not None, task.version) for task in Task.objects.order_by("id")
    }


AS_MADE = {"Open": (False, False, 1), "Done": (True, False, 1), "Gone": (False, True, 1)}

#: What each action makes of the tasks, what it says, and how it is logged.
ACTIONS = {
    "complete": (
        {**AS_MADE, "Open": (True, False, 2)},
        "1 task completed; 2 were so already, or are in the trash",
        "Mark completed",
    ),
    "reopen": (
        {**AS_MADE, "Done": (False, False, 2)},
        "1 task reopened; 2 were open already, or are in the trash",
        "Reopen",
    ),
    "move_to_trash": (
        {**AS_MADE, "Open": (False, True, 2), "Done": (True, True, 2)},
        "2 tasks moved to the trash; 1 were there already",
        "Move to the trash",
    ),
    "restore": (
        {**AS_MADE, "Gone": (False, False, 2)},
        "1 task restored; 2 were not in the trash",
        "Restore",
    ),
    "delete_for_good": (
        {"Open": (False, False, 1), "Done": (True, False, 1)},
        "1 task deleted for good; 2 are not in the trash, and stay",
        "Delete for good",
    ),
}


# A selection.


@pytest.mark.parametrize(("action", "expected"), ACTIONS.items())
def test_an_action_changes_the_selection_and_says_how_many(admin_client, tasks, action, expected):
    after, message, label = expected
    response = act(admin_client, action, tasks.values(), confirmed="yes")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?where=both")
    assert said(response) == [("success", message)]
    assert state() == after
    [entry] = LogEntry.objects.all()
    assert entry.object_repr == message.partition(";")[0]
    assert entry.change_message == f"{label}. Ids: {', '.join(str(task.pk) for task in tasks.values())}"
    assert (entry.action_flag, entry.object_id, entry.content_type.model, entry.user.username) == (
        DELETION if action == "delete_for_good" else CHANGE,
        None,
        "task",
        "admin",
    )


def test_an_action_on_one_task_is_in_its_history(admin_client, tasks):
    act(admin_client, "restore", [tasks["gone"]])
    entry = f"admin Restore. Ids: {tasks['gone'].pk} 1 entry"
    assert entry in text_of(admin_client.get(f"{LIST}{tasks['gone'].pk}/history/"))


@pytest.mark.parametrize("action", ["complete", "move_to_trash"])
def test_an_action_moves_the_time_of_the_last_write(admin_client, action):
    task = TaskFactory()
    act(admin_client, action, [task])
    assert Task.objects.get().updated_at > task.updated_at


def test_what_is_not_selected_stays(admin_client, tasks):
    TaskFactory(title="Other")
    act(admin_client, "complete", [tasks["open"]])
    assert state()["Other"] == (False, False, 1)


def test_what_the_filter_does_not_find_is_not_selected(admin_client, tasks):
    response = act(admin_client, "restore", tasks.values(), query="?owner=default")
    assert said(response) == [("warning", "0 tasks restored; 3 were not in the trash")]
    assert (state(), LogEntry.objects.count()) == (AS_MADE, 0)


@pytest.mark.parametrize("ids", [["nonsense"], [NOWHERE], ["", "a,b", NOWHERE]])
def test_ids_of_no_tasks_change_nothing(admin_client, tasks, ids):
    response = admin_client.post(LIST, {"action": "complete", "index": "0", "_selected_action": ids})
    assert response.status_code == 302
    assert [level for level, _ in said(response)] == ["warning"]
    assert state() == AS_MADE


@pytest.mark.parametrize("batch", [1, 2, 3, 500])
def test_batches_of_any_size_do_the_same(admin_client, monkeypatch, batch):
    monkeypatch.setattr(bulk_actions, "BATCH", batch)
    tasks = TaskFactory.create_batch(3)
    assert said(act(admin_client, "complete", tasks)) == [("success", "3 tasks completed")]
    assert [values[::2] for values in state().values()] == [(True, 2)] * 3
    assert LogEntry.objects.get().object_repr == "3 tasks completed"


def test_an_action_takes_few_queries(admin_client, django_assert_num_queries):
    """For 50 tasks as for one: session, operator, list; their ids, a savepoint, the write, the log."""
    tasks = TaskFactory.create_batch(50)
    with django_assert_num_queries(8):
        act(admin_client, "complete", tasks)


# All that the filter finds.


@pytest.mark.parametrize(("action", "expected"), ACTIONS.items())
def test_an_action_on_everything_asks_first(admin_client, tasks, action, expected):
    response = act_on_all(admin_client, action)
    text = text_of(response)
    assert response.status_code == 200
    assert f"{expected[2]}: {sum(AS_MADE[title] != expected[0].get(title) for title in AS_MADE)} task" in text
    assert "all that the list shows on all its pages" in text
    assert (state(), LogEntry.objects.count()) == (AS_MADE, 0)


def test_a_confirmation_shows_a_sample_and_has_one_field_for_any_number(admin_client):
    tasks = TaskFactory.create_batch(9, trashed=True)
    response = act(admin_client, "delete_for_good", tasks, query="?where=trash")
    content = response.content.decode()
    assert "Delete for good: 9 tasks . Nothing brings them back. Some of them" in text_of(response)
    assert re.findall(r'<li><a href="[^"]*/change/">([^<]*)</a>', content) == [f"{task}" for task in tasks[:3:-1]]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', content))
    assert len(content) < 20_000
    del fields["csrfmiddlewaretoken"]
    assert fields == {
        "action": "delete_for_good",
        "select_across": "0",
        "_selected_action": ",".join(str(task.pk) for task in tasks),
        "confirmed": "yes",
    }
    response = admin_client.post(f"{LIST}?where=trash", fields)
    assert said(response) == [("success", "9 tasks deleted for good")]
    assert Task.objects.count() == 0


def test_a_confirmation_of_nothing_says_so(admin_client, tasks):
    text = text_of(act(admin_client, "delete_for_good", [tasks["open"]]))
    assert "There is nothing to do: none of the selected tasks is one to delete for good." in text


def numbers(content):
    """The values of a page that counts up, and what its last line says."""
    last = re.findall(r"<span>([^<]*)</span></li>", content)[-1]
    return [int(value) for value in re.findall(r'<li class=""><progress max="\d+" value="(\d+)"', content)], last


@pytest.mark.parametrize(("action", "expected"), ACTIONS.items())
def test_an_action_on_everything_counts_up(admin_client, tasks, action, expected):
    response = act_on_all(admin_client, action, confirmed="yes")
    assert response.headers["X-Accel-Buffering"] == "no"
    content = response.getvalue().decode()
    message = expected[1].partition(";")[0]
    assert numbers(content) == ([int(message.split()[0])], f"Done: {message}.")
    assert f'<a class="button" href="{LIST}?where=both">Back to the tasks</a>' in content
    assert content.rstrip().endswith("</html>")
    assert state() == expected[0]
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.change_message) == (message, f"{expected[2]}. All of {LIST}?where=both")


def test_the_page_says_after_each_batch_how_far_it_is(admin_client, monkeypatch):
    monkeypatch.setattr(bulk_actions, "BATCH", 2)
    TaskFactory.create_batch(5)
    response = act_on_all(admin_client, "complete", query="", confirmed="yes")
    content = response.getvalue().decode()
    assert numbers(content)[0] == [2, 4, 5]
    assert re.search(r"<span>2 of 5 tasks, [0-9,]+ a second, about 0 s left</span>", content)


@pytest.mark.parametrize("yes", ["true", "on", "2"])
def test_what_is_not_said_as_the_list_says_it_is_the_selection(admin_client, tasks, yes):
    """Django takes these for “Select all” too."""
    before = Task.objects.in_bulk()
    act(admin_client, "complete", [tasks["open"]], select_across=yes)
    changed = [task.title for task in Task.objects.all() if task.version != before[task.pk].version]
    assert changed == ["Open"]


def test_an_action_on_everything_keeps_to_the_filter(admin_client, tasks):
    TaskFactory(title="Other", foreign=True)
    act_on_all(admin_client, "complete", query="?owner=somebody-else", confirmed="yes").getvalue()
    assert state() == {**AS_MADE, "Other": (True, False, 2)}


def test_a_page_that_is_closed_leaves_whole_batches_and_the_log_tells(admin_client, monkeypatch):
    monkeypatch.setattr(bulk_actions, "BATCH", 2)
    TaskFactory.create_batch(5)
    parts = iter(act_on_all(admin_client, "complete", query="", confirmed="yes"))
    while b'value="2"' not in next(parts):
        pass
    del parts
    assert [values[0] for values in state().values()] == [True, True, False, False, False]
    assert LogEntry.objects.get().object_repr == "2 tasks completed"


def test_a_database_that_fails_midway_is_told_on_the_page(admin_client, monkeypatch, caplog):
    monkeypatch.setattr(bulk_actions, "BATCH", 2)
    TaskFactory.create_batch(5)
    change = bulk_actions.ACTIONS[0].write

    def fail_at_last(batch):
        if batch.count() < 2:
            raise OperationalError("secret")
        return change(batch)

    monkeypatch.setitem(bulk_actions.ACTIONS[0].__dict__, "write", fail_at_last)
    content = act_on_all(admin_client, "complete", query="", confirmed="yes").getvalue().decode()
    says = "Stopped by the database: 4 tasks completed. Run it again to go on with the rest."
    assert numbers(content) == ([2, 4], says)
    assert "secret" not in content
    assert "complete stopped after 4 tasks" in caplog.text
    assert LogEntry.objects.get().object_repr == "4 tasks completed"


# Who may.


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_is_refused(as_member, tasks, action):
    client = as_member("viewer")
    assert act(client, action, tasks.values(), confirmed="yes").status_code == 403
    assert act_on_all(client, action, confirmed="yes").status_code == 403
    assert (state(), LogEntry.objects.count()) == (AS_MADE, 0)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operator_may(as_member, tasks, action):
    response = act(as_member("operator"), action, tasks.values(), confirmed="yes")
    assert said(response) == [("success", ACTIONS[action][1])]


@pytest.mark.parametrize(
    ("group", "offered"),
    [
        ("viewer", ["export_csv", "export_jsonl"]),
        ("operator", [*ACTIONS, "export_csv", "export_jsonl"]),
    ],
)
def test_what_is_offered_is_what_one_may(as_member, tasks, group, offered):
    content = as_member(group).get(LIST).content.decode()
    assert re.findall(r'<option value="(\w+)">', content) == offered


def test_django_s_own_deletion_is_not_there(admin_client, tasks):
    response = act(admin_client, "delete_selected", tasks.values(), post="yes")
    assert said(response) == [("warning", "No action selected.")]
    assert state() == AS_MADE


def test_whom_no_group_lets_in_sees_no_tasks(client, tasks):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(LIST).status_code == 403


# Export.


def exported(response, kind):
    assert response.status_code == 200
    assert response.headers["Content-Type"] == kind
    assert re.fullmatch(
        r'attachment; filename="tasks-\d{4}-\d\d-\d\d-\d{6}\.\w+"', response.headers["Content-Disposition"]
    )
    return response.getvalue().decode()


CSV = "text/csv; charset=utf-8"
JSON_LINES = "application/jsonl; charset=utf-8"


def test_json_lines_are_what_the_api_shows(admin_client, as_user, tasks):
    lines = exported(act(admin_client, "export_jsonl", tasks.values()), JSON_LINES).splitlines()
    shown = [as_user.get(f"/api/tasks/{tasks[title].pk}").content.decode() for title in ("open", "done")]
    assert lines[:2] == shown
    gone = json.loads(lines[2])
    assert gone["title"] == "Gone"
    assert list(gone)[-1] == "deleted_at"
    assert LogEntry.objects.get().object_repr == "3 tasks exported"


def test_csv_has_the_same_in_columns(admin_client):
    task = TaskFactory(title="Buy “milk”, bread", description='Two\nlitres of "it"', completed=True)
    TaskFactory(title="Gone", trashed=True)
    text = exported(act_on_all(admin_client, "export_csv"), CSV)
    assert text.startswith("\ufeffid,title,description,completed,user_id,created_at,updated_at,version,deleted_at\r\n")
    [row, gone] = csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline=""))
    assert row == {
        "id": str(task.id),
        "title": "Buy “milk”, bread",
        "description": 'Two\nlitres of "it"',
        "completed": "true",
        "user_id": "default",
        "created_at": f"{task.created_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "updated_at": f"{task.updated_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "version": "1",
        "deleted_at": "",
    }
    assert gone["deleted_at"].endswith("Z")


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\n", "'"])
@pytest.mark.parametrize("column", ["title", "description", "user_id"])
def test_no_cell_of_csv_is_a_formula(admin_client, begins, column):
    text = f"{begins}HYPERLINK(1)"
    if column == "title":
        text = text.strip()
    task = TaskFactory(**{column: text})
    content = exported(act(admin_client, "export_csv", [task]), CSV)
    [row] = csv.DictReader(StringIO(content.removeprefix("\ufeff"), newline=""))
    assert row[column] == (text if text[0] == "H" else f"'{text}")


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize("action", ["export_csv", "export_jsonl"])
def test_an_export_is_the_same_whatever_it_is_read_by(admin_client, monkeypatch, action, chunk):
    TaskFactory.create_batch(3)
    whole = act_on_all(admin_client, action).getvalue()
    monkeypatch.setattr(export_actions, "CHUNK", chunk)
    assert act_on_all(admin_client, action).getvalue() == whole


def test_an_export_of_a_filter_has_what_it_finds(admin_client, tasks):
    assert '"title":"Gone"' in act_on_all(admin_client, "export_jsonl", query="?where=trash").getvalue().decode()
    assert act_on_all(admin_client, "export_jsonl", query="?q=nothing").getvalue() == b""


def test_a_viewer_exports_too(as_member, tasks):
    assert exported(act(as_member("viewer"), "export_csv", tasks.values()), CSV).count("\r\n") == 4


def test_an_export_that_is_broken_off_is_logged_with_what_was_read(admin_client, monkeypatch):
    monkeypatch.setattr(export_actions, "CHUNK", 1)
    TaskFactory.create_batch(3)
    response = act_on_all(admin_client, "export_jsonl")
    assert LogEntry.objects.get().object_repr == "Tasks exported"
    request_finished.disconnect(close_old_connections)  # which would end the test's transaction
    response.close()
    request_finished.connect(close_old_connections)
    assert LogEntry.objects.get().object_repr == "1 task exported"
