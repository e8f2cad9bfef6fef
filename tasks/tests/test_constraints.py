"""The constraints of the database, against writes that nothing else validates."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from identity.user_ids import USER_ID_MAX_LENGTH
from tasks.models import Task
from tasks.rules import (
    DESCRIPTION_FORBIDDEN,
    DESCRIPTION_MAX_LENGTH,
    EARLIEST,
    FORMATS,
    INVISIBLE,
    LATEST,
    NUL,
    TITLE_FORBIDDEN,
    TITLE_MAX_LENGTH,
    WHITE_SPACE,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

EMOJI = "\N{PILE OF POO}"

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the types of PostgreSQL refuse the value")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such type")


@pytest.fixture
def task():
    return TaskFactory(created_at=datetime(2026, 1, 11, tzinfo=UTC))


def write(**values):
    with transaction.atomic():
        Task.objects.update(**values)


def write_sql(column, expression):
    """Write a value that Django would refuse."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Task._meta.db_table} SET {column} = {expression}")


def is_accepted(**values):
    try:
        write(**values)
    except (IntegrityError, DataError):
        return False
    return True


@pytest.fixture
def assert_refused(task, stored):
    """Assert that the database refuses a write with an error, and stores nothing."""
    before = stored()

    def check(error, message, write, *args, **values):
        with pytest.raises(error, match=message):
            write(*args, **values)
        assert stored() == before

    return check


#: Constraints, each with values that break no other one.
BROKEN = [
    ("task_id_is_uuid_7", {"id": uuid4()}),
    ("task_id_is_uuid_7", {"id": UUID(int=0)}),
    ("task_id_is_uuid_7", {"id": UUID("01890000-0000-1000-8000-000000000000")}),
    ("task_user_id_not_empty", {"user_id": ""}),
    ("task_title_trimmed", {"title": " x"}),
    ("task_title_trimmed", {"title": "x "}),
    ("task_title_trimmed", {"title": "\u3000x"}),
    ("task_title_trimmed", {"title": "x\u00a0"}),
    ("task_title_not_blank", {"title": ""}),
    ("task_title_not_blank", {"title": "\u200b"}),
    ("task_title_not_blank", {"title": "\u200b \u00ad"}),
    ("task_title_characters", {"title": "a\tb"}),
    ("task_title_characters", {"title": "a\nb"}),
    ("task_title_characters", {"title": "a\x7fb"}),
    ("task_title_characters", {"title": "a\u2028b"}),
    ("task_description_max_length", {"description": "x" * (DESCRIPTION_MAX_LENGTH + 1)}),
    ("task_description_max_length", {"description": EMOJI * (DESCRIPTION_MAX_LENGTH + 1)}),
    ("task_description_characters", {"description": "a\x08b"}),
    ("task_description_characters", {"description": "\x85"}),
    ("task_updated_after_created", {"updated_at": datetime(2026, 1, 10, 23, 59, 59, 999_999, tzinfo=UTC)}),
    ("task_due_form", {"due": ""}),
    ("task_due_form", {"due": "tomorrow"}),
    ("task_due_form", {"due": "0000-12-24"}),
    ("task_due_form", {"due": "2026-13-01"}),
    ("task_due_form", {"due": "2026-02-29"}),
    ("task_due_form", {"due": "1900-02-29T18:00:00"}),
    ("task_due_form", {"due": "2026-04-31"}),
    ("task_due_form", {"due": "2026-12-24T"}),
    ("task_due_form", {"due": "2026-12-24 18:00:00"}),
    ("task_due_form", {"due": "2026-12-24T18:00"}),
    ("task_due_form", {"due": "2026-12-24T24:00:00"}),
    ("task_due_form", {"due": "2026-12-24T18:00:60"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00z"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00Z "}),
    ("task_due_form", {"due": "2026-12-24T18:00:00Z\n"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00+01:00"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00.5Z"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00[]"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00[Europe/Berlin"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00[+01:00]"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00[Europe/B\u00e9rlin]"}),
    ("task_due_form", {"due": "2026-12-24T18:00:00[a][b]"}),
    ("task_priority_known", {"priority": 4}),
    ("task_priority_known", {"priority": -1}),
    ("task_labels_names", {"labels": frozenset({""})}),
    ("task_labels_names", {"labels": frozenset({"a", " b"})}),
    ("task_labels_names", {"labels": frozenset({"a", "b\u3000"})}),
    ("task_labels_names", {"labels": frozenset({"a", "\u200b"})}),
    ("task_labels_names", {"labels": frozenset({"\u200b" + "\u00a0\u200b" * 24})}),
    ("task_labels_names", {"labels": frozenset({"a", "b,c"})}),
    ("task_labels_names", {"labels": frozenset({"a", 'b"c'})}),
    ("task_labels_names", {"labels": frozenset({"a", "b\\c"})}),
    ("task_labels_names", {"labels": frozenset({"a", "b\tc"})}),
    ("task_labels_names", {"labels": frozenset({"a", "b\u2028c"})}),
    ("task_labels_names", {"labels": frozenset({"a", "x" * 51})}),
    ("task_labels_names", {"labels": frozenset({EMOJI * 51})}),
    ("task_labels_names", {"labels": frozenset({"a", "__proto__"})}),
    ("task_labels_max_number", {"labels": frozenset(map(str, range(21)))}),
    ("task_version_positive", {"version": 0}),
    ("task_version_positive", {"version": -1}),
]

