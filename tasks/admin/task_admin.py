"""The admin of tasks. Every write goes through ``TaskQuerySet``, as in the API.

The list is ``changelist.py`` with ``list_filters.py``. Actions on many tasks are ``bulk_actions.py`` and
``export_actions.py``. The forms are ``forms.py``.
"""

import json
from datetime import datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import BLANK_CHOICE_DASH
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from database.cursors import search, without_prepared_plan
from tasks.admin.bulk_actions import ACTIONS, render_undo
from tasks.admin.changelist import TaskChangeList
from tasks.admin.export_actions import EXPORTS
from tasks.admin.forms import TaskChangeForm, TaskForm
from tasks.admin.history import describe_writes, read_history
from tasks.admin.list_filters import (
    CreatedFilter,
    DeletionFilter,
    DueFilter,
    LabelFilter,
    OwnerFilter,
    PriorityFilter,
    TrashFilter,
)
from tasks.admin.lists import FilteredAdmin
from tasks.admin.search_hits import TitleColumn, compile_words
from tasks.admin.selected_tasks import parse_uuid, selected_ids, selects_all
from tasks.due import wall_clock
from tasks.models import Task
from tasks.querysets import TaskQuerySet

COMPLETED_ICON = mark_safe('<span class="state done" role="img" aria-label="completed"></span>')
OPEN_ICON = mark_safe('<span class="state" role="img" aria-label="open"></span>')

#: The methods that show a field which Django would show as a number, or as Python writes it.
READ_ONLY_NAMES = {"priority": "priority_word", "labels": "label_links"}


