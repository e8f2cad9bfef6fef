"""The formats that an export writes.

Only commands import this module, so that no worker loads icalendar.
"""

from collections.abc import Callable

from tasks.transfer.file_formats import CSV, FileWriter, JSONLines
from tasks.transfer.icalendar_writer import ICalendarFile

#: The writers of a file by the name of the format. Each file needs a writer of its own.
WRITERS: dict[str, Callable[[], FileWriter]] = {"jsonl": JSONLines, "csv": CSV, "ics": ICalendarFile}
