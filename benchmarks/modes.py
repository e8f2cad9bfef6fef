"""``python -m benchmarks.modes``: what a GET of a task costs with a token, rate limits and row-level security.

Servers on one database, one a mode, take turns. The difference to single-user mode is the median of the rounds', each
of which compares neighbours in time; processor time is the server's, of one request.
"""

import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from benchmarks import load as generators
from benchmarks.load import Load
from testing.identity_provider import AUDIENCE, ISSUER, Provider
from testing.processes import processor_seconds
from testing.servers import ROOT, Server, argument_parser, chosen, database, print_table, run, served

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
    name: str
    server: Server
    load: Load
    rates: list[float] = field(default_factory=list)
    microseconds: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        before = processor_seconds(self.server.pid)
        sample = generators.send(self.server, self.load, CONNECTIONS, seconds)
        if sample.errors:
            raise RuntimeError(f"{self.name}: {sample.errors} of {sample.requests} requests failed")
        self.rates.append(sample.rate)
        self.microseconds.append(1e6 * (processor_seconds(self.server.pid) - before) / sample.requests)


@contextmanager
def modes(url: str) -> Iterator[list[Mode]]:
    with ExitStack() as stack:
        provider = stack.enter_context(closing(Provider()))
        tokens = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        limits = {"THROTTLE_READ": "999999999/day"}
        tasks = run("-c", FILL, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="todo_project.settings").split()
        mine, alices = ([(f"/api/tasks/{task}", "")] for task in tasks)
        with_token = Load("GET", alices, authorization=f"Bearer {provider.token()}")
        contenders = [
            ("single-user", url, {}, Load("GET", mine)),
            ("single-user, limited", url, limits, Load("GET", mine)),
            ("jwt", url, tokens, with_token),
            ("jwt, limited", url, tokens | limits, with_token),
        ]
        if url.startswith("postgresql"):
            web = stack.enter_context(web_role(url))
            contenders.append(("jwt, row security", web, tokens | {"DB_ROW_SECURITY": "on"}, with_token))
        yield [
            Mode(name, stack.enter_context(served(database, WORKERS="2", **settings)), load)
            for name, database, settings, load in contenders
        ]


@contextmanager
def web_role(url: str) -> Iterator[str]:
    """The URL of a role that owns nothing."""
    role = f"web_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute((ROOT / "deploy" / "web_role.sql").read_text().replace("todo_web", role))
        owner.execute(f"ALTER ROLE {role} PASSWORD 'web'")
    parts = urlsplit(url)
    try:
        yield parts._replace(netloc=f"{role}:web@{parts.netloc.rpartition('@')[2]}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    rows = []
    for kind in chosen(options.database):
        with database(kind) as url, modes(url) as contenders:
            for _ in range(options.rounds + 1):  # the first of them warms up
                for mode in random.sample(contenders, len(contenders)):
                    mode.measure(options.seconds)
        rows += [(kind, *figures(mode, contenders[0])) for mode in contenders]
    print_table(("GET of a task", "mode", "requests/s", "µs of CPU", "difference"), rows)


def figures(mode: Mode, single_user: Mode) -> tuple[str, ...]:
    rounds = zip(mode.rates[1:], single_user.rates[1:], strict=True)
    difference = statistics.median(100 * (rate / usual - 1) for rate, usual in rounds)
    rate, microseconds = statistics.median(mode.rates[1:]), statistics.median(mode.microseconds[1:])
    return mode.name, f"{rate:,.0f}", f"{microseconds:.0f}", f"{difference:+.1f} %"


if __name__ == "__main__":
    main()
