"""Provide expressions that Django lacks, with the same meaning on SQLite and PostgreSQL."""

import json
import re
from typing import Any

from django.core.exceptions import FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, CharField, Func, Lookup, TextField, UUIDField, Value
from django.db.models.functions import Cast, Replace, Substr
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler

from database.compiled_statements import SQL, Parameter


class Trim(Func):
    """``text`` without ``characters`` at its ends; Django's own ``Trim`` removes spaces only."""

    function = "TRIM"
    output_field = CharField()


class HasAny(Func):
    """A test whether ``text`` contains a character of ``set``, which is written ``[abc]``."""

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        return self.as_sql(compiler, connection, template="(%(expressions)s || '*')", arg_joiner=" GLOB '*' || ")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ~ ")


class RepeatingFunc(Func):
    """A function whose template repeats its expressions, so that their parameters are repeated too."""

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        function: str | None = None,
        template: str | None = None,
        arg_joiner: str | None = None,
        **options: Any,
    ) -> SQL:
        sql, params = super().as_sql(compiler, connection, function, template, arg_joiner, **options)
        return sql, tuple(params) * (template or self.template).count("%(expressions)s")


class PortableFunc(RepeatingFunc):
    """A function with a template for each database."""

    sqlite: str
    postgresql: str

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        return self.as_sql(compiler, connection, template=self.sqlite)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        return self.as_sql(compiler, connection, template=self.postgresql)


class HasNul(PortableFunc):
    """A test whether ``text`` contains U+0000, which SQL cannot write and PostgreSQL does not store."""

    output_field = BooleanField()
    sqlite = "(INSTR(%(expressions)s, CHAR(0)) > 0)"
    postgresql = "((%(expressions)s)::text IS NULL)"


class StoredAsDjangoWrites(RepeatingFunc):
    """A test whether a value has the form in which Django writes its field.

    SQLite stores any value in any column. PostgreSQL's types accept no other values, so PostgreSQL needs no condition.
    Templates have no space after a comma, because Django's introspection would read ``, `` as the end of a column.
    """

    output_field = BooleanField()

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        raise FullResultSet


class IsUUID(StoredAsDjangoWrites):
    """A test for 32 lower-case hexadecimal digits."""

    template = (
        "(TYPEOF(%(expressions)s) = 'text' AND LENGTH(CAST(%(expressions)s AS BLOB)) = 32"
        " AND LENGTH(%(expressions)s) = 32 AND %(expressions)s NOT GLOB '*[^0-9a-f]*')"
    )


class IsText(StoredAsDjangoWrites):
    """A test for text that is valid UTF-8, as far as SQLite can tell.

    SQLite reads an invalid byte as U+FFFD, or a byte from 80 to BF as the character of that number. So the template
    looks for such characters. Before, it removes a genuine U+FFFD to U+FFFF, which SQLite reads alike. It also replaces
    the lead byte of a genuine U+0080 to U+00BF.
    """

    template = (
        "(TYPEOF(%(expressions)s) = 'text' AND REPLACE(REPLACE(REPLACE(REPLACE(%(expressions)s"
        ",CHAR(65533),'?'),CHAR(65534),'?'),CHAR(65535),'?'),CAST(X'C2' AS TEXT),CAST(X'C4' AS TEXT))"
        " NOT GLOB '*[' || CHAR(128) || '-' || CHAR(191) || CHAR(65533) || ']*')"
    )


class IsUTF8(PortableFunc):
    """A test for valid UTF-8.

    Only verification uses the test, because a constraint can only use SQLite's own functions.
    """

    output_field = BooleanField()
    sqlite = "IS_UTF8(CAST(%(expressions)s AS BLOB))"
    postgresql = "TRUE"


class IsTime(StoredAsDjangoWrites):
    """A test for a time such as ``2026-01-11 09:30:00`` or ``2026-01-11 09:30:00.000001``, or for NULL."""

    # The modifier makes SQLite compute the date. Without this, the 30th of February would be accepted.
    _second = "SUBSTR(%(expressions)s,1,19)"
    _computed = f"DATETIME({_second},'+0 days')"
    template = (
        f"(%(expressions)s IS {_computed}"
        f" OR ({_second} IS {_computed}"
        " AND LENGTH(CAST(%(expressions)s AS BLOB)) = 26 AND %(expressions)s NOT GLOB '*.000000'"
        " AND %(expressions)s GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]'))"
    )


class IsInteger(StoredAsDjangoWrites):
    """A test for an integer."""

    template = "(TYPEOF(%(expressions)s) = 'integer')"


class Unconverted(PortableFunc):
    """A column that SQLite's driver leaves as it is stored; it converts declared columns in every row."""

    sqlite = "+%(expressions)s"
    postgresql = "%(expressions)s"


class UUIDText(PortableFunc):
    """A UUID in its lower-case dashed form; SQLite stores the 32 digits."""

    output_field = TextField()
    _groups = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    sqlite = " || '-' || ".join(f"SUBSTR(%(expressions)s, {start}, {length})" for start, length in _groups)
    postgresql = "%(expressions)s::text"


class CodePoints(PortableFunc):
    """A text that sorts by Unicode code point, as every text does in SQLite."""

    output_field = CharField()
    sqlite = "%(expressions)s"
    postgresql = '%(expressions)s COLLATE "C"'


class Mentions(IContains):
    """``icontains`` for all letters, because SQLite's ``LIKE`` ignores the case of ASCII letters only."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        text, params = self.process_lhs(compiler, connection)
        pattern = self.rhs.converted_by(self._pattern) if isinstance(self.rhs, Parameter) else self._pattern(self.rhs)
        return f"{text} REGEXP %s", (*params, pattern)

    @staticmethod
    def _pattern(word: str) -> str:
        return f"(?i){re.escape(word)}"


@UUIDField.register_lookup
class Among(Lookup):
    """A test whether a UUID is one of those in a text, which separates them by commas.

    Unlike ``in``, the lookup gives the same statement for any number of UUIDs.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(STRING_TO_ARRAY(%s, ',')::uuid[])", (*params, self.rhs)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM JSON_EACH(%s))", (*params, self.rhs.converted_by(self._array))  # noqa: S608

    @staticmethod
    def _array(text: str) -> str:
        return json.dumps(text.replace("-", "").split(","))


CharField.register_lookup(Mentions, "mentions")
TextField.register_lookup(Mentions, "mentions")


def character_set(characters: str) -> Value:
    """Return ``[characters]``, for ``HasAny``."""
    return Value(f"[{characters.replace(chr(0), '')}]")


def uuid_version(column: str) -> Substr:
    """Return the version digit of a UUID (RFC 9562, section 4.2), with or without dashes."""
    return Substr(Replace(Cast(column, CharField()), Value("-"), Value("")), 13, 1)
