"""Whether a history of one task is linearizable: J. M. Wing, C. Gong, "Testing and Verifying Concurrent Objects", 1993.

There must be an order of the requests, each at a moment between its start and its end, in which one after another would
have given just these answers. A request without an answer may have been done at any moment after its start, or never.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from resilience.clients import Exchange


class State(NamedTuple):
    version: int
    title: str
    completed: bool
    trashed: bool = False


#: Status, and what the answer shows of the task.
Answer = tuple[int, State | int | None]


def carry_out(state: State, exchange: Exchange) -> tuple[State, Answer]:
    """What the contract has a request make of the task, and answer."""
    operation = "toggle" if exchange.path.endswith("/toggle") else exchange.path.rpartition("/")[2]
    operation = operation if operation in {"toggle", "restore"} else exchange.method
    if state.trashed != (operation == "restore"):
        return state, (409 if operation == "restore" else 404, None)
    if operation == "GET":
        return state, (200, state)
    if exchange.if_match not in {None, f'"{state.version}"'}:
        return state, (412, state.version)
    match operation:
        case "PATCH":
            after = state._replace(title=exchange.sent["title"])
        case "toggle":
            after = state._replace(completed=not state.completed)
        case _:
            after = state._replace(trashed=operation == "DELETE")
    after = after._replace(version=state.version + 1)
    return after, (200, after)


def answer_of(exchange: Exchange) -> Answer:
    match exchange.status:
        case 200:
            task = exchange.body
            return 200, State(task["version"], task["title"], task["completed"], trashed=exchange.method == "DELETE")
        case 412:
            return 412, int(exchange.headers["etag"].strip('"'))
        case status:
            return status or 0, None


def is_linearizable(start: State, history: Sequence[Exchange]) -> bool:
    """Whether some order explains all answers; looks at each state of the search once."""
    exchanges = [each for each in history if not (each.unknown and each.method == "GET")]
    ends = [float("inf") if each.unknown else each.end for each in exchanges]
    answers = [answer_of(each) for each in exchanges]

    def steps(state: State, done: frozenset[int]) -> Iterator[tuple[State, frozenset[int]]]:
        """What may have come next: a request that began before any other that is left had ended."""
        left = [number for number in range(len(exchanges)) if number not in done]
        first_end = min(ends[number] for number in left)
        for number in sorted(left, key=ends.__getitem__):
            if exchanges[number].start <= first_end:
                after, answer = carry_out(state, exchanges[number])
                if exchanges[number].unknown or answer == answers[number]:
                    yield after, done | {number}

    @cache
    def leads_on(state: State, done: frozenset[int]) -> bool:
        if all(exchanges[number].unknown for number in range(len(exchanges)) if number not in done):
            return True
        return any(leads_on(*step) for step in steps(state, done))

    return leads_on(start, frozenset())
