"""Measure what a token, rate limits, metrics and row-level security add to a GET of a task.

A server for each mode runs on the same database, and the servers take turns. The difference to single-user mode is the
median of the rounds' differences. The processor time is the server's, for one request.
"""

import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from benchmarks.command_line import argument_parser, print_table, selected_databases
from benchmarks.load import Load, send_load
from testing.databases import new_database
from testing.identity_provider import AUDIENCE, ISSUER, Provider
from testing.ports import free_port
from testing.process_tree import cpu_seconds
from testing.python_processes import ROOT, python_output
from testing.servers import Server, running_service

CONNECTIONS = 32
CREATE_TASKS = """
import django; django.setup()
from tasks.models import Task
tasks = [Task(user_id=user, title="Buy milk") for user in ("default", "alice")]
for task in tasks:
    task.save()
print(*(task.id for task in tasks))
"""


@dataclass
class Mode:
    """A running server in one mode, and its measurements."""

    name: str
    server: Server
    load: Load
    rates: list[float] = field(default_factory=list)
    microseconds: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """Add a measurement."""
        before = cpu_seconds(self.server.pid)
        sample = send_load(self.server, self.load, CONNECTIONS, seconds)
        if sample.errors:
            raise RuntimeError(f"{self.name}: {sample.errors} of {sample.requests} requests failed")
        self.rates.append(sample.rate)
        self.microseconds.append(1e6 * (cpu_seconds(self.server.pid) - before) / sample.requests)


@contextmanager
def serve_modes(url: str) -> Iterator[list[Mode]]:
    """Run a server for each mode, single-user mode first."""
    with ExitStack() as stack:
        provider = stack.enter_context(closing(Provider()))
        tokens = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        limits = {"THROTTLE_READ": "999999999/day"}
        ids = python_output(
            "-c", CREATE_TASKS, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="todo_project.settings"
        ).split()
        requests = [[(f"/api/tasks/{task_id}", "")] for task_id in ids]
        without_token = Load("GET", requests[0])
        with_token = Load("GET", requests[1], authorization=f"Bearer {provider.token()}")
        modes = [
            ("single-user", url, {}, without_token),
            ("single-user, limited", url, limits, without_token),
            ("single-user, metrics", url, {"METRICS_PORT": str(free_port())}, without_token),
            ("jwt", url, tokens, with_token),
            ("jwt, limited", url, tokens | limits, with_token),
        ]
        if url.startswith("postgresql"):
            role_url = stack.enter_context(web_role(url))
            modes.append(("jwt, row security", role_url, tokens | {"DB_ROW_SECURITY": "on"}, with_token))
        yield [
            Mode(name, stack.enter_context(running_service(database_url, WORKERS="2", **variables)), load)
            for name, database_url, variables, load in modes
        ]


@contextmanager
def web_role(url: str) -> Iterator[str]:
    """Create a role that owns no table, and yield its URL."""
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
    """Measure all modes in random order, and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    rows = []
    for kind in selected_databases(options.database):
        with new_database(kind) as url, serve_modes(url) as modes:
            for _ in range(options.rounds + 1):  # because the first round warms up
                for mode in random.sample(modes, len(modes)):
                    mode.measure(options.seconds)
        rows += [(kind, *format_mode(mode, modes[0])) for mode in modes]
    print_table(("GET of a task", "mode", "requests/s", "CPU µs", "difference"), rows)


def format_mode(mode: Mode, single_user: Mode) -> tuple[str, ...]:
    """Format the medians of a mode, without the first round."""
    rounds = zip(mode.rates[1:], single_user.rates[1:], strict=True)
    difference = statistics.median(100 * (rate / other - 1) for rate, other in rounds)
    rate, microseconds = statistics.median(mode.rates[1:]), statistics.median(mode.microseconds[1:])
    return mode.name, f"{rate:,.0f}", f"{microseconds:.0f}", f"{difference:+.1f} %"


if __name__ == "__main__":
    main()
