"""A task as JSON, made by the database: what every endpoint shows.

``TaskSerializer`` names the same fields for the OpenAPI document; a test compares the two on both databases.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, TextField
from django.db.models.sql.compiler import SQLCompiler

Compiled = tuple[str, tuple[str | int, ...]]


class Member(Func):
    """A column as a JSON value."""

    output_field = TextField()
    sqlite = postgresql = "%(expressions)s"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template=self.sqlite)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template=self.postgresql)


class String(Member):
    sqlite = "JSON_QUOTE(%(expressions)s)"
    postgresql = "JSON_SCALAR(%(expressions)s)::text"

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        """``TO_JSON`` takes twice as long, and is all that there is before PostgreSQL 17."""
        if connection.pg_version >= 170_000:  # type: ignore[attr-defined]
            return super().as_postgresql(compiler, connection)
        return self.as_sql(compiler, connection, template="TO_JSON(%(expressions)s)::text")


class Identifier(Member):
    """A UUID, of which SQLite keeps the 32 digits."""

    _groups = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    sqlite = (
        "'\"' || " + " || '-' || ".join(f"SUBSTR(%(expressions)s, {start}, {n})" for start, n in _groups) + " || '\"'"
    )
    postgresql = "'\"' || %(expressions)s || '\"'"


class Boolean(Member):
    sqlite = "CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"
    postgresql = "%(expressions)s::text"


class Integer(Member):
    postgresql = "%(expressions)s::text"


class Timestamp(Member):
    """RFC 3339, in UTC, always with six digits of microseconds, of which SQLite keeps none where they are zero."""

    sqlite = "'\"' || SUBSTR(REPLACE(%(expressions)s, ' ', 'T') || '.000000', 1, 26) || 'Z\"'"
    postgresql = r"""TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', '\"YYYY-MM-DD"T"HH24:MI:SS.US"Z"\"')"""


class Representation(Func):
    """The whole object."""

    output_field = TextField()
    members = {
        "id": Identifier,
        "title": String,
        "description": String,
        "completed": Boolean,
        "user_id": String,
        "created_at": Timestamp,
        "updated_at": Timestamp,
        "version": Integer,
    }

    def __init__(self) -> None:
        super().__init__(*(member(F(name)) for name, member in self.members.items()))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:  # type: ignore[override]
        values = (compiler.compile(member)[0] for member in self.get_source_expressions())
        pairs = (f"\"{name}\":' || {value} || '" for name, value in zip(self.members, values, strict=True))
        return f"('{{{','.join(pairs)}}}')", ()
