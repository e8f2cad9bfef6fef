"""``manage.py verify_tasks``: find tasks and parts of the table that break the rules of the model."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from commands.base import MAX_BATCH, ExitCode, OperatorCommand, format_count
from tasks.maintenance.repair import repair
from tasks.maintenance.verification import Finding, RuleCheck, batches_of_all_tasks, verify_schema
from tasks.models import Task


class Command(OperatorCommand):
    """A verification of the whole table, one statement per batch, and of its schema.

    Run it every week, after a restore and after manual changes: a dropped constraint or trigger causes no error.
    """

    help = "Report tasks that break a rule, and missing constraints, indexes and triggers. Exit with 1 after a finding."
    default_batch_size = MAX_BATCH
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", dest="as_json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--fix",
            action="store_true",
            help="First fix what loses no data: untrimmed titles, times out of order, indexes, constraints, triggers.",
        )
        self.add_batch_size(parser)

    def handle(self, *, as_json: bool, fix: bool, batch_size: int, **_: Any) -> None:
        verified, findings = self.verify(batch_size)
        fixed: list[Finding] = []
        if fix and findings:
            repair(findings, batch_size)
            before, (verified, findings) = findings, self.verify(batch_size)
            remaining = {(finding.kind, finding.name) for finding in findings}
            fixed = [finding for finding in before if (finding.kind, finding.name) not in remaining]
        if as_json:
            report = {"verified": verified, "mended": [*map(asdict, fixed)], "findings": [*map(asdict, findings)]}
            self.stdout.write(json.dumps(report))
        else:
            self.print_report(verified, fixed, findings)
        if findings:
            raise CommandError(f"Findings: {len(findings)}", returncode=ExitCode.FINDINGS)

    def verify(self, batch_size: int) -> tuple[int, list[Finding]]:
        """Return the number of tasks, and the findings about them and the schema."""
        rules = RuleCheck()
        verified = self.add_up(map(rules.check, batches_of_all_tasks(batch_size)), Task.objects.count)
        return verified, rules.findings() + verify_schema()

    def print_report(self, verified: int, fixed: list[Finding], findings: list[Finding]) -> None:
        """Print one line per finding, and the summary."""
        for finding in fixed:
            self.stdout.write(f"Fixed: {describe(finding)}")
        for finding in findings:
            self.stdout.write(describe(finding))
        self.print_summary(f"Verified {format_count(verified, 'task')}; findings: {len(findings)}")


def describe(finding: Finding) -> str:
    """Return a finding as one line for a person."""
    if finding.kind == "rule":
        broken = f"{finding.name}: broken by {format_count(finding.tasks, 'task')}"
        return ", such as ".join([broken, *finding.sample[:1]])
    return f"{finding.name}: {finding.kind}"
