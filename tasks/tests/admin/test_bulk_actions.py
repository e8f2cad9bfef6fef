"""Actions on many tasks: on checked tasks, and on every task that the list finds."""

import html
import re
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import OperationalError

from rest.timestamps import format_timestamp
from tasks.admin import bulk_actions
from tasks.admin.history import sentence_of
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import MESSAGES
from tasks.tests.admin.admin_pages import (
    LIST,
    UNUSED_ID,
    listed_titles,
    log_entries,
    run_action,
    run_action_on_all,
    shown_messages,
    text_of,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def stored_states():
    """Return by title what the actions write: ``completed``, whether it is trashed, and ``version``."""
    return {
        task.title: (task.completed, task.deleted_at is not None, task.version) for task in Task.objects.order_by("id")
    }


UNCHANGED = {"Open": (False, False, 1), "Completed": (True, False, 1), "Trashed": (False, True, 1)}

#: The stored states after each action on these tasks, its summary and its label.
ACTIONS = {
    "complete": (
        {**UNCHANGED, "Open": (True, False, 2)},
        "1 task completed, 2 skipped (already completed or in the trash)",
        "Mark completed",
    ),
    "reopen": (
        {**UNCHANGED, "Completed": (False, False, 2)},
        "1 task reopened, 2 skipped (already open or in the trash)",
        "Reopen",
    ),
    "move_to_trash": (
        {**UNCHANGED, "Open": (False, True, 2), "Completed": (True, True, 2)},
        "2 tasks moved to the trash, 1 skipped (already in the trash)",
        "Move to the trash",
    ),
    "restore": (
        {**UNCHANGED, "Trashed": (False, False, 2)},
        "1 task restored, 2 skipped (not in the trash)",
        "Restore",
    ),
    "delete_for_good": (
        {"Open": (False, False, 1), "Completed": (True, False, 1)},
        "1 task deleted for good, 2 skipped (not in the trash)",
        "Delete for good",
    ),
}
#: The button in the message of an action.
UNDO = {"move_to_trash": " Undo"}

OF_LIVE_TASKS = ["complete", "reopen", "set_priority", "add_label", "remove_label", "move_to_trash"]
OF_TRASH = ["restore", "delete_for_good"]
ALL_ACTIONS = [*OF_LIVE_TASKS, *OF_TRASH]
EACH_ACTION = pytest.mark.parametrize(
    ("action", "after", "message", "label"), [(name, *rest) for name, rest in ACTIONS.items()], ids=ACTIONS
)


# Checked tasks.


@EACH_ACTION
def test_action_on_checked_tasks_writes_and_reports(admin_client, tasks, action, after, message, label):
    response = run_action(admin_client, action, tasks.values(), confirmed="yes")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?where=both")
    assert shown_messages(response) == [("success", message + UNDO.get(action, ""))]
    assert stored_states() == after
    [entry] = LogEntry.objects.all()
    assert entry.object_repr == message.partition(",")[0]
    assert sentence_of(entry) == f"{label}. Ids: {', '.join(str(task.pk) for task in tasks.values())}"
    assert (entry.action_flag, entry.object_id, entry.content_type.model, entry.user.username) == (
        DELETION if action == "delete_for_good" else CHANGE,
        None,
        "task",
        "admin",
    )


def test_action_on_one_task_is_in_its_history(admin_client, tasks):
    run_action(admin_client, "restore", [tasks["trashed"]])
    entry = f"admin Version 2: Restore. Ids: {tasks['trashed'].pk} Trashed"
    assert entry in text_of(admin_client.get(f"{LIST}{tasks['trashed'].pk}/history/"))


@pytest.mark.parametrize("action", ["complete", "move_to_trash"])
def test_action_moves_updated_at(admin_client, action):
    task = TaskFactory()
    run_action(admin_client, action, [task])
    assert Task.objects.get().updated_at > task.updated_at


def test_unchecked_task_is_not_written(admin_client, tasks):
    TaskFactory(title="Other")
    run_action(admin_client, "complete", [tasks["open"]])
    assert stored_states()["Other"] == (False, False, 1)


def test_task_outside_the_filter_is_not_written(admin_client, tasks):
    response = run_action(admin_client, "restore", tasks.values(), query="?where=both&owner=default")
    assert shown_messages(response) == [("warning", "0 tasks restored, 3 skipped (not in the trash)")]
    assert (stored_states(), log_entries()) == (UNCHANGED, [])


@pytest.mark.parametrize("ids", [["nonsense"], [UNUSED_ID], ["", "a,b", UNUSED_ID]])
def test_unknown_ids_change_nothing(admin_client, tasks, ids):
    response = admin_client.post(LIST, {"action": "complete", "index": "0", "_selected_action": ids})
    assert response.status_code == 302
    assert [level for level, _ in shown_messages(response)] == ["warning"]
    assert stored_states() == UNCHANGED


@pytest.mark.parametrize("batch_size", [1, 2, 3, 500])
def test_any_batch_size_gives_the_same_result(admin_client, monkeypatch, batch_size):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", batch_size)
    tasks = TaskFactory.create_batch(3)
    assert shown_messages(run_action(admin_client, "complete", tasks)) == [("success", "3 tasks completed")]
    assert list(stored_states().values()) == [(True, False, 2)] * 3
    assert [summary for summary, _ in log_entries()] == ["3 tasks completed"]


def test_action_on_50_tasks_takes_10_queries(admin_client, django_assert_num_queries):
    """The session, user, list, ids, savepoint, old values, write, new values, log entry and release."""
    tasks = TaskFactory.create_batch(50)
    with django_assert_num_queries(10):
        run_action(admin_client, "complete", tasks)


# Every task that the list finds.


@EACH_ACTION
def test_action_on_all_asks_for_confirmation(admin_client, tasks, action, after, message, label):
    response = run_action_on_all(admin_client, action)
    number = sum(UNCHANGED[title] != after.get(title) for title in UNCHANGED)
    assert response.status_code == 200
    assert f"{label}: {number} task{'s' * (number > 1)} on all pages of the list." in text_of(response)
    assert (stored_states(), log_entries()) == (UNCHANGED, [])


def test_confirmation_has_examples_and_one_field_of_ids(admin_client):
    tasks = TaskFactory.create_batch(9, trashed=True)
    response = run_action(admin_client, "delete_for_good", tasks, query="?where=trash")
    content = response.content.decode()
    assert "Delete for good: 9 tasks . This cannot be undone. The first 5 tasks" in text_of(response)
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
    assert shown_messages(response) == [("success", "9 tasks deleted for good")]
    assert Task.objects.count() == 0


def test_confirmation_without_matching_tasks_says_so(admin_client, tasks):
    text = text_of(run_action(admin_client, "delete_for_good", [tasks["open"]]))
    assert "Nothing to do: the selected tasks are not in the trash." in text


def shown_progress(content):
    """Return the numbers of the streamed lines, and the sentence of the last line."""
    last = re.findall(r"<span>([^<]*)</span></li>", content)[-1]
    return [int(value) for value in re.findall(r'<li class=""><progress max="\d+" value="(\d+)"', content)], last


@EACH_ACTION
def test_confirmed_action_on_all_shows_progress(admin_client, tasks, action, after, message, label):
    response = run_action_on_all(admin_client, action, confirmed="yes")
    assert response.headers["X-Accel-Buffering"] == "no"
    content = response.getvalue().decode()
    summary = message.partition(",")[0]
    assert shown_progress(content) == ([int(summary.split()[0])], f"Done: {summary}.")
    assert f'<a class="button" href="{LIST}?where=both">Back to the tasks</a>' in content
    assert content.rstrip().endswith("</html>")
    assert stored_states() == after
    assert log_entries() == [(summary, f"{label}. All of {LIST}?where=both")]


def test_progress_has_a_line_for_each_batch(admin_client, monkeypatch):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", 2)
    TaskFactory.create_batch(5)
    content = run_action_on_all(admin_client, "complete", query="", confirmed="yes").getvalue().decode()
    assert shown_progress(content)[0] == [2, 4, 5]
    assert re.search(r"<span>2 of 5 tasks, [0-9,]+ per second, about 0 s left</span>", content)


@pytest.mark.parametrize("select_across", ["true", "on", "2"])
def test_other_value_of_select_across_selects_checked_tasks(admin_client, tasks, select_across):
    """Django takes these values for “Select all” too."""
    run_action(admin_client, "complete", [tasks["open"]], select_across=select_across)
    assert stored_states() == ACTIONS["complete"][0]


def test_action_on_all_keeps_to_the_filter(admin_client, tasks):
    TaskFactory(title="Other", foreign=True)
    run_action_on_all(admin_client, "complete", query="?owner=somebody-else", confirmed="yes").getvalue()
    assert stored_states() == {**UNCHANGED, "Other": (True, False, 2)}


def test_closed_page_leaves_whole_batches_and_their_log(admin_client, monkeypatch):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", 2)
    TaskFactory.create_batch(5)
    parts = iter(run_action_on_all(admin_client, "complete", query="", confirmed="yes"))
    while b'value="2"' not in next(parts):
        pass
    del parts
    assert [completed for completed, *_ in stored_states().values()] == [True, True, False, False, False]
    assert [summary for summary, _ in log_entries()] == ["2 tasks completed"]


def test_database_error_during_action_is_shown(admin_client, monkeypatch, caplog):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", 2)
    TaskFactory.create_batch(5)
    write = bulk_actions.ACTIONS[0].write

    def fail_at_last_batch(batch):
        if batch.count() < 2:
            raise OperationalError("secret")
        return write(batch)

    monkeypatch.setitem(bulk_actions.ACTIONS[0].__dict__, "write", fail_at_last_batch)
    content = run_action_on_all(admin_client, "complete", query="", confirmed="yes").getvalue().decode()
    sentence = "Stopped by a database error: 4 tasks completed. Run the action again to continue."
    assert shown_progress(content) == ([2, 4], sentence)
    assert "secret" not in content
    assert "complete stopped after 4 tasks" in caplog.text
    assert [summary for summary, _ in log_entries()] == ["4 tasks completed"]


# Actions that ask for a value.

NO_PLAN = (0, frozenset(), 1)
FULL = frozenset(f"Label {number}" for number in range(20))
VALUE_ACTIONS = {
    "high": (
        "set_priority",
        "3",
        {"Plain": (3, frozenset(), 2), "Full": (3, FULL, 2)},
        "2 tasks set to priority “high”",
        "2 skipped (already of this priority or in the trash)",
        "Set priority “high”",
    ),
    "none": (
        "set_priority",
        "0",
        {"Planned": (0, frozenset({"home", "work"}), 2)},
        "1 task set to priority —",
        "3 skipped (already of this priority or in the trash)",
        "Set priority —",
    ),
    "add": (
        "add_label",
        " home ",
        {"Plain": (0, frozenset({"home"}), 2)},
        "1 task labelled “home”, 1 skipped (already with 20 labels)",
        "2 skipped (already with this label or in the trash)",
        "Add label “home”",
    ),
    "remove": (
        "remove_label",
        "home",
        {"Planned": (3, frozenset({"work"}), 2)},
        "1 task freed of label “home”",
        "3 skipped (without this label or in the trash)",
        "Remove label “home”",
    ),
}
EACH_VALUE_ACTION = pytest.mark.parametrize(
    ("action", "value", "written", "summary", "skipped", "label"), VALUE_ACTIONS.values(), ids=VALUE_ACTIONS
)


@pytest.fixture
def planned_tasks(db):
    return [
        TaskFactory(title="Planned", priority=3, labels=frozenset({"home", "work"})),
        TaskFactory(title="Plain"),
        TaskFactory(title="Full", labels=FULL),
        TaskFactory(title="Trashed", trashed=True),
    ]


PLANS = {"Planned": (3, frozenset({"home", "work"}), 1), "Plain": NO_PLAN, "Full": (0, FULL, 1), "Trashed": NO_PLAN}


def stored_plans():
    return {task.title: (task.priority, task.labels, task.version) for task in Task.objects.order_by("id")}


@EACH_VALUE_ACTION
def test_value_action_asks_for_its_value(admin_client, planned_tasks, action, value, written, summary, skipped, label):
    response = run_action(admin_client, action, planned_tasks)
    assert f"{label.split()[0]} {label.split()[1]}: 3 tasks ." in text_of(response)
    content = response.content.decode()
    assert re.findall('<label for="id_value">([^<]*)</label>', content) == [f"{action.split('_')[1].title()}:"]
    assert (stored_plans(), log_entries()) == (PLANS, [])


@EACH_VALUE_ACTION
def test_value_action_on_checked_tasks_writes_and_reports(
    admin_client, planned_tasks, action, value, written, summary, skipped, label
):
    response = run_action(admin_client, action, planned_tasks, confirmed="yes", value=value)
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?where=both")
    assert shown_messages(response) == [("success", f"{summary}, {skipped}")]
    assert stored_plans() == {**PLANS, **written}
    ids = ", ".join(str(task.pk) for task in planned_tasks)
    assert log_entries() == [(summary, f"{label}. Ids: {ids}")]


@EACH_VALUE_ACTION
def test_value_action_on_all_tasks_shows_progress(
    admin_client, planned_tasks, monkeypatch, action, value, written, summary, skipped, label
):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", 1)
    assert "on all pages of the list." in text_of(run_action_on_all(admin_client, action))
    content = run_action_on_all(admin_client, action, confirmed="yes", value=value).getvalue().decode()
    assert shown_progress(content)[1] == f"Done: {summary}."
    assert stored_plans() == {**PLANS, **written}
    assert log_entries() == [(summary, f"{label}. All of {LIST}?where=both")]


@pytest.mark.parametrize(
    ("action", "value", "message"),
    [
        ("set_priority", "4", MESSAGES["priority"]["invalid"]),
        ("set_priority", "", MESSAGES["priority"]["invalid"]),
        ("add_label", "", "A label must not be blank"),
        ("add_label", "a,b", MESSAGES["labels"]["forbidden_character"].replace('"', "&quot;")),
        ("add_label", "a" * 51, MESSAGES["labels"]["max_length"]),
        ("remove_label", "__proto__", MESSAGES["labels"]["reserved"]),
    ],
)
def test_value_action_refuses_an_invalid_value(admin_client, planned_tasks, action, value, message):
    response = run_action(admin_client, action, planned_tasks, confirmed="yes", value=value)
    assert response.status_code == 200
    assert message in text_of(response)
    assert (stored_plans(), log_entries()) == (PLANS, [])


def test_value_action_on_trashed_tasks_says_so(admin_client, planned_tasks):
    text = text_of(run_action(admin_client, "add_label", planned_tasks[3:]))
    assert "Nothing to do: the selected tasks are in the trash." in text


def test_label_is_added_beside_a_label_of_another_writer(admin_client, monkeypatch):
    """The statement adds to the labels of the moment, and not to labels that were read before."""
    task = TaskFactory()
    change = Task.objects.all().change_query

    def change_after_another(tasks, *args, **values):
        monkeypatch.undo()
        Task.objects.change(label_patch='{"other":true}')
        return change.__func__(tasks, *args, **values)

    monkeypatch.setattr(TaskQuerySet, "change_query", change_after_another)
    run_action(admin_client, "add_label", [task], confirmed="yes", value="home")
    assert Task.objects.get().labels == {"home", "other"}


# Undo.


def undo(client, response):
    """Press “Undo” in the message of a response, as a browser does: with the message's form only."""
    [message] = get_messages(response.wsgi_request)
    [url] = re.findall('<form class="undo" method="post" action="([^"]*)">', str(message))
    fields = dict(re.findall('<input type="hidden" name="(\\w+)" value="([^"]*)">', str(message)))
    return client.post(html.unescape(url), fields)


@pytest.mark.parametrize(
    ("query", "back"),
    [
        ("", ""),
        ("completed__exact=0&owner=default", "completed__exact=0&owner=default"),
        ("where=both", ""),
    ],
)
def test_undo_restores_exactly_the_tasks_of_its_action(admin_client, tasks, query, back):
    other = TaskFactory(title="Other")
    response = run_action(admin_client, "move_to_trash", [tasks["open"], tasks["trashed"]], f"?{query}")
    run_action(admin_client, "move_to_trash", [other])
    before = stored_states()
    restored = undo(admin_client, response)
    assert restored.headers["Location"] == f"{LIST}?{back}"
    assert shown_messages(restored)[-1] == ("success", "1 task restored, 1 skipped (not in the trash)")
    assert stored_states() == {**before, "Open": (False, False, 3)}


def test_undo_leaves_a_task_that_was_trashed_again(admin_client, tasks):
    response = run_action(admin_client, "move_to_trash", [tasks["open"]], "")
    Task.objects.addressed(tasks["open"].pk).restore()
    Task.objects.addressed(tasks["open"].pk).move_to_trash()
    before = stored_states()
    undone = undo(admin_client, response)
    assert shown_messages(undone)[-1] == ("warning", "0 tasks restored, 1 skipped (not in the trash)")
    assert stored_states() == before


def test_undo_of_an_action_on_all_restores_its_tasks(admin_client, tasks, monkeypatch):
    monkeypatch.setattr(bulk_actions, "BATCH_SIZE", 1)
    content = run_action_on_all(admin_client, "move_to_trash", query="", confirmed="yes").getvalue().decode()
    [url] = re.findall('<form class="undo" method="post" action="([^"]*)">', content)
    fields = dict(re.findall('<input type="hidden" name="(\\w+)" value="([^"]*)">', content))
    content = admin_client.post(html.unescape(url), fields).getvalue().decode()
    assert shown_progress(content)[1] == "Done: 2 tasks restored."
    assert stored_states() == {**UNCHANGED, "Open": (False, False, 3), "Completed": (True, False, 3)}


def test_deletion_of_one_task_can_be_undone(admin_client, tasks):
    filters = urlencode({"_changelist_filters": "completed__exact=0"})
    response = admin_client.post(f"{LIST}{tasks['open'].pk}/delete/?{filters}", {"post": "yes"})
    restored = undo(admin_client, response)
    assert restored.headers["Location"] == f"{LIST}?completed__exact=0"
    assert stored_states() == {**UNCHANGED, "Open": (False, False, 3)}


def test_undo_needs_the_permission_to_restore(client, tasks):
    user = User.objects.create_user("deleter", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_task", "delete_task")))
    client.force_login(user)
    response = run_action(client, "move_to_trash", [tasks["open"]], "")
    assert shown_messages(response) == [("success", "1 task moved to the trash")]


def test_list_of_undo_shows_the_tasks_of_one_deletion(admin_client, tasks):
    Task.objects.live().move_to_trash()
    deleted_at = format_timestamp(Task.objects.get(title="Open").deleted_at)
    assert listed_titles(admin_client, f"?where=trash&trashed={deleted_at}") == ["Completed", "Open"]


# Permissions.


@pytest.mark.parametrize("action", ALL_ACTIONS)
def test_viewer_cannot_run_an_action(as_member, tasks, action):
    client = as_member("viewer")
    assert run_action(client, action, tasks.values(), confirmed="yes").status_code == 403
    assert run_action_on_all(client, action, confirmed="yes").status_code == 403
    assert (stored_states(), log_entries()) == (UNCHANGED, [])


@EACH_ACTION
def test_operator_can_run_an_action(as_member, tasks, action, after, message, label):
    response = run_action(as_member("operator"), action, tasks.values(), confirmed="yes")
    assert shown_messages(response) == [("success", message + UNDO.get(action, ""))]


def offered_actions(client, query):
    """Return the actions that a list offers, without the exports that each list offers last."""
    offered = re.findall(r'<option value="(\w+)">', client.get(LIST + query).content.decode())
    assert offered[-2:] == ["export_csv", "export_jsonl"]
    return offered[:-2]


@pytest.mark.parametrize(("group", "writing"), [("viewer", []), ("operator", ALL_ACTIONS)])
def test_list_offers_only_permitted_actions(as_member, tasks, group, writing):
    assert offered_actions(as_member(group), "?where=both") == writing


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        ("", OF_LIVE_TASKS),
        ("?where=trash", OF_TRASH),
        ("?where=both", ALL_ACTIONS),
        ("?completed__exact=0", ["complete", *OF_LIVE_TASKS[2:]]),
        ("?completed__exact=1", OF_LIVE_TASKS[1:]),
        ("?where=both&completed__exact=1", ALL_ACTIONS[1:]),
    ],
)
def test_list_offers_actions_that_it_has_tasks_for(admin_client, tasks, query, offered):
    assert offered_actions(admin_client, query) == offered


def test_search_for_an_id_offers_all_actions(admin_client, tasks):
    """The task is found in the trash too."""
    assert offered_actions(admin_client, f"?q={tasks['trashed'].pk}") == ALL_ACTIONS


def test_action_that_is_not_offered_changes_nothing(admin_client, tasks):
    response = run_action(admin_client, "restore", tasks.values(), query="")
    assert shown_messages(response) == [("warning", "No action selected.")]
    assert stored_states() == UNCHANGED


def test_django_s_own_deletion_is_not_available(admin_client, tasks):
    response = run_action(admin_client, "delete_selected", tasks.values(), post="yes")
    assert shown_messages(response) == [("warning", "No action selected.")]
    assert stored_states() == UNCHANGED


def test_user_without_group_cannot_see_tasks(as_member, tasks):
    assert as_member().get(LIST).status_code == 403
