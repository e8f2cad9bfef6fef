"""The answers of ``manage.py doctor``, for people and as JSON.

This module reads no settings, because one of the answers is that the settings cannot be read.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from observability.log import ESCAPES


class State(StrEnum):
    """How good an answer is."""

    OK = "ok"
    #: Something works less well, or is risky.
    WARNING = "warning"
    #: All or a part of the service does not work.
    WRONG = "wrong"
    #: The question was skipped.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """The answer to a question about the installation.

    Attributes:
        subject: what the question is about.
        state: how good the answer is.
        finding: what was found, in one sentence.
        advice: what to do, or nothing.
    """

    subject: str
    state: State
    finding: str
    advice: str = ""


def count(answers: Sequence[Answer], state: State) -> int:
    """Return how many answers have a state."""
    return sum(answer.state == state for answer in answers)


def as_json(answers: Sequence[Answer]) -> str:
    """Return the answers as one JSON object."""
    numbers = {"wrong": count(answers, State.WRONG), "warnings": count(answers, State.WARNING)}
    return json.dumps({**numbers, "answers": [*map(asdict, answers)]})


def as_lines(answers: Sequence[Answer]) -> Iterator[str]:
    """Yield the answers in columns, each advice on a line of its own.

    A finding can quote what another server sent, so control characters are escaped.
    """
    width = max(len(answer.subject) for answer in answers)
    for answer in answers:
        yield f"{answer.state:<8} {answer.subject:<{width}}  {answer.finding.translate(ESCAPES)}"
        if answer.advice:
            yield f"{'':<8} {'':<{width}}  {answer.advice}"


def summarize(answers: Sequence[Answer]) -> str:
    """Return the numbers of answers in one line."""
    return f"Answers: {len(answers)}; wrong: {count(answers, State.WRONG)}; warnings: {count(answers, State.WARNING)}"
