"""Actions on many tasks: on the checked ones, or on every task that the list finds.

An action writes through ``TaskQuerySet``, one batch after the other. Each batch is a transaction that also updates the
action's one ``LogEntry``. If an action stops early, the log therefore has the number of tasks that it has written. The
operator can run the action again to continue with the rest.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.db import Error, transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from database.connections import release_connection
from rest.timestamps import format_timestamp
from tasks.admin.form_fields import NO_PRIORITY, LabelFormField, PriorityFormField
from tasks.admin.history import describe_writes
from tasks.admin.selected_tasks import build_log_entry, selected_ids, selects_all
from tasks.fields import label_patch
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import LABELS_MAX_NUMBER, Priority
from tasks.statistics import EXACT_LIMIT, TaskCount, count_or_estimate

#: The tasks of a batch. PostgreSQL locks them for about 50 ms, so no API request waits longer for a task.
BATCH_SIZE = 500

#: The number of tasks that a confirmation shows.
EXAMPLES = 5

#: The place of the streamed lines in the page of a running action.
PLACEHOLDER = "<!-- progress -->"

LINE = '<li class="{}"><progress max="{}" value="{}" aria-label="Progress"></progress><span>{}</span></li>\n'

BACK = '<li class="back"><a class="button" href="{}">Back to the tasks</a> {}</li>'

#: Names of parameters and the values for which an action is idle.
Filters = tuple[tuple[str, str | None], ...]

NOT_IN_TRASH: Filters = (("where", "trash"),)
ONLY_IN_TRASH: Filters = (("where", None),)

logger = logging.getLogger(__name__)


class Result(NamedTuple):
    """How many tasks an action has written, and how many it has left out because of a limit."""

    written: int = 0
    at_limit: int = 0


@dataclass(frozen=True)
class Action:
    """What Django's admin reads of an action.

    Attributes:
        label: the imperative that operators choose.
        permission: the permission that the action needs.
        idle_filters: the filters of lists that have no task for the action; ``None`` is the default choice.
    """

    name: str
    label: str
    permission: str
    idle_filters: Filters

    # Without this, a template would call an action instead of reading its label.
    do_not_call_in_templates = True

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def short_description(self) -> str:
        """Return the label, by the name that Django looks up."""
        return self.label

    @property
    def allowed_permissions(self) -> list[str]:
        """Return the permission, by the name that Django looks up."""
        return [self.permission]

    def is_idle(self, filters: Mapping[str, str]) -> bool:
        """Tell whether the list with these filters has no task for the action."""
        return any(filters.get(name) == value for name, value in self.idle_filters)


@dataclass(frozen=True)
class TaskAction(Action):
    """An action that writes tasks.

    Attributes:
        outcome: the participle for written tasks, as in “3 tasks completed”.
        skip_reason: the state of tasks that the action skips.
        select: narrows a set to the tasks that the action writes.
        write: writes every task of a set, and returns their number.
        is_irreversible: whether the action asks for a confirmation of every selection.
        limit_reason: the limit for which ``write`` leaves out selected tasks, if it does.
        deleted_at: the time by which “Undo” finds the tasks, if the action moves tasks to the trash.
    """

    outcome: str
    skip_reason: str
    select: Callable[[TaskQuerySet], TaskQuerySet]
    write: Callable[[TaskQuerySet], int]
    is_irreversible: bool = False
    limit_reason: str = ""
    deleted_at: datetime | None = None

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> HttpResponseBase | None:
        """Ask for a confirmation or run the action; return ``None`` to redirect to the list."""
        everything = selects_all(request)
        if (everything or self.is_irreversible) and "confirmed" not in request.POST:
            return self.ask_for_confirmation(model_admin, request, tasks)
        if everything:
            return self.stream_progress(model_admin, request, tasks)
        result = max(self.run(request, tasks), default=Result())
        skipped = len(selected_ids(request)) - sum(result)
        level = messages.SUCCESS if result.written else messages.WARNING
        message = self.summarize(result, skipped)
        if self.deleted_at and result.written:
            undo = render_undo(request, request.GET.dict(), self.deleted_at, selected_ids(request))
            message = format_html("{} {}", message, undo)
        model_admin.message_user(request, message, level)
        return None

    def run(self, request: HttpRequest, tasks: TaskQuerySet) -> Iterator[Result]:
        """Run the action, and yield after each batch what it has done so far."""
        entry = build_log_entry(request, self.label, DELETION if self.is_irreversible else CHANGE)
        written = at_limit = 0
        for batch in self.select(tasks).in_batches(BATCH_SIZE):
            with transaction.atomic():
                # Reading each task for the log would make an action on a whole list slow, and its entry long.
                before = [] if selects_all(request) else list(batch.order_by().select_for_update())
                selected = batch.order_by().count() if self.limit_reason else 0
                written_now = self.write(batch.order_by())
                written, at_limit = written + written_now, at_limit + max(selected - written_now, 0)
                entry.object_repr = self.summarize(Result(written, at_limit))
                entry.change_message += describe_writes(before) if before else ""
                entry.save(update_fields=["object_repr", "change_message"] if entry.pk else None)
            yield Result(written, at_limit)

    def summarize(self, result: Result, skipped: int = 0) -> str:
        """Return how many tasks the action has written and skipped: “3 tasks completed, 2 skipped (…)”."""
        reasons = ((result.at_limit, self.limit_reason), (skipped, self.skip_reason))
        parts = (f", {number:,} skipped ({reason})" for number, reason in reasons if number)
        return f"{TaskCount(result.written)} {self.outcome}{''.join(parts)}"

    def ask_for_confirmation(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> TemplateResponse:
        """Return a page that shows how many tasks the action will write, and a few examples."""
        context = {**build_context(self, model_admin, request), **describe_selection(request, self.select(tasks))}
        context = {**context, "skip_reason": self.skip_reason}
        return TemplateResponse(request, "admin/tasks/task/confirm_action.html", context)

    def stream_progress(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> StreamingHttpResponse:
        """Return a page that grows by a line of progress with each batch."""
        expected = count_or_estimate(self.select(tasks), EXACT_LIMIT)
        context = {**build_context(self, model_admin, request), "placeholder": PLACEHOLDER}
        page = render_to_string("admin/tasks/task/progress.html", context, request)
        lines = self._render_lines(request, self.run(request, tasks), expected)
        # Without this header nginx would collect the response and show nothing until the end.
        return StreamingHttpResponse(fill_placeholder(page, lines), headers={"X-Accel-Buffering": "no"})

    def _render_lines(self, request: HttpRequest, results: Iterator[Result], expected: TaskCount) -> Iterator[str]:
        """Yield a line after each batch and one at the end; the style sheet shows the last line only."""
        result, started = Result(), time.monotonic()
        try:
            for result in results:
                sentence = describe_progress(sum(result), expected, time.monotonic() - started)
                yield format_html(LINE, "", expected.number, sum(result), sentence)
            release_connection()
        except Error:
            logger.exception("%s stopped after %d tasks", self.name, result.written)
            sentence = f"Stopped by a database error: {self.summarize(result)}. Run the action again to continue."
            yield format_html(LINE, "stopped", expected.number, sum(result), sentence)
        else:
            yield format_html(LINE, "done", 1, 1, f"Done: {self.summarize(result)}.")
        undo = render_undo(request, request.GET.dict(), self.deleted_at, None) if self.deleted_at else ""
        yield format_html(BACK, request.get_full_path(), undo)


@dataclass(frozen=True)
class ValueAction(Action):
    """An action that asks for a value, and then runs as the ``TaskAction`` of this value.

    Attributes:
        build_field: makes the field that reads the value.
        bind: returns the action of a value.
    """

    build_field: Callable[[], forms.Field]
    bind: Callable[[Any], TaskAction]

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> HttpResponseBase | None:
        """Ask for the value, or run the action; return ``None`` to redirect to the list."""
        form = forms.Form(request.POST if "confirmed" in request.POST else None)
        form.fields["value"] = self.build_field()
        if form.is_valid():
            return self.bind(form.cleaned_data["value"])(model_admin, request, tasks)
        context = {**build_context(self, model_admin, request), **describe_selection(request, tasks.live())}
        context = {**context, "form": form, "skip_reason": "in the trash"}
        return TemplateResponse(request, "admin/tasks/task/confirm_action.html", context)


class TrashAction(TaskAction):
    """The action that moves tasks to the trash at one time, by which “Undo” finds them."""

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> HttpResponseBase | None:
        """Run the action at the time of the call."""
        if self.deleted_at is not None:
            return super().__call__(model_admin, request, tasks)
        now = timezone.now()
        action = replace(self, write=lambda tasks: tasks.move_to_trash(now), deleted_at=now)
        return action(model_admin, request, tasks)


def build_context(action: Action, model_admin: "ModelAdmin[Task]", request: HttpRequest) -> dict[str, Any]:
    """Return what each page of an action needs."""
    return {
        **model_admin.admin_site.each_context(request),
        "title": action.label,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "action": action,
        "list_url": request.get_full_path(),
    }


def describe_selection(request: HttpRequest, tasks: TaskQuerySet) -> dict[str, Any]:
    """Return the number of the tasks to write, a few examples, and the fields that repeat the selection."""
    return {
        "task_count": count_or_estimate(tasks, EXACT_LIMIT),
        "examples": list(tasks[:EXAMPLES]),
        "everything": selects_all(request),
        "ids": ",".join(selected_ids(request)),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }


def render_undo(
    request: HttpRequest, filters: dict[str, str], deleted_at: datetime, ids: Sequence[str] | None
) -> SafeString:
    """Return the button that restores the tasks which one action moved to the trash.

    The button's form goes to the list of these tasks, and keeps the list's other filters for the way back. Operators
    who may not restore tasks get no button.

    Without ``ids``, the button restores every task that went to the trash at ``deleted_at``.
    """
    if not request.user.has_perm("tasks.change_task"):
        return SafeString()
    query = urlencode({**filters, "where": "trash", "trashed": format_timestamp(deleted_at)})
    context = {
        "url": f"{reverse('admin:tasks_task_changelist')}?{query}",
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "ids": ",".join(ids or ()),
        "everything": ids is None,
    }
    return render_to_string("admin/tasks/task/undo.html", context, request)


def describe_progress(number: int, expected: TaskCount, seconds: float) -> str:
    """Return “20,000 of about 1,000,000 tasks, 10,000 per second, about 98 s left”."""
    rate = number / max(seconds, 0.001)
    left = max(expected.number - number, 0) / rate
    return f"{number:,} of {expected}, {rate:,.0f} per second, about {left:,.0f} s left"


def fill_placeholder(page: str, parts: Iterator[str]) -> Iterator[str]:
    """Yield the page with ``parts`` in the place of ``PLACEHOLDER``."""
    before, _, after = page.partition(PLACEHOLDER)
    yield before
    yield from parts
    yield after


def set_priority(priority: int) -> TaskAction:
    """Return the action that gives tasks a priority."""
    word = f"“{Priority(priority).label}”" if priority else NO_PRIORITY
    return TaskAction(
        name="set_priority",
        label=f"Set priority {word}",
        outcome=f"set to priority {word}",
        skip_reason="already of this priority or in the trash",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        select=lambda tasks: tasks.live().exclude(priority=priority),
        write=lambda tasks: tasks.change(priority=priority),
    )


def add_label(name: str) -> TaskAction:
    """Return the action that adds a label."""
    return TaskAction(
        name="add_label",
        label=f"Add label “{name}”",
        outcome=f"labelled “{name}”",
        skip_reason="already with this label or in the trash",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        select=lambda tasks: tasks.live().exclude(labels__has_label=name),
        write=lambda tasks: tasks.change(label_patch=label_patch({name: True})),
        limit_reason=f"already with {LABELS_MAX_NUMBER} labels",
    )


def remove_label(name: str) -> TaskAction:
    """Return the action that removes a label."""
    return TaskAction(
        name="remove_label",
        label=f"Remove label “{name}”",
        outcome=f"freed of label “{name}”",
        skip_reason="without this label or in the trash",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        select=lambda tasks: tasks.live().filter(labels__has_label=name),
        write=lambda tasks: tasks.change(label_patch=label_patch({name: None})),
    )


ACTIONS = (
    TaskAction(
        name="complete",
        label="Mark completed",
        outcome="completed",
        skip_reason="already completed or in the trash",
        permission="change",
        idle_filters=(*NOT_IN_TRASH, ("completed__exact", "1")),
        select=lambda tasks: tasks.live().filter(completed=False),
        write=lambda tasks: tasks.change(completed=True),
    ),
    TaskAction(
        name="reopen",
        label="Reopen",
        outcome="reopened",
        skip_reason="already open or in the trash",
        permission="change",
        idle_filters=(*NOT_IN_TRASH, ("completed__exact", "0")),
        select=lambda tasks: tasks.live().filter(completed=True),
        write=lambda tasks: tasks.change(completed=False),
    ),
    ValueAction(
        name="set_priority",
        label="Set priority …",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        build_field=lambda: PriorityFormField(required=True),
        bind=set_priority,
    ),
    ValueAction(
        name="add_label",
        label="Add label …",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        build_field=LabelFormField,
        bind=add_label,
    ),
    ValueAction(
        name="remove_label",
        label="Remove label …",
        permission="change",
        idle_filters=NOT_IN_TRASH,
        build_field=LabelFormField,
        bind=remove_label,
    ),
    TrashAction(
        name="move_to_trash",
        label="Move to the trash",
        outcome="moved to the trash",
        skip_reason="already in the trash",
        permission="delete",
        idle_filters=NOT_IN_TRASH,
        select=TaskQuerySet.live,
        write=TaskQuerySet.move_to_trash,
    ),
    TaskAction(
        name="restore",
        label="Restore",
        outcome="restored",
        skip_reason="not in the trash",
        permission="change",
        idle_filters=ONLY_IN_TRASH,
        select=TaskQuerySet.in_trash,
        write=TaskQuerySet.restore,
    ),
    TaskAction(
        name="delete_for_good",
        label="Delete for good",
        outcome="deleted for good",
        skip_reason="not in the trash",
        permission="delete",
        idle_filters=ONLY_IN_TRASH,
        select=TaskQuerySet.in_trash,
        write=TaskQuerySet.remove,
        is_irreversible=True,
    ),
)
