"""The file in which ``move_user`` carries one user's data to another database.

The file is JSON Lines: a header, a record for each task, remembered removal and kept response, and a footer with the
digest of the records. A record has the same text on both databases.
"""

import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import IO, Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from changes.models import Removal
from changes.moves import MoveError, begin_feed, remember_removals
from idempotency.models import KeptResponse
from rest.problems.types import Fault
from tasks.models import Task
from tasks.transfer.exporting import fetch
from tasks.transfer.file_formats import JSONLines, Line
from tasks.transfer.importing import SKIP, Import

TASK, REMOVAL, RESPONSE = KINDS = ("task", "removal", "response")
FOOTER = "sha256"

#: The errors of a line that ``write_line`` has not written.
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


class Header(NamedTuple):
    """The first line of the file."""

    user_id: str
    move_id: UUID

    def line(self) -> str:
        """Return the text of the line."""
        return write_line({"user_id": self.user_id, "move_id": str(self.move_id)})


class Tally:
    """The number of records of each kind, and the digest of all."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._digest = sha256()

    def add(self, kind: str, line: bytes) -> None:
        """Count a record."""
        self.counts[kind] += 1
        self._digest.update(line)

    def footer(self) -> str:
        """Return the last line of the file."""
        return _footer(self._digest.hexdigest())


def write_user(header: Header, write: Callable[[str], Any], batch_size: int) -> Tally:
    """Write the file of a user whose writes are refused, because several statements read the data."""
    tally = Tally()
    write(header.line())
    for kind, line in _lines(header.user_id, batch_size):
        tally.add(kind, line.encode())
        write(line)
    write(tally.footer())
    return tally


def read_header(file: IO[bytes]) -> Header:
    """Read the first line of a file.

    Raises:
        MoveError: the file is not one of ``write_user``.
    """
    try:
        values = json.loads(file.readline())
        return Header(values["user_id"], UUID(values["move_id"]))
    except MALFORMED:
        raise MoveError("The file is not one that move_user has written") from None


def store_user(user_id: str, file: IO[bytes], batch_size: int) -> Tally:
    """Store all records after the header; the caller's transaction ends with an error.

    Raises:
        MoveError: the user has data here, the file is damaged, or the database stores anything else than the file has.
    """
    _refuse_other_data(user_id)
    beginning = file.tell()
    _refuse_damage(file)
    file.seek(beginning)
    tally, arrival = Tally(), _Arrival(user_id, batch_size)
    for number, line in enumerate(file, 2):
        kind, record = _read_record(user_id, number, line)
        if kind in KINDS:
            tally.add(kind, line)
            arrival.add(number, kind, record)
    arrival.store()
    _verify(user_id, tally, batch_size)
    return tally


def write_line(record: dict[str, Any]) -> str:
    """Return a record as a line, whose text does not depend on the order of members."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def _footer(digest: str) -> str:
    return write_line({FOOTER: digest})


class _Arrival:
    """The records of a file, stored in batches.

    The feed begins first, because its mark must come before the tasks.
    """

    def __init__(self, user_id: str, batch_size: int) -> None:
        self.user_id = user_id
        self.number = begin_feed(user_id, Task._meta.db_table)
        self.tasks = Import(
            user_id=user_id, on_conflict=SKIP, batch_size=batch_size, dry_run=False, report_line=_refuse_line
        )
        self.batch_size = batch_size
        self.removals: list[tuple[UUID, datetime]] = []
        self.responses: list[KeptResponse] = []

    def add(self, number: int, kind: str, record: Any) -> None:
        """Add the record of a line, and store the batch of its kind when the batch is full."""
        if kind == TASK:
            self.tasks.add_line(Line(number, record))
        elif kind == REMOVAL:
            self.removals.append(record)
        else:
            self.responses.append(record)
        if self.batch_size in (len(self.removals), len(self.responses)):
            self.store()

    def store(self) -> None:
        """Store the records that were added since the last batch."""
        self.tasks.store_batch()
        remember_removals(self.user_id, self.number, self.removals)
        KeptResponse.objects.bulk_create(self.responses)
        self.removals, self.responses = [], []


