"""Compile a query of the ORM once per process, and run the statement with new values.

Building and compiling a queryset took the largest part of each request: docs/decisions/0005-hot-path.md.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache, partial
from operator import itemgetter
from typing import Any, ClassVar, Generic, ParamSpec, Self
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, F, Field, QuerySet, Value
from django.db.models.sql import DeleteQuery, InsertQuery, UpdateQuery
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from database.cursors import statement_cursor
from database.errors import retry_once_on_conflict
from database.row_security import rows_of

P = ParamSpec("P")
SQL = tuple[str, tuple[Any, ...]]
#: The names of a statement's values, each with the shape that ``_flatten`` returns.
Shape = tuple[tuple[str, Hashable], ...]
Query = QuerySet[Any] | InsertQuery | UpdateQuery | DeleteQuery

#: The fields that convert values of each type for the database.
FIELDS: dict[type, "Field[Any, Any]"] = {
    bool: models.BooleanField(),
    bytes: models.BinaryField(),
    datetime: models.DateTimeField(),
    int: models.BigIntegerField(),
    str: models.TextField(),
    UUID: models.UUIDField(),
}

#: The types whose values each database's driver takes without conversion.
UNCONVERTED: dict[str, frozenset[type]] = {
    "postgresql": frozenset({bool, datetime, str, UUID}),
    "sqlite": frozenset({bool, int, str}),
}


class Parameter(Expression):
    """A placeholder among the parameters of a compiled statement, which each run replaces by a value."""

    def __init__(self, position: int, type_: type) -> None:
        super().__init__(output_field=FIELDS[type_])
        self.position = position
        self.type = type_
        self.convert: Callable[[Any], Any] | None = None

    def converted_by(self, convert: Callable[[Any], Any]) -> Self:
        """Return a copy that passes its value through ``convert``."""
        parameter = self.copy()
        parameter.convert = convert
        return parameter

    def binder(self) -> Callable[[Sequence[Any]], Any]:
        """Return the function that takes this value from those of a run, in the form of the driver."""
        take, convert, prepare = itemgetter(self.position), self.convert, self.output_field.get_db_prep_value
        if convert:
            return lambda values: convert(prepare(take(values), connections[DEFAULT_DB_ALIAS]))
        if self.type in UNCONVERTED[connections[DEFAULT_DB_ALIAS].vendor]:
            return take
        return lambda values: prepare(take(values), connections[DEFAULT_DB_ALIAS])

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any]]:
        return "%s", (self,)


#: The time at which the statement runs, always the last value.
NOW = Parameter(-1, datetime)


class CompiledStatement(Generic[P]):
    """A statement that is built and compiled once for each form of its arguments, and run with new values.

    A positional argument is part of the statement, and a keyword argument is a value. A value can be a mapping or a
    sequence of values. Then the shape of the mapping or sequence is part of the statement, and so is ``None``.

    For example, the first ``fetch(False, user_id="default", ids=[first, second])`` compiles ``build(False, user_id=…,
    ids=(…, …))``. Later calls with two ids run the same statement.

    The value ``user_id`` is required: row-level security shows the statement the rows of this user only.

    Args:
        build: returns a queryset, or a query that writes rows.
        columns: returns the expressions of a row, from the positional arguments.
    """

    def __init__(self, build: Callable[P, Query], columns: Callable[..., Mapping[str, Expression | F]]) -> None:
        self.build = build
        self.columns = columns
        self.compile = lru_cache(maxsize=1024)(self._compile_with_binders)

    @retry_once_on_conflict
    def fetch(self, *args: P.args, **values: P.kwargs) -> list[tuple[Any, ...]]:
        """Run the statement, and return its rows as the driver gives them."""
        flat: list[Any] = []
        shape = tuple((name, _flatten(value, flat)) for name, value in values.items())
        try:
            statement, binders = self.compile(args, shape)
        except EmptyResultSet:
            return []
        flat.append(timezone.now())
        connection = connections[DEFAULT_DB_ALIAS]
        bound = [bind(flat) for bind in binders]
        with rows_of(values["user_id"]), statement_cursor(connection) as cursor:  # type: ignore[arg-type]
            cursor.execute(statement, bound)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def _compile_with_binders(self, args: tuple[Any, ...], shape: Shape) -> tuple[str, list[Callable[..., Any]]]:
        statement, params = self._compile(args, shape)
        return statement, [param.binder() if isinstance(param, Parameter) else _constant(param) for param in params]

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        query: Any = self.build(*args, **parameters_of(shape))
        columns = self.columns(*args)
        connection = connections[DEFAULT_DB_ALIAS]
        if isinstance(query, QuerySet):
            rows = query.annotate(**columns).values_list(*columns)
            statement, params = rows.query.get_compiler(connection=connection).as_sql()
            return statement, params
        compiler = query.get_compiler(connection=connection)
        [(statement, params)] = compiler.as_sql() if isinstance(query, InsertQuery) else [compiler.as_sql()]
        returned = [compiler.compile(column.resolve_expression(query))[0] for column in columns.values()]
        return f"{statement} RETURNING {', '.join(returned)}", tuple(params)


class JoinedStatement(CompiledStatement[P]):
    """A statement that returns one row: the joined JSON of all rows, their number, and the last position.

    The first column of ``columns`` is the JSON text of a row, and the other columns are the row's position. The joined
    text is in UTF-8, because decoding and encoding text again costs time. Separate rows cost time too:
    docs/decisions/0005-hot-path.md.
    """

    joined: ClassVar = {
        "postgresql": "CONVERT_TO(COALESCE(STRING_AGG({column}, ','), ''), 'UTF8')",
        "sqlite": "CAST(COALESCE(GROUP_CONCAT({column}, ','), '') AS BLOB)",
    }
    last: ClassVar = {
        "postgresql": "(ARRAY_AGG({column}))[COUNT(*)::int]",
        "sqlite": "JSON_EXTRACT(JSON_GROUP_ARRAY({column}), '$[#-1]')",
    }

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        statement, params = super()._compile(args, shape)
        vendor = connections[DEFAULT_DB_ALIAS].vendor
        first, *others = self.columns(*args)
        joined = self.joined[vendor].format(column=first)
        last = "".join(f", {self.last[vendor].format(column=column)}" for column in others)
        return f"SELECT {joined}, COUNT(*){last} FROM ({statement}) AS listed", params  # noqa: S608


def python_value(value: Any, field: "Field[Any, Any]") -> Any:
    """Convert a value of a row that ``fetch`` returned, as Django does for its own rows."""
    for convert in _converters(field):
        value = convert(value)
    return value


@cache
def _converters(field: "Field[Any, Any]") -> list[Callable[[Any], Any]]:
    connection = connections[DEFAULT_DB_ALIAS]
    column = Value(None, output_field=field)
    converters = (*connection.ops.get_db_converters(column), *field.get_db_converters(connection))
    return [partial(convert, expression=column, connection=connection) for convert in converters]


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _flatten(value: Any, flat: list[Any]) -> Hashable:
    """Append the single values within ``value`` to ``flat``, and return its shape."""
    kind: type = type(value)
    if kind in FIELDS:
        flat.append(value)
        return kind
    if value is None:
        return None
    if isinstance(value, Mapping):
        return dict, tuple((key, _flatten(member, flat)) for key, member in value.items())
    if isinstance(value, list | tuple):
        return tuple, tuple(_flatten(member, flat) for member in value)
    raise TypeError(f"A statement takes no {kind.__name__}")


def parameters_of(shape: Shape) -> dict[str, Any]:
    """Return the values of a statement by name, with a parameter for each single value."""
    positions = iter(range(1_000_000))
    return {name: _parameters(part, positions) for name, part in shape}


def _parameters(shape: Any, positions: Iterator[int]) -> Any:
    """Rebuild a value from its shape, with a parameter for each single value."""
    match shape:
        case (kind, members) if kind is dict:
            return {key: _parameters(member, positions) for key, member in members}
        case (kind, members) if kind is tuple:
            return tuple(_parameters(member, positions) for member in members)
        case None:
            return None
        case _:
            return Parameter(next(positions), shape)
