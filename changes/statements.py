"""Read the change feed by statements that are compiled once per process."""

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

# The page has no row if nothing has changed. Then the other columns still tell whether the state has expired. Each part
# of the page has a limit of its own. Without this, PostgreSQL would sort all later changes. The ids are text, because
# the driver makes UUIDs in Python, and a page needs only the last UUID.
FEED = """
SELECT page.change, page.number, CAST(page.change_id AS text),
    epoch.history, forgotten.change_number, CAST(forgotten.row_id AS text)
FROM (SELECT {history} AS history FROM changes_epoch) AS epoch
LEFT JOIN changes_forgotten AS forgotten ON forgotten.user_id = %s
LEFT JOIN (
    SELECT * FROM ({rows}) AS current UNION ALL SELECT * FROM ({removals}) AS removed
    ORDER BY number, change_id LIMIT {size}
) AS page ON TRUE
ORDER BY page.number, page.change_id
"""

# Whether FEED may have a change. FEED itself takes longer, because PostgreSQL prepares the expressions of a row even if
# there is none. A change above the horizon counts here, and then costs a second statement, because FEED leaves it out.
NEWS = """
WITH since (user_id, number, id) AS MATERIALIZED (SELECT CAST(%s AS text), %s, %s)
SELECT {history}, forgotten.change_number, CAST(forgotten.row_id AS text), COALESCE({row}, {removal}) IS NOT NULL
FROM since CROSS JOIN changes_epoch LEFT JOIN changes_forgotten AS forgotten ON forgotten.user_id = since.user_id
"""
NEXT = """
(SELECT {id} FROM {table}
WHERE user_id = since.user_id AND (change_number, {id}) > (since.number, since.id)
ORDER BY change_number, {id} LIMIT 1)
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


class Unplanned(Func):
    """A value that PostgreSQL does not plan for, so that it plans the statement once and not at each run."""

    template = "(SELECT %(expressions)s)"


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


class NewsStatement(CompiledStatement[...]):
    """Whether a user may have changes after a position.

    The only row has the history of the database, the last forgotten removal, and whether a change may follow.
    """

    def __init__(self, model: type[Model]) -> None:
        super().__init__(model._default_manager.all, dict)  # NEWS takes the place of the query
        self.model = model

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        values = parameters_of(shape)
        statement = NEWS.format(
            history=HISTORY[connections[DEFAULT_DB_ALIAS].vendor],
            row=NEXT.format(table=self.model._meta.db_table, id="id"),
            removal=NEXT.format(table=Removal._meta.db_table, id="row_id"),
        )
        return statement, (values["user_id"], *values["after"])


class FeedStatement(CompiledStatement[...]):
    """A page of the feed of a user.

    A row is a change as JSON, its position, the history of the database, and the last forgotten removal. If nothing has
    changed, the only row has no change.

    Args:
        model: the tracked table.
        name: the member of a change with the row.
        state: returns the expression of a row's state.
        representation: returns the expression of a row's JSON.

    Attributes:
        news: tells in less time that a page would have no change.
    """

    def __init__(
        self,
        model: type[Model],
        name: str,
        state: Callable[[], Expression],
        representation: Callable[[], Expression],
    ) -> None:
        super().__init__(self._build, dict)  # type: ignore[arg-type]  # two queries
        self.model = model
        self.news = NewsStatement(model)
        self.name = name
        self.state = state
        self.representation = representation

    def _build(self, size: int, /, *, user_id: Any, after: Any) -> list[QuerySet[Any, Any]]:
        """Return the first rows and the first removals after a position."""
        rows = self.model._default_manager.filter(user_id=user_id)
        # A row that its owner has got back follows its removal, because its version may be lower than before. A removal
        # without a lower number, as in one transaction, is left out. Without the sum, PostgreSQL might read all
        # earlier rows by the index on the number, and not one row by its id.
        returned = rows.filter(id=OuterRef("row_id")).alias(number=F("change_number") + 0)
        returned = returned.filter(number__lte=OuterRef("change_number"))
        removed = Removal.objects.filter(~Exists(returned), user_id=user_id)
        changed = Change("id", self.state(), self.name, self.representation())
        gone = Change("row_id", Value("removed"), self.name, Value("null"))
        return [_after(rows, "id", after, changed)[:size], _after(removed, "row_id", after, gone)[:size]]

    def _compile(self, args: tuple[Any, ...], shape: Shape) -> SQL:
        connection = connections[DEFAULT_DB_ALIAS]
        values = parameters_of(shape)
        parts = [part.query.get_compiler(connection=connection).as_sql() for part in self._build(*args, **values)]
        (rows, row_params), (removals, removal_params) = parts
        [size] = args
        statement = FEED.format(history=HISTORY[connection.vendor], rows=rows, removals=removals, size=size)
        return statement, (values["user_id"], *row_params, *removal_params)


def _after(rows: QuerySet[Any], id: str, after: Any, change: Expression) -> QuerySet[Any, Any]:
    position = Tuple(F("change_number"), F(id))
    number, row_id = map(Unplanned, after)
    following = rows.filter(TupleGreaterThan(position, (number, row_id)), change_number__lt=Horizon())
    # Without a lower bound of its own, SQLite would read the index from its beginning.
    following = following.filter(change_number__gte=number)
    columns = {"change": change, "number": F("change_number"), "change_id": F(id)}
    page: QuerySet[Any, Any] = following.annotate(**columns).values_list(*columns).order_by("change_number", id)
    return page
