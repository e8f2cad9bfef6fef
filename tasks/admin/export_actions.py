"""Tasks as a file for who is at the admin: a selection, or all that the list finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from database.connections import release_connection
from tasks.admin.selected_tasks import log_entry, tasks_in_words
from tasks.models import Task, TaskQuerySet
from tasks.transfer.file_formats import FORMATS, shown

#: Tasks read by one statement.
CHUNK = 1000


@dataclass(frozen=True)
class Export:
    """The selection, or all that the filter finds, as a file that is sent while it is read."""

    format: str
    label: str
    content_type: str
    #: Excel takes a CSV file for UTF-8 only when it begins with this.
    begins: str = ""

    allowed_permissions = ("view",)

    @property
    def __name__(self) -> str:
        return f"export_{self.format}"

    @property
    def short_description(self) -> str:
        return f"Export as {self.label}"

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> StreamingHttpResponse:
        entry = log_entry(request, self.short_description, CHANGE)
        entry.object_repr = "Tasks exported"
        entry.save()
        name = f"tasks-{timezone.now():%Y-%m-%d-%H%M%S}.{self.format}"
        return StreamingHttpResponse(
            begun(self.lines(tasks, entry)),
            content_type=self.content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def lines(self, tasks: TaskQuerySet, entry: LogEntry) -> Iterator[str]:
        lines = FORMATS[self.format]
        number = 0
        try:
            yield self.begins + lines.header
            for batch in tasks.in_batches(CHUNK):
                read = shown(batch)
                number += len(read)
                release_connection()
                yield lines.text(read)
        finally:
            entry.object_repr = f"{tasks_in_words(number)} exported"
            entry.save()


def begun(parts: Iterator[str]) -> Iterator[str]:
    """The same parts, the first two of them made already: a database that is away is told before the answer begins."""
    first = list(islice(parts, 2))

    def rest() -> Iterator[str]:
        yield from first
        yield from parts

    return rest()


EXPORTS = (
    Export(format="csv", label="CSV", content_type="text/csv; charset=utf-8", begins="\ufeff"),
    Export(format="jsonl", label="JSON Lines", content_type="application/jsonl; charset=utf-8"),
)
