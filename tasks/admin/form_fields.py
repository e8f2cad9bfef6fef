"""Form fields of a due date, of labels and of a priority."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from tasks.due import canonical_due, time_zone_names, wall_clock
from tasks.models import Task
from tasks.rules import MESSAGES, Priority, clean_label

#: The choice of no priority.
NO_PRIORITY = "—"

LOCAL, INSTANT, ZONED = "local", "utc", "zone"

#: What a time means: a clock wherever the reader is, an instant, or a clock at one place.
CLOCKS = [(LOCAL, "local"), (INSTANT, "in UTC"), (ZONED, "in a time zone")]

DUE_FAULTS = {
    "no_date": "Enter a date, because a time alone is no due date",
    "no_time": "Enter a time, or choose “local”, because a date alone has no time zone",
    "no_zone": "Enter a time zone such as Europe/Berlin, or choose “local”",
    "invalid": "Enter a date such as 2026-12-24, and a time such as 18:00 or 18:00:00",
}
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile("([0-9]{2}:[0-9]{2})(:[0-9]{2})?")


class DueWidget(forms.MultiWidget):
    """A date, a time, the meaning of the time, and a time zone, each with its label."""

    template_name = "admin/tasks/task/due_widget.html"
    use_fieldset = True
    labels = {"date": "Date", "time": "Time (optional)", "clock": "The time is", "zone": "Time zone"}

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        widgets: dict[str, forms.Widget | type[forms.Widget]] = {
            "date": forms.DateInput({"type": "date", "min": "0001-01-01", "max": "9999-12-31"}),
            "time": forms.TimeInput({"type": "time", "step": "1"}),
            "clock": forms.Select(choices=CLOCKS),
            "zone": forms.TextInput({"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}),
        }
        super().__init__(widgets, attrs)

    def decompress(self, value: str | None) -> list[str]:
        """Return the values of the four controls for a stored due date."""
        day, _, time = wall_clock(value or "").partition("T")
        suffix = (value or "").removeprefix(f"{day}T{time}")
        clock = {"": LOCAL, "Z": INSTANT}.get(suffix, ZONED) if time else LOCAL
        return [day, time, clock, suffix.strip("[]") if clock == ZONED else ""]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        for widget, label in zip(context["widget"]["subwidgets"], self.labels.values(), strict=True):
            widget["label"] = label
        return {**context, "time_zones": sorted(time_zone_names())}


class DueFormField(forms.Field):
    """A due date from the four controls of ``DueWidget``, or ``None`` without date and time."""

    widget = DueWidget

    def __init__(self, *, max_length: int | None = None, empty_value: None = None, **options: Any) -> None:
        super().__init__(**options)

    def to_python(self, value: Any) -> str | None:
        day, time, clock, zone = ((text or "").strip() for text in value or [""] * 4)
        if not (day or time):
            return None
        if not day:
            raise due_fault("no_date")
        if not time and clock != LOCAL:
            raise due_fault("no_time")
        if clock == ZONED and not zone:
            raise due_fault("no_zone")
        return self._compose(day, time, {INSTANT: "Z", ZONED: f"[{zone}]"}.get(clock, ""))

    def _compose(self, day: str, time: str, suffix: str) -> str:
        """Return the stored form of a date, or of a date and a time with or without seconds."""
        if not _DATE.fullmatch(day) or (time and not _TIME.fullmatch(time)):
            raise due_fault("invalid")
        seconds = _TIME.sub(lambda match: f"{match[1]}{match[2] or ':00'}", time)
        try:
            return canonical_due(f"{day}T{seconds}{suffix}" if time else day)
        except ValidationError as error:
            raise ValidationError(DUE_FAULTS.get(str(error.code), error.message), code=error.code) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


def due_fault(code: str) -> ValidationError:
    """Return an error with the message of a fault."""
    return ValidationError(DUE_FAULTS[code], code=code)


class LabelFormField(forms.CharField):
    """One label."""

    def __init__(self) -> None:
        super().__init__(label="Label", error_messages={"required": MESSAGES["labels"]["blank"]})

    def clean(self, value: Any) -> str:
        return clean_label(super().clean(value))


class LabelsFormField(forms.Field):
    """A set of labels, typed as names between commas."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return label_names(value) if isinstance(value, frozenset) else value

    def to_python(self, value: str | None) -> frozenset[str]:
        names: list[str] = []
        for text in filter(str.strip, (value or "").split(",")):
            names.append(self._clean(text))
            if names[-1] in names[:-1]:
                raise self._fault("duplicate", text)
        return frozenset(names)

    def _clean(self, text: str) -> str:
        try:
            return clean_label(text)
        except ValidationError as error:
            raise self._fault(str(error.code), text) from error

    def _fault(self, code: str, text: str) -> ValidationError:
        return ValidationError(f"{MESSAGES['labels'][code]}: “{text.strip()}”", code=code)


def label_names(labels: frozenset[str]) -> str:
    """Return the names of labels between commas, in alphabetical order."""
    return ", ".join(sorted(labels))


class PriorityFormField(forms.TypedChoiceField):
    """A choice of a priority; unless a choice is required, no choice is none."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(
            choices=[(level.value, level.label if level else NO_PRIORITY) for level in Priority],
            coerce=int,
            empty_value=Priority.NONE,  # type: ignore[arg-type]  # expects text
            required=required,
            label="Priority",
            help_text=Task._meta.get_field("priority").help_text,
            error_messages=dict.fromkeys(("required", "invalid_choice"), MESSAGES["priority"]["invalid"]),
        )
