"""``manage.py doctor``: ask what can be wrong with this installation, and say what to do."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from commands.answers import State, as_json, as_lines, count, summarize
from commands.base import ExitCode, OperatorCommand
from todo_project.diagnosis import diagnose


class Command(OperatorCommand):
    """A diagnosis that changes nothing, and goes on after each finding."""

    help = "Check settings, database, static files, clock, provider, proxy and disk. Exit with 1 if something is wrong."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--url",
            type=web_address,
            help="Also send a request to this address of the service, such as https://todo.example.org, as clients do.",
        )

    def _refuse_restricted_role(self) -> None:
        """Accept every role, and a database that is unavailable."""

    def handle(self, *args: Any, json: bool, url: str | None, **options: Any) -> None:
        answers = [*diagnose(url)]
        if json:
            self.stdout.write(as_json(answers))
        else:
            for line in as_lines(answers):
                self.stdout.write(line)
            self.print_summary(summarize(answers))
        if wrong := count(answers, State.WRONG):
            raise CommandError(f"Wrong: {wrong}", returncode=ExitCode.FINDINGS)


def web_address(text: str) -> str:
    """Read a URL without path."""
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?", text, re.ASCII):
        raise ArgumentTypeError("must be a URL without path, such as https://todo.example.org")
    return text