#: Constraints and texts that are too long, which PostgreSQL refuses for the type of the column.
TOO_LONG = [
    ("task_user_id_max_length", {"user_id": "x" * (USER_ID_MAX_LENGTH + 1)}),
    ("task_user_id_max_length", {"user_id": EMOJI * (USER_ID_MAX_LENGTH + 1)}),
    ("task_title_max_length", {"title": "x" * (TITLE_MAX_LENGTH + 1)}),
    ("task_title_max_length", {"title": EMOJI * (TITLE_MAX_LENGTH + 1)}),
]


#: Constraints, columns and values of a form that only SQLite could store.
OTHER_FORMS = [
    ("task_id_is_uuid_7", "id", "'019bac10-5b00-7000-8000-000000000fff'"),
    ("task_id_is_uuid_7", "id", "'019BAC105B0070008000000000000FFF'"),
    ("task_id_is_uuid_7", "id", "'zzzzzzzzzzzz7zzz'"),
    ("task_id_is_uuid_7", "id", "'019bac105b0070008000000000000ff'"),
    ("task_id_is_uuid_7", "id", "'019bac105b0070008000000000000fff0'"),
    ("task_id_is_uuid_7", "id", "'019bac105b0070008000000000000fff' || CHAR(0)"),
    ("task_id_is_uuid_7", "id", "CAST('019bac105b0070008000000000000fff' AS BLOB)"),
    ("task_user_id_not_empty", "user_id", "CAST(X'ff' AS TEXT)"),
    ("task_user_id_not_empty", "user_id", "X'61'"),
    ("task_title_characters", "title", "CAST(X'ff' AS TEXT)"),
    ("task_title_characters", "title", "CAST(X'5ae4686c6572' AS TEXT)"),
    ("task_title_characters", "title", "CAST(X'3520b043' AS TEXT)"),
    ("task_title_characters", "title", "CAST(X'61eda080' AS TEXT)"),
    ("task_title_trimmed", "title", "X'61'"),
    ("task_description_characters", "description", "CAST(X'61c3' AS TEXT)"),
    ("task_description_characters", "description", "X''"),
    ("task_times_in_rfc_3339", "created_at", "'2026'"),
    ("task_times_in_rfc_3339", "created_at", "1768123800.5"),
    ("task_times_in_rfc_3339", "created_at", "'2026-01-11T09:30:00'"),
    ("task_times_in_rfc_3339", "created_at", "'2026-01-11 09:30:00Z'"),
    ("task_times_in_rfc_3339", "created_at", "'2026-01-11 09:30'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-99-99 nonsense'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-02-30 09:30:00'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 24:00:00'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00.1'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00.1234567'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00.-12345'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00.000000'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00' || CHAR(0) || '123456'"),
    ("task_times_in_rfc_3339", "updated_at", "'2026-01-11 09:30:00.123456' || CHAR(0)"),
    ("task_times_in_rfc_3339", "updated_at", "CAST('2026-01-11 09:30:00' AS BLOB)"),
    ("task_times_in_rfc_3339", "deleted_at", "'never'"),
    ("task_priority_known", "priority", "'x'"),
    ("task_priority_known", "priority", "1.5"),
    ("task_due_form", "due", "X'323032362d31322d3234'"),
    ("task_due_form", "due", "'2026-12-24T18:00:00Z' || CHAR(0)"),
    ("task_due_form", "due", "'2026-12-24' || CHAR(0)"),
    ("task_labels_names", "labels", "'{\"a\": true}'"),
    ("task_labels_names", "labels", "'{\"a\":true}' || CHAR(0)"),
    ("task_completed_at_while_completed", "completed", "1"),
    ("task_completed_at_while_completed", "completed_at", "'2026-01-12 00:00:00'"),
    ("task_version_positive", "version", "'1x'"),
    ("task_version_positive", "version", "1.5"),
    ("task_version_positive", "version", "X'31'"),
    ("task_completed_is_boolean", "completed", "2"),
    ("task_completed_is_boolean", "completed", "-1"),
    ("task_completed_is_boolean", "completed", "'true'"),
    ("task_times_in_rfc_3339", "created_at", "'0000-12-31 23:59:59.999999'"),
    ("task_times_in_rfc_3339", "updated_at", "'infinity'"),
]
#: Times that only PostgreSQL could store.
OTHER_YEARS = [
    ("created_at", "'0001-12-31 23:59:59.999999+00 BC'"),
    ("created_at", "'-infinity'"),
    ("updated_at", "'10000-01-01 00:00:00+00'"),
    ("updated_at", "'infinity'"),
]


