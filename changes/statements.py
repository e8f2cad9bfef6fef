"""Read a page of the change feed in one statement, compiled once per process."""

from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Exists, Expression, F, Func, Model, OuterRef, QuerySet, TextField, Value
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan
from django.db.models.sql.compiler import SQLCompiler

from changes.models import Removal
from database.compiled_statements import SQL, CompiledStatement, Shape, parameters_of
from database.json_expressions import JSONUUID

# The page has no row if nothing has changed. Then the other columns still tell whether the state has expired.
FEED = """
SELECT page.change, page.number, page.change_id, epoch.history, forgotten.change_number, forgotten.row_id
FROM (SELECT {history} AS history FROM changes_epoch) AS epoch
LEFT JOIN changes_forgotten AS forgotten ON forgotten.user_id = %s
LEFT JOIN ({page}) AS page ON TRUE
ORDER BY page.number, page.change_id
"""

#: A failover begins a new timeline, which may give the numbers of lost changes again. SQLite has no failover.
HISTORY = {
    "postgresql": "value || SUBSTR(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
    "sqlite": "value",
}


class Horizon(Func):
    """The lowest number that a transaction in progress may still commit a change with.

    SQLite commits changes in the order of their numbers, so every number is below the horizon.
    """

    output_field = BigIntegerField()
    template = str(BigIntegerField.MAX_BIGINT)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:
        template = "(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + changes_offset())"
        return self.as_sql(compiler, connection, template=template)


class Change(Func):
    """A change as a JSON object: the id, the state and the row."""

    output_field = TextField()

    def __init__(self, id: str, state: Expression, name: str, row: Expression) -> None:
        super().__init__(JSONUUID(F(id)), state, row)
        self.extra["name"] = name

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> SQL:  # type: ignore[override]
        id_, state, row = (compiler.compile(part) for part in self.get_source_expressions())
        members = (
            f""""id":' || {id_[0]} || ',"state":"' || {state[0]} || '","{self.extra["name"]}":' || {row[0]} || '"""
        )
        return f"('{{{members}}}')", (*id_[1], *state[1], *row[1])


class FeedStatement(CompiledStatement[...]):
    """A page of the feed of a user.

    A row is a change as JSON, its position, the history of the database, and the last forgotten removal. If nothing has
    changed, the only row has no change.

    Args:
        model: the tracked table.
        name: the member of a change with the row.
        state: returns the expression of a row's state.
        representation: returns the expression of a row's JSON.
    """

    def __init__(
        self,
        model: type[Model],
        name: str,
        state: Callable[[], Expression],
        representation: Callable[[], Expression],
    ) -> None:
        super().__init__(self._build, dict)
        self.model = model
        self.name = name
        self.state = state
        self.representation = representation

    def _build(self, size: int, /, *, user_id: Any, after: Any) -> QuerySet[Any, Any]:
        """Return the first changes after a position, in the order of their numbers."""
        rows = self.model._default_manager.filter(user_id=user_id)
        # A row that its owner has got back is no longer removed.
        removed = Removal.objects.filter(~Exists(rows.filter(id=OuterRef("row_id"))), user_id=user_id)
        live = Change("id", self.state(), self.name, self.representation())
        gone = Change("row_id", Value("removed"), self.name, Value("null"))
        both = _after(rows, "id", after, live).union(_after(removed, "row_id", after, gone), all=True)
        page: QuerySet[Any, Any] = both.order_by("number", "change_id")[:size]
        return page

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        connection = connections[DEFAULT_DB_ALIAS]
        values = parameters_of(shape)
        page, params = self._build(*args, **values).query.get_compiler(connection=connection).as_sql()
        return FEED.format(history=HISTORY[connection.vendor], page=page), (values["user_id"], *params)


def _after(rows: QuerySet[Any], id: str, after: Any, change: Expression) -> QuerySet[Any, Any]:
    position = Tuple(F("change_number"), F(id))
    following = rows.filter(TupleGreaterThan(position, after), change_number__lt=Horizon()).order_by()
    columns = {"change": change, "number": F("change_number"), "change_id": F(id)}
    page: QuerySet[Any, Any] = following.annotate(**columns).values_list(*columns)
    return page
