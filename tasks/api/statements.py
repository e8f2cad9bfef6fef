"""The statements of the API, compiled once per process (``database/compiled_statements.py``).

Each statement applies methods of ``TaskQuerySet`` to the caller's tasks, and returns tasks as JSON.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ParamSpec
from uuid import UUID

from django.db.models import Case, Count, DateTimeField, F, QuerySet, TextField, Value, When
from django.db.models.functions import Cast
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery

from changes.models import REMEMBERED_FOR, Removal
from changes.statements import FeedStatement
from database.compiled_statements import NOW, CompiledStatement, JoinedStatement, Query
from database.expressions import Unconverted, UUIDText
from database.insert_statements import InsertStatement, NewColumn
from tasks.api.representation import representation
from tasks.fields import JSONLabels
from tasks.models import Task
from tasks.querysets import LIVE, Position, TaskQuerySet, sort_key

P = ParamSpec("P")

#: The versions that ``If-Match`` admits; ``None`` admits any.
Versions = Sequence[int] | None


def _json_and_version(*_: Any) -> Mapping[str, Any]:
    return {"json": representation(), "task_version": F("version")}


def _json_and_position(trashed: bool, ordering: str, size: int) -> Mapping[str, Any]:  # noqa: FBT001
    # The driver makes UUIDs in Python, and a page needs only the last UUID.
    id_text = Cast("id", TextField())
    return {"json": representation(), "sort_key": Unconverted(sort_key(ordering)), "sort_id": id_text}


def _json_of_many_and_position(*parts: Any) -> Mapping[str, Any]:
    return {**_json_and_position(*parts), "json": representation(many_rows=True)}


def task_statement(build: Callable[P, Query]) -> CompiledStatement[P]:
    """Return the statement of a query, with a task's JSON and version as the columns."""
    return CompiledStatement(build, _json_and_version)


def _tasks_of(user_id: str, *, trashed: bool | None) -> TaskQuerySet:
    """Return the user's live or trashed tasks; ``None`` means both."""
    tasks = Task.objects.owned_by(user_id)
    if trashed is None:
        return tasks
    return tasks.in_trash() if trashed else tasks.live()


@task_statement
def create(*, user_id: str, columns: Mapping[str, Any]) -> InsertQuery:
    """Insert a new task."""
    query = InsertQuery(Task)
    query.insert_values(Task._meta.concrete_fields, [Task(**columns)], raw=True)
    return query


@task_statement
def show(trashed: bool | None, /, *, user_id: str, id: UUID, versions: Versions = None) -> TaskQuerySet:  # noqa: FBT001
    """Read a task."""
    return _tasks_of(user_id, trashed=trashed).addressed(id, versions)


@task_statement
def change(*, user_id: str, id: UUID, changes: Mapping[str, Any], versions: Versions = None) -> UpdateQuery:
    """Write the named columns of a live task."""
    return _tasks_of(user_id, trashed=False).addressed(id, versions).change_query(NOW, **changes)


@task_statement
def toggle(*, user_id: str, id: UUID, versions: Versions = None) -> UpdateQuery:
    """Flip ``completed`` of a live task."""
    return _tasks_of(user_id, trashed=False).addressed(id, versions).toggle_query(NOW)


@task_statement
def move_to_trash(*, user_id: str, id: UUID, versions: Versions = None) -> UpdateQuery:
    """Move a live task to the trash."""
    return _tasks_of(user_id, trashed=False).addressed(id, versions).trash_query(NOW)


@task_statement
def restore(*, user_id: str, id: UUID, versions: Versions = None) -> UpdateQuery:
    """Bring a task back from the trash."""
    return _tasks_of(user_id, trashed=True).addressed(id, versions).restore_query(NOW)


@task_statement
def remove(*, user_id: str, id: UUID, versions: Versions = None) -> DeleteQuery:
    """Delete a trashed task for good."""
    return _tasks_of(user_id, trashed=True).addressed(id, versions).remove_query()


