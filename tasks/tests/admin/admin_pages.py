"""The admin's pages as a browser uses them.

A form is sent with the values of the page, except for those that a test types.
"""

import re
from html.parser import HTMLParser

from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages

from tasks.admin.history import sentence_of
from tasks.models import Task

LIST = "/admin/tasks/task/"
ADD = "/admin/tasks/task/add/"
UNUSED_ID = "01a1fae6-0000-7000-8000-000000000000"


class Form(HTMLParser):
    """The form ``task_form`` of a page: the values that a browser sends, and its controls."""

    def __init__(self, response):
        super().__init__()
        self.values, self.controls, self.inside, self.textarea, self.select = {}, {}, False, None, None
        self.feed(re.sub("\r\n?", "\n", response.content.decode()))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.inside |= attributes.get("id") == "task_form"
        if self.inside and tag == "option" and self.select and "selected" in attributes:
            self.values[self.select] = attributes["value"]
        if not self.inside or tag not in {"input", "textarea", "select"} or attributes.get("type") == "submit":
            return
        name = attributes["name"]
        self.controls[name] = attributes
        if tag == "textarea":
            self.textarea, self.values[name] = name, ""
        elif tag == "select":
            self.select = name
        elif attributes["type"] != "checkbox" or "checked" in attributes:
            self.values[name] = attributes.get("value", "on" if attributes["type"] == "checkbox" else "")

    def handle_data(self, data):
        if self.textarea:
            self.values[self.textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self.inside:
            text = self.values[self.textarea].removeprefix("\n")
            self.values[self.textarea] = text.replace("\n", "\r\n")
            self.textarea = None
        elif tag == "select":
            self.select = None
        self.inside &= tag != "form"


def change_url(task):
    return f"{LIST}{task.pk}/change/"


def read_form(client, path):
    """Return the values of the form on a page."""
    return Form(client.get(path)).values


def fill_in(values, **changes):
    """Return the form with other values; ``None`` removes a value, as of an unchecked box."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def run_action(client, action, tasks, query="?where=both", **more):
    """Run an action of the list on checked tasks."""
    ids = [str(task.pk) for task in tasks]
    return client.post(LIST + query, {"action": action, "index": "0", "_selected_action": ids, **more})


def run_action_on_all(client, action, query="?where=both", **more):
    """Run an action on every task that the list finds: one box is checked, and “Select all” is pressed."""
    return run_action(client, action, [Task.objects.first()], query, select_across="1", **more)


def shown_messages(response):
    """Return the level and the text of each message that the next page shows; a button is a word."""
    shown = get_messages(response.wsgi_request)
    return [(message.level_tag, " ".join(re.sub("<[^>]*>", "", str(message)).split())) for message in shown]


def form_errors(response):
    """Return the errors of a refused form, by field."""
    assert (response.status_code, shown_messages(response)) == (200, [])
    return {name: list(errors) for name, errors in response.context["adminform"].form.errors.items()}


def log_entries():
    """Return what each log entry is about, and its sentence."""
    return [(entry.object_repr, sentence_of(entry)) for entry in LogEntry.objects.order_by("pk")]


def assert_saved(response, message):
    assert (response.status_code, response.headers["Location"]) == (302, LIST)
    assert shown_messages(response) == [("success", message)]


def text_of(response):
    """Return the text of a page without its tags, each run of white space being one blank."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode()))


def listed_titles(client, query=""):
    response = client.get(LIST + query)
    assert response.status_code == 200
    return [task.title for task in response.context["cl"].result_list]
