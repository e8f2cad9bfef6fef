"""What operators do to many tasks at once: a selection of a page, or all that a filter finds.

An action goes through ``TaskQuerySet`` a batch at a time. Each batch is a transaction of its own, in which the one
``LogEntry`` of the action is moved on as well: whatever ends it, whole batches stand and the log says how many tasks
they were. Run again, it goes on with the rest.
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
from tasks.admin.selected_tasks import log_entry, selected, selects_all, tasks_in_words
from tasks.models import Task, TaskQuerySet
from tasks.totals import Total, total

#: Tasks written by one statement, which locks them for some 50 ms: no request of the API waits longer for one of them.
BATCH = 500

#: Up to how many tasks a confirmation counts, and how many it shows.
COUNTED = 100_000
SAMPLE = 5

#: Where a page is divided to put in between what comes bit by bit.
HERE = "<!-- here -->"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskAction:
    """One thing to do to tasks, as Django's admin calls it.

    Attributes:
        label: what it is called, an imperative.
        done: what has been done to tasks, as in “3 tasks completed”.
        otherwise: what those are that it leaves alone.
        permission: which of Django's permissions it takes.
        concerns: those tasks of a set which it changes.
        write: changes all tasks of a set, and returns them.
        for_good: whether nothing brings them back, so that a small selection too is asked about first.
    """

    name: str
    label: str
    done: str
    otherwise: str
    permission: str
    concerns: Callable[[TaskQuerySet], TaskQuerySet]
    write: Callable[[TaskQuerySet], list[Task]]
    for_good: bool = False

    do_not_call_in_templates = True

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def short_description(self) -> str:
        return self.label

    @property
    def allowed_permissions(self) -> list[str]:
        return [self.permission]

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> HttpResponseBase | None:
        everything = selects_all(request)
        if (everything or self.for_good) and "confirmed" not in request.POST:
            return self.ask(model_admin, request, tasks)
        if everything:
            return self.show_progress(model_admin, request, tasks)
        number = max(self.run(request, tasks), default=0)
        level = messages.SUCCESS if number else messages.WARNING
        model_admin.message_user(request, self.told(number, len(selected(request))), level)
        return None

    def run(self, request: HttpRequest, tasks: TaskQuerySet) -> Iterator[int]:
        """Do it, and say after each batch how many tasks have been written."""
        entry = log_entry(request, self.label, DELETION if self.for_good else CHANGE)
        number = 0
        for batch in self.concerns(tasks).in_batches(BATCH):
            with transaction.atomic():
                number += len(self.write(batch.order_by()))
                entry.object_repr = self.told(number)
                entry.save()
            yield number

    def told(self, number: int, of: int | None = None) -> str:
        """“3 tasks completed”, and of those selected how many were left alone."""
        left = (of or number) - number
        return f"{tasks_in_words(number)} {self.done}" + (f"; {left:,} {self.otherwise}" if left else "")

    def ask(self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet) -> TemplateResponse:
        """A page that says how many tasks it is about, and shows some."""
        concerned = self.concerns(tasks)
        context = {
            **page_context(model_admin, request, self.label),
            "action": self,
            "total": total(concerned, COUNTED),
            "sample": list(concerned[:SAMPLE]),
            "everything": selects_all(request),
            "selection": ",".join(selected(request)),
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/tasks/task/confirm_action.html", context)

    def show_progress(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> StreamingHttpResponse:
        """A page that counts up while it is done."""
        expected = total(self.concerns(tasks), COUNTED)
        context = {**page_context(model_admin, request, self.label), "action": self, "here": HERE}
        page = render_to_string("admin/tasks/task/progress.html", context, request)
        steps = self._steps(self.run(request, tasks), expected, request.get_full_path())
        # A proxy that gathers the answer would show nothing until the end.
        return StreamingHttpResponse(within(page, steps), headers={"X-Accel-Buffering": "no"})

    def _steps(self, numbers: Iterator[int], expected: Total, back: str) -> Iterator[str]:
        """A line after each batch, and one at the end; the style sheet shows the last one only."""
        number, began = 0, time.monotonic()
        line = '<li class="{}"><progress max="{}" value="{}" aria-label="Progress"></progress><span>{}</span></li>\n'
        try:
            for number in numbers:
                took = time.monotonic() - began
                yield format_html(line, "", expected.number, number, progress(number, expected, took))
            release_connection()
        except Error:
            logger.exception("%s stopped after %d tasks", self.name, number)
            said = f"Stopped by the database: {self.told(number)}. Run it again to go on with the rest."
            yield format_html(line, "stopped", expected.number, number, said)
        else:
            yield format_html(line, "done", 1, 1, f"Done: {self.told(number)}.")
        yield format_html('<li class="back"><a class="button" href="{}">Back to the tasks</a></li>', back)


def progress(number: int, expected: Total, seconds: float) -> str:
    """“20,000 of about 1,000,000 tasks, 10,000 a second, about 98 s left”."""
    rate = number / max(seconds, 0.001)
    left = max(expected.number - number, 0) / rate
    return f"{number:,} of {expected} tasks, {rate:,.0f} a second, about {left:,.0f} s left"


def page_context(model_admin: "ModelAdmin[Task]", request: HttpRequest, title: str) -> dict[str, Any]:
    return {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "back": request.get_full_path(),
    }


def within(page: str, parts: Iterator[str]) -> Iterator[str]:
    before, _, after = page.partition(HERE)
    yield before
    yield from parts
    yield after


ACTIONS = (
    TaskAction(
        name="complete",
        label="Mark completed",
        done="completed",
        otherwise="were so already, or are in the trash",
        permission="change",
        concerns=lambda tasks: tasks.live().filter(completed=False),
        write=lambda tasks: tasks.change(completed=True),
    ),
    TaskAction(
        name="reopen",
        label="Reopen",
        done="reopened",
        otherwise="were open already, or are in the trash",
        permission="change",
        concerns=lambda tasks: tasks.live().filter(completed=True),
        write=lambda tasks: tasks.change(completed=False),
    ),
    TaskAction(
        name="move_to_trash",
        label="Move to the trash",
        done="moved to the trash",
        otherwise="were there already",
        permission="delete",
        concerns=TaskQuerySet.live,
        write=TaskQuerySet.move_to_trash,
    ),
    TaskAction(
        name="restore",
        label="Restore",
        done="restored",
        otherwise="were not in the trash",
        permission="change",
        concerns=TaskQuerySet.in_trash,
        write=TaskQuerySet.restore,
    ),
    TaskAction(
        name="delete_for_good",
        label="Delete for good",
        done="deleted for good",
        otherwise="are not in the trash, and stay",
        permission="delete",
        concerns=TaskQuerySet.in_trash,
        write=TaskQuerySet.remove,
        for_good=True,
    ),
)
