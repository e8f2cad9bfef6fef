"""Insert rows whose keys are free, and skip the others, in one statement for any number of rows."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, Func, Model, QuerySet
from django.db.models.sql import InsertQuery

from database.compiled_statements import SQL
from database.cursors import statement_cursor
from database.errors import retry_once_on_conflict
from database.row_security import rows_of

# An obstacle that another transaction commits after the statement has begun is no obstacle, but a conflict. Without the
# order, a hash join of the obstacles would mix the rows, and two transactions with the same keys could deadlock.
INSERT = """
WITH new ({columns}) AS ({rows}) INSERT INTO {table} ({columns})
SELECT * FROM new WHERE {conditions} ORDER BY {key} ON CONFLICT DO NOTHING RETURNING {returned}
"""


class NewColumn(Func):
    """A column of the row to insert, for the obstacles of an ``InsertStatement``."""

    template = 'new."%(column)s"'

    def __init__(self, column: str, output_field: "Field[Any, Any] | None" = None) -> None:
        super().__init__(column=column, output_field=output_field)


class InsertStatement:
    """A statement that inserts rows, but no row whose key is in use or that has an obstacle.

    Args:
        model: the table.
        columns: returns the expressions of an inserted row.
        obstacles: returns sets of rows; a new row is skipped if one of the sets has a row. The sets may refer to the
            new row's columns by ``NewColumn``.
    """

    def __init__(
        self,
        model: type[Model],
        columns: Callable[[], Mapping[str, Expression]],
        obstacles: Callable[[], Iterable[QuerySet[Any]]],
    ) -> None:
        self.model = model
        self.columns = columns
        self.obstacles = obstacles
        self.compile = cache(self._compile)

    @retry_once_on_conflict
    def fetch(self, rows: Sequence[Mapping[str, Any]], *, user_id: str) -> list[tuple[Any, ...]]:
        """Insert rows in the order of their keys, and return the inserted ones as the driver gives them."""
        connection = connections[DEFAULT_DB_ALIAS]
        columns = [_prepare(field, rows) for field in self.model._meta.concrete_fields]
        if connection.vendor == "postgresql":
            # One text for all rows, because the statement is then the same for any number of rows. The driver makes
            # JSON in a tenth of the time that an array for each column takes.
            statement, params = self.compile(1)
            names = [field.column for field in self.model._meta.concrete_fields]
            objects = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
            bound: list[Any] = [json.dumps(objects, ensure_ascii=False)]
        else:
            statement, params = self.compile(len(rows))
            bound = list(chain.from_iterable(zip(*columns, strict=True)))
        with rows_of(user_id), statement_cursor(connection) as cursor:
            cursor.execute(statement, [*bound, *params])
            inserted: list[tuple[Any, ...]] = cursor.fetchall()
        return inserted

    def _compile(self, number: int) -> SQL:
        connection = connections[DEFAULT_DB_ALIAS]
        fields = self.model._meta.concrete_fields
        if connection.vendor == "postgresql":
            texts = ", ".join(f'"{field.column}" text' for field in fields)
            # Without the length in the type, because a cast to varchar(200) would cut a text off.
            types = {field.column: str(field.db_type(connection)).partition("(")[0] for field in fields}
            values = ", ".join(f'"{column}"::{type_}' for column, type_ in types.items())
            rows = f"SELECT {values} FROM JSON_TO_RECORDSET(%s) AS given ({texts})"  # noqa: S608
        else:
            row = f"({', '.join(['%s'] * len(fields))})"
            rows = f"VALUES {', '.join([row] * number)}"
        compiler = InsertQuery(self.model).get_compiler(connection=connection)
        subqueries = [each.query.exists().get_compiler(connection=connection).as_sql() for each in self.obstacles()]
        returned = [compiler.compile(each.resolve_expression(compiler.query))[0] for each in self.columns().values()]
        statement = INSERT.format(
            table=f'"{self.model._meta.db_table}"',
            columns=", ".join(f'"{field.column}"' for field in fields),
            rows=rows,
            conditions=" AND ".join(f"NOT EXISTS ({subquery})" for subquery, _ in subqueries),
            key=f'"{self.model._meta.pk.column}"',
            returned=", ".join(returned),
        )
        return statement, tuple(chain.from_iterable(params for _, params in subqueries))


def _prepare(field: "Field[Any, Any]", rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Convert a column's values for the driver, equal values once, because it takes a microsecond each."""
    values = [row[field.attname] for row in rows]
    prepared = {value: _convert(field, value) for value in set(values)}
    return [prepared[value] for value in values]


def _convert(field: "Field[Any, Any]", value: Any) -> Any:
    prepared = field.get_db_prep_save(value, connections[DEFAULT_DB_ALIAS])
    return str(prepared) if isinstance(prepared, datetime | UUID) else prepared  # JSON has texts for these
