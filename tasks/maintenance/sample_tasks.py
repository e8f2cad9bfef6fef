"""Random tasks for ``seed_tasks`` that look real, the same tasks for the same seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from tasks.models import Task
from tasks.rules import Priority

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The part of the open tasks that were edited.
EDITED_RATIO = 0.2
#: The part of all tasks that have a description.
DESCRIBED_RATIO = 0.6
#: The part of all tasks that have a due date, and the most days from the creation to that date.
DUE_RATIO = 0.5
DUE_DAYS = 30

#: The text after the date of a due date; most due dates are days.
DUE_TIMES = ("", "", "", "", "", "", "T09:00:00", "T18:30:00", "T16:00:00Z", "T10:15:00[Europe/Berlin]")
PRIORITIES = (
    Priority.NONE,
    Priority.NONE,
    Priority.NONE,
    Priority.LOW,
    Priority.MEDIUM,
    Priority.MEDIUM,
    Priority.HIGH,
)
LABELS = ("home", "work", "errands", "family", "money", "calls", "waiting", "büro", "健康")
MOST_LABELS = 3

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
    """The random tasks of a seed.

    ``first(20)`` begins with the tasks of ``first(10)``, ids and times included.

    Attributes:
        seed: selects the tasks, together with the owners and the ratio.
        owners: the user ids that share the tasks about evenly.
        completed_ratio: the part of the tasks that is completed, from 0 to 1.
        until: the latest time of a creation or write.
        days: the earliest creation is this many days before ``until``.
    """

    seed: int
    owners: Sequence[str]
    completed_ratio: float
    until: datetime
    days: int

    def first(self, number: int) -> Iterator[Task]:
        """Yield the first ``number`` tasks, not sorted by time."""
        # The owners are part of the seed, because different users' tasks need different ids.
        seed = f"{self.seed} {self.completed_ratio} {' '.join(self.owners)}"
        # A generator of its own keeps the other values as they were before tasks had due dates.
        generator, planner = SampleGenerator(seed), SampleGenerator(f"{seed} planning")
        span = timedelta(days=self.days)
        for _ in range(number):
            yield self._task(generator, planner, self.until - span * generator.random())

    def _task(self, generator: "SampleGenerator", planner: "SampleGenerator", created_at: datetime) -> Task:
        completed = generator.random() < self.completed_ratio
        writes = 1 + int(3 * generator.random()) if completed or generator.random() < EDITED_RATIO else 0
        # The third power brings most writes near the creation.
        last_write = created_at + (self.until - created_at) * generator.random() ** 3
        updated_at = max(last_write, created_at + timedelta(microseconds=writes)) if writes else created_at
        return Task(
            id=generator.uuid7(created_at),
            user_id=generator.pick(self.owners),
            title=generator.phrase(TITLES),
            description=generator.description() if generator.random() < DESCRIBED_RATIO else "",
            completed=completed,
            **planner.plan(created_at),
            created_at=created_at,
            updated_at=updated_at,
            completed_at=updated_at if completed else None,
            version=1 + writes,
        )


class SampleGenerator(random.Random):
    """A generator whose numbers are the same in every version of Python."""

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of ``choices``."""
        return choices[int(len(choices) * self.random())]

    def phrase(self, templates: Sequence[str]) -> str:
        """Fill one of ``templates`` with words."""
        return self.pick(templates).format_map(self)

    def __getitem__(self, kind: str) -> str:
        """Return a word of a kind, for ``format_map``."""
        return self.pick(WORDS[kind])

    def description(self) -> str:
        """Return one to three lines."""
        return "\n".join(self.phrase(SENTENCES) for _ in range(1 + int(3 * self.random())))

    def plan(self, created_at: datetime) -> dict[str, Any]:
        """Return a due date, a priority and labels of a task."""
        day = created_at + timedelta(days=int(DUE_DAYS * self.random()))
        due = f"{day:%Y-%m-%d}{self.pick(DUE_TIMES)}"
        labels = frozenset(self.pick(LABELS) for _ in range(int((1 + MOST_LABELS) * self.random())))
        priority: int = self.pick(PRIORITIES).value
        return {"due": due if self.random() < DUE_RATIO else None, "priority": priority, "labels": labels}

    def uuid7(self, time: datetime) -> UUID:
        """Return a UUID of version 7 (RFC 9562, section 5.7) for ``time``."""
        milliseconds = (time - EPOCH) // timedelta(milliseconds=1)
        return UUID(int=milliseconds << 80 | 7 << 76 | self.getrandbits(12) << 64 | 2 << 62 | self.getrandbits(62))
