"""The pages that add, change and delete a task, also while other writers change the task."""

import re
from datetime import UTC, datetime
from threading import Barrier, Thread
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks.admin.form_fields import DUE_FAULTS
from tasks.admin.forms import DAMAGED_MESSAGE, describe_value
from tasks.admin.history import sentence_of
from tasks.admin.task_admin import TaskAdmin
from tasks.models import Task
from tasks.rules import MESSAGES
from tasks.tests.admin.admin_pages import (
    ADD,
    LIST,
    UNUSED_ID,
    Form,
    assert_saved,
    change_url,
    fill_in,
    form_errors,
    listed_titles,
    log_entries,
    read_form,
    text_of,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

TRASHED_MESSAGE = "Someone moved this task to the trash after you opened it. Your edits were not saved."
STALE_MESSAGE = "Someone changed this task after you opened it. Your edits were not saved."
STALE = {"__all__": [STALE_MESSAGE]}

#: The columns that no write of another field changes.
COLUMNS = "id", "user_id", "title", "description", "completed", "created_at"


# Adding.


def shown_fields(response):
    """Return the fields of a page's form, and all labels of the page."""
    labels = re.findall(r"<(?:label|legend)[^>]*>\s*([^<:]+):?\s*</", response.content.decode())
    return list(response.context["adminform"].form.fields), {label.lower() for label in labels}


def labels_of(names):
    return {Task._meta.get_field(name).verbose_name for name in names}


def test_add_page_has_the_writable_fields_and_the_owner(admin_client):
    response = admin_client.get(ADD)
    names = [*Task.WRITABLE_FIELDS, "user_id"]
    fields, labels = shown_fields(response)
    assert fields == names
    assert labels & labels_of(Task.PUBLIC_FIELDS) == labels_of(names)
    values = Form(response).values
    assert [values.get(name) for name in ("title", "description", "completed", "user_id")] == ["", "", None, ""]


def test_added_task_is_stored_and_logged(admin_client):
    values = fill_in(
        read_form(admin_client, ADD),
        title=" Buy milk\t",
        description=" Two\r\n\r\nlitres \r\n",
        completed="on",
        user_id="default",
    )
    assert_saved(admin_client.post(ADD, values), "The task “Buy milk” was added successfully.")
    task = Task.objects.get()
    assert {name: getattr(task, name) for name in COLUMNS[1:-1]} == {
        "title": "Buy milk",
        "description": " Two\n\nlitres \n",
        "completed": True,
        "user_id": "default",
    }
    assert (task.id.version, task.version, task.updated_at, task.deleted_at) == (7, 1, task.created_at, None)
    assert log_entries() == [("Buy milk", "Added.")]


INVALID = {
    "title-empty": ({"title": ""}, {"title": "required"}),
    "title-white-space": ({"title": " \u2003"}, {"title": "required"}),
    "title-invisible": ({"title": "\u200b"}, {"title": "blank"}),
    "title-long": ({"title": "a" * 201}, {"title": "max_length"}),
    "title-line-break": ({"title": "a\nb"}, {"title": "forbidden_character"}),
    "title-nul": ({"title": "a\0b"}, {"title": "forbidden_character"}),
    "description-long": ({"description": "a" * 2001}, {"description": "max_length"}),
    "description-control": ({"description": "a\x1bb"}, {"description": "forbidden_character"}),
    "description-nul": ({"description": "a\0b"}, {"description": "forbidden_character"}),
    "both": ({"title": "", "description": "\0"}, {"title": "required", "description": "forbidden_character"}),
}
EACH_INVALID = pytest.mark.parametrize(("invalid", "codes"), INVALID.values(), ids=INVALID)


def messages_of(codes):
    return {name: [MESSAGES[name][code]] for name, code in codes.items()}


@EACH_INVALID
def test_adding_refuses_what_the_api_refuses(admin_client, invalid, codes):
    values = fill_in(read_form(admin_client, ADD), title="Buy milk", user_id="default")
    assert form_errors(admin_client.post(ADD, {**values, **invalid})) == messages_of(codes)
    assert (Task.objects.count(), log_entries()) == (0, [])


@pytest.mark.parametrize("sent", ["%ED%A0%80", "%FF", "a%C3", "%F0%9F%A5", "%EF%BF%BD"])
@pytest.mark.parametrize("field", ["title", "description"])
def test_adding_refuses_a_text_that_is_not_utf8(admin_client, field, sent):
    """Django decodes the first four to U+FFFD."""
    values = fill_in(read_form(admin_client, ADD), **{"title": "Buy milk", "user_id": "default", field: "SENT"})
    body = urlencode(values).replace("SENT", sent)
    response = admin_client.post(ADD, body, content_type="application/x-www-form-urlencoded")
    assert form_errors(response) == {field: [DAMAGED_MESSAGE]}
    assert Task.objects.count() == 0


@pytest.mark.parametrize(
    "longest",
    [
        {"title": " " + "\U0001f95b" * 200 + " "},
        {"description": "\U0001f95b" * 2000},
        {"description": "\r\n" * 2000},
    ],
    ids=["title", "description", "line-breaks"],
)
def test_limits_count_code_points_of_the_stored_text(admin_client, longest):
    values = fill_in(read_form(admin_client, ADD), **{"title": "Buy milk", "user_id": "default", **longest})
    assert admin_client.post(ADD, values).status_code == 302


def test_text_fields_have_no_maxlength(admin_client):
    """Browsers count UTF-16 units for ``maxlength``, and cut off pasted text."""
    controls = Form(admin_client.get(ADD)).controls
    assert [name for name in ("title", "description") if "maxlength" in controls[name]] == []


@pytest.mark.parametrize("owner", ["", "a" * 256, "a\0b", "a\x07", "two words", "\u200b", "\ufffd", "älice"])
def test_adding_refuses_an_owner_that_no_token_can_name(admin_client, owner):
    values = fill_in(read_form(admin_client, ADD), title="Buy milk", user_id=owner)
    assert list(form_errors(admin_client.post(ADD, values))) == ["user_id"]
    assert Task.objects.count() == 0


# Changing.


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", description=" Two\nlitres\n")


def stored_columns(task):
    """Return the stored ``COLUMNS`` of a task, and its version."""
    stored = Task.objects.values().get(pk=task.pk)
    return {name: stored[name] for name in COLUMNS}, stored["version"]


def test_change_page_has_the_writable_and_the_read_only_fields(admin_client, task):
    response = admin_client.get(change_url(task))
    fields, labels = shown_fields(response)
    assert fields == [*Task.WRITABLE_FIELDS, "seen_version"]
    assert labels_of(Task.PUBLIC_FIELDS) <= labels
    assert "seen version" not in labels
    form = Form(response)
    shown = {name: form.values.get(name) for name in ("title", "description", "completed", "seen_version")}
    assert shown == {
        "title": "Buy milk",
        "description": " Two\r\nlitres\r\n",
        "completed": None,
        "seen_version": "1",
    }
    assert form.controls["seen_version"]["type"] == "hidden"
    text = text_of(response)
    assert re.search(rf"Owner: default .+ Id: {task.id} .+ Created: .+ Updated: .+ Version: 1 ", text)
    assert Task._meta.get_field("user_id").help_text in text


@pytest.mark.parametrize(
    ("change", "written", "message"),
    [
        ({"title": " Buy rye "}, {"title": "Buy rye"}, "Changed Title."),
        ({"description": "One\r\nlitre "}, {"description": "One\nlitre "}, "Changed Description."),
        ({"description": ""}, {"description": ""}, "Changed Description."),
        ({"completed": "on"}, {"completed": True}, "Changed Completed."),
        ({"title": "a", "completed": "on"}, {"title": "a", "completed": True}, "Changed Title and Completed."),
    ],
    ids=["title", "description", "description-empty", "completed", "two-fields"],
)
def test_save_writes_only_the_changed_fields(admin_client, task, change, written, message):
    before, _ = stored_columns(task)
    values = fill_in(read_form(admin_client, change_url(task)), **change)
    with CaptureQueriesContext(connection) as queries:
        response = admin_client.post(change_url(task), values)
    after = Task.objects.get()
    assert_saved(response, f"The task “{after.title}” was changed successfully.")
    assert stored_columns(task) == ({**before, **written}, 2)
    assert after.updated_at > task.updated_at
    assert log_entries() == [(after.title, message)]
    [update] = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "tasks_task"')]
    columns = {"version", "updated_at", *written, *({"completed_at"} if "completed" in written else ())}
    assert set(re.findall(r'"(\w+)" = ', update.partition(" WHERE ")[0])) == columns


def test_history_shows_the_changed_field(admin_client, task):
    admin_client.post(change_url(task), fill_in(read_form(admin_client, change_url(task)), title="Buy rye"))
    text = text_of(admin_client.get(f"{LIST}{task.pk}/history/"))
    assert " admin Version 2: Changed Title. Title Buy milk → Buy rye " in text


def test_unchecked_box_is_written(admin_client):
    task = TaskFactory(completed=True)
    values = read_form(admin_client, change_url(task))
    assert values["completed"] == "on"
    assert admin_client.post(change_url(task), fill_in(values, completed=None)).status_code == 302
    assert (Task.objects.get().completed, Task.objects.get().version) == (False, 2)


@pytest.mark.parametrize("description", ["", " a ", "a\nb", "a\r\nb\rc\n\r\n", "\n\na", "\t<b>&amp;</b>"])
def test_save_without_changes_writes_nothing(admin_client, stored, description):
    task = TaskFactory(title="Buy milk", description=description)
    before = stored()
    response = admin_client.post(change_url(task), read_form(admin_client, change_url(task)))
    assert_saved(response, "The task “Buy milk” was changed successfully.")
    assert stored() == before


@pytest.mark.parametrize("description", [" a ", "a\r\nb\rc\n\r\n"])
def test_unedited_description_keeps_its_line_breaks(admin_client, description):
    task = TaskFactory(description=description)
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    assert admin_client.post(change_url(task), values).status_code == 302
    columns, _ = stored_columns(task)
    assert (columns["title"], columns["description"]) == ("Buy rye", description)


@EACH_INVALID
def test_changing_refuses_what_the_api_refuses(admin_client, task, stored, invalid, codes):
    before = stored()
    values = {**read_form(admin_client, change_url(task)), **invalid}
    assert form_errors(admin_client.post(change_url(task), values)) == messages_of(codes)
    assert (stored(), log_entries()) == (before, [])


@pytest.mark.parametrize(
    "forged",
    [
        {"user_id": "other"},
        {"id": UNUSED_ID},
        {"version": "7"},
        {"created_at": "2026-01-11"},
        {"deleted_at_0": "2026-01-11", "deleted_at_1": "09:30"},
    ],
    ids=lambda forged: next(iter(forged)),
)
def test_read_only_field_cannot_be_changed(admin_client, task, stored, forged):
    before = stored()
    values = {**read_form(admin_client, change_url(task)), **forged}
    assert admin_client.post(change_url(task), values).status_code == 302
    assert stored() == before


def test_viewer_sees_the_task_and_cannot_change_it(as_member, task, stored):
    viewer, before = as_member("viewer"), stored()
    response = viewer.get(change_url(task))
    assert re.search(r"Title: Buy milk .* Owner: default .* Version: 1 ", text_of(response))
    assert "Seen version" not in text_of(response)
    assert set(Form(response).controls) == {"csrfmiddlewaretoken"}
    forged = {"title": "Buy rye", "description": "", "seen_version": "1"}
    assert viewer.post(change_url(task), forged).status_code == 403
    assert stored() == before


# Due date, priority and labels.

EMPTY_DUE = {"due_date": "", "due_time": "", "due_clock": "local", "due_zone": ""}

#: The controls of the form for each form of a due date.
DUES = {
    "2026-12-24": {**EMPTY_DUE, "due_date": "2026-12-24"},
    "2026-12-24T18:00:00": {**EMPTY_DUE, "due_date": "2026-12-24", "due_time": "18:00:00"},
    "2026-12-24T17:00:05Z": {**EMPTY_DUE, "due_date": "2026-12-24", "due_time": "17:00:05", "due_clock": "utc"},
    "0001-01-01T18:00:00[Europe/Berlin]": {
        "due_date": "0001-01-01",
        "due_time": "18:00:00",
        "due_clock": "zone",
        "due_zone": "Europe/Berlin",
    },
}


def due_controls(values):
    return {name: value for name, value in values.items() if name.startswith("due_")}


@pytest.mark.parametrize("due", DUES)
def test_form_shows_each_form_of_a_due_date(admin_client, stored, due):
    task = TaskFactory(due=due)
    before = stored()
    values = read_form(admin_client, change_url(task))
    assert due_controls(values) == DUES[due]
    assert admin_client.post(change_url(task), values).status_code == 302
    assert stored() == before


@pytest.mark.parametrize("due", DUES)
def test_form_writes_each_form_of_a_due_date(admin_client, task, due):
    values = {**read_form(admin_client, change_url(task)), **DUES[due]}
    assert_saved(admin_client.post(change_url(task), values), "The task “Buy milk” was changed successfully.")
    assert (Task.objects.get().due, Task.objects.get().version) == (due, 2)
    assert log_entries() == [("Buy milk", "Changed Due.")]


def test_time_without_seconds_is_completed(admin_client, task):
    typed = {**EMPTY_DUE, "due_date": " 2026-12-24 ", "due_time": "18:00"}
    admin_client.post(change_url(task), {**read_form(admin_client, change_url(task)), **typed})
    assert Task.objects.get().due == "2026-12-24T18:00:00"


def test_zone_counts_only_if_it_is_chosen(admin_client, task):
    """The browser hides the zone until it is chosen."""
    typed = {**EMPTY_DUE, "due_date": "2026-12-24", "due_time": "18:00", "due_zone": "Europe/Berlin"}
    admin_client.post(change_url(task), {**read_form(admin_client, change_url(task)), **typed})
    assert Task.objects.get().due == "2026-12-24T18:00:00"


def test_due_date_is_removed_with_its_date_and_time(admin_client):
    task = TaskFactory(due="2026-12-24T18:00:00[Europe/Berlin]")
    values = fill_in(read_form(admin_client, change_url(task)), due_date="", due_time="")
    assert admin_client.post(change_url(task), values).status_code == 302
    assert (Task.objects.get().due, Task.objects.get().version) == (None, 2)


INVALID_DUES = {
    "no-date": ({"due_time": "18:00"}, DUE_FAULTS["no_date"]),
    "no-time": ({"due_date": "2026-12-24", "due_clock": "utc"}, DUE_FAULTS["no_time"]),
    "no-zone": ({"due_date": "2026-12-24", "due_time": "18:00", "due_clock": "zone"}, DUE_FAULTS["no_zone"]),
    "date": ({"due_date": "24.12.2026"}, DUE_FAULTS["invalid"]),
    "no-such-date": ({"due_date": "2026-02-30"}, DUE_FAULTS["invalid"]),
    "year-zero": ({"due_date": "0000-01-01"}, DUE_FAULTS["invalid"]),
    "instant-as-date": ({"due_date": "2026-12-24T17:00:00Z"}, DUE_FAULTS["invalid"]),
    "time": ({"due_date": "2026-12-24", "due_time": "6 pm"}, DUE_FAULTS["invalid"]),
    "hour-24": ({"due_date": "2026-12-24", "due_time": "24:00"}, DUE_FAULTS["invalid"]),
    "offset": ({"due_date": "2026-12-24", "due_time": "18:00:00+01:00"}, DUE_FAULTS["invalid"]),
    "zone": (
        {"due_date": "2026-12-24", "due_time": "18:00", "due_clock": "zone", "due_zone": "Europe/Berln"},
        MESSAGES["due"]["unknown_time_zone"],
    ),
}


@pytest.mark.parametrize(("typed", "message"), INVALID_DUES.values(), ids=INVALID_DUES)
def test_form_names_the_fault_of_a_due_date(admin_client, task, stored, typed, message):
    values = {**read_form(admin_client, change_url(task)), **typed}
    assert_refused(admin_client, task, values, stored, {"due": [message]})


def test_each_control_of_the_due_date_has_a_label(admin_client):
    content = admin_client.get(ADD).content.decode()
    assert re.findall(r'<label for="id_due_([0-9])">([^<]*)</label><[a-z]+[^>]* name="(\w+)"', content) == [
        ("0", "Date", "due_date"),
        ("1", "Time (optional)", "due_time"),
        ("2", "The time is", "due_clock"),
        ("3", "Time zone", "due_zone"),
    ]
    assert '<option value="Europe/Berlin"></option>' in content


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("home", {"home"}),
        (" work ,home,, ", {"home", "work"}),
        ("Zähler ablesen, 買い物", {"Zähler ablesen", "買い物"}),
        (", ".join(f"{number}" for number in range(20)), {f"{number}" for number in range(20)}),
    ],
)
def test_form_writes_labels_between_commas(admin_client, task, typed, labels):
    values = {**read_form(admin_client, change_url(task)), "labels": typed}
    assert admin_client.post(change_url(task), values).status_code == 302
    assert (Task.objects.get().labels, Task.objects.get().version) == (labels, 2)
    assert log_entries() == [("Buy milk", "Changed Labels.")]
    assert read_form(admin_client, change_url(task))["labels"] == ", ".join(sorted(labels))


