"""Migration operations that do not stop the API on a big table: docs/decisions/0012-migrations.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint


class AddConstraints(Operation):
    """Add check constraints that new rows must keep.

    PostgreSQL does not read the stored rows until ``ValidateConstraints``. SQLite copies the table once for all
    constraints, and checks each row.
    """

    reversible = True

    def __init__(self, model_name: str, constraints: Sequence[CheckConstraint]) -> None:
        self.model_name = model_name
        self.constraints = constraints

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for constraint in self.constraints:
            state.add_constraint(app_label, self.model_name.lower(), constraint)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "sqlite":
            schema_editor._remake_table(model)  # noqa: SLF001
            return
        for constraint in self.constraints:
            schema_editor.execute(f"{constraint.create_sql(model, schema_editor)} NOT VALID", params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor == "sqlite":
            schema_editor._remake_table(model)  # noqa: SLF001
            return
        for constraint in self.constraints:
            schema_editor.remove_constraint(model, constraint)

    def describe(self) -> str:
        return f"Add constraints {', '.join(each.name for each in self.constraints)} on {self.model_name}"


class ValidateConstraints(Operation):
    """Check the stored rows against constraints of ``AddConstraints``.

    PostgreSQL blocks no writer meanwhile.
    """

    reversible = True

    def __init__(self, model_name: str, names: Sequence[str]) -> None:
        self.model_name = model_name
        self.names = names

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing, because the state has the constraints already."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            table = schema_editor.quote_name(to_state.apps.get_model(app_label, self.model_name)._meta.db_table)
            for name in self.names:
                schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {schema_editor.quote_name(name)}")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Change nothing, because a valid constraint needs no other form."""

    def describe(self) -> str:
        return f"Validate constraints {', '.join(self.names)} on {self.model_name}"


class CheckByFunctions(Operation):
    """Let a function evaluate each of these check constraints, whose rules stay.

    For every statement, PostgreSQL parses and plans the constraints of a table again, but a function once a session. It
    does not read the stored rows until ``ValidateConstraints``.

    Args:
        model_name: the name of the model.
        columns: by the name of each constraint, the column that it checks.
    """

    reversible = True

    def __init__(self, model_name: str, columns: Mapping[str, str]) -> None:
        self.model_name = model_name
        self.columns = columns

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing, because the state has the rules."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            model, quote = to_state.apps.get_model(app_label, self.model_name), schema_editor.quote_name
            for name, check in self._checks(model, schema_editor).items():
                column = model._meta.get_field(self.columns[name]).db_type(schema_editor.connection)
                schema_editor.execute(
                    f"CREATE FUNCTION {quote(name)}({quote(self.columns[name])} {column}) RETURNS boolean"
                    f" LANGUAGE plpgsql IMMUTABLE AS $check$BEGIN RETURN {check}; END$check$",
                    params=None,
                )
            calls = {name: f"{quote(name)}({quote(column)})" for name, column in self.columns.items()}
            self._replace(model, schema_editor, calls)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            model = from_state.apps.get_model(app_label, self.model_name)
            self._replace(model, schema_editor, self._checks(model, schema_editor))
            for name in self.columns:
                schema_editor.execute(f"DROP FUNCTION {schema_editor.quote_name(name)}")

    def _checks(self, model: Any, schema_editor: Any) -> dict[str, str]:
        """Return the SQL of each constraint's expression."""
        constraints = {each.name: each for each in model._meta.constraints}
        return {name: constraints[name]._get_check_sql(model, schema_editor) for name in self.columns}  # noqa: SLF001

    def _replace(self, model: Any, schema_editor: Any, checks: Mapping[str, str]) -> None:
        table, quote = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name
        changes = (
            f"DROP CONSTRAINT {quote(name)}, ADD CONSTRAINT {quote(name)} CHECK ({check}) NOT VALID"
            for name, check in checks.items()
        )
        schema_editor.execute(f"ALTER TABLE {table} {', '.join(changes)}", params=None)

    def describe(self) -> str:
        return f"Check {', '.join(self.columns)} on {self.model_name} by functions"


class AddIndexConcurrently(migrations.AddIndex):
    """Add an index while others write the table; the migration needs ``atomic = False``."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, self.index, **_concurrently(schema_editor))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, **_concurrently(schema_editor))


class RemoveIndexConcurrently(migrations.RemoveIndex):
    """Remove an index while others use the table; the migration needs ``atomic = False``."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model, index = self._model_and_index(app_label, from_state)
        schema_editor.remove_index(model, index, **_concurrently(schema_editor))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model, index = self._model_and_index(app_label, to_state)
        schema_editor.add_index(model, index, **_concurrently(schema_editor))

    def _model_and_index(self, app_label: str, state: Any) -> tuple[Any, Any]:
        model_state = state.models[app_label, self.model_name_lower]
        return state.apps.get_model(app_label, self.model_name), model_state.get_index_by_name(self.name)


def _concurrently(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, bool]:
    return {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
