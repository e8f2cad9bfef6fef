"""The other systems whose exports an import reads."""

from collections.abc import Callable

from tasks.transfer.file_formats import FileReader
from tasks.transfer.foreign_tasks import Origin
from tasks.transfer.icalendar_reader import ICalendar
from tasks.transfer.todoist import Todoist
from tasks.transfer.vikunja import Vikunja

#: The readers by the name of the system. Each file needs a reader of its own.
SOURCES: dict[str, Callable[[Origin], FileReader]] = {"todoist": Todoist, "ics": ICalendar, "vikunja": Vikunja}