@pytest.mark.parametrize(
    ("typed", "code", "name"),
    [
        ("home, home", "duplicate", ": “home”"),
        ("home, " + "a" * 51, "max_length", f": “{'a' * 51}”"),
        ('home, "work"', "forbidden_character", ": “&quot;work&quot;”"),
        ("home, \u200b", "blank", ": “\u200b”"),
        ("__proto__", "reserved", ": “__proto__”"),
        (",".join(f"{number}" for number in range(21)), "max_number", ""),
    ],
)
def test_form_names_the_label_that_is_wrong(admin_client, task, stored, typed, code, name):
    before = stored()
    values = {**read_form(admin_client, change_url(task)), "labels": typed}
    response = admin_client.post(change_url(task), values)
    message = MESSAGES["labels"][code] + name.replace("&quot;", '"')
    assert form_errors(response) == {"labels": [message]}
    assert (Form(response).values["labels"], stored()) == (typed, before)


@pytest.mark.parametrize("priority", [0, 1, 2, 3])
def test_priority_is_a_choice(admin_client, priority):
    task = TaskFactory(priority=priority)
    response = admin_client.get(change_url(task))
    select = re.search('<select name="priority".*?</select>', response.content.decode(), re.S)[0]
    assert re.findall('<option value="([0-9])"[^>]*>([^<]*)<', select) == [
        ("0", "—"),
        ("1", "low"),
        ("2", "medium"),
        ("3", "high"),
    ]
    values = Form(response).values
    assert values["priority"] == f"{priority}"
    other = (priority + 1) % 4
    assert admin_client.post(change_url(task), {**values, "priority": f"{other}"}).status_code == 302
    assert (Task.objects.get().priority, log_entries()) == (other, [(task.title, "Changed Priority.")])


