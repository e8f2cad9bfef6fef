"""The triggers that number each change, remember each removal and refuse writes of users who move.

Triggers see every write: of the API, the admin, commands and ``psql``. docs/decisions/0019-changes.md
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython

from database.connections import LOCK_TIMEOUT
from database.errors import MOVING

# STABLE and not IMMUTABLE, because a cached plan would keep the value of an immutable function.
SET_OFFSET = """
CREATE OR REPLACE FUNCTION {schema}.changes_offset() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT {offset}::bigint'
"""


# The number is the id of the writing transaction, and the offset lifts it above the numbers of a former cluster.
# The functions name the schema, because pg_restore has another search_path.
CREATE_FUNCTIONS = (
    SET_OFFSET,
    """
    CREATE FUNCTION {schema}.changes_set_number() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.change_number := pg_current_xact_id()::text::bigint + {schema}.changes_offset();
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION {schema}.changes_remember_deletions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {schema}.changes_removal (user_id, row_id, change_number, removed_at)
        SELECT user_id, id, pg_current_xact_id()::text::bigint + {schema}.changes_offset(), now() FROM deleted
        ON CONFLICT (user_id, row_id)
        DO UPDATE SET change_number = excluded.change_number, removed_at = excluded.removed_at;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION {schema}.changes_remember_former_owner() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {schema}.changes_removal (user_id, row_id, change_number, removed_at)
        VALUES (OLD.user_id, OLD.id, pg_current_xact_id()::text::bigint + {schema}.changes_offset(), now())
        ON CONFLICT (user_id, row_id)
        DO UPDATE SET change_number = excluded.change_number, removed_at = excluded.removed_at;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION {schema}.changes_end_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE {schema}.changes_epoch SET value = replace(gen_random_uuid()::text, '-', '');
        RETURN NULL;
    END $$
    """,
)
DROP_FUNCTIONS = tuple(
    f"DROP FUNCTION {{schema}}.changes_{name}()"
    for name in ("set_number", "remember_deletions", "remember_former_owner", "end_epoch", "offset")
)

REFUSAL = {"reason": "the data of this user moves to another database", "code": MOVING}
CREATE_REFUSAL = """
CREATE FUNCTION {schema}.changes_refuse_moving_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM {schema}.changes_move WHERE user_id IN (OLD.user_id, NEW.user_id) AND state <> 'arrived'
    ) THEN
        RAISE EXCEPTION '{reason}' USING ERRCODE = '{code}';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$
"""
DROP_REFUSAL = "DROP FUNCTION {schema}.changes_refuse_moving_user()"
MOVING_USER, MOVING_USER_DELETION = "moving_user", "moving_user_deletion"

POSTGRESQL_TRIGGERS = {
    "change_number": "BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.changes_set_number()",
    "change_deletion": """
        AFTER DELETE ON {table} REFERENCING OLD TABLE AS deleted
        FOR EACH STATEMENT EXECUTE FUNCTION {schema}.changes_remember_deletions()
    """,
    "change_owner": """
        AFTER UPDATE ON {table} FOR EACH ROW WHEN ((OLD.user_id, OLD.id) IS DISTINCT FROM (NEW.user_id, NEW.id))
        EXECUTE FUNCTION {schema}.changes_remember_former_owner()
    """,
    "change_truncation": """
        AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.changes_end_epoch()
    """,
}
POSTGRESQL_REFUSALS = {
    MOVING_USER: """
        BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.changes_refuse_moving_user()
    """,
    MOVING_USER_DELETION: """
        BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.changes_refuse_moving_user()
    """,
}

# SQLite has one writer at a time, so the numbers of a user are committed in their order.
NEXT_NUMBER = """(
    SELECT COALESCE(MAX(number), 0) + 1 FROM (
        SELECT MAX(change_number) AS number FROM {table} WHERE user_id = {row}.user_id
        UNION ALL SELECT MAX(change_number) FROM changes_removal WHERE user_id = {row}.user_id
        UNION ALL SELECT change_number FROM changes_forgotten WHERE user_id = {row}.user_id
        UNION ALL SELECT floor FROM changes_epoch
        UNION ALL SELECT {row}.change_number
    )
)"""
SET_NUMBER = "BEGIN UPDATE {table} SET change_number = {next_of_new} WHERE id = NEW.id; END"
REMEMBER_OLD = """
BEGIN
    INSERT INTO changes_removal (user_id, row_id, change_number, removed_at)
    VALUES (OLD.user_id, OLD.id, {next_of_old}, strftime('%Y-%m-%d %H:%M:%f', 'now'))
    ON CONFLICT (user_id, row_id)
    DO UPDATE SET change_number = excluded.change_number, removed_at = excluded.removed_at;
