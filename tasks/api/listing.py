"""The parameters of a list: which tasks, in which order, from where on, and how many at once."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db import connection

from database.connections import release_connection
from database.cursors import without_prepared_plan
from rest.problems.types import Fault, InvalidRequest
from rest.request_checks import unknown_parameter
from tasks.api import statements
from tasks.models import LAST_WRITTEN_FIRST, NEWEST_FIRST, ORDERINGS

MAX_LIMIT = 1000
MAX_SEARCH_LENGTH = 200

#: Tasks read at once where all are asked for.
CHUNK = 2000

#: RFC 3339, section 5.6, with any number of digits of a second.
INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def limit(text: str) -> int:
    digits = re.fullmatch(r"0*([1-9][0-9]{0,3})", text)
    if not digits or int(digits[1]) > MAX_LIMIT:
        raise ValueError(f"must be a number from 1 to {MAX_LIMIT}")
    return int(digits[1])


def true_or_false(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def words(text: str) -> list[str]:
    if len(text) > MAX_SEARCH_LENGTH:
        raise ValueError(f"must not exceed {MAX_SEARCH_LENGTH} characters")
    if not text.split() or "\0" in text:
        raise ValueError("must be text to search for")
    return text.split()


def instant(text: str) -> datetime:
    """An instant in UTC; digits past the sixth are cut off."""
    try:
        date, time, fraction, offset = INSTANT.fullmatch(text).groups(default="")  # type: ignore[union-attr]
        return datetime.fromisoformat(f"{date}T{time}.{fraction[1:7]:0<6}{offset.upper()}").astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 date and time with an offset, of the years 0001 to 9999") from None


def ordering(text: str) -> str:
    if text not in ORDERINGS:
        raise ValueError(f"must be one of {', '.join(ORDERINGS)}")
    return text


READ: dict[str, Callable[[str], Any]] = {
    "limit": limit,
    "cursor": str,
    "completed": true_or_false,
    "q": words,
    "created_after": instant,
    "created_before": instant,
    "updated_after": instant,
    "updated_before": instant,
    "ordering": ordering,
}

FILTERS = {
    "completed": "completed",
    "created_after": "created_at__gte",
    "created_before": "created_at__lt",
    "updated_after": "updated_at__gte",
    "updated_before": "updated_at__lt",
}


class Listing:
    """What a list was asked for: of the caller's live tasks, newest first, or of the trash, newest deletion first.

    Attributes:
        limit: how many tasks a page has; ``None`` for all tasks at once.

    Raises:
        InvalidRequest: a parameter is unknown, repeated, empty or breaks its rule; each is named.
    """

    def __init__(self, path: str, parameters: Mapping[str, list[str]], user_id: str, *, trashed: bool) -> None:
        values = _read_all(parameters)
        self.path = path
        self.trashed = trashed
        self.sent = {name: texts[0] for name, texts in parameters.items()}
        self.limit: int | None = values.get("limit")
        self.ordering: str = values.get("ordering", LAST_WRITTEN_FIRST if trashed else NEWEST_FIRST)
        self.column = self.ordering.removeprefix("-")
        self.asked = {
            "user_id": user_id,
            "filters": {FILTERS[name]: value for name, value in values.items() if name in FILTERS},
            "words": values.get("q", []),
        }
        # A cursor holds only for the caller, the filters and the order that it was made for.
        filters = sorted(item for item in self.sent.items() if item[0] not in {"limit", "cursor", "ordering"})
        self.signer = Signer(salt=json.dumps(["tasks.listing", path, user_id, self.ordering, filters]))
        self.start = self._follow(values["cursor"]) if "cursor" in values else {}

    def page(self, size: int) -> tuple[str, str]:
        """The tasks of one page as a JSON array, and its ``Link`` (RFC 8288)."""
        tasks = self._chunk(size + 1, self.start)
        last = tasks[size - 1] if len(tasks) > size else None
        return f"[{','.join(tasks[:size])}]", ", ".join(self._links(last))

    def stream(self) -> Iterator[bytes]:
        """All tasks as a JSON array in UTF-8, a chunk at a time.

        Each chunk is a statement of its own that starts where the last one ended: memory does not grow with their
        number, and no transaction, cursor or connection is held while a slow client reads. The first one is read at
        once, so that a database that is away is told of before the answer has begun.
        """
        return self._stream(*self._joined(self.start))

    def _stream(self, tasks: bytes, number: int) -> Iterator[bytes]:
        opening = b"["
        while number:
            release_connection()
            yield opening + tasks
            opening = b","
            # A quote within a string is escaped, and after one that ends it no name follows: here an object begins.
            last = tasks[tasks.rindex(b'{"id":') :]
            tasks, number = self._joined(self._after(*self._end(last))) if number == CHUNK else (b"", 0)
        release_connection()
        yield b"]" if opening == b"," else b"[]"

    def _chunk(self, size: int, after: dict[str, Any]) -> list[str]:
        return [task for task, _ in self._rows(statements.chunk, size, after)]

    def _joined(self, after: dict[str, Any]) -> tuple[bytes, int]:
        [tasks_and_number] = self._rows(statements.joined_chunk, CHUNK, after)
        return tasks_and_number

    def _rows(self, statement: statements.Compiled, size: int, after: dict[str, Any]) -> list[tuple[Any, int]]:
        searching = connection.execute_wrapper(without_prepared_plan)
        with searching if self.asked["words"] else nullcontext():
            return statement.rows(self.trashed, self.ordering, size, **self.asked, after=after)

    def _links(self, last: str | None) -> Iterator[str]:
        """To the page after the task ``last``, if there is one, and to the first page."""
        first = {name: text for name, text in self.sent.items() if name != "cursor"}
        if last is not None:
            cursor = self.signer.sign_object(self._end(last))
            yield f'<{self.path}?{urlencode({**first, "cursor": cursor})}>; rel="next"'
        yield f'<{self.path}?{urlencode(first)}>; rel="first"'

    def _end(self, task: str | bytes) -> list[str]:
        """Where a list that ends with ``task`` has come to."""
        shown = json.loads(task)
        return [shown[self.column], shown["id"]]

    def _after(self, key: str, id: str) -> dict[str, Any]:
        return {self.column: key if self.column == "title" else datetime.fromisoformat(key), "id": UUID(id)}

    def _follow(self, cursor: str) -> dict[str, Any]:
        try:
            return self._after(*self.signer.unsign_object(cursor))
        except BadSignature:
            raise InvalidRequest(faults=[_fault("cursor", "is broken, or belongs to another list")]) from None


def _read_all(parameters: Mapping[str, list[str]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, texts in parameters.items():
        if name not in READ:
            faults.append(unknown_parameter(name))
            continue
        try:
            values[name] = _read(name, texts)
        except ValueError as error:
            faults.append(_fault(name, str(error)))
    if "cursor" in parameters and "limit" not in parameters:
        faults.append(_fault("cursor", "needs a limit"))
    if faults:
        raise InvalidRequest(faults=faults)
    return values


def _read(name: str, texts: list[str]) -> Any:
    if len(texts) > 1:
        raise ValueError("must stand only once")
    if not texts[0]:
        raise ValueError("must not be empty")
    return READ[name](texts[0])


def _fault(name: str, detail: str) -> Fault:
    return Fault(parameter=name, code="invalid_parameter", detail=f"Parameter {name} {detail}")