def test_form_refuses_an_unknown_priority(admin_client, task, stored):
    before = stored()
    values = {**read_form(admin_client, change_url(task)), "priority": "4"}
    errors = {"priority": [MESSAGES["priority"]["invalid"]]}
    assert form_errors(admin_client.post(change_url(task), values)) == errors
    assert stored() == before


@pytest.mark.parametrize("options", [{}, {"trashed": True}], ids=["viewer", "trashed"])
def test_read_only_page_shows_words(as_member, options):
    task = TaskFactory(due="2026-12-24", priority=3, labels=frozenset({"work", "home"}), completed=True, **options)
    text = text_of(as_member("viewer").get(change_url(task)))
    assert re.search(r"Due: 2026-12-24 .*Priority: high .*Labels: home work ", text)
    assert f"Completed at: {task.completed_at:%Y-%m-%d %H:%M:%S} UTC" in text


def test_read_only_page_of_a_task_without_plan_is_empty(as_member):
    text = text_of(as_member("viewer").get(change_url(TaskFactory())))
    assert "Priority: Labels: Owner: default" in text
    assert "None" not in text


def test_completed_at_is_read_only(admin_client):
    task = TaskFactory(completed=True)
    values = read_form(admin_client, change_url(task))
    forged = {"completed_at": "2026-01-11", "completed_at_0": "2026-01-11", "completed_at_1": "09:30"}
    assert values.keys() & forged.keys() == set()
    admin_client.post(change_url(task), {**values, **forged, "title": "Buy rye"})
    after = Task.objects.get()
    assert (after.title, after.completed_at) == ("Buy rye", task.completed_at)