@pytest.mark.parametrize(("constraint", "values"), BROKEN)
def test_value_that_breaks_constraint_is_refused(assert_refused, constraint, values):
    assert_refused(IntegrityError, rf"\b{constraint}\b", write, **values)


@pytest.mark.parametrize(("constraint", "values"), TOO_LONG)
def test_text_too_long_is_refused(assert_refused, constraint, values):
    errors = {
        "sqlite": (IntegrityError, rf"\b{constraint}\b"),
        "postgresql": (DataError, "too long for type character varying"),
    }
    assert_refused(*errors[connection.vendor], write, **values)


@pytest.mark.parametrize("column", ["title", "description"])
def test_text_with_nul_is_refused(assert_refused, column):
    errors = {
        "sqlite": (IntegrityError, rf"\btask_{column}_characters\b"),
        "postgresql": (DataError, r"cannot contain NUL"),
    }
    assert_refused(*errors[connection.vendor], write, **{column: f"a{NUL}b"})


@on_sqlite
@pytest.mark.parametrize(("constraint", "column", "expression"), OTHER_FORMS)
def test_value_of_other_form_is_refused_by_sqlite(assert_refused, constraint, column, expression):
    assert_refused(IntegrityError, rf"\b{constraint}\b", write_sql, column, expression)


@on_postgresql
@pytest.mark.parametrize(("column", "expression"), OTHER_YEARS)
def test_time_of_other_year_is_refused_by_postgresql(assert_refused, column, expression):
    assert_refused(IntegrityError, r"\btask_times_in_rfc_3339\b", write_sql, column, expression)


@pytest.mark.parametrize(
    "json",
    [
        "[]",
        "[true]",
        "null",
        "true",
        '"a"',
        '{"a":1}',
        '{"a":"true"}',
        '{"a":false}',
        '{"a":null}',
        '{"a":[true]}',
        '{"a":{"b":true}}',
        '{"a":{}}',
    ],
)
def test_labels_of_other_form_are_refused(assert_refused, json):
    assert_refused(IntegrityError, r"\btask_labels_names\b", write_sql, "labels", f"'{json}'")


@on_postgresql
def test_completed_at_follows_completed_in_postgresql(task):
    write_sql("completed", "true")
    [completed] = Task.objects.all()
    assert completed.completed_at == completed.updated_at
    write(title="x", updated_at=LATEST, completed_at=None)
    assert Task.objects.get().completed_at == completed.updated_at
    write_sql("completed", "false")
    assert Task.objects.get().completed_at is None


#: A trigger writes the number of a change, and on PostgreSQL replaces NULL.
NOT_NULL = [field.column for field in Task._meta.concrete_fields if not field.null and field.name != "change_number"]


@pytest.mark.parametrize("column", NOT_NULL)
def test_null_is_refused(assert_refused, column):
    message = rf"(?i)not.null.*\b{column}\b|\b{column}\b.*not.null"
    assert_refused(IntegrityError, message, write_sql, column, "NULL")


