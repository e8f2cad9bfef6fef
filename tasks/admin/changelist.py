"""The list of tasks: one page, its order, and how many tasks were found."""

from typing import Any, cast

from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.core.paginator import Paginator
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest

from tasks.api.filters import MAX_SEARCH_LENGTH
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.statistics import EXACT_LIMIT, TaskCount, count_or_estimate

#: The most tasks that the pages of a list show, because the database reads all earlier tasks for a late page.
MAX_LISTED = EXACT_LIMIT

#: The most tasks that the pages of a search show, because counting reads every task that the search finds.
MAX_LISTED_BY_SEARCH = 1_000


class SearchForm(ChangeListSearchForm):
    """A search with the API's limit; without it, a statement would get too many words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields[SEARCH_VAR].validators.append(MaxLengthValidator(MAX_SEARCH_LENGTH))


class TaskChangeList(ChangeList):
    """A page of tasks. The tasks are counted only if there is more than one page, and only up to a limit."""

    search_form_class = SearchForm

    task_count: TaskCount

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = "Tasks"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> TaskQuerySet:
        """Return no task for a refused search; without this, “Select all” would select every task."""
        tasks = cast("TaskQuerySet", super().get_queryset(request, exclude_parameters))
        self.is_search_refused = bool(request.GET.get(SEARCH_VAR)) and not self.query
        return tasks.none() if self.is_search_refused else tasks

    @property
    def url_including_trash(self) -> str:
        """Return the address of this list with the trash included."""
        return self.get_query_string({"where": "both"})

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the order of the sorted column, or the default if the address names no column with an index."""
        ordering = super().get_ordering(request, queryset)
        return self.model_admin.get_ordering(request) if ordering == ["-pk"] else ordering

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return the field that a column sorts by, and ``None`` if the column has no index."""
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    def get_ordering_field_columns(self) -> dict[int, Any]:
        """Return the sorted column; by default Django would use the model's ordering."""
        if ORDER_VAR in self.params:
            return super().get_ordering_field_columns()
        return {self.list_display.index("trashed" if self.params.get("where") == "trash" else "created"): "desc"}

    def get_results(self, request: HttpRequest) -> None:
        limit = MAX_LISTED_BY_SEARCH if self.query else MAX_LISTED
        tasks = self._fetch_page(limit)
        if not tasks and self.page_num != 1:
            self.page_num = 1  # The list became shorter, or never had this page.
            tasks = self._fetch_page(limit)
        self.task_count = self._count(tasks, limit)
        self.paginator = Paginator(range(min(self.task_count.number, limit)), self.list_per_page)
        self.result_list = tasks[: self.list_per_page]
        self.result_count = self.task_count.number
        self.multi_page = self.paginator.num_pages > 1
        self.can_show_all = False
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True

    def _fetch_page(self, limit: int) -> list[Task]:
        """Return the tasks of the page, and one task more if there is a next page."""
        first = (self.page_num - 1) * self.list_per_page
        return list(self.queryset[first : first + self.list_per_page + 1]) if 0 <= first < limit else []

    def _count(self, tasks: list[Task], limit: int) -> TaskCount:
        """Return how many tasks the list finds; the last page needs no further query."""
        if len(tasks) <= self.list_per_page:
            return TaskCount((self.page_num - 1) * self.list_per_page + len(tasks))
        return count_or_estimate(self.queryset, limit)