def _state() -> Case:
    return Case(When(LIVE, then=Value("live")), default=Value("trashed"))


def _json_and_id(*_: Any) -> Mapping[str, Any]:
    return {"json": representation(), "task_id": UUIDText(F("id"))}


def _obstacles() -> Iterator[QuerySet[Any]]:
    """Yield queries of the caller's rows that keep an id from being new.

    The rows are not those of other users, which row-level security may hide. A task that another request deletes for
    good now is among the tasks, or among the removals.
    """
    id_, user_id = NewColumn("id"), NewColumn("user_id")
    yield Task.objects.filter(id=id_, user_id=user_id)
    created_at = NewColumn("created_at", output_field=DateTimeField())
    yield Removal.objects.of(user_id, id_).filter(removed_at__gt=created_at - REMEMBERED_FOR)


#: Insert tasks whose ids are new. A row has the JSON and the id of an inserted task.
insert = InsertStatement(Task, _json_and_id, _obstacles)


def _locked_columns() -> Mapping[str, Any]:
    columns = {"task_id": UUIDText(F("id")), "task_version": F("version"), "trashed_at": F("deleted_at")}
    return {**columns, "names": JSONLabels(F("labels"))}


def _lock(*, user_id: str, ids: str) -> TaskQuerySet:
    """Read and lock live and trashed tasks in the order of their ids, so that two requests never deadlock.

    SQLite locks the database when the transaction begins.
    """
    return _tasks_of(user_id, trashed=None).filter(id__among=ids).order_by("id").select_for_update()


#: A row has the id, the version, the time of deletion and the labels of a task.
lock = CompiledStatement(_lock, _locked_columns)


#: The operations of a bulk on tasks in the trash; the others address live tasks.
TRASH_OPERATIONS = ("restore", "remove")


def _write(op: str, /, *, user_id: str, ids: str, now: datetime, changes: Mapping[str, Any]) -> Query:
    """Carry out one operation of a bulk on several tasks."""
    tasks = _tasks_of(user_id, trashed=op in TRASH_OPERATIONS).filter(id__among=ids).order_by()
    match op:
        case "update":
            return tasks.change_query(now, **changes) if changes else tasks
        case "toggle":
            return tasks.toggle_query(now)
        case "delete":
            return tasks.trash_query(now)
        case "restore":
            return tasks.restore_query(now)
        case _:
            return tasks.remove_query()


write = CompiledStatement(_write, _json_and_id)


def _chunk(
    trashed: bool,  # noqa: FBT001
    ordering: str,
    size: int,
    /,
    *,
    user_id: str,
    filters: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    after: Position | None = None,
) -> TaskQuerySet:
    """Read up to ``size`` tasks of a list, from the beginning or after a position."""
    tasks = _selected(user_id, trashed=trashed, filters=filters, words=words).in_order(ordering)
    return (tasks.after(after, ordering) if after else tasks)[:size]


def _selected(
    user_id: str,
    *,
    trashed: bool,
    filters: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
) -> TaskQuerySet:
    return _tasks_of(user_id, trashed=trashed).filter(**(filters or {})).mentioning(*words)


def _count(*, user_id: str, filters: Mapping[str, Any] | None = None, words: Sequence[str] = ()) -> Query:
    """Read the number of live tasks; without any, the statement returns no row."""
    return _selected(user_id, trashed=False, filters=filters, words=words).order_by().values("user_id")


count = CompiledStatement(_count, lambda: {"number": Count("*")})

#: Each row is a task's JSON, its sort key and its id.
chunk = CompiledStatement(_chunk, _json_and_position)

#: One row: the JSON of the tasks joined by commas, their number, and the sort key and the id of the last task.
joined_chunk = JoinedStatement(_chunk, _json_of_many_and_position)

#: The changes of a user's tasks, in the order of the feed.
changes = FeedStatement(Task, "task", _state, representation)