# A task that changed after the page was opened.


def assert_refused(client, task, values, stored, messages):
    """Assert that nothing is written or logged, and that the page has the form as it was sent."""
    before = stored()
    response = client.post(change_url(task), values)
    assert form_errors(response) == messages
    assert fill_in(Form(response).values, csrfmiddlewaretoken=None) == fill_in(values, csrfmiddlewaretoken=None)
    text = text_of(response)
    assert [message for errors in messages.values() for message in errors if message not in text] == []
    assert (stored(), log_entries()) == (before, [])


NOW_MILK = {"title": ["It is now “Buy milk”."]}
NOW_OATS = {"title": ["It is now “Buy oats”."]}


@pytest.mark.parametrize(
    ("typed", "change", "messages"),
    [
        ({"title": "Buy rye"}, {"title": "Buy oats"}, NOW_OATS),
        ({"title": "Buy rye"}, {"title": "Buy rye"}, {}),
        ({"title": "Buy rye"}, {"description": ""}, {**NOW_MILK, "description": ["It is now empty."]}),
        ({"title": "Buy rye"}, {"completed": True}, {**NOW_MILK, "completed": ["It is now completed."]}),
        ({"completed": "on"}, {"title": "Buy oats"}, {**NOW_OATS, "completed": ["It is now not completed."]}),
        (
            {"title": "Buy rye"},
            {"title": "Buy oats", "description": "No", "completed": True},
            {**NOW_OATS, "description": ["It is now “No”."], "completed": ["It is now completed."]},
        ),
    ],
    ids=["title", "same-title", "description", "completed", "not-completed", "all"],
)
def test_stale_form_is_refused_and_shows_current_values(admin_client, task, stored, typed, change, messages):
    values = fill_in(read_form(admin_client, change_url(task)), **typed)
    Task.objects.addressed(task.pk).change(**change)
    assert_refused(admin_client, task, values, stored, {**STALE, **messages})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"due": "2026-12-24T18:00:00[Europe/Berlin]"}, "It is now “2026-12-24T18:00:00[Europe/Berlin]”."),
        ({"priority": 3}, "It is now “high”."),
        ({"labels": frozenset({"work", "home"})}, "It is now “home, work”."),
    ],
    ids=["due", "priority", "labels"],
)
def test_stale_form_shows_words_and_not_numbers(admin_client, task, stored, change, message):
    values = read_form(admin_client, change_url(task))
    Task.objects.addressed(task.pk).change(**change)
    assert_refused(admin_client, task, values, stored, {**STALE, **{name: [message] for name in change}})