@admin.register(Task)
class TaskAdmin(FilteredAdmin):
    """Every user's tasks. Deleting moves a live task to the trash; a task in the trash is read-only."""

    list_display = (
        "title",
        "owner_link",
        "completed_icon",
        "due_text",
        "priority_word",
        "label_links",
        "created",
        "updated",
        "trashed",
    )
    list_filter = (
        TrashFilter,
        "completed",
        DueFilter,
        PriorityFilter,
        LabelFilter,
        CreatedFilter,
        OwnerFilter,
        DeletionFilter,
    )
    allowed_lookups = frozenset(
        {"where", "completed__exact", "due", "priority", "label", "created", "owner", "trashed"}
    )
    show_facets = admin.ShowFacets.NEVER  # each choice would count the whole table
    search_fields = ("title__mentions", "description__mentions")
    search_help_text = (
        "Search for words in the title or description, for a whole id, or for a whole owner. "
        "Put a word in quotes if it is also an owner."
    )
    list_per_page = 50
    actions = (*ACTIONS, *EXPORTS)  # type: ignore[assignment]  # expects functions of any queryset
    actions_on_bottom = False
    form = TaskChangeForm
    fields = (*Task.WRITABLE_FIELDS, "user_id")

    @admin.display(description="owner", ordering="user_id")
    def owner_link(self, task: Task) -> str:
        """Return a link to the list of the owner's tasks."""
        return format_html('<a href="?{}">{}</a>', urlencode({"owner": task.user_id}), task.user_id)

    @admin.display(description="completed")
    def completed_icon(self, task: Task) -> SafeString:
        """Return the icon of a completed or an open task."""
        return COMPLETED_ICON if task.completed else OPEN_ICON

    @admin.display(description="due", empty_value="")
    def due_text(self, task: Task) -> str | None:
        """Return the due date to the minute."""
        return render_due(task.due) if task.due else None

    @admin.display(description="priority", empty_value="")
    def priority_word(self, task: Task) -> str:
        """Return the word of a priority, or an empty text, because a page of one task would show ``None``."""
        return task.get_priority_display() if task.priority else ""

    @admin.display(description="labels", empty_value="")
    def label_links(self, task: Task) -> SafeString:
        """Return a link for each label to the list of its tasks."""
        url = reverse("admin:tasks_task_changelist")
        links = ((url, urlencode({"label": name}), name) for name in sorted(task.labels))
        return format_html_join(" ", '<a class="label" href="{}?{}">{}</a>', links)

    @admin.display(ordering="created_at")  # and not by the id, whose time a client may choose
    def created(self, task: Task) -> str:
        """Return the time of creation."""
        return render_time(task.created_at)

    @admin.display
    def updated(self, task: Task) -> str:
        """Return the time of the last write."""
        return render_time(task.updated_at)

    @admin.display(ordering="deleted_at", empty_value="")
    def trashed(self, task: Task) -> str | None:
        """Return the time when the task went to the trash."""
        return render_time(task.deleted_at) if task.deleted_at else None

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        return Task.objects.all()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Plan each statement for its words, and limit the time of a list, but not of an action."""
        is_action = request.method == "POST"
        with connection.execute_wrapper(without_prepared_plan) if is_action else search(connection):
            return super().changelist_view(request, extra_context)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[TaskChangeList]:
        return TaskChangeList

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return an order that has an index: the time of deletion in the trash, else the time of creation."""
        return ("-deleted_at", "-id") if request.GET.get("where") == "trash" else ("-created_at", "-id")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns; a list of live tasks has no time of deletion, and a search shows its hits."""
        title, *others = self.list_display
        if request.GET.get("where") not in TrashFilter.options:
            others.pop()
        words = compile_words(request.GET.get("q", ""))
        return (TitleColumn(words) if words.pattern else title, *others)

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns with an index over all owners; another index would cost every write of the API."""
        return ("created", "trashed") if request.GET.get("where") == "trash" else ("created",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search for a task by id, regardless of the filters, or for an owner's tasks, or for words."""
        term = search_term.strip()
        # If no task has this id, search on, because a user id can look like the id of a task.
        if (id_ := parse_uuid(term)) and (found := Task.objects.filter(pk=id_)).exists():
            return found, False
        if term and owns_tasks(term):
            tasks = queryset.owned_by(term)
            return tasks if request.GET.keys() & {"where", ORDER_VAR} else tasks.newest_first(), False
        return super().get_search_results(request, queryset, search_term)

    def get_actions(self, request: HttpRequest) -> Any:
        """Remove ``delete_selected``, which bypasses the trash and reads every task for its confirmation."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def get_action_choices(self, request: HttpRequest, default_choices: Any = BLANK_CHOICE_DASH) -> Any:
        """Return the actions for which the list can have a task; a search for an id ignores the filters."""
        choices, actions = super().get_action_choices(request, default_choices), self.get_actions(request)
        if parse_uuid(request.GET.get("q", "")):
            return choices
        filters = request.GET.dict()
        return [(name, label) for name, label in choices if not name or not actions[name][0].is_idle(filters)]

    def response_action(self, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:  # type: ignore[override]
        """Run an action on the ids that were sent.

        Raises:
            PermissionDenied: the operator does not have the action's permission.
        """
        forbidden = {action.__name__ for action in self.actions} - self.get_actions(request).keys()
        if forbidden & set(request.POST.getlist("action")):
            raise PermissionDenied
        posted = request.POST.copy()
        posted.setlist(ACTION_CHECKBOX_NAME, selected_ids(request))
        # Without this, Django would treat other values than "1" as “Select all” too.
        posted["select_across"] = "1" if selects_all(request) else "0"
        request.POST = posted  # type: ignore[assignment]
        response = super().response_action(request, queryset)
        is_undo = isinstance(response, HttpResponseRedirect) and DeletionFilter.parameter_name in request.GET
        return redirect_after_undo(request) if is_undo else response

    def has_change_permission(self, request: HttpRequest, obj: Task | None = None) -> bool:
        """Refuse tasks in the trash, but accept their open forms, so that ``TaskChangeForm`` shows a message."""
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
        version = ("seen_version",) if self.has_change_permission(request, obj) else ()
        names = dict.fromkeys((*self.fields, *Task.PUBLIC_FIELDS, *trashed, *version))
        return tuple(names if version else (READ_ONLY_NAMES.get(name, name) for name in names))

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> tuple[str, ...]:
        """Return the fields that the form cannot change; a new task has none."""
        writable = (*Task.WRITABLE_FIELDS, "seen_version")
        return tuple(name for name in self.get_fields(request, obj) if name not in writable) if obj else ()

    def save_model(self, request: HttpRequest, obj: Task, form: "ModelForm[Task]", change: bool) -> None:  # noqa: FBT001
        if not change:
            return obj.save()
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        seen = cast("Task", cast("TaskChangeForm", form).current)
        Task.objects.live().addressed(obj.pk, {seen.version}).change(**values)
        return None

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return Django's message, and the old and new values of a changed task."""
        message = super().construct_change_message(request, form, formsets, add)
        if add or not form.changed_data:
            return message
        return f"{LogEntry(change_message=json.dumps(message)).get_change_message()}{describe_writes([form.current])}"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        task = self.get_object(request, unquote(object_id))
        writes = list(read_history(task)) if task else []
        return super().history_view(request, object_id, {"writes": writes, **(extra_context or {})})

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        """Log nothing, because ``delete_model`` logs its write."""

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        task = Task.objects.live().addressed(obj.pk)
        before = list(task.select_for_update())
        if task.move_to_trash():
            self.log_change(request, obj, f"Moved to the trash.{describe_writes(before)}")

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        task = Task.objects.in_trash().addressed(obj_id).first()
        filters = dict(parse_qsl(request.GET.get("_changelist_filters", "")))
        undo = render_undo(request, filters, task.deleted_at, [str(obj_id)]) if task and task.deleted_at else ""
        message = format_html("The task “{}” was moved to the trash. {}", obj_display, undo)
        self.message_user(request, message, messages.SUCCESS)
        return self.response_post_save_change(request, None)


def owns_tasks(user_id: str) -> bool:
    """Return whether a user owns a task, with one query for each index that begins with the owner."""
    tasks = Task.objects.owned_by(user_id)
    return tasks.live().exists() or tasks.in_trash().exists()


def redirect_after_undo(request: HttpRequest) -> HttpResponseRedirect:
    """Return a redirect to the list from which the restored tasks went to the trash."""
    filters = {name: value for name, value in request.GET.items() if name not in {"where", "trashed"}}
    return HttpResponseRedirect(f"{request.path}?{urlencode(filters)}")


def render_due(due: str) -> str:
    """Return a due date to the minute, with the stored text in its tooltip."""
    day, _, time = wall_clock(due).partition("T")
    suffix = due[len(f"{day}T{time}") :] if time else ""
    place = {"": "", "Z": "UTC"}.get(suffix, suffix.strip("[]"))
    return format_html('<span class="due" title="{}">{}</span>', due, " ".join(filter(None, (day, time[:5], place))))


def render_time(time: datetime) -> str:
    """Return a time to the minute, with the seconds in its tooltip."""
    second = f"{time:%Y-%m-%d %H:%M:%S}"
    return format_html('<time datetime="{0}Z" title="{0} UTC">{1}</time>', second, second[:-3])
