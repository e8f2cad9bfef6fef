"""``python -m benchmarks.tokens``: what a GET of a task costs with a token, beside single-user mode.

Two servers on one database, one in each mode, take turns. The difference is the median of the rounds', each of which
compares neighbours in time; processor time is the server's, of one request.
"""

import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from benchmarks import load as generators
from benchmarks.load import Load
from benchmarks.processes import processor_seconds
from benchmarks.running import Server, argument_parser, chosen, database, print_table, run, served
from todo_project.tests.provider import AUDIENCE, ISSUER, Provider

CONNECTIONS = 32
FILL = """
import django; django.setup()
from tasks.models import Task
tasks = [Task(user_id=user, title="Buy milk") for user in ("default", "alice")]
for task in tasks:
    task.save()
print(*(task.id for task in tasks))
"""


@dataclass
class Mode:
    server: Server
    load: Load
    rates: list[float] = field(default_factory=list)
    microseconds: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        before = processor_seconds(self.server.pid)
        sample = generators.send(self.server, self.load, CONNECTIONS, seconds)
        if sample.errors:
            raise RuntimeError(f"{sample.errors} of {sample.requests} requests failed")
        self.rates.append(sample.rate)
        self.microseconds.append(1e6 * (processor_seconds(self.server.pid) - before) / sample.requests)


@contextmanager
def modes(url: str) -> Iterator[tuple[Mode, Mode]]:
    with ExitStack() as stack:
        provider = stack.enter_context(closing(Provider()))
        settings = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        tasks = run("-c", FILL, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="todo_project.settings").split()
        default, alice = (Load("GET", [(f"/api/tasks/{task}", "")]) for task in tasks)
        single_user = stack.enter_context(served(url, WORKERS="2"))
        jwt = stack.enter_context(served(url, WORKERS="2", **settings))
        alice = Load("GET", alice.requests, authorization=f"Bearer {provider.token()}")
        yield Mode(single_user, default), Mode(jwt, alice)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    rows = []
    for kind in chosen(options.database):
        with database(kind) as url, modes(url) as (single_user, jwt):
            for _ in range(options.rounds + 1):  # the first of them warms up
                for mode in random.sample((single_user, jwt), 2):
                    mode.measure(options.seconds)
        rows.append((kind, *figures(single_user), *figures(jwt), f"{difference(single_user, jwt):+.1f} %"))
    print_table(("GET", "single-user, requests/s", "µs", "jwt, requests/s", "µs", "difference"), rows)


def figures(mode: Mode) -> tuple[str, str]:
    return f"{statistics.median(mode.rates[1:]):,.0f}", f"{statistics.median(mode.microseconds[1:]):.0f}"


def difference(single_user: Mode, jwt: Mode) -> float:
    rounds = zip(single_user.rates[1:], jwt.rates[1:], strict=True)
    return statistics.median(100 * (with_token / without - 1) for without, with_token in rounds)


if __name__ == "__main__":
    main()
