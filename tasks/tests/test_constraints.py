"""The database's own limits, which hold for the admin, a command and ``psql`` too: no write here is validated."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from tasks.models import DESCRIPTION_MAX_LENGTH, EARLIEST, LATEST, TITLE_MAX_LENGTH, USER_ID_MAX_LENGTH, Task
from tasks.rules import DESCRIPTION_FORBIDDEN, FORMATS, INVISIBLE, NUL, TITLE_FORBIDDEN, WHITE_SPACE
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

EMOJI = "\N{PILE OF POO}"

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's own type admits no such value")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no such type")


@pytest.fixture
def task():
    return TaskFactory(created_at=datetime(2026, 1, 11, tzinfo=UTC))


def write(**values):
    with transaction.atomic():
        Task.objects.update(**values)


def write_sql(column, expression):
    """For a value that Django would not let pass."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Task._meta.db_table} SET {column} = {expression}")


def takes(**values):
    try:
        write(**values)
    except (IntegrityError, DataError):
        return False
    return True


#: A constraint, and a write that breaks it and no other.
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
    ("task_version_positive", {"version": 0}),
    ("task_version_positive", {"version": -1}),
]

#: A constraint and a text that breaks it, which PostgreSQL refuses already for its column's type.
TOO_LONG = [
    ("task_user_id_max_length", {"user_id": "x" * (USER_ID_MAX_LENGTH + 1)}),
    ("task_user_id_max_length", {"user_id": EMOJI * (USER_ID_MAX_LENGTH + 1)}),
    ("task_title_max_length", {"title": "x" * (TITLE_MAX_LENGTH + 1)}),
    ("task_title_max_length", {"title": EMOJI * (TITLE_MAX_LENGTH + 1)}),
]


@pytest.mark.parametrize(("constraint", "values"), BROKEN)
def test_a_broken_limit_is_refused_by_its_constraint(task, stored, constraint, values):
    before = stored()
    with pytest.raises(IntegrityError, match=rf"\b{constraint}\b"):
        write(**values)
    assert stored() == before


@pytest.mark.parametrize(("constraint", "values"), TOO_LONG)
def test_a_text_that_is_too_long_is_refused(task, stored, constraint, values):
    before = stored()
    refusal = {
        "sqlite": (IntegrityError, rf"\b{constraint}\b"),
        "postgresql": (DataError, "too long for type character varying"),
    }
    error, message = refusal[connection.vendor]
    with pytest.raises(error, match=message):
        write(**values)
    assert stored() == before


@pytest.mark.parametrize("column", ["title", "description"])
def test_nul_is_refused(task, stored, column):
    before = stored()
    refusal = {
        "sqlite": (IntegrityError, rf"\btask_{column}_characters\b"),
        "postgresql": (DataError, r"cannot contain NUL"),
    }
    error, message = refusal[connection.vendor]
    with pytest.raises(error, match=message):
        write(**{column: f"a{NUL}b"})
    assert stored() == before


@on_sqlite
@pytest.mark.parametrize("completed", ["2", "-1", "'true'"])
def test_completed_is_a_boolean(task, stored, completed):
    before = stored()
    with pytest.raises(IntegrityError, match=r"\btask_completed_is_boolean\b"):
        write_sql("completed", completed)
    assert stored() == before


@on_sqlite
@pytest.mark.parametrize(
    ("column", "expression"), [("created_at", "'0000-12-31 23:59:59.999999'"), ("updated_at", "'infinity'")]
)
def test_a_time_outside_the_years_1_to_9999_is_refused_by_sqlite(task, stored, column, expression):
    before = stored()
    with pytest.raises(IntegrityError, match=r"\btask_times_in_rfc_3339\b"):
        write_sql(column, expression)
    assert stored() == before


#: A constraint, a column, and what only SQLite's column takes of itself: PostgreSQL's types hold nothing of the kind.
OF_ANOTHER_FORM = [
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
    ("task_version_positive", "version", "'1x'"),
    ("task_version_positive", "version", "1.5"),
    ("task_version_positive", "version", "X'31'"),
]


