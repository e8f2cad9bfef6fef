"""The statements of the API, which the ORM compiles once for the process and which then run with new values.

Building and compiling the same queryset again was the largest part of a request: docs/decisions/0005-hot-path.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F, Field
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery
from django.utils import timezone

from database.cursors import statement_cursor
from database.errors import retry_once_on_conflict
from database.expressions import Parameter
from database.row_security import rows_of
from tasks.api.representation import Representation
from tasks.models import Task, TaskQuerySet

Statement = tuple[str, tuple[Any, ...]]


class ShownTask(NamedTuple):
    """A task as a statement answers with it."""

    json: str
    version: int


class Compiled:
    """A function that builds a query, called once with places for its values, and executed with values.

    ``toggle.execute(user_id="default", id=id, versions=[3])`` compiles ``toggle(user_id=…, id=…, versions=[…])`` when
    it is first given just these names, and just one version. What is given by position is part of the statement itself.
    """

    #: Whether the rows come in the database's binary form.
    binary = False

    def __init__(self, build: Callable[..., TaskQuerySet | InsertQuery | UpdateQuery | DeleteQuery]) -> None:
        self.build = build
        self.compile = lru_cache(maxsize=1024)(self._compile)

    def execute(self, *parts: Any, **values: Any) -> list[ShownTask]:
        return list(map(ShownTask._make, self.rows(*parts, **values)))

    @retry_once_on_conflict
    def rows(self, *parts: Any, **values: Any) -> list[tuple[Any, int]]:
        """The same without the names, which cost more than all else for each of thousands of tasks."""
        if values.get("versions") == []:
            return []  # no version will do, where no place for one would mean any
        given = dict(_by_place(values))
        statement, params = self.compile(parts, tuple(given))
        given[NOW.place] = timezone.now()
        connection = connections[DEFAULT_DB_ALIAS]
        bound = [param.value(given, connection) if isinstance(param, Parameter) else param for param in params]
        with rows_of(values["user_id"]), statement_cursor(connection, binary=self.binary) as cursor:
            cursor.execute(statement, bound)
            rows: list[tuple[Any, int]] = cursor.fetchall()
        return rows

    def _compile(self, parts: tuple[Any, ...], places: tuple[str, ...]) -> Statement:
        query = self.build(*parts, **_arguments(places))
        connection = connections[DEFAULT_DB_ALIAS]
        if isinstance(query, TaskQuerySet):
            shown = query.annotate(json=Representation()).values_list("json", "version")
            statement, params = shown.query.get_compiler(connection=connection).as_sql()
            return statement, params
        compiler = query.get_compiler(connection=connection)
        [(statement, params)] = compiler.as_sql() if isinstance(query, InsertQuery) else [compiler.as_sql()]
        json, _ = compiler.compile(Representation().resolve_expression(query))
        version, _ = compiler.compile(F("version").resolve_expression(query))
        return f"{statement} RETURNING {json}, {version}", tuple(params)


class Joined(Compiled):
    """A list whose tasks come as one text, already in UTF-8, and their number.

    Rows cost the process more, and so does text that is decoded and encoded again: docs/decisions/0005-hot-path.md.
    """

    binary = True
    encoded: ClassVar = {
        "postgresql": "CONVERT_TO(COALESCE(STRING_AGG(json, ','), ''), 'UTF8')",
        "sqlite": "CAST(COALESCE(GROUP_CONCAT(json, ','), '') AS BLOB)",
    }

    def _compile(self, parts: tuple[Any, ...], places: tuple[str, ...]) -> Statement:
        statement, params = super()._compile(parts, places)
        joined = self.encoded[connections[DEFAULT_DB_ALIAS].vendor]
        return f"SELECT {joined}, COUNT(*) FROM ({statement}) AS tasks", params  # noqa: S608


def _by_place(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each value by its place: ``{"versions": [3], "id": 1}`` is ``versions.0`` and ``id``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", member) for key, member in value.items())
        elif isinstance(value, list):
            yield from ((f"{name}.{number}", member) for number, member in enumerate(value))
        else:
            yield name, value


def _arguments(places: Sequence[str]) -> dict[str, Any]:
    """What ``_by_place`` took apart, with parameters for the values."""
    arguments: dict[str, Any] = {}
    for place in places:
        name, _, member = place.partition(".")
        parameter = Parameter(place, _field(name, member))
        if not member:
            arguments[name] = parameter
        elif member.isdecimal():
            arguments.setdefault(name, []).append(parameter)
        else:
            arguments.setdefault(name, {})[member] = parameter
    return arguments


def _field(name: str, member: str) -> "Field[Any, Any]":
    column = {"versions": "version", "words": "description"}.get(name, member or name)
    field: Field[Any, Any] = Task._meta.get_field(column.partition("__")[0])  # type: ignore[assignment]
    return field


Given = Any  # a value, or a place for one

#: The moment of execution.
NOW = Parameter("now", _field("updated_at", ""))


@Compiled
def create(**values: Given) -> InsertQuery:
    query = InsertQuery(Task)
    fields = Task._meta.concrete_fields
    query.insert_values(fields, [Task(**values)], raw=True)
    return query


def _of(user_id: Given, *, trashed: bool | None) -> TaskQuerySet:
    """The user's tasks: those in the trash, those that are not, or with ``None`` all."""
    tasks = Task.objects.owned_by(user_id)
    if trashed is None:
        return tasks
    return tasks.in_trash() if trashed else tasks.live()


@Compiled
def show(
    trashed: bool | None,  # noqa: FBT001
    user_id: Given,
    id: Given,
    versions: list[Given] | None = None,
) -> TaskQuerySet:
    return _of(user_id, trashed=trashed).addressed(id, versions)


@Compiled
def change(user_id: Given, id: Given, changes: dict[str, Given], versions: list[Given] | None = None) -> UpdateQuery:
    return _of(user_id, trashed=False).addressed(id, versions).changed(NOW, **changes)


@Compiled
def toggle(user_id: Given, id: Given, versions: list[Given] | None = None) -> UpdateQuery:
    return _of(user_id, trashed=False).addressed(id, versions).toggled(NOW)


@Compiled
def move_to_trash(user_id: Given, id: Given, versions: list[Given] | None = None) -> UpdateQuery:
    return _of(user_id, trashed=False).addressed(id, versions).trashed(NOW)


@Compiled
def restore(user_id: Given, id: Given, versions: list[Given] | None = None) -> UpdateQuery:
    return _of(user_id, trashed=True).addressed(id, versions).restored(NOW)


@Compiled
def remove(user_id: Given, id: Given, versions: list[Given] | None = None) -> DeleteQuery:
    return _of(user_id, trashed=True).addressed(id, versions).removed()


@Compiled
def chunk(
    trashed: bool,  # noqa: FBT001
    ordering: str,
    size: int,
    user_id: Given,
    filters: Mapping[str, Given] | None = None,
    words: Sequence[Given] = (),
    after: Mapping[str, Given] | None = None,
) -> TaskQuerySet:
    tasks = _of(user_id, trashed=trashed).filter(**(filters or {})).mentioning(*words).in_order(ordering)
    return (tasks.after(tuple(after.values()), ordering) if after else tasks)[:size]


joined_chunk = Joined(chunk.build)
