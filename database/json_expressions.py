"""Render a row as a JSON object in the database, each column by the class of its field.

JSON made by the database costs the process a tenth of JSON made by Python: docs/decisions/0005-hot-path.md.
"""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Field, Func, Model, TextField
from django.db.models.sql.compiler import SQLCompiler

from database.compiled_statements import SQL
from database.expressions import PortableFunc, UUIDText


class JSONValue(PortableFunc):
    """A column as a JSON value; ``NULL`` is rendered as SQL's ``NULL``."""

    output_field = TextField()
    sqlite = postgresql = "%(expressions)s"

    def for_many_rows(self) -> "JSONValue":
        """Return an expression for the same text that takes longer to plan, but less time for each row."""
        return self


class JSONScalar(JSONValue):
    """A value that PostgreSQL's ``JSON_SCALAR`` renders."""

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        """Use ``JSON_SCALAR`` from PostgreSQL 17 on, because ``TO_JSON`` takes twice as long."""
        if connection.pg_version >= 170_000:  # type: ignore[attr-defined]
            return super().as_postgresql(compiler, connection)
        return self.as_sql(compiler, connection, template=self.postgresql.replace("JSON_SCALAR", "TO_JSON"))


class JSONString(JSONScalar):
    """A text."""

    sqlite = "JSON_QUOTE(%(expressions)s)"
    postgresql = "JSON_SCALAR(%(expressions)s)::text"


class JSONUUID(JSONValue):
    """A UUID."""

    sqlite = f"'\"' || {UUIDText.sqlite} || '\"'"
    postgresql = "'\"' || %(expressions)s || '\"'"


class JSONBoolean(JSONValue):
    """``true`` or ``false``."""

    sqlite = "CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"
    postgresql = "%(expressions)s::text"


class JSONInteger(JSONValue):
    """An integer."""

    postgresql = "%(expressions)s::text"


class JSONTimestamp(JSONValue):
    """An RFC 3339 time in UTC with six digits of microseconds; Django omits zero microseconds in SQLite."""

    sqlite = "'\"' || SUBSTR(REPLACE(%(expressions)s, ' ', 'T') || '.000000', 1, 26) || 'Z\"'"
    postgresql = r"""TO_CHAR(%(expressions)s AT TIME ZONE INTERVAL '0', '\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"')"""

    def for_many_rows(self) -> JSONValue:
        return JSONTimestampOfManyRows(*self.get_source_expressions())


class JSONTimestampOfManyRows(JSONScalar):
    """The same text as ``JSONTimestamp``, without ``TO_CHAR`` for most times.

    ``JSON_SCALAR`` takes a third of the time of ``TO_CHAR``, but omits zeros at the end of the microseconds. So casts
    to fewer digits find the times whose last digit is not zero, and those without microseconds. The casts to
    ``varchar`` cut off the closing quote.
    """

    sqlite = JSONTimestamp.sqlite
    _json = "JSON_SCALAR(%(expressions)s AT TIME ZONE INTERVAL '0')::text"
    postgresql = (
        f"CASE WHEN %(expressions)s <> %(expressions)s::timestamptz(5) THEN {_json}::varchar(27) || 'Z\"'"
        f" WHEN %(expressions)s = %(expressions)s::timestamptz(0) THEN {_json}::varchar(20) || '.000000Z\"'"
        f" ELSE {JSONTimestamp.postgresql} END"
    )


#: The expression for each class of field; a subclass uses the expression of its nearest base class.
JSON_VALUES: dict[type, type[JSONValue]] = {
    models.CharField: JSONString,
    models.TextField: JSONString,
    models.UUIDField: JSONUUID,
    models.BooleanField: JSONBoolean,
    models.IntegerField: JSONInteger,
    models.DateTimeField: JSONTimestamp,
}


def json_value(field: "Field[Any, Any]") -> JSONValue:
    """Return the expression that renders a field's column.

    Raises:
        LookupError: ``JSON_VALUES`` has no expression for the field's class.
    """
    for class_ in type(field).__mro__:
        if class_ in JSON_VALUES:
            return JSON_VALUES[class_](F(field.name))
    raise LookupError(f"JSON_VALUES of database/json_expressions.py has nothing for {type(field).__name__}")


class JSONObject(Func):
    """A row as a JSON object of the named fields, in that order, with ``null`` for ``NULL``.

    With ``many_rows`` the text is the same, but the expression is made for thousands of rows.
    """

    output_field = TextField()

    def __init__(self, model: type[Model], names: Sequence[str], *, many_rows: bool = False) -> None:
        self.fields = [model._meta.get_field(name) for name in names]
        values = [json_value(field) for field in self.fields]  # type: ignore[arg-type]
        super().__init__(*(value.for_many_rows() if many_rows else value for value in values))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:  # type: ignore[override]
        values = [compiler.compile(value)[0] for value in self.get_source_expressions()]
        members = [
            f"(',\"{field.name}\":' || {f'COALESCE({value}, {NULL})' if field.null else value})"
            for field, value in zip(self.fields, values, strict=True)
        ]
        members[0] = members[0].replace("',", "'{", 1)
        return _concatenation([*members, "'}'"]), ()


NULL = "'null'"


def _concatenation(texts: Sequence[str]) -> str:
    """Return SQL that joins texts in pairs, because a chain of ``||`` copies the beginning for each text."""
    if len(texts) == 1:
        return texts[0]
    middle = len(texts) // 2
    return f"({_concatenation(texts[:middle])} || {_concatenation(texts[middle:])})"
