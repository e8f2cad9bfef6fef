"""Answer a request for the changes since a state."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from changes.models import BEGINNING, Position
from changes.statements import FeedStatement
from changes.states import State, history_digest, read_state
from rest.pages import LIMIT as LIST_LIMIT
from rest.parameters import ParameterType, read_parameters
from rest.problems.types import StateExpired

DEFAULT_LIMIT = 100
LIMIT = LIST_LIMIT._replace(schema={**LIST_LIMIT.schema, "default": DEFAULT_LIMIT})
SINCE = ParameterType(str, {"type": "string", "minLength": 1})


class Feed:
    """The changes of one user, from the state that the query parameters name.

    Raises:
        InvalidRequest: a parameter is refused.
    """

    def __init__(self, statement: FeedStatement, user_id: str, parameters: Mapping[str, list[str]]) -> None:
        since = SINCE._replace(parse=partial(read_state, user_id=user_id))
        values = read_parameters(parameters, {"since": since, "limit": LIMIT})
        self.statement = statement
        self.user_id = user_id
        self.limit: int = values.get("limit", DEFAULT_LIMIT)
        self.since: State | None = values.get("since")
        self.since_text = parameters.get("since", [""])[0]

    def page(self) -> str:
        """Return the changes, the new state, and whether changes were left out.

        Raises:
            StateExpired: changes since the state are not known.
        """
        after = self.since.position if self.since else BEGINNING
        if self.since:
            [(*known, has_news)] = self.statement.news.fetch(user_id=self.user_id, after=after)
            if not has_news:
                self._valid_state(*known)
                return _answer([], self.since_text, more=False)
        rows = self.statement.fetch(self.limit + 1, user_id=self.user_id, after=after)
        since = self._valid_state(*rows[0][3:])
        changes = [row for row in rows[: self.limit] if row[0] is not None]
        state = since._replace(position=_position(*changes[-1][1:3])) if changes else since
        return _answer([row[0] for row in changes], state.write(self.user_id), more=len(rows) > self.limit)

    def _valid_state(self, history: str, forgotten_number: int | None, forgotten_id: str | None) -> State:
        """Return the state of the request, or the beginning of the feed if the request names no state."""
        forgotten = _position(forgotten_number, forgotten_id) if forgotten_number and forgotten_id else BEGINNING
        since = self.since or State(history_digest(history), BEGINNING, forgotten)
        if since.history != history_digest(history) or forgotten > max(since.position, since.forgotten):
            raise StateExpired
        return since


def _answer(changes: list[str], state: str, *, more: bool) -> str:
    return f'{{"changes":[{",".join(changes)}],"state":"{state}","more":{"true" if more else "false"}}}'


def _position(number: int, id: str) -> Position:
    return Position(number, UUID(id))