def _lines(user_id: str, batch_size: int) -> Iterator[tuple[str, str]]:
    """Yield the kind and the line of each record of a user."""
    for kind, values in _records(user_id, batch_size):
        yield kind, write_line({kind: values})


def _records(user_id: str, batch_size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for tasks in Task.objects.owned_by(user_id).in_batches(batch_size):
        for task in fetch(tasks):
            yield TASK, json.loads(JSONLines().write([task]))
    for removal in _by(Removal.objects.filter(user_id=user_id), "row_id", UUID(int=0), batch_size):
        yield REMOVAL, {"row_id": str(removal.row_id), "removed_at": removal.removed_at.isoformat()}
    for response in _by(KeptResponse.objects.filter(user_id=user_id), "id", 0, batch_size):
        yield RESPONSE, _write_response(response)


def _by(rows: QuerySet[Any], column: str, after: Any, size: int) -> Iterator[Any]:
    """Yield rows in the order of a column, one statement a batch, because a pooler keeps no cursor."""
    while batch := list(rows.filter(**{f"{column}__gt": after}).order_by(column)[:size]):
        yield from batch
        after = getattr(batch[-1], column)


def _write_response(response: KeptResponse) -> dict[str, Any]:
    return {
        "key": response.key,
        "fingerprint": response.fingerprint,
        "status": response.status,
        "headers": response.headers,
        "body": b64encode(response.body).decode(),
        "created_at": response.created_at.isoformat(),
    }


def _read_record(user_id: str, number: int, line: bytes) -> tuple[str, Any]:
    """Return the kind and the contents of a line.

    Raises:
        MoveError: this version of the service does not know the record; another version may have written the file.
    """
    try:
        [(kind, values)] = json.loads(line).items()
        return kind, READERS[kind](user_id, values)
    except MALFORMED:
        raise MoveError(f"Line {number} is not a record that this version of the service knows") from None


def _read_removal(_: str, values: dict[str, Any]) -> tuple[UUID, datetime]:
    return UUID(values["row_id"]), datetime.fromisoformat(values["removed_at"])


def _read_response(user_id: str, values: dict[str, Any]) -> KeptResponse:
    body, created_at = b64decode(values["body"]), datetime.fromisoformat(values["created_at"])
    return KeptResponse(user_id=user_id, **{**values, "body": body, "created_at": created_at})


def _keep_values(_: str, values: Any) -> Any:
    return values


#: The function that reads the values of a line; ``Import`` validates those of a task.
READERS: dict[str, Callable[[str, Any], Any]] = {
    TASK: _keep_values,
    REMOVAL: _read_removal,
    RESPONSE: _read_response,
    FOOTER: _keep_values,
}


def _refuse_damage(file: IO[bytes]) -> None:
    """Compare the last line with the digest of the lines before."""
    digest, last = sha256(), b""
    for line in file:
        digest.update(last)
        last = line
    if last != _footer(digest.hexdigest()).encode():
        raise MoveError("The file is damaged or incomplete; write it again with --to")


def _refuse_other_data(user_id: str) -> None:
    for rows in (Task.objects.owned_by(user_id), *(m.objects.filter(user_id=user_id) for m in (Removal, KeptResponse))):
        if rows.exists():
            raise MoveError(f"{user_id} has other data here; erase_user removes it")


def _refuse_line(number: int, faults: Sequence[Fault]) -> None:
    details = "; ".join(f"{fault['pointer']} {fault['detail']}" for fault in faults)
    raise MoveError(f"Line {number}: {details}")


def _verify(user_id: str, tally: Tally, batch_size: int) -> None:
    """Compare the stored records with the file."""
    stored = Tally()
    for kind, line in _lines(user_id, batch_size):
        stored.add(kind, line.encode())
    if stored.footer() != tally.footer():
        raise MoveError("The database does not store what the file has")
