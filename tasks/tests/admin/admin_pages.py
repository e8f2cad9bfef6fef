"""The admin's pages, used as browsers do: a form is sent back as the page has it, but for what is typed."""

import re
from html.parser import HTMLParser

from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages

LIST = "/admin/tasks/task/"
ADD = "/admin/tasks/task/add/"


class Form(HTMLParser):
    """The form ``task_form`` of a page: what a browser would send of it, and the attributes of its controls."""

    def __init__(self, response):
        super().__init__()
        self.values, self.controls, self.inside, self.textarea = {}, {}, False, None
        self.feed(re.sub("\r\n?", "\n", response.content.decode()))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.inside |= attributes.get("id") == "task_form"
        if not self.inside or tag not in {"input", "textarea"} or attributes.get("type") == "submit":
            return
        name = attributes["name"]
        self.controls[name] = attributes
        if tag == "textarea":
            self.textarea, self.values[name] = name, ""
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
        self.inside &= tag != "form"


def page_of(task):
    return f"{LIST}{task.pk}/change/"


def opened(client, path):
    """What the form on that page sends when nothing is typed."""
    return Form(client.get(path)).values


def typed(values, **changes):
    """The form with other values; ``None`` is a box that is not ticked."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def said(response):
    """The messages of the next page."""
    return [(message.level_tag, re.sub("<[^>]*>", "", str(message))) for message in get_messages(response.wsgi_request)]


def errors(response):
    """What the page says is wrong, by field."""
    assert (response.status_code, said(response)) == (200, [])
    return {name or "": list(messages) for name, messages in response.context["adminform"].form.errors.items()}


def history():
    return [(entry.object_repr, entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")]


def saved(response, what):
    assert (response.status_code, response.headers["Location"]) == (302, LIST)
    assert said(response) == [("success", what)]


def text_of(response):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode()))


def listed(client, query=""):
    response = client.get(LIST + query)
    assert response.status_code == 200
    return [task.title for task in response.context["cl"].result_list]
