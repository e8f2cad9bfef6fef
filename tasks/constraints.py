"""The SQL that a task's constraints are made of, where Django has no expression that SQLite and PostgreSQL share."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, CharField, Func, Value
from django.db.models.functions import Cast, Replace, Substr
from django.db.models.sql.compiler import SQLCompiler

Compiled = tuple[str, tuple[str | int, ...]]


class Trim(Func):
    """``text`` without any of ``characters`` at its ends; Django's own ``Trim`` takes off spaces only."""

    function = "TRIM"
    output_field = CharField()


class HasAny(Func):
    """Whether ``text`` holds a character of ``set``, which is written ``[abc]``."""

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template="(%(expressions)s || '*')", arg_joiner=" GLOB '*' || ")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ~ ")


class HasNul(Func):
    """Whether ``text`` holds U+0000, which no SQL text can name and PostgreSQL does not store."""

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template="(INSTR(%(expressions)s, CHAR(0)) > 0)")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template="(%(expressions)s IS NULL)")


def character_set(characters: str) -> Value:
    """``[characters]``, for ``HasAny``."""
    return Value(f"[{characters.replace(chr(0), '')}]")


def uuid_version(column: str) -> Substr:
    """The version digit of a UUID (RFC 9562, section 4.2), in whichever form the database keeps it."""
    return Substr(Replace(Cast(column, CharField()), Value("-"), Value("")), 13, 1)
