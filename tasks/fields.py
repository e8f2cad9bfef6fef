"""The fields of a task that Django lacks: due date, priority, labels.

Each field has an expression for its JSON and, for the filters of a list, its lookups.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, CharField, Func, IntegerField, Lookup, Transform
from django.db.models.sql.compiler import SQLCompiler

from database.compiled_statements import FIELDS, SQL
from database.expressions import PortableFunc, RepeatingFunc
from database.json_expressions import JSON_VALUES, JSONValue
from tasks.due import DUE_FORMS
from tasks.rules import INVISIBLE, LABEL_FORBIDDEN, LABEL_MAX_LENGTH, NUL, RESERVED_LABEL, WHITE_SPACE, Priority

#: SQL cannot write NUL, and neither database stores it in JSON.
_LABEL_FORBIDDEN = LABEL_FORBIDDEN.replace(NUL, "")
#: The JSON of labels has quotes and commas between the names.
_FORBIDDEN_IN_JSON = _LABEL_FORBIDDEN.translate({ord('"'): None, ord(","): None})
_INVISIBLE = INVISIBLE.replace(NUL, "")


class DueField(models.CharField):  # type: ignore[type-arg]
    """A due date in one of the four forms of ``tasks/due.py``."""


class PriorityField(models.SmallIntegerField):  # type: ignore[type-arg]
    """A priority: a number in the database, which sorts, and a word or ``null`` in JSON.

    A positive field would bring a check of its own, for which a migration reads the table while it holds its lock.
    """


class LabelsField(models.JSONField):
    """A set of names: a frozenset in Python, and an object of each name to ``true`` in JSON."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return None if value is None else frozenset(super().from_db_value(value, expression, connection))

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002
        return labels_json(value) if isinstance(value, frozenset) else value

    def to_python(self, value: Any) -> Any:
        return frozenset(value)

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        models.Field.validate(self, value, model_instance)  # JSONField's own check refuses a frozenset

    def value_to_string(self, obj: models.Model) -> Any:
        return dict.fromkeys(sort_labels(self.value_from_object(obj)), True)

    def formfield(self, **options: Any) -> Any:
        return models.Field.formfield(self, **options)


FIELDS[frozenset] = LabelsField()


def sort_labels(names: Iterable[str]) -> list[str]:
    """Sort the names of labels as PostgreSQL does within JSON: by length in bytes, then by bytes."""
    return sorted(names, key=lambda name: (len(name.encode()), name.encode()))


def labels_json(names: Iterable[str]) -> str:
    """Return the JSON object of a set of names, as both databases store it."""
    return label_patch(dict.fromkeys(sort_labels(names), True))


def label_patch(changes: Mapping[str, bool | None]) -> str:
    """Return a merge patch (RFC 7396) as JSON text: ``True`` adds a name, and ``None`` removes it."""
    return json.dumps(changes, ensure_ascii=False, separators=(",", ":"))


def _number_of(text: str, part: str) -> str:
    """Return SQL for the number of times that ``text`` contains ``part``."""
    return f"((LENGTH({text}) - LENGTH(REPLACE({text},'{part}',''))) / {len(part)})"


def _ranges(characters: str) -> str:
    """Return the characters as ranges of a GLOB class, such as ``a-cx-x``."""
    points = sorted(map(ord, characters))
    starts = [point for point in points if point - 1 not in points]
    ends = [point for point in points if point + 1 not in points]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


class JSONDue(JSONValue):
    """A due date, which has no character that JSON escapes."""

    sqlite = postgresql = "'\"' || %(expressions)s || '\"'"


class JSONPriority(JSONValue):
    """The word of a priority."""

    _words = " ".join(f"WHEN {level.value} THEN '\"{level.label}\"'" for level in Priority if level)
    sqlite = postgresql = f"CASE %(expressions)s {_words} ELSE 'null' END"


