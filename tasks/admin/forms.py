"""The admin's forms, by the rules of the API."""

import re
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from tasks.models import DESCRIPTION_MESSAGES, TITLE_MESSAGES, Task

IN_THE_TRASH = "Not saved: the task has gone to the trash since you opened it."
CHANGED_MEANWHILE = (
    "Not saved: the task has changed since you opened it. "
    "Below stands what it is now where that differs from yours; open it anew to go on from there."
)


class TextField(forms.CharField):
    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Without ``maxlength``: browsers count UTF-16 units for it, and cut off silently what is pasted beyond it."""
        return {name: value for name, value in super().widget_attrs(widget).items() if name != "maxlength"}


class DescriptionField(TextField):
    """A text kept as typed. Browsers send every line break as CRLF, which is LF here, whatever is stored."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "strip": False})

    def to_python(self, value: Any) -> str:
        return re.sub("\r\n?", "\n", super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.to_python(initial), data)


def messages_of(field: dict[str, Any]) -> dict[str, Any]:
    return {**field, "null_characters_not_allowed": field["forbidden_character"]}


class TaskForm(forms.ModelForm):  # type: ignore[type-arg]  # has no __class_getitem__
    class Meta:
        model = Task
        fields = ("title", "description", "completed", "user_id")
        field_classes = {"title": TextField, "description": DescriptionField}
        error_messages = {"title": messages_of(TITLE_MESSAGES), "description": messages_of(DESCRIPTION_MESSAGES)}


class TaskChangeForm(TaskForm):
    """Carries the version that the operator saw, and is an error once the task is at another."""

    seen_version = forms.IntegerField(label="", widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["seen_version"] = self.instance.version

    def clean(self) -> dict[str, Any] | None:
        """Read the task as it is, locked: what is decided here holds at the write, in the same transaction."""
        now = Task.objects.live().addressed(self.instance.pk).select_for_update().first()
        if now is None:
            raise ValidationError(IN_THE_TRASH)
        if now.version != self.cleaned_data.get("seen_version"):
            raise ValidationError({NON_FIELD_ERRORS: CHANGED_MEANWHILE, **self.differences(now)})
        return super().clean()

    def differences(self, now: Task) -> dict[str, str]:
        """What the task is, by each field where the form says otherwise."""
        is_now = {
            "title": f"It is now “{now.title}”.",
            "description": f"It is now “{now.description}”.",
            "completed": f"It is now {'completed' if now.completed else 'not completed'}.",
        }
        return {
            name: sentence
            for name, sentence in is_now.items()
            if self.fields[name].has_changed(getattr(now, name), self[name].data)
        }
