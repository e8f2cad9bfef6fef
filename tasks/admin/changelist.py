"""The list of tasks in the admin: what it may be narrowed by, its order, and how many there are of what it shows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.core.paginator import Paginator
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest
from django.utils import timezone

from tasks.api.listing import MAX_SEARCH_LENGTH
from tasks.models import Task, TaskQuerySet
from tasks.totals import Total, total

#: The tasks that the pages of one list reach. A page costs more the deeper it is; past this a filter leads on.
REACHABLE = 100_000

#: Those of a search, each of which is looked at to be counted.
REACHABLE_BY_SEARCH = 1_000


class SearchForm(ChangeListSearchForm):
    """As long a search as the API's, or there would be more words than a statement takes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields[SEARCH_VAR].validators.append(MaxLengthValidator(MAX_SEARCH_LENGTH))


class TaskChangeList(ChangeList):
    """A page of tasks, read first: only when there are more than it holds are they counted, and only so far."""

    search_form_class = SearchForm

    total: Total

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = "Tasks"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> TaskQuerySet:
        """Without the search that was refused there would be all tasks, and “Select all” would act on them."""
        tasks = cast("TaskQuerySet", super().get_queryset(request, exclude_parameters))
        self.refused = bool(request.GET.get(SEARCH_VAR)) and not self.query
        return tasks.none() if self.refused else tasks

    @property
    def url_including_trash(self) -> str:
        """Where the same list is to be seen of live tasks and of the trash."""
        return self.get_query_string({"where": "both"})

    def get_ordering_field(self, field_name: Any) -> Any:
        """Sort by nothing but what has an index, whatever the address says."""
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    def get_ordering_field_columns(self) -> dict[int, Any]:
        """The column that is marked as the sorted one; Django looks at the order of the model where none was chosen."""
        if ORDER_VAR in self.params:
            return super().get_ordering_field_columns()
        return {self.list_display.index("trashed" if self.params.get("where") == "trash" else "created"): "desc"}

    def get_results(self, request: HttpRequest) -> None:
        reachable = REACHABLE_BY_SEARCH if self.query else REACHABLE
        found = self._page(reachable)
        if not found and self.page_num != 1:
            self.page_num = 1  # of a list that has become shorter, or never was so long
            found = self._page(reachable)
        self.total = self._total(found, reachable)
        self.paginator = Paginator(range(min(self.total.number, reachable)), self.list_per_page)
        self.result_list = found[: self.list_per_page]
        self.result_count = self.total.number
        self.multi_page = self.paginator.num_pages > 1
        self.can_show_all = False
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True

    def _page(self, reachable: int) -> list[Any]:
        """The tasks of the page, and one more if there is one."""
        first = (self.page_num - 1) * self.list_per_page
        return list(self.queryset[first : first + self.list_per_page + 1]) if 0 <= first < reachable else []

    def _total(self, found: list[Any], reachable: int) -> Total:
        before = (self.page_num - 1) * self.list_per_page
        if len(found) <= self.list_per_page:
            return Total(before + len(found))
        return total(self.queryset, reachable)


class ChoiceFilter(SimpleListFilter):
    """A filter of its own choices, the first of which is what no parameter means.

    Raises:
        IncorrectLookupParameters: the parameter is none of them.
    """

    unfiltered = "All"
    options: dict[str, str] = {}

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self.value() not in {None, *self.options}:
            raise IncorrectLookupParameters

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.options.items())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        yield {**first, "display": self.unfiltered}
        yield from others


class WhereFilter(ChoiceFilter):
    title = parameter_name = "where"
    unfiltered = "Live"
    options = {"trash": "In the trash", "both": "Both"}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        if self.value() == "trash":
            return queryset.in_trash()
        return queryset if self.value() == "both" else queryset.live()


class CreatedFilter(ChoiceFilter):
    title = parameter_name = "created"
    unfiltered = "At any time"
    options = {"day": "In the last day", "week": "In the last week", "month": "In the last month"}
    days = {"day": 1, "week": 7, "month": 30}

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        within = self.value()
        if within is None:
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=self.days[within]))


class OwnerFilter(SimpleListFilter):
    """The one owner whose link was followed; there are too many to offer."""

    title = parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owner = request.GET.get(self.parameter_name)
        return [(owner, owner)] if owner else []

    def queryset(self, request: HttpRequest, queryset: TaskQuerySet) -> TaskQuerySet:  # type: ignore[override]
        owner = self.value()
        if owner and "\0" in owner:
            raise IncorrectLookupParameters
        return queryset.owned_by(owner) if owner else queryset


def parse_uuid(text: str) -> UUID | None:
    """The id that ``text`` is, dashes and case aside."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def id_of_task(text: str) -> UUID | None:
    """The id that ``text`` is, if there is a task of it: an owner's may look alike."""
    named = parse_uuid(text)
    return named if named and Task.objects.filter(pk=named).exists() else None