def test_every_constraint_has_a_value_that_breaks_it():
    constraints = {constraint for constraint, *_ in BROKEN + TOO_LONG + OTHER_FORMS}
    assert {constraint.name for constraint in Task._meta.constraints} == constraints


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite parses constraints once per connection")
def test_constraints_are_short_to_parse():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint"
            " WHERE conrelid = 'tasks_task'::regclass AND LENGTH(conbin::text) > 2500 OR NOT convalidated"
        )
        assert cursor.fetchall() == []


@on_sqlite
@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("id", "'019bac105b0070008000000000000fff'"),
        ("title", "CHAR(65533, 65534, 65535, 1114111, 160, 191, 192, 256, 319)"),
        ("description", "CHAR(65533, 65534, 65535, 1114111, 160, 191, 192, 256, 319)"),
        ("updated_at", "'2028-02-29 23:59:59'"),
        ("updated_at", "'2026-01-11 09:30:59.999999'"),
        ("updated_at", "'2026-01-11 09:30:00.000001'"),
        ("deleted_at", "NULL"),
        ("version", "'2'"),
    ],
)
def test_value_of_djangos_form_is_accepted(task, column, expression):
    write_sql(column, expression)
    assert Task.objects.count() == len(list(Task.objects.all())) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"id": UUID("00000000-0000-7000-8000-000000000000")},
        {"id": UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")},
        {"user_id": "x"},
        {"user_id": EMOJI * USER_ID_MAX_LENGTH},
        {"title": "x"},
        {"title": EMOJI * TITLE_MAX_LENGTH},
        {"title": "\u200bx\u200b"},
        {"title": "a \u00a0\u3000b"},
        {"title": "a[^]-*?%_\\'\"b"},
        {"description": ""},
        {"description": EMOJI * DESCRIPTION_MAX_LENGTH},
        {"description": " \t\r\n\u2028 "},
        {"completed": True, "completed_at": EARLIEST},
        {"due": "0001-01-01"},
        {"due": "9999-12-31T23:59:59"},
        {"due": "2000-02-29T00:00:00Z"},
        {"due": "2028-02-29T00:00:00[America/Argentina/ComodRivadavia]"},
        {"due": "2026-12-24T18:00:00[Etc/GMT+12]"},
        {"due": None},
        {"priority": 3},
        {"labels": frozenset()},
        {"labels": frozenset(f"{number:02}{EMOJI * 48}" for number in range(20))},
        {"labels": frozenset({"\u200bx\u200b", "a \u00a0b", "a[^]-*?%_':{}", "true", "null", "__PROTO__"})},
        {"created_at": EARLIEST, "updated_at": EARLIEST},
        {"created_at": EARLIEST, "updated_at": LATEST},
        {"created_at": LATEST, "updated_at": LATEST},
        {"created_at": EARLIEST, "updated_at": EARLIEST + timedelta(microseconds=1)},
        {"version": 2**63 - 1},
    ],
)
def test_value_at_limit_is_accepted(task, values):
    write(**values)
    assert Task.objects.filter(**values).values(*values).get() == values


@pytest.mark.parametrize("template", ["{}x", "x{}"])
def test_title_with_white_space_at_end_is_refused(task, template):
    assert [character for character in WHITE_SPACE if is_accepted(title=template.format(character))] == []


def test_title_of_invisible_characters_is_refused(task):
    assert [character for character in INVISIBLE if is_accepted(title=character)] == []
    assert not is_accepted(title=FORMATS[:TITLE_MAX_LENGTH])


@pytest.mark.parametrize(
    ("column", "forbidden"),
    [("title", TITLE_FORBIDDEN), ("description", DESCRIPTION_FORBIDDEN)],
    ids=["title", "description"],
)
def test_text_with_invisible_character_is_refused_if_forbidden(task, column, forbidden):
    refused = [character for character in INVISIBLE if not is_accepted(**{column: f"a{character}b"})]
    assert sorted(refused) == sorted(forbidden)


def test_new_task_that_breaks_constraint_is_refused():
    with pytest.raises(IntegrityError, match=r"\btask_title_not_blank\b"), transaction.atomic():
        Task.objects.bulk_create([TaskFactory.build(title="\u200b", updated_at=datetime(9000, 1, 1, tzinfo=UTC))])
    assert not Task.objects.exists()