def test_stale_form_says_which_plan_is_now_empty(admin_client, stored):
    task = TaskFactory(due="2026-12-24", priority=3, labels=frozenset({"home"}))
    values = read_form(admin_client, change_url(task))
    Task.objects.addressed(task.pk).change(due=None, priority=0, labels=frozenset())
    empty = {name: ["It is now empty."] for name in ("due", "priority", "labels")}
    assert_refused(admin_client, task, values, stored, {**STALE, **empty})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(None, "It is now empty."), (datetime(2026, 1, 11, 9, 30, tzinfo=UTC), "It is now “2026-01-11 09:30:00 UTC”.")],
    ids=["null", "time"],
)
def test_current_value_of_a_nullable_time_is_shown(value, sentence):
    assert describe_value(Task(deleted_at=value), "deleted_at") == sentence


def test_stale_form_is_refused_although_the_change_was_undone(admin_client, task, stored):
    values = read_form(admin_client, change_url(task))
    for completed in (True, False):
        Task.objects.addressed(task.pk).change(completed=completed)
    assert_refused(admin_client, task, values, stored, STALE)


def test_refused_form_is_refused_again_until_reopened(admin_client, task, stored):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    Task.objects.addressed(task.pk).change(completed=True)
    refused = Form(admin_client.post(change_url(task), values)).values
    messages = {**STALE, **NOW_MILK, "completed": ["It is now completed."]}
    assert_refused(admin_client, task, refused, stored, messages)
    reopened = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    assert admin_client.post(change_url(task), reopened).status_code == 302
    columns, version = stored_columns(task)
    assert (columns["title"], columns["completed"], version) == ("Buy rye", True, 3)


