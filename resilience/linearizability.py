"""A check whether the recorded requests to one task are linearizable.

J. M. Wing, C. Gong, "Testing and Verifying Concurrent Objects", 1993. Each request takes effect at a moment between its
start and its end. A history is linearizable if some order of these moments explains every response. A request without
a response may take effect at any moment after its start, or never.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from testing.api_clients import RequestRecord


class TaskState(NamedTuple):
    """The state of a task that requests read and change."""

    version: int
    title: str
    completed: bool
    trashed: bool = False


#: The status, and the state or version that the response shows.
Response = tuple[int, TaskState | int | None]


def apply_request(state: TaskState, record: RequestRecord) -> tuple[TaskState, Response]:
    """Return the state after a request, and the response that the contract requires."""
    action = record.path.rpartition("/")[2]
    operation = action if action in {"toggle", "restore"} else record.method
    if state.trashed != (operation == "restore"):
        return state, (409 if operation == "restore" else 404, None)
    if operation == "GET":
        return state, (200, state)
    if record.if_match not in {None, f'"{state.version}"'}:
        return state, (412, state.version)
    match operation:
        case "PATCH":
            after = state._replace(title=record.sent_body["title"])
        case "toggle":
            after = state._replace(completed=not state.completed)
        case _:
            after = state._replace(trashed=operation == "DELETE")
    after = after._replace(version=state.version + 1)
    return after, (200, after)


def read_response(record: RequestRecord) -> Response:
    """Return the response that the client received."""
    match record.status:
        case 200:
            task, trashed = record.body, record.method == "DELETE"
            return 200, TaskState(task["version"], task["title"], task["completed"], trashed)
        case 412:
            return 412, int(record.headers["etag"].strip('"'))
        case status:
            return status or 0, None


def is_linearizable(start: TaskState, history: Sequence[RequestRecord]) -> bool:
    """Tell whether some order of the requests explains all responses."""
    records = [record for record in history if not (record.outcome_unknown and record.method == "GET")]
    ends = [float("inf") if record.outcome_unknown else record.end for record in records]
    responses = [read_response(record) for record in records]

    def next_steps(state: TaskState, done: frozenset[int]) -> Iterator[tuple[TaskState, frozenset[int]]]:
        """Yield the state after each request that may take effect next."""
        left = [number for number in range(len(records)) if number not in done]
        first_end = min(ends[number] for number in left)
        for number in sorted(left, key=ends.__getitem__):
            if records[number].start <= first_end:
                after, response = apply_request(state, records[number])
                if records[number].outcome_unknown or response == responses[number]:
                    yield after, done | {number}

    @cache
    def can_finish(state: TaskState, done: frozenset[int]) -> bool:
        """Tell whether some order of the remaining requests explains their responses."""
        if all(record.outcome_unknown for number, record in enumerate(records) if number not in done):
            return True
        return any(can_finish(*step) for step in next_steps(state, done))

    return can_finish(start, frozenset())
