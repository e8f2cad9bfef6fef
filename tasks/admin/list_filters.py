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
            raise IncorrectLookupParameters

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

    title = parameter_name = "due"
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
        """Yield the name, the address without it, and the other parameters."""
        others = {name: value for name, value in changelist.params.items() if name != self.parameter_name}
        yield {
            "value": self.value() or "",
            "others": others.items(),
            "url": changelist.get_query_string(remove=[self.parameter_name]),
        }

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        name = self.value()
        if not name:
            return queryset
        try:
            return queryset.filter(labels__has_label=clean_label(name))
        except ValidationError as error:
            raise IncorrectLookupParameters from error


class OwnerFilter(SimpleListFilter):
    """Tasks of one owner, chosen by a link in the list, because there can be too many owners for a menu."""

    title = parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        user_id = request.GET.get(self.parameter_name)
        return [(user_id, user_id)] if user_id else []

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        user_id = self.value()
        if user_id and "\0" in user_id:
            raise IncorrectLookupParameters
        return queryset.owned_by(user_id) if user_id else queryset
