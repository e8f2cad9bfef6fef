"""The filters beside the list of tasks."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils import timezone

from tasks.querysets import TaskQuerySet


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