def overwrite(client, task, response):
    """Press “Overwrite with mine” on a refused form."""
    [version] = re.findall('<button class="button" name="overwritten" value="([0-9]+)">', response.content.decode())
    return client.post(change_url(task), {**Form(response).values, "overwritten": version})


def test_refused_form_can_overwrite_what_it_has_shown(admin_client, task):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    Task.objects.addressed(task.pk).change(title="Buy oats", completed=True)
    refused = admin_client.post(change_url(task), values)
    assert_saved(overwrite(admin_client, task, refused), "The task “Buy rye” was changed successfully.")
    columns, version = stored_columns(task)
    assert (columns["title"], columns["completed"], version) == ("Buy rye", False, 3)
    assert log_entries() == [("Buy rye", "Changed Title and Completed.")]


def test_overwriting_form_is_refused_after_another_change(admin_client, task):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    Task.objects.addressed(task.pk).change(title="Buy oats")
    refused = admin_client.post(change_url(task), values)
    Task.objects.addressed(task.pk).change(title="Buy corn")
    refused = overwrite(admin_client, task, refused)
    assert form_errors(refused) == {**STALE, "title": ["It is now “Buy corn”."]}
    assert stored_columns(task)[0]["title"] == "Buy corn"
    assert overwrite(admin_client, task, refused).status_code == 302
    assert (stored_columns(task)[0]["title"], stored_columns(task)[1]) == ("Buy rye", 4)


