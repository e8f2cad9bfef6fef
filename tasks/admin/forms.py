"""The forms that add and change a task, with the rules and messages of the API."""

import re
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from tasks.admin.form_fields import DueFormField, DueWidget, LabelsFormField, PriorityFormField
from tasks.admin.history import get_field, value_text
from tasks.models import Task
from tasks.rules import LABEL_MAX_LENGTH, LABELS_MAX_NUMBER, MESSAGES

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
DAMAGED_MESSAGE = "This text was not sent as UTF-8, or contains U+FFFD. Replace each \N{REPLACEMENT CHARACTER}."

TRASHED_MESSAGE = "Someone moved this task to the trash after you opened it. Your edits were not saved."
STALE_MESSAGE = "Someone changed this task after you opened it. Your edits were not saved."


class TextField(forms.CharField):
    """A text without ``maxlength``, because browsers count UTF-16 units and cut off pasted text."""

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {name: value for name, value in super().widget_attrs(widget).items() if name != "maxlength"}


class DescriptionField(TextField):
    """A text that keeps its white space, and stores the CRLF of browsers as LF."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "strip": False})

    def to_python(self, value: Any) -> str:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.to_python(initial), data)


def form_messages(messages: dict[str, str]) -> dict[str, str]:
    """Return the messages of a field, including one for Django's code for NUL."""
    forbidden = messages.get("forbidden_character")
    return {**messages, "null_characters_not_allowed": forbidden} if forbidden else messages


class TaskForm(forms.ModelForm):  # type: ignore[type-arg]  # has no __class_getitem__
    """The form that adds a task."""

    priority = PriorityFormField()

    class Meta:
        model = Task
        fields = (*Task.WRITABLE_FIELDS, "user_id")
        field_classes = {
            "title": TextField,
            "description": DescriptionField,
            "due": DueFormField,
            "labels": LabelsFormField,
        }
        widgets = {"due": DueWidget}  # Django's admin has another widget for every CharField
        help_texts = {
            "due": "A date alone means the whole day. A local time is a time on the clock of each reader.",
            "labels": f"Up to {LABELS_MAX_NUMBER} names of up to {LABEL_MAX_LENGTH} characters, between commas.",
        }
        error_messages = {name: form_messages(messages) for name, messages in MESSAGES.items()}

    def clean(self) -> dict[str, Any] | None:
        """Refuse U+FFFD in a changed text, because Django puts U+FFFD in place of bytes that are not UTF-8."""
        for name in {"title", "description"} & self.cleaned_data.keys() & {*self.changed_data}:
            if REPLACEMENT in self.cleaned_data[name]:
                self.add_error(name, ValidationError(DAMAGED_MESSAGE, code="damaged"))
        return super().clean()


class TaskChangeForm(TaskForm):
    """The form that changes a task, if the task still has the version that the operator saw.

    A refused form shows the current values. “Overwrite with mine” then sends the current version as ``overwritten``.

    Attributes:
        current: the task as it was when the form was checked; ``None`` if it is in the trash.
        is_stale: whether the task has another version than the operator saw.
    """

    current: Task | None = None
    is_stale = False

    seen_version = forms.IntegerField(label="", widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["seen_version"] = self.instance.version

    def clean(self) -> dict[str, Any] | None:
        """Lock the task and compare its version, so that the version cannot change before the form's write."""
        self.current = current = Task.objects.live().addressed(self.instance.pk).select_for_update().first()
        self.is_stale = current is None or f"{current.version}" not in {
            f"{self.cleaned_data.get('seen_version')}",
            self.data.get("overwritten"),
        }
        if current is None:
            raise ValidationError(TRASHED_MESSAGE)
        if self.is_stale:
            raise ValidationError({NON_FIELD_ERRORS: STALE_MESSAGE, **self.describe_differences(current)})
        return super().clean()

    @property
    def changed_data(self) -> list[str]:
        """Return the changed fields of the task; a version that is overwritten is none."""
        return [name for name in super().changed_data if name in Task.WRITABLE_FIELDS]

    def describe_differences(self, current: Task) -> dict[str, str]:
        """Return the current value of each field in which the form differs from the task."""
        current_form = type(self)(instance=current)
        return {
            name: describe_value(current, name)
            for name in Task.WRITABLE_FIELDS
            if self.fields[name].has_changed(current_form[name].initial, self[name].data)
        }


def describe_value(task: Task, name: str) -> str:
    """Return a sentence such as “It is now “Buy milk”.” for a field of a task."""
    value = getattr(task, name)
    if isinstance(value, bool):
        return f"It is now {'' if value else 'not '}{get_field(name).verbose_name}."
    text = value_text(task, name)
    return f"It is now “{text}”." if text else "It is now empty."
