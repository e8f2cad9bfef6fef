"""The operators' view of tasks. Every write goes the way of the API, through ``TaskQuerySet``.

``changelist.py`` is the list, ``bulk_actions.py`` what is done to many tasks, ``export_actions.py`` files of them,
``forms.py`` the form.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from database.cursors import without_prepared_plan
from tasks.admin.bulk_actions import ACTIONS
from tasks.admin.changelist import CreatedFilter, OwnerFilter, TaskChangeList, WhereFilter, id_of_task
from tasks.admin.export_actions import EXPORTS
from tasks.admin.forms import TaskChangeForm, TaskForm
from tasks.admin.selected_tasks import selected, selects_all
from tasks.models import Task, TaskQuerySet

DONE = mark_safe('<span class="state done" role="img" aria-label="completed"></span>')
OPEN = mark_safe('<span class="state" role="img" aria-label="open"></span>')


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """All tasks. Deleting a live one moves it to the trash, as the API's DELETE does; there it is only shown."""

    list_display = ("title", "owner", "done", "created", "updated", "trashed")
    list_filter = (WhereFilter, "completed", CreatedFilter, OwnerFilter)
    show_facets = admin.ShowFacets.NEVER  # they count the table, once for each choice
    search_fields = ("title__mentions", "description__mentions")
    search_help_text = "Words of the title or description, a whole id, or a whole owner. “Quoted”, an owner is a word."
    list_per_page = 50
    actions = (*ACTIONS, *EXPORTS)  # type: ignore[assignment]  # takes them to be functions of any queryset
    actions_on_bottom = False
    form = TaskChangeForm
    fields = ("title", "description", "completed", "user_id")
    #: Of a stored task; whose it is stands once it is made.
    readonly_fields = ("user_id", "id", "created_at", "updated_at", "version")

    @admin.display(ordering="user_id")
    def owner(self, task: Task) -> str:
        return format_html('<a href="?{}">{}</a>', urlencode({"owner": task.user_id}), task.user_id)

    @admin.display(description="completed")
    def done(self, task: Task) -> SafeString:
        return DONE if task.completed else OPEN

    @admin.display(ordering="id")  # whose first bits are that time
    def created(self, task: Task) -> str:
        return moment(task.created_at)

    @admin.display
    def updated(self, task: Task) -> str:
        return moment(task.updated_at)

    @admin.display(ordering="deleted_at", empty_value="")
    def trashed(self, task: Task) -> str | None:
        return moment(task.deleted_at) if task.deleted_at else None

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        return Task.objects.all()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        with connection.execute_wrapper(without_prepared_plan):
            return super().changelist_view(request, extra_context)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[TaskChangeList]:
        return TaskChangeList

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The index of one owner's tasks has them by the time of creation, that of everybody's by id alone."""
        if request.GET.get("where") == "trash":
            return ("-deleted_at", "-id")
        return ("-created_at", "-id") if "owner" in request.GET else ("-id",)

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        """What has an index over everybody's tasks: one of live tasks by another column would cost every write."""
        return ("created", "trashed") if request.GET.get("where") == "trash" else ("created",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in {"where", "created", "owner", "completed__exact"}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """The task of that id, whatever the filters say, or that owner's tasks, or those that mention each word."""
        term = search_term.strip()
        if named := id_of_task(term):
            return Task.objects.filter(pk=named), False
        if term and owns_tasks(term):
            tasks = queryset.owned_by(term)
            return tasks if request.GET.keys() & {"where", ORDER_VAR} else tasks.newest_first(), False
        return super().get_search_results(request, queryset, search_term)

    def get_actions(self, request: HttpRequest) -> Any:
        """Without Django's own, which would delete for good, and reads every task to ask."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def response_action(self, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:  # type: ignore[override]
        """Run an action on the ids that were sent.

        Raises:
            PermissionDenied: it takes a permission that the operator has not.
        """
        names = {action.__name__ for action in self.actions} - self.get_actions(request).keys()
        if names & set(request.POST.getlist("action")):
            raise PermissionDenied
        posted = request.POST.copy()
        posted.setlist(ACTION_CHECKBOX_NAME, selected(request))
        # Django takes other words for a yes, too.
        posted["select_across"] = "1" if selects_all(request) else "0"
        request.POST = posted  # type: ignore[assignment]
        return super().response_action(request, queryset)

    def has_change_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        """Not in the trash; but a form that is sent back is told by ``TaskChangeForm`` that its task has gone there."""
        changeable = obj is None or obj.deleted_at is None or "seen_version" in request.POST
        return changeable and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        return (obj is None or obj.deleted_at is None) and super().has_delete_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Task | None = None, change: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002
        return super().get_form(request, obj, change, **(options if obj else {**options, "form": TaskForm}))

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        if obj is None:
            return self.fields
        trashed = ("deleted_at",) if obj.deleted_at else ()
        seen = ("seen_version",) if self.has_change_permission(request, obj) else ()
        return (*self.fields, "id", "created_at", "updated_at", *trashed, "version", *seen)

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "deleted_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: Task, form: "ModelForm[Task]", change: bool) -> None:  # noqa: FBT001
        if not change:
            return obj.save()
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        [_] = Task.objects.live().addressed(obj.pk, {form.cleaned_data["seen_version"]}).change(**values)
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        """Nothing is deleted here; ``delete_model`` logs what it does."""

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        if Task.objects.live().addressed(obj.pk).move_to_trash():
            self.log_change(request, obj, "Moved to the trash.")

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        self.message_user(request, f"The task “{obj_display}” was moved to the trash.", messages.SUCCESS)
        return self.response_post_save_change(request, None)


def owns_tasks(user_id: str) -> bool:
    """Asked of the indexes of live and of trashed tasks, each of which begins with the owner."""
    tasks = Task.objects.owned_by(user_id)
    return tasks.live().exists() or tasks.in_trash().exists()


def moment(time: datetime) -> str:
    """A time of a list: to the minute, and by the second where the pointer rests."""
    second = f"{time:%Y-%m-%d %H:%M:%S}"
    return format_html('<time datetime="{0}Z" title="{0} UTC">{1}</time>', second, second[:-3])