@on_sqlite
@pytest.mark.parametrize(("constraint", "column", "expression"), OF_ANOTHER_FORM)
def test_a_value_of_another_form_than_djangos_is_refused(task, stored, constraint, column, expression):
    before = stored()
    with pytest.raises(IntegrityError, match=rf"\b{constraint}\b"):
        write_sql(column, expression)
    assert stored() == before


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
def test_a_value_of_djangos_form_is_taken_from_anybody(task, column, expression):
    write_sql(column, expression)
    assert Task.objects.count() == len(list(Task.objects.all())) == 1


@on_postgresql
@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("created_at", "'0001-12-31 23:59:59.999999+00 BC'"),
        ("created_at", "'-infinity'"),
        ("updated_at", "'10000-01-01 00:00:00+00'"),
        ("updated_at", "'infinity'"),
    ],
)
def test_a_time_outside_the_years_1_to_9999_is_refused_by_postgresql(task, stored, column, expression):
    before = stored()
    with pytest.raises(IntegrityError, match=r"\btask_times_in_rfc_3339\b"):
        write_sql(column, expression)
    assert stored() == before


@pytest.mark.parametrize("column", [field.column for field in Task._meta.concrete_fields if not field.null])
def test_null_is_refused(task, stored, column):
    before = stored()
    with pytest.raises(IntegrityError, match=rf"(?i)not.null.*\b{column}\b|\b{column}\b.*not.null"):
        write_sql(column, "NULL")
    assert stored() == before


def test_every_constraint_is_broken_here():
    broken = {constraint for constraint, _ in BROKEN + TOO_LONG}
    assert {constraint.name for constraint in Task._meta.constraints} == broken | {
        "task_completed_is_boolean",
        "task_times_in_rfc_3339",
    }


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
        {"completed": True},
        {"created_at": EARLIEST, "updated_at": EARLIEST},
        {"created_at": EARLIEST, "updated_at": LATEST},
        {"created_at": LATEST, "updated_at": LATEST},
        {"created_at": EARLIEST, "updated_at": EARLIEST + timedelta(microseconds=1)},
        {"version": 2**63 - 1},
    ],
)
def test_the_limits_themselves_are_taken(task, values):
    write(**values)
    assert Task.objects.filter(**values).values(*values).get() == values


@pytest.mark.parametrize("template", ["{}x", "x{}"])
def test_a_title_neither_begins_nor_ends_with_white_space(task, template):
    assert [character for character in WHITE_SPACE if takes(title=template.format(character))] == []


def test_a_title_does_not_consist_of_characters_that_show_nothing(task):
    assert [character for character in INVISIBLE if takes(title=character)] == []
    assert not takes(title=FORMATS[:TITLE_MAX_LENGTH])


def test_a_title_holds_no_control_or_separator(task):
    assert [character for character in TITLE_FORBIDDEN if takes(title=f"a{character}b")] == []


def test_a_title_may_hold_every_other_character_that_shows_nothing(task):
    others = sorted(set(INVISIBLE) - set(TITLE_FORBIDDEN))
    assert [character for character in others if not takes(title=f"a{character}b")] == []


def test_a_description_holds_no_control(task):
    assert [character for character in DESCRIPTION_FORBIDDEN if takes(description=f"a{character}b")] == []


def test_a_description_may_hold_every_other_character_that_shows_nothing(task):
    others = sorted(set(INVISIBLE) - set(DESCRIPTION_FORBIDDEN))
    assert [character for character in others if not takes(description=f"a{character}b")] == []


def test_a_new_task_is_held_to_the_limits_too():
    with pytest.raises(IntegrityError, match=r"\btask_title_not_blank\b"), transaction.atomic():
        Task.objects.bulk_create([TaskFactory.build(title="\u200b", updated_at=datetime(9000, 1, 1, tzinfo=UTC))])
    assert not Task.objects.exists()