class JSONLabels(JSONValue):
    """The object of a set of names; PostgreSQL's own text has a blank after each colon and comma."""

    _but_last = "LEFT(%(expressions)s::text,-7)"
    # A name may be ": true", but has no comma.
    postgresql = (
        "CASE %(expressions)s WHEN '{}' THEN '{}'"
        f""" ELSE REPLACE({_but_last},'": true, "','":true,"') || ':true}}' END"""
    )


JSON_VALUES.update({DueField: JSONDue, PriorityField: JSONPriority, LabelsField: JSONLabels})


@DueField.register_lookup
class WallClock(Transform):
    """The date or the local time of a due date, as text; an instant counts by UTC."""

    lookup_name = "wall_clock"
    output_field = CharField()
    template = "SUBSTR(%(expressions)s, 1, 19)"

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        return self.as_sql(compiler, connection, template=f'{self.template} COLLATE "C"')


@DueField.register_lookup
class ZoneSuffix(Transform):
    """The part of a due date after its wall clock: ``Z``, a time zone in brackets, or nothing."""

    lookup_name = "zone_suffix"
    output_field = CharField()
    template = "SUBSTR(%(expressions)s, 20)"


@DueField.register_lookup
class IsMissing(Transform):
    """A test for a task without a due date.

    Unlike with ``isnull``, the value can be a parameter of a compiled statement.
    """

    lookup_name = "is_missing"
    output_field = BooleanField()
    template = "(%(expressions)s IS NULL)"


class IsDue(PortableFunc):
    """A test for NULL or one of the forms of a due date, with a date that the calendar has."""

    output_field = BooleanField()
    _year = "SUBSTR(%(expressions)s,1,4)::int"
    _month = "SUBSTR(%(expressions)s,6,2)"
    _zone = "SUBSTR(%(expressions)s,20)"
    postgresql = (
        f"((%(expressions)s)::text IS NULL OR (%(expressions)s ~ '{DUE_FORMS}' AND SUBSTR(%(expressions)s,9,2) <= CASE"
        f" WHEN {_month} IN ('04','06','09','11') THEN '30' WHEN {_month} <> '02' THEN '31'"
        f" WHEN MOD({_year},4) = 0 AND (MOD({_year},100) <> 0 OR MOD({_year},400) = 0) THEN '29' ELSE '28' END))"
    )
    sqlite = (
        "(%(expressions)s IS NULL OR (TYPEOF(%(expressions)s) = 'text' AND %(expressions)s >= '0001'"
        " AND SUBSTR(%(expressions)s,1,10) IS DATE(SUBSTR(%(expressions)s,1,10),'+0 days')"
        " AND (LENGTH(CAST(%(expressions)s AS BLOB)) = 10 OR (SUBSTR(%(expressions)s,11,1) = 'T'"
        " AND SUBSTR(%(expressions)s,12,2) < '24'"
        " AND SUBSTR(%(expressions)s,12,8) IS TIME(SUBSTR(%(expressions)s,12,8))"
        " AND (LENGTH(CAST(%(expressions)s AS BLOB)) = 19"
        " OR (SUBSTR(%(expressions)s,20) = 'Z' AND LENGTH(CAST(%(expressions)s AS BLOB)) = 20)"
        f" OR ({_zone} GLOB '[[][A-Za-z]*]'"
        f" AND CAST(SUBSTR({_zone},2,LENGTH(CAST(%(expressions)s AS BLOB)) - 21) AS TEXT)"
        " NOT GLOB '*[^A-Za-z0-9_+/-]*'"
        " AND LENGTH(%(expressions)s) = LENGTH(CAST(%(expressions)s AS BLOB))))))))"
    )


