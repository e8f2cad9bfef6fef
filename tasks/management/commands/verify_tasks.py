"""``manage.py verify_tasks``: whether what is stored is what the API may rely on."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from commands.base import FOUND, MAX_BATCH, OperatorCommand, counted
from tasks.maintenance.verification import Finding, Rules, batches, mend, verify_schema
from tasks.models import Task


class Command(OperatorCommand):
    """Reads the whole table, a batch a statement, and the schema; tells what is wrong, and with ``--fix`` mends it.

    For once a week, after a restore, and after somebody's hand in the database: a constraint that was dropped says
    nothing.
    """

    help = "Report tasks that break a rule and constraints and indexes that are missing; exit with 1 if there are any."
    default_batch_size = MAX_BATCH

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", dest="as_json", action="store_true", help="One JSON object instead of lines.")
        parser.add_argument(
            "--fix",
            action="store_true",
            help="First mend what can be without a loss: untrimmed titles, times out of order, indexes, constraints.",
        )
        self.add_batch_size(parser)

    def handle(self, *, as_json: bool, fix: bool, batch_size: int, **_: Any) -> None:
        verified, findings = self.verify(batch_size)
        mended: list[Finding] = []
        if fix and findings:
            mend(findings, batch_size)
            before, (verified, findings) = findings, self.verify(batch_size)
            left = {(finding.kind, finding.name) for finding in findings}
            mended = [finding for finding in before if (finding.kind, finding.name) not in left]
        if as_json:
            report = {"verified": verified, "mended": _dicts(mended), "findings": _dicts(findings)}
            self.stdout.write(json.dumps(report))
        else:
            self.tell(verified, mended, findings)
        if findings:
            raise CommandError(f"Findings: {len(findings)}", returncode=FOUND)

    def verify(self, batch_size: int) -> tuple[int, list[Finding]]:
        """How many tasks there are, and all that is wrong with them or the schema."""
        rules = Rules()
        with self.progress(Task.objects.count) as progress:
            for batch in batches(batch_size):
                progress.update(rules.check(batch))
        return rules.verified, rules.findings() + verify_schema()

    def tell(self, verified: int, mended: list[Finding], findings: list[Finding]) -> None:
        for finding in mended:
            self.stdout.write(f"Mended: {finding}")
        for finding in findings:
            self.stdout.write(str(finding))
        self.sum_up(f"Verified {counted(verified, 'task')}; findings: {len(findings)}")


def _dicts(findings: list[Finding]) -> list[dict[str, Any]]:
    return [finding.as_dict() for finding in findings]
