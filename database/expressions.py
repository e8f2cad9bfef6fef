"""Expressions that Django has not, alike on SQLite and PostgreSQL."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, CharField, Expression, Field, Func, TextField, Value
from django.db.models.functions import Cast, Replace, Substr
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler

Compiled = tuple[str, tuple[Any, ...]]


class Parameter(Expression):
    """A place for a value, which stands among the compiled statement's parameters until ``value`` gives one."""

    def __init__(self, place: str, field: "Field[Any, Any]") -> None:
        super().__init__(output_field=field)
        self.place = place
        self.prepare: Callable[[Any], Any] = lambda value: value

    def through(self, prepare: Callable[[Any], Any]) -> "Parameter":
        """The same place, for a value that ``prepare`` makes of the one that is given."""
        parameter = self.copy()
        parameter.prepare = prepare
        return parameter

    def value(self, given: Mapping[str, Any], connection: BaseDatabaseWrapper) -> Any:
        return self.prepare(self.output_field.get_db_prep_value(given[self.place], connection))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any]]:
        return "%s", (self,)


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
        return self.as_sql(compiler, connection, template="((%(expressions)s)::text IS NULL)")


class StoredAsDjangoWrites(Func):
    """Whether a value is one that Django writes for its field.

    Any column of SQLite takes any value. PostgreSQL's types hold no other, so that there the condition is none at all.
    The templates have no space after a comma, where Django's introspection takes a table's SQL apart into columns.
    """

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        sql, params = self.as_sql(compiler, connection)
        return sql, tuple(params) * self.template.count("%(expressions)s")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        raise FullResultSet


class IsUUID(StoredAsDjangoWrites):
    """32 lower-case digits."""

    template = (
        "(TYPEOF(%(expressions)s) = 'text' AND LENGTH(CAST(%(expressions)s AS BLOB)) = 32"
        " AND LENGTH(%(expressions)s) = 32 AND %(expressions)s NOT GLOB '*[^0-9a-f]*')"
    )


class IsText(StoredAsDjangoWrites):
    """A text that is UTF-8, as far as SQLite tells: it reads what is none as U+FFFD, or a byte of 80 to BF as itself.

    A sound U+FFFD, and what SQLite reads as one, is taken out before, and the lead byte of U+0080 to U+00BF exchanged.
    """

    template = (
        "(TYPEOF(%(expressions)s) = 'text' AND REPLACE(REPLACE(REPLACE(REPLACE(%(expressions)s"
        ",CHAR(65533),'?'),CHAR(65534),'?'),CHAR(65535),'?'),CAST(X'C2' AS TEXT),CAST(X'C4' AS TEXT))"
        " NOT GLOB '*[' || CHAR(128) || '-' || CHAR(191) || CHAR(65533) || ']*')"
    )


class IsTime(StoredAsDjangoWrites):
    """``2026-01-11 09:30:00``, and where they are not zero six digits of microseconds; or NULL."""

    # A modifier makes SQLite count, so that the 30th of February comes out as another day.
    _second = "SUBSTR(%(expressions)s,1,19)"
    _counted = f"DATETIME({_second},'+0 days')"
    template = (
        f"(%(expressions)s IS {_counted}"
        f" OR ({_second} IS {_counted}"
        " AND LENGTH(CAST(%(expressions)s AS BLOB)) = 26 AND %(expressions)s NOT GLOB '*.000000'"
        " AND %(expressions)s GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]'))"
    )


class IsInteger(StoredAsDjangoWrites):
    template = "(TYPEOF(%(expressions)s) = 'integer')"


class CodePoints(Func):
    """A text that sorts by its Unicode code points, as SQLite's always do."""

    output_field = CharField()
    template = "%(expressions)s"

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Compiled:
        return self.as_sql(compiler, connection, template='%(expressions)s COLLATE "C"')


class Mentions(IContains):
    """``icontains``, also beyond ASCII on SQLite, whose ``LIKE`` knows no other letters."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Compiled:
        text, params = self.process_lhs(compiler, connection)
        pattern = self.rhs.through(self._pattern) if isinstance(self.rhs, Parameter) else self._pattern(self.rhs)
        return f"{text} REGEXP %s", (*params, pattern)

    @staticmethod
    def _pattern(word: str) -> str:
        return f"(?i){re.escape(word)}"


CharField.register_lookup(Mentions, "mentions")
TextField.register_lookup(Mentions, "mentions")


def character_set(characters: str) -> Value:
    """``[characters]``, for ``HasAny``."""
    return Value(f"[{characters.replace(chr(0), '')}]")


def uuid_version(column: str) -> Substr:
    """The version digit of a UUID (RFC 9562, section 4.2), in whichever form the database keeps it."""
    return Substr(Replace(Cast(column, CharField()), Value("-"), Value("")), 13, 1)