class AreLabels(RepeatingFunc):
    """A test for an object of names to ``true``, where each name keeps the rules of a label.

    Names have no quotes, no commas and no backslashes. So on SQLite, minified JSON has two quotes for each name, and
    GLOB finds where a name begins and ends. Each value is ``true`` if ``":true`` precedes
    each comma and the end: a name may be ``:true``, but then no comma follows.
    """

    output_field = BooleanField()

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        faults = [
            '@.value.type() != "boolean" || @.value == false',  # different types are neither equal nor unequal
            f"@.key == {json.dumps(RESERVED_LABEL)}",
            f'!(@.key like_regex "^.{{1,{LABEL_MAX_LENGTH}}}$" flag "s")',
            *(
                f"@.key like_regex {json.dumps(pattern, ensure_ascii=False)}"
                for pattern in (
                    f"[{_LABEL_FORBIDDEN}]".replace("\\", "\\\\"),
                    f"^[{WHITE_SPACE}]",
                    f"[{WHITE_SPACE}]$",
                    f"^[{_INVISIBLE}]*$",
                )
            ),
        ]
        path = f"$.keyvalue() ? ({' || '.join(faults)})"
        template = (
            "(%(expressions)s = '{}' OR (JSONB_TYPEOF(%(expressions)s) = 'object'"
            f" AND NOT JSONB_PATH_EXISTS(%(expressions)s,'{path}')))"
        )
        return self.as_sql(compiler, connection, template=template)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        labels = "%(expressions)s"
        quotes, commas, values = (_number_of(labels, part) for part in ('"', ",", '":true,'))
        blanks = [
            f"{labels} GLOB '*\"' || REPLACE('{'~' * length}','~','[{_ranges(_INVISIBLE)}]') || '\"*'"
            for length in range(1, LABEL_MAX_LENGTH + 1)
        ]
        patterns = (
            '""',
            f'"{RESERVED_LABEL}"',
            f'"[{_ranges(WHITE_SPACE)}]',
            f'[{_ranges(WHITE_SPACE)}]"',
            f"[{_ranges(_FORBIDDEN_IN_JSON)}]",
            '"' + '[^"]' * (LABEL_MAX_LENGTH + 1),
        )
        faults = [f"{labels} GLOB '*{pattern}*'" for pattern in patterns] + blanks
        template = (
            f"({labels} = '{{}}' OR (JSON_VALID({labels}) AND JSON_TYPE({labels}) = 'object'"
            f" AND {labels} = JSON({labels})"
            f" AND {quotes} = 2 * {commas} + 2 AND {commas} = {values} AND {labels} GLOB '*\":true}}'"
            f" AND NOT ({' OR '.join(faults)})))"
        )
        return self.as_sql(compiler, connection, template=template)


class LabelCount(PortableFunc):
    """The number of names in labels."""

    output_field = IntegerField()
    sqlite = "(" + _number_of("%(expressions)s", '"') + " / 2)"
    postgresql = "JSONB_ARRAY_LENGTH(JSONB_PATH_QUERY_ARRAY(%(expressions)s,'$.keyvalue()','{}',true))"


class PatchedLabels(Func):
    """Labels after a merge patch (RFC 7396), which adds and removes names."""

    output_field = LabelsField()

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        template = "JSONB_STRIP_NULLS(%(expressions)s::jsonb)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" || ")

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        """Sort the names, because the order of ``JSON_PATCH`` depends on the order of the writes."""
        template = (
            "(SELECT JSON_GROUP_OBJECT(key,JSON('true')) FROM (SELECT key FROM JSON_EACH(JSON_PATCH(%(expressions)s))"
            " ORDER BY LENGTH(CAST(key AS BLOB)),CAST(key AS BLOB)))"
        )
        return self.as_sql(compiler, connection, template=template)


@LabelsField.register_lookup
class HasLabel(Lookup):
    """A test whether labels have a name."""

    lookup_name = "has_label"
    prepare_rhs = False

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        # PostgreSQL estimates every COALESCE as half of the rows, so one plan serves all names:
        # docs/decisions/0005-hot-path.md
        return self._sql("COALESCE({} ? {}, FALSE)", compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        return self._sql("INSTR({}, '\"' || {} || '\":') > 0", compiler, connection)

    def _sql(self, template: str, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> SQL:
        labels, label_params = self.process_lhs(compiler, connection)
        name, name_params = self.process_rhs(compiler, connection)
        return template.format(labels, name), (*label_params, *name_params)
