"""Believable tasks for ``seed_tasks``, made up by chance and yet the same ones each time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from tasks.models import Task

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Of the tasks that are not completed, how many have been edited.
EDITED = 0.2
#: How many have a description.
DESCRIBED = 0.6

WORDS = {
    "person": ("Ana", "Björn", "Chloé", "Dmitri", "Elif", "Fátima", "Grace", "Hiroshi", "Ines", "Jürgen", "Lê", "Zoë"),
    "matter": ("the invoice", "Thursday", "the contract", "the keys", "the trip", "the budget", "the new office"),
    "thing": ("milk and bread", "printer paper", "a birthday present", "train tickets", "coffee", "light bulbs"),
    "paper": ("minutes of the meeting", "report", "offer", "application", "newsletter", "release notes"),
    "place": ("the dentist", "the garage", "the tax office", "the bank", "the school", "the hotel", "the hairdresser"),
    "bill": ("rent", "electricity bill", "phone bill", "insurance", "membership fee", "parking ticket"),
    "chore": (
        "Water the plants",
        "Back up the laptop",
        "Renew the passport",
        "Zähler ablesen",
        "买菜",
        "Clean the oven",
    ),
}
TITLES = (
    "Call {person} about {matter}",
    "Ask {person} about {matter}",
    "Buy {thing}",
    "Buy {thing} for {person}",
    "Write the {paper}",
    "Send the {paper} to {person}",
    "Read the {paper} again",
    "Ring {place}",
    "Make an appointment with {place}",
    "Pay the {bill}",
    "Ask {place} about the {bill}",
    "{chore}",
)
SENTENCES = (
    "What was agreed last time is in the shared folder.",
    "{person} knows more.",
    "By Friday at the latest.",
    "Not urgent 🙂",
    "Ask {person} first, then write it down.",
    "See the mail about {matter}.",
    "Two options:\n- {thing}\n- nothing at all",
    "It costs less in the morning: between 8 and 10.",
)


@dataclass(frozen=True)
class SampleTasks:
    """The tasks of a seed. A larger number of them begins with the same ones; ids and times are made up as well.

    Attributes:
        seed: decides them, with all that follows: tasks of other owners are others.
        owners: whose they are, each about as often as the others.
        completed_ratio: the part of them that is completed, from 0 to 1.
        until: none was made or written after it.
        days: none was made more than so many days before it.
    """

    seed: int
    owners: Sequence[str]
    completed_ratio: float
    until: datetime
    days: int

    def first(self, number: int) -> Iterator[Task]:
        """The first ``number`` of them, in no order of time."""
        # All that is asked for, or the tasks of one user would have the ids of another's.
        chance = Chance(f"{self.seed} {self.completed_ratio} {' '.join(self.owners)}")
        span = timedelta(days=self.days)
        for _ in range(number):
            yield self._task(chance, self.until - span * chance.random())

    def _task(self, chance: "Chance", created_at: datetime) -> Task:
        completed = chance.random() < self.completed_ratio
        writes = 1 + int(3 * chance.random()) if completed or chance.random() < EDITED else 0
        # Most of what is done is done soon.
        updated_at = created_at + (self.until - created_at) * chance.random() ** 3
        return Task(
            id=uuid7(created_at, chance),
            user_id=chance.pick(self.owners),
            title=chance.phrase(TITLES),
            description=chance.description() if chance.random() < DESCRIBED else "",
            completed=completed,
            created_at=created_at,
            updated_at=max(updated_at, created_at + timedelta(microseconds=writes)) if writes else created_at,
            version=1 + writes,
        )


class Chance(random.Random):
    """Of ``random.Random`` only what every version of Python makes alike: ``random`` and ``getrandbits``."""

    def pick(self, things: Sequence[T]) -> T:
        return things[int(len(things) * self.random())]

    def __getitem__(self, kind: str) -> str:
        return self.pick(WORDS[kind])

    def phrase(self, templates: Sequence[str]) -> str:
        return self.pick(templates).format_map(self)

    def description(self) -> str:
        return "\n".join(self.phrase(SENTENCES) for _ in range(1 + int(3 * self.random())))


def uuid7(moment: datetime, chance: random.Random) -> UUID:
    """As ``Task`` makes them (RFC 9562, section 5.7), but of a moment and a chance that can be had again."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))
