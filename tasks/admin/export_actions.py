"""Actions that send tasks as a file: the checked ones, or every task that the list finds."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from database.connections import release_connection
from tasks.admin.selected_tasks import build_log_entry
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.statistics import TaskCount
from tasks.transfer.exporting import export
from tasks.transfer.file_formats import FILE_FORMATS

#: The tasks that one statement reads.
BATCH_SIZE = 1000


@dataclass(frozen=True)
class ExportAction:
    """An action of Django's admin that sends the selected tasks while it reads them.

    Attributes:
        format: a key of ``FILE_FORMATS``, and the extension of the file.
        byte_order_mark: the beginning of the file; without it, Excel does not read CSV as UTF-8.
    """

    format: str
    label: str
    content_type: str
    byte_order_mark: str = ""

    allowed_permissions = ("view",)
    is_idle = staticmethod(lambda _: False)

    @property
    def __name__(self) -> str:
        return f"export_{self.format}"

    @property
    def short_description(self) -> str:
        """Return the label, by the name that Django looks up."""
        return f"Export as {self.label}"

    def __call__(
        self, model_admin: "ModelAdmin[Task]", request: HttpRequest, tasks: TaskQuerySet
    ) -> StreamingHttpResponse:
        """Log the export, and return the file."""
        entry = build_log_entry(request, self.short_description, CHANGE)
        entry.object_repr = "Tasks exported"
        entry.save()
        name = f"tasks-{timezone.now():%Y-%m-%d-%H%M%S}.{self.format}"
        return StreamingHttpResponse(
            StartedFile(self.render(tasks, entry)),
            content_type=self.content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def render(self, tasks: TaskQuerySet, entry: LogEntry) -> Generator[str, None, None]:
        """Yield the file in parts, and log at its end how many tasks were read."""
        file_format = FILE_FORMATS[self.format]
        number = 0
        try:
            yield self.byte_order_mark + file_format.header
            for text, exported in export(tasks, file_format, BATCH_SIZE):
                number += exported
                release_connection()
                yield text
        finally:
            entry.object_repr = f"{TaskCount(number)} exported"
            entry.save(update_fields=["object_repr"])


class StartedFile:
    """The parts of a file. The constructor reads the header and the first batch.

    Without this, the response would begin before an error of the first batch, and could not become a 503.
    """

    def __init__(self, parts: Generator[str, None, None]) -> None:
        self.first_parts = list(islice(parts, 2))
        self.parts = parts

    def __iter__(self) -> Iterator[str]:
        return chain(self.first_parts, self.parts)

    def close(self) -> None:
        """Close the generator with the response, so that a cancelled export is logged with its number."""
        self.parts.close()


EXPORTS = (
    ExportAction(format="csv", label="CSV", content_type="text/csv; charset=utf-8", byte_order_mark="\ufeff"),
    ExportAction(format="jsonl", label="JSON Lines", content_type="application/jsonl; charset=utf-8"),
)
