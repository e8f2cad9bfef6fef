"""Actions on many tasks: on the checked ones, or on every task that the list finds.

An action writes through ``TaskQuerySet``, one batch after the other. Each batch is a transaction that also updates the
action's one ``LogEntry``. If an action stops early, the log therefore has the number of tasks that it has written. The
operator can run the action again to continue with the rest.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.db import Error, transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html

from database.connections import release_connection
from tasks.admin.selected_tasks import build_log_entry, selected_ids, selects_all
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.statistics import EXACT_LIMIT, TaskCount, count_or_estimate

#: The tasks of a batch. PostgreSQL locks them for about 50 ms, so no API request waits longer for a task.
BATCH_SIZE = 500

#: The number of tasks that a confirmation shows.
EXAMPLES = 5

#: The place of the streamed lines in the page of a running action.
PLACEHOLDER = "<!-- progress -->"

LINE = '<li class="{}"><progress max="{}" value="{}" aria-label="Progress"></progress><span>{}</span></li>\n'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskAction:
    """An action of Django's admin that writes tasks.

    Attributes:
        label: the imperative that operators choose.
        outcome: the participle for written tasks, as in “3 tasks completed”.
        skip_reason: the state of tasks that the action skips.
        permission: the permission that the action needs.
        select: narrows a set to the tasks that the action writes.
        write: writes every task of a set, and returns their number.
        is_irreversible: whether the action asks for a confirmation of every selection.
    """

    name: str
    label: str
    outcome: str
    skip_reason: str
    permission: str
    select: Callable[[TaskQuerySet], TaskQuerySet]
    write: Callable[[TaskQuerySet], int]
    is_irreversible: bool = False

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

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> HttpResponseBase | None:
        """Ask for a confirmation or run the action; return ``None`` to redirect to the list."""
        everything = selects_all(request)
        if (everything or self.is_irreversible) and "confirmed" not in request.POST:
            return self.ask_for_confirmation(model_admin, request, tasks)
        if everything:
            return self.stream_progress(model_admin, request, tasks)
        number = max(self.run(request, tasks), default=0)
        skipped = len(selected_ids(request)) - number
        level = messages.SUCCESS if number else messages.WARNING
        model_admin.message_user(request, self.summarize(number, skipped), level)
        return None

    def run(self, request: HttpRequest, tasks: TaskQuerySet) -> Iterator[int]:
        """Run the action, and yield after each batch how many tasks it has written so far."""
        entry = build_log_entry(request, self.label, DELETION if self.is_irreversible else CHANGE)
        number = 0
        for batch in self.select(tasks).in_batches(BATCH_SIZE):
            with transaction.atomic():
                number += self.write(batch.order_by())
                entry.object_repr = self.summarize(number)
                entry.save(update_fields=["object_repr"] if entry.pk else None)
            yield number

    def summarize(self, number: int, skipped: int = 0) -> str:
        """Return how many tasks the action has written and skipped: “3 tasks completed, 2 skipped (…)”."""
        reason = f", {skipped:,} skipped ({self.skip_reason})" if skipped else ""
        return f"{TaskCount(number)} {self.outcome}{reason}"

    def ask_for_confirmation(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> TemplateResponse:
        """Return a page that shows how many tasks the action will write, and a few examples."""
        to_write = self.select(tasks)
        context = {
            **self._build_context(model_admin, request),
            "task_count": count_or_estimate(to_write, EXACT_LIMIT),
            "examples": list(to_write[:EXAMPLES]),
            "everything": selects_all(request),
            "ids": ",".join(selected_ids(request)),
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/tasks/task/confirm_action.html", context)

    def stream_progress(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> StreamingHttpResponse:
        """Return a page that grows by a line of progress with each batch."""
        expected = count_or_estimate(self.select(tasks), EXACT_LIMIT)
        context = {**self._build_context(model_admin, request), "placeholder": PLACEHOLDER}
        page = render_to_string("admin/tasks/task/progress.html", context, request)
        lines = self._render_lines(self.run(request, tasks), expected, request.get_full_path())
        # Without this header nginx would collect the response and show nothing until the end.
        return StreamingHttpResponse(fill_placeholder(page, lines), headers={"X-Accel-Buffering": "no"})

    def _render_lines(self, numbers: Iterator[int], expected: TaskCount, list_url: str) -> Iterator[str]:
        """Yield a line after each batch and one at the end; the style sheet shows the last line only."""
        number, started = 0, time.monotonic()
        try:
            for number in numbers:
                sentence = describe_progress(number, expected, time.monotonic() - started)
                yield format_html(LINE, "", expected.number, number, sentence)
            release_connection()
        except Error:
            logger.exception("%s stopped after %d tasks", self.name, number)
            sentence = f"Stopped by a database error: {self.summarize(number)}. Run the action again to continue."
            yield format_html(LINE, "stopped", expected.number, number, sentence)
        else:
            yield format_html(LINE, "done", 1, 1, f"Done: {self.summarize(number)}.")
        yield format_html('<li class="back"><a class="button" href="{}">Back to the tasks</a></li>', list_url)

    def _build_context(self, model_admin: "ModelAdmin[Task]", request: HttpRequest) -> dict[str, Any]:
        return {
            **model_admin.admin_site.each_context(request),
            "title": self.label,
            "opts": model_admin.opts,
            "media": model_admin.media,
            "action": self,
            "list_url": request.get_full_path(),
        }


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


ACTIONS = (
    TaskAction(
        name="complete",
        label="Mark completed",
        outcome="completed",
        skip_reason="already completed or in the trash",
        permission="change",
        select=lambda tasks: tasks.live().filter(completed=False),
        write=lambda tasks: tasks.change(completed=True),
    ),
    TaskAction(
        name="reopen",
        label="Reopen",
        outcome="reopened",
        skip_reason="already open or in the trash",
        permission="change",
        select=lambda tasks: tasks.live().filter(completed=True),
        write=lambda tasks: tasks.change(completed=False),
    ),
    TaskAction(
        name="move_to_trash",
        label="Move to the trash",
        outcome="moved to the trash",
        skip_reason="already in the trash",
        permission="delete",
        select=TaskQuerySet.live,
        write=TaskQuerySet.move_to_trash,
    ),
    TaskAction(
        name="restore",
        label="Restore",
        outcome="restored",
        skip_reason="not in the trash",
        permission="change",
        select=TaskQuerySet.in_trash,
        write=TaskQuerySet.restore,
    ),
    TaskAction(
        name="delete_for_good",
        label="Delete for good",
        outcome="deleted for good",
        skip_reason="not in the trash",
        permission="delete",
        select=TaskQuerySet.in_trash,
        write=TaskQuerySet.remove,
        is_irreversible=True,
    ),
)