def test_refused_form_offers_to_reload(admin_client, task):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    Task.objects.addressed(task.pk).change(title="Buy oats")
    content = admin_client.post(change_url(task), values).content.decode()
    assert f'<a class="button" href="{change_url(task)}">Reload</a>' in content
    assert read_form(admin_client, change_url(task))["title"] == "Buy oats"


def test_form_of_a_trashed_task_cannot_overwrite(admin_client, task, stored):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    Task.objects.addressed(task.pk).move_to_trash()
    before = stored()
    response = admin_client.post(change_url(task), {**values, "overwritten": "2"})
    assert form_errors(response) == {"__all__": [TRASHED_MESSAGE]}
    assert "Reload</a>" in response.content.decode()
    assert 'name="overwritten"' not in response.content.decode()
    assert stored() == before


@pytest.mark.parametrize("page", ["current", "invalid"])
def test_only_a_stale_form_offers_to_overwrite(admin_client, task, page):
    values = read_form(admin_client, change_url(task))
    post = admin_client.post(change_url(task), {**values, "title": ""})
    content = (admin_client.get(change_url(task)) if page == "current" else post).content.decode()
    assert "Overwrite" not in content


def test_stale_and_invalid_form_shows_both_messages(admin_client, task, stored):
    values = fill_in(read_form(admin_client, change_url(task)), title="")
    Task.objects.addressed(task.pk).change(description="No")
    before = stored()
    assert form_errors(admin_client.post(change_url(task), values)) == {
        "title": ["Title is required", *NOW_MILK["title"]],
        "description": ["It is now “No”."],
        **STALE,
    }
    assert stored() == before


def test_form_of_a_task_that_was_trashed_is_refused(admin_client, task, stored):
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye", completed="on")
    Task.objects.addressed(task.pk).move_to_trash()
    assert_refused(admin_client, task, values, stored, {"__all__": [TRASHED_MESSAGE]})


@pytest.mark.parametrize("seen", [None, "", "a", "0", "2", "1.5"])
def test_form_with_another_version_is_refused(admin_client, task, stored, seen):
    before = stored()
    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye", seen_version=seen)
    assert form_errors(admin_client.post(change_url(task), values))["__all__"] == [STALE_MESSAGE]
    assert (stored(), log_entries()) == (before, [])


# In the trash.


def test_page_of_a_trashed_task_can_restore_or_delete_it(admin_client):
    task = TaskFactory(title="Buy milk", trashed=True)
    response = admin_client.get(change_url(task))
    text = text_of(response)
    assert set(Form(response).controls) == {"csrfmiddlewaretoken"}
    assert f"This task was moved to the trash on {task.deleted_at:%Y-%m-%d %H:%M} UTC. Restore it to edit it." in text
    assert "Title: Buy milk" in text
    assert "Trashed: " in text
    assert re.findall('<form id="(.*)" method="post" action="([^"]*where[^"]*)">', response.content.decode()) == [
        ("restore", f"{LIST}?where=trash"),
        ("delete_for_good", f"{LIST}?where=trash"),
    ]
    assert admin_client.get(f"{LIST}{task.pk}/history/").status_code == 200


def test_page_of_a_trashed_task_has_no_button_for_a_viewer(as_member):
    task = TaskFactory(trashed=True)
    assert "<button form=" not in as_member("viewer").get(change_url(task)).content.decode()


@pytest.mark.parametrize("page", ["change", "delete"])
def test_trashed_task_cannot_be_changed(admin_client, stored, page):
    task = TaskFactory(trashed=True)
    before = stored()
    response = admin_client.post(f"{LIST}{task.pk}/{page}/", {"post": "yes", "title": "Buy rye", "description": ""})
    assert response.status_code == 403
    assert "Not permitted" in text_of(response)
    assert (stored(), log_entries()) == (before, [])


@pytest.mark.parametrize("id", ["nowhere", UNUSED_ID])
def test_page_of_an_unknown_id_redirects(admin_client, id):
    response = admin_client.get(f"{LIST}{id}/change/")
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


