"""The filters beside the list of tasks."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from rest.timestamps import parse_timestamp
from tasks.due import time_zone
from tasks.querysets import TaskQuerySet
from tasks.rules import Priority, clean_label


class ChoiceFilter(SimpleListFilter):
    """A filter with fixed choices; the default choice has no parameter.

    Attributes:
        default: the label of the default choice.
        options: the labels of the other choices, by value of the parameter.

    Raises:
        IncorrectLookupParameters: the parameter has another value.
    """

    default = "All"
    options: dict[str, str] = {}

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self.value() not in {None, *self.options}:
            raise IncorrectLookupParameters(f"“{self.parameter_name}” is one of: {', '.join(self.options)}.")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.options.items())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        yield {**first, "display": self.default}
        yield from others


class TrashFilter(ChoiceFilter):
    """Live tasks, tasks in the trash, or both."""

    title = "state"
    parameter_name = "where"
    default = "Live"
    options = {"trash": "In the trash", "both": "Both"}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        if self.value() == "trash":
            return queryset.in_trash()
        return queryset if self.value() == "both" else queryset.live()


class CreatedFilter(ChoiceFilter):
    """Tasks created within the last days."""

    title = parameter_name = "created"
    default = "Any time"
    options = {"day": "Last day", "week": "Last 7 days", "month": "Last 30 days"}
    days = {"day": 1, "week": 7, "month": 30}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=self.days[value]))


class PriorityFilter(ChoiceFilter):
    """Tasks with one priority, or without."""

    title = parameter_name = "priority"
    options = {level.label: level.label.capitalize() for level in reversed(Priority)}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        word = self.value()
        return queryset if word is None else queryset.filter(priority=Priority[word.upper()])


class DueFilter(ChoiceFilter):
    """Open tasks whose due date is over, and tasks by their due date. The days are those of ``TIME_ZONE``."""

    title, parameter_name = "due date", "due"
    options = {"overdue": "Overdue", "today": "Today", "week": "Next 7 days", "none": "No due date"}
    days = {"today": 1, "week": 7}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        value = self.value()
        if value is None:
            return queryset
        if value == "none":
            return queryset.filter(due=None)
        now, zone = timezone.now(), cast("ZoneInfo", time_zone(settings.DUE_TIME_ZONE))
        if value == "overdue":
            return queryset.overdue(now, zone)
        return queryset.due_on(now.astimezone(zone).date(), self.days[value], zone)


class LabelFilter(SimpleListFilter):
    """Tasks with one label, typed as a whole name, because nothing lists the labels of all tasks.

    Raises:
        IncorrectLookupParameters: the name breaks a rule.
    """

    title = parameter_name = "label"
    template = "admin/tasks/task/label_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the choice of all tasks with the form's other parameters, and the chosen name."""
        others = {name: value for name, value in changelist.params.items() if name != self.parameter_name}
        url = changelist.get_query_string(remove=[self.parameter_name])
        yield {"selected": not self.value(), "query_string": url, "display": "All", "others": others.items()}
        if self.value():
            yield {"selected": True, "query_string": "", "display": self.value()}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        name = self.value()
        if not name:
            return queryset
        try:
            return queryset.filter(labels__has_label=clean_label(name))
        except ValidationError as error:
            raise IncorrectLookupParameters(f"{error.message}.") from error


class ValueFilter(SimpleListFilter):
    """A filter by a value that links lead to, because there can be too many values for a menu."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get(str(self.parameter_name))
        return [(value, value)] if value else []


class OwnerFilter(ValueFilter):
    """Tasks of one owner.

    Raises:
        IncorrectLookupParameters: the owner contains NUL, which PostgreSQL refuses.
    """

    title = parameter_name = "owner"

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        user_id = self.value()
        if user_id and "\0" in user_id:
            raise IncorrectLookupParameters("An owner has no NUL character.")
        return queryset.owned_by(user_id) if user_id else queryset


class DeletionFilter(ValueFilter):
    """Tasks that one action moved to the trash, by its time, so that “Undo” restores exactly these tasks.

    Raises:
        IncorrectLookupParameters: the value is no time.
    """

    title, parameter_name = "trashed at", "trashed"

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        time = self.value()
        try:
            return queryset.filter(deleted_at=parse_timestamp(time)) if time else queryset
        except ValueError as error:
            raise IncorrectLookupParameters(f"“trashed” {error}.") from error