END
"""
SQLITE_TRIGGERS = {
    "change_insert": f"AFTER INSERT ON {{table}} {SET_NUMBER}",
    # The condition excludes the triggers' own updates, which raise the number.
    "change_update": f"AFTER UPDATE ON {{table}} WHEN NEW.change_number <= OLD.change_number {SET_NUMBER}",
    "change_deletion": f"AFTER DELETE ON {{table}} {REMEMBER_OLD}",
    "change_owner": f"""
        AFTER UPDATE ON {{table}} WHEN OLD.user_id IS NOT NEW.user_id OR OLD.id IS NOT NEW.id {REMEMBER_OLD}
    """,
}

REFUSE_MOVING_USER = """
WHEN EXISTS (SELECT 1 FROM changes_move WHERE user_id IN ({rows}) AND state <> 'arrived')
BEGIN SELECT RAISE(ABORT, '{reason}'); END
"""
SQLITE_REFUSALS = {
    f"{MOVING_USER}_insert": f"BEFORE INSERT ON {{table}} {REFUSE_MOVING_USER.replace('{rows}', 'NEW.user_id')}",
    f"{MOVING_USER}_update": f"""
        BEFORE UPDATE ON {{table}} {REFUSE_MOVING_USER.replace("{rows}", "OLD.user_id, NEW.user_id")}
    """,
    MOVING_USER_DELETION: f"BEFORE DELETE ON {{table}} {REFUSE_MOVING_USER.replace('{rows}', 'OLD.user_id')}",
}

#: The name of each trigger of a table, and whether writes of the service fire the trigger.
STORED_TRIGGERS = {
    "postgresql": "SELECT tgname, tgenabled IN ('O', 'A') FROM pg_trigger WHERE tgrelid = to_regclass(%s)",
    "sqlite": "SELECT name, TRUE FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
}


def create_functions() -> RunPython:
    """Return a migration operation that creates the functions of the feed's triggers in PostgreSQL."""
    return _on_postgresql(CREATE_FUNCTIONS, DROP_FUNCTIONS)


def create_refusal() -> RunPython:
    """Return a migration operation that creates the function of ``refuse_moving_users`` in PostgreSQL."""
    return _on_postgresql([CREATE_REFUSAL], [DROP_REFUSAL])


def _on_postgresql(create_statements: Sequence[str], drop_statements: Sequence[str]) -> RunPython:
    def create(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            _execute(schema_editor.connection, *create_statements, offset=0, **REFUSAL)

    def drop(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            _execute(schema_editor.connection, *drop_statements)

    return RunPython(create, drop)


def track_changes(table: str) -> RunPython:
    """Return a migration operation that creates the triggers of a table.

    The table has the columns ``id``, ``user_id`` and ``change_number``, and an index on ``user_id``, ``change_number``
    and ``id``. Unapplying the operation expires every state, because nothing numbers the writes from then on.
    """

    def create(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        _create_triggers(schema_editor.connection, table, _feed_triggers(schema_editor.connection))

    def drop(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        _drop_triggers(schema_editor.connection, table, _feed_triggers(schema_editor.connection))
        _execute(schema_editor.connection, "UPDATE changes_epoch SET value = '{value}'", value=uuid4().hex)

    return RunPython(create, drop)


def refuse_moving_users(table: str, *, deletions: bool = True) -> RunPython:
    """Return a migration operation that creates the triggers that refuse writes of users who move.

    The table has the column ``user_id``. ``changes/moves.py`` says who moves.
    """

    def wanted() -> dict[str, str]:
        return {name: body for name, body in _refusals(connection).items() if deletions or name != MOVING_USER_DELETION}

    def create(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        _create_triggers(schema_editor.connection, table, wanted())

    def drop(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        _drop_triggers(schema_editor.connection, table, wanted())

    return RunPython(create, drop)


def trigger_faults(table: str) -> dict[str, str]:
    """Return ``missing`` or ``disabled`` by the name of each trigger that does not fire."""
    with connection.cursor() as cursor:
        cursor.execute(STORED_TRIGGERS[connection.vendor], [table])
        enabled = dict(cursor.fetchall())
    expected = (f"{table}_{name}" for name in _triggers(connection))
    return {name: "disabled" if name in enabled else "missing" for name in expected if not enabled.get(name)}


def restore_triggers(table: str) -> None:
    """Create the triggers of a table again.

    Raises:
        OperationalError: another transaction has locked the table.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            _execute(connection, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        _drop_triggers(connection, table, _triggers(connection))
        _create_triggers(connection, table, _triggers(connection))


def _create_triggers(connection: BaseDatabaseWrapper, table: str, triggers: Mapping[str, str]) -> None:
    numbers = {f"next_of_{row.lower()}": NEXT_NUMBER.format(table=table, row=row) for row in ("NEW", "OLD")}
    statements = (f"CREATE TRIGGER {table}_{name} {body}" for name, body in triggers.items())
    _execute(connection, *statements, table=table, **numbers, **REFUSAL)


def _drop_triggers(connection: BaseDatabaseWrapper, table: str, triggers: Iterable[str]) -> None:
    of_table = f" ON {table}" if connection.vendor == "postgresql" else ""
    _execute(connection, *(f"DROP TRIGGER IF EXISTS {table}_{name}{of_table}" for name in triggers))


def _triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return _feed_triggers(connection) | _refusals(connection)


def _feed_triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return POSTGRESQL_TRIGGERS if connection.vendor == "postgresql" else SQLITE_TRIGGERS


def _refusals(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return POSTGRESQL_REFUSALS if connection.vendor == "postgresql" else SQLITE_REFUSALS


def _execute(connection: BaseDatabaseWrapper, *statements: str, **parts: object) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT quote_ident(current_schema())")
            [parts["schema"]] = cursor.fetchone()
        for statement in statements:
            cursor.execute(statement.format(**parts), None)
