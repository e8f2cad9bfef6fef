"""The statements of the API, compiled once per process (``database/compiled_statements.py``).

Each statement applies methods of ``TaskQuerySet`` to the caller's tasks, and returns tasks as JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec
from uuid import UUID

from django.db.models import Case, Count, F, Value, When
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery

from changes.statements import FeedStatement
from database.compiled_statements import NOW, CompiledStatement, JoinedStatement, Query
from database.expressions import Unconverted
from tasks.api.representation import representation
from tasks.models import Task
from tasks.querysets import LIVE, Position, TaskQuerySet, sort_key

P = ParamSpec("P")

#: The versions that ``If-Match`` admits; ``None`` admits any.
Versions = Sequence[int] | None


def _json_and_version(*_: Any) -> Mapping[str, Any]:
    return {"json": representation(), "task_version": F("version")}


def _json_and_position(trashed: bool, ordering: str, size: int) -> Mapping[str, Any]:  # noqa: FBT001
    return {"json": representation(), "sort_key": Unconverted(sort_key(ordering)), "sort_id": Unconverted(F("id"))}


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
joined_chunk = JoinedStatement(_chunk, _json_and_position)

#: The changes of a user's tasks, in the order of the feed.
changes = FeedStatement(Task, "task", _state, representation)
