"""Migration operations that do not stop the API on a big table: docs/decisions/0012-migrations.md."""

from collections.abc import Sequence
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


class AddIndexConcurrently(migrations.AddIndex):
    """Add an index while others write the table; the migration needs ``atomic = False``."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, self.index, **_concurrently(schema_editor))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, self.index, **_concurrently(schema_editor))


def _concurrently(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, bool]:
    return {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
