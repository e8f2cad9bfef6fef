"""Answer a list: all tasks as a stream, or a page."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Field

from database.compiled_statements import CompiledStatement, python_value
from database.connections import release_connection
from database.cursors import search
from rest.pages import CURSOR, LIMIT, Cursors, link_header
from rest.parameters import one_of, read_parameters
from tasks.api import statements
from tasks.api.filters import FILTERS, SEARCH
from tasks.models import Task
from tasks.querysets import LAST_WRITTEN_FIRST, NEWEST_FIRST, ORDERINGS, Position, sort_key

#: Tasks that a stream reads with its first statement, and with each later one. glibc keeps memory up to twice the
#: largest block that PostgreSQL has freed. So after a larger statement, the later ones cause hardly any page faults.
FIRST_CHUNK, LATER_CHUNK = 2000, 750

#: The parameters that select tasks.
SELECTION = {"q": SEARCH, **{name: each.type for name, each in FILTERS.items()}}

PARAMETERS = {
    "limit": LIMIT,
    "cursor": CURSOR,
    "ordering": one_of({name: name for name in ORDERINGS}, example=LAST_WRITTEN_FIRST),
    **SELECTION,
}


def conditions(values: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """Return the values of a statement that reads the selected tasks of the caller."""
    filters = {FILTERS[name].lookup: value for name, value in values.items() if name in FILTERS}
    return {"user_id": user_id, "filters": filters, "words": values.get("q", [])}


def count_tasks(parameters: Mapping[str, list[str]], user_id: str) -> int:
    """Return the number of the caller's live tasks that the parameters select.

    Raises:
        InvalidRequest: a parameter is refused.
    """
    selected = conditions(read_parameters(parameters, SELECTION), user_id)
    with _time_limit(selected):
        rows = statements.count.fetch(**selected)
    return rows[0][0] if rows else 0


def _time_limit(selected: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Limit the time of a search, because SQLite has no time limit of its own."""
    return search(connection) if selected["words"] else nullcontext()


class Listing:
    """A list of the caller's live or trashed tasks, selected and sorted by the query parameters.

    Attributes:
        limit: the number of tasks on a page; ``None`` asks for all tasks.

    Raises:
        InvalidRequest: a parameter is refused.
    """

    def __init__(self, path: str, parameters: Mapping[str, list[str]], user_id: str, *, trashed: bool) -> None:
        values = read_parameters(parameters, PARAMETERS)
        self.path = path
        self.trashed = trashed
        self.sent = {name: texts[0] for name, texts in parameters.items()}
        self.limit: int | None = values.get("limit")
        self.ordering: str = values.get("ordering", LAST_WRITTEN_FIRST if trashed else NEWEST_FIRST)
        self.conditions = conditions(values, user_id)
        filters = sorted(item for item in self.sent.items() if item[0] in SELECTION)
        bound_to = ["tasks.listing", path, user_id, self.ordering, filters]
        self.cursors = Cursors(bound_to, sort_key_field(self.ordering))
        self.start: Position | None = self.cursors.read(values["cursor"]) if "cursor" in values else None

    def page(self, size: int) -> tuple[str, str]:
        """Return a page as a JSON array, and its ``Link``."""
        rows = self._fetch(statements.chunk, size + 1, self.start)
        has_more = len(rows) > size
        next_cursor = self.cursors.write(*self._position(rows[size - 1])) if has_more else None
        tasks = ",".join([row[0] for row in rows[:size]])
        return f"[{tasks}]", link_header(self.path, self.sent, next_cursor)

    def stream(self) -> Iterator[bytes]:
        """Return all tasks as parts of a JSON array in UTF-8.

        A separate statement reads each part, and starts after the last task of the previous part. So memory does not
        grow with the number of tasks, and a slow client holds no transaction, cursor or connection. This method reads
        the first part at once, because a response that has begun cannot report an unavailable database.
        """
        return self._stream(self._fetch_joined(self.start, FIRST_CHUNK))

    def _stream(self, chunk: tuple[bytes, int, Any, Any]) -> Iterator[bytes]:
        opening, size = b"[", FIRST_CHUNK
        while chunk[1]:
            tasks, number, *position = chunk
            release_connection()
            yield opening + tasks
            opening = b","
            if number < size:
                break
            size = LATER_CHUNK
            chunk = self._fetch_joined(self._position(position), size)
        release_connection()
        yield b"]" if opening == b"," else b"[]"

    def _fetch_joined(self, after: Position | None, size: int) -> tuple[bytes, int, Any, Any]:
        [row] = self._fetch(statements.joined_chunk, size, after)
        if connection.vendor == "sqlite":
            # Fail for damaged UTF-8, which other programs can store, because no client could read the list.
            row[0].decode()
        return row

    def _fetch(self, statement: CompiledStatement[Any], size: int, after: Position | None) -> list[tuple[Any, ...]]:
        with _time_limit(self.conditions):
            return statement.fetch(self.trashed, self.ordering, size, **self.conditions, after=after)

    def _position(self, row: Any) -> Position:
        """Return the position of a row, which ends with its sort key and id."""
        *_, key, id_ = row
        return python_value(key, sort_key_field(self.ordering)), UUID(id_)


@cache
def sort_key_field(ordering: str) -> "Field[Any, Any]":
    """Return the field of an ordering's sort key."""
    annotated = Task.objects.annotate(sort_key=sort_key(ordering))
    field: Field[Any, Any] = annotated.query.annotations["sort_key"].output_field
    return field