# Two writers at the same time.


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite runs one write transaction at a time",
)
def test_one_of_two_simultaneous_saves_is_refused(admin_user, monkeypatch):
    """Both requests have read the task before one of them writes."""
    task = TaskFactory(title="Buy milk")
    both_have_read = Barrier(2, timeout=10)
    get_object = TaskAdmin.get_object

    def get_object_together(*args):
        task = get_object(*args)
        both_have_read.wait()
        return task

    clients = [Client(), Client()]
    for client in clients:
        client.force_login(admin_user)
    values = read_form(clients[0], change_url(task))
    monkeypatch.setattr(TaskAdmin, "get_object", get_object_together)
    responses = {}

    def save(client, title):
        try:
            responses[title] = client.post(change_url(task), fill_in(values, title=title))
        finally:
            connection.close()

    threads = [Thread(target=save, args=pair) for pair in zip(clients, ("Buy rye", "Buy oats"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [saved] = [title for title, response in responses.items() if response.status_code == 302]
    [refused] = responses.keys() - {saved}
    assert form_errors(responses[refused]) == {**STALE, "title": [f"It is now “{saved}”."]}
    assert [(task.title, task.version) for task in Task.objects.all()] == [(saved, 2)]
    assert log_entries() == [(saved, "Changed Title.")]


def test_change_during_the_request_is_not_overwritten(admin_client, task, monkeypatch):
    get_object = TaskAdmin.get_object

    def change_after_reading(*args):
        read = get_object(*args)
        Task.objects.addressed(task.pk).change(title="Buy oats")
        return read

    values = fill_in(read_form(admin_client, change_url(task)), title="Buy rye")
    monkeypatch.setattr(TaskAdmin, "get_object", change_after_reading)
    assert form_errors(admin_client.post(change_url(task), values)) == {**STALE, **NOW_OATS}
    assert (stored_columns(task)[0]["title"], log_entries()) == ("Buy oats", [])


# Deleting.


def test_deletion_asks_for_confirmation(admin_client, task, stored):
    before = stored()
    text = text_of(admin_client.get(f"{LIST}{task.pk}/delete/"))
    assert "Move the task “ Buy milk ” (owner default) to the trash? You can restore it later." in text
    assert stored() == before


def test_deletion_moves_the_task_to_the_trash(admin_client, task, stored):
    other = TaskFactory()
    [before, before_other] = stored()
    response = admin_client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    assert_saved(response, "The task “Buy milk” was moved to the trash. Undo")
    [after, after_other] = stored()
    moved = {name: after[name] for name in ("version", "updated_at", "deleted_at", *Task.TRIGGER_FIELDS)}
    assert after == {**before, **moved}
    assert (after["version"], after["deleted_at"]) == (before["version"] + 1, after["updated_at"])
    assert after["updated_at"] > before["updated_at"]
    assert after_other == before_other
    assert listed_titles(admin_client) == [other.title]
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.is_change(), sentence_of(entry)) == ("Buy milk", True, "Moved to the trash.")
    assert "Moved to the trash." in text_of(admin_client.get(f"{LIST}{task.pk}/history/"))


def test_deletion_of_a_just_trashed_task_is_not_logged(admin_client, task, monkeypatch):
    delete_model = TaskAdmin.delete_model
    monkeypatch.setattr(TaskAdmin, "delete_model", lambda *args: Task.objects.move_to_trash() and delete_model(*args))
    admin_client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    assert (Task.objects.get().version, log_entries()) == (2, [])


# Beside the API.


def test_api_shows_the_version_that_the_admin_wrote(admin_client, as_user, task):
    admin_client.post(change_url(task), fill_in(read_form(admin_client, change_url(task)), title="Buy rye"))
    response = as_user.get(f"/api/tasks/{task.pk}")
    shown = response.json()
    assert (response.headers["ETag"], shown["title"], shown["version"]) == ('"2"', "Buy rye", 2)
    assert shown["updated_at"] == f"{Task.objects.get().updated_at:%Y-%m-%dT%H:%M:%S.%fZ}"


def test_save_logs_no_warning(admin_client, task, caplog):
    """Django checks the constraints with queries, and logs a warning for a query that fails."""
    admin_client.post(change_url(task), {"title": "Buy bread", "seen_version": "1"})
    assert Task.objects.get().title == "Buy bread"
    assert caplog.messages == []
