"""Repair those findings of a verification whose repair loses no data."""

from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from operator import or_

from django.db import OperationalError, connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Value
from django.utils import timezone

from changes.epoch import renew_epoch
from changes.triggers import restore_triggers, trigger_faults
from database.connections import LOCK_TIMEOUT
from database.expressions import Trim
from tasks.maintenance.verification import CONSTRAINTS, INDEXES, VIOLATIONS, Finding
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.rules import LATEST, MAX_VERSION, WHITE_SPACE

#: A write of the trimmed title repairs a task that breaks these rules, because every write raises ``updated_at``.
REPAIRABLE_RULES = ("task_title_trimmed", "task_updated_after_created")

FUNCTION_CALL = "SELECT format('%%I(%%I)', proname, proargnames[1]) FROM pg_proc WHERE oid = to_regproc(%s)"


def repair(findings: Sequence[Finding], batch_size: int) -> None:
    """Repair what can be repaired without losing data or delaying requests, and leave the rest.

    Tasks come first, because a constraint is added only if every task keeps it. On SQLite only a migration can add a
    constraint, because SQLite copies the whole table for it.
    """
    for batch in repairable_tasks().in_batches(batch_size):
        batch.change(title=Trim("title", Value(WHITE_SPACE)))
    for finding in findings:
        if finding.kind != "rule" and finding.name in INDEXES:
            _build_index(finding)
        elif finding.kind != "rule" and finding.name in CONSTRAINTS and connection.vendor == "postgresql":
            with suppress(OperationalError):  # another transaction has locked the table
                _enforce_constraint(finding)
    if trigger_faults(Task._meta.db_table):
        with suppress(OperationalError):
            _restore_triggers()


def repairable_tasks() -> TaskQuerySet:
    """Return the tasks that break only ``REPAIRABLE_RULES``; the database may refuse to write others.

    The result also skips a task whose ``version`` or ``updated_at`` cannot grow, or whose ``created_at`` is in the
    future.
    """
    broken = reduce(or_, (VIOLATIONS[name] for name in REPAIRABLE_RULES))
    kept = (~VIOLATIONS[name] for name in VIOLATIONS if name not in REPAIRABLE_RULES)
    return Task.objects.filter(
        broken, *kept, version__lte=MAX_VERSION, updated_at__lt=LATEST, created_at__lte=timezone.now()
    )


def _build_index(finding: Finding) -> None:
    concurrently = {"concurrently": True} if connection.vendor == "postgresql" else {}
    with connection.schema_editor(atomic=False) as editor:
        if finding.kind == "invalid":
            editor.remove_index(Task, INDEXES[finding.name], **concurrently)
        editor.add_index(Task, INDEXES[finding.name], **concurrently)


def _restore_triggers() -> None:
    """Restore the triggers of the change feed, and expire every state, because the feed lacks changes."""
    with transaction.atomic():
        restore_triggers(Task._meta.db_table)
        renew_epoch()


def _enforce_constraint(finding: Finding) -> None:
    """Add the constraint for new rows first, then validate stored rows, which blocks no writer.

    Do nothing while a task breaks the constraint, because the constraint would block every write of that task.

    Raises:
        OperationalError: another transaction holds a lock; waiting for the lock would block the API too.
    """
    if Task.objects.filter(VIOLATIONS[finding.name]).exists():
        return
    with connection.schema_editor(atomic=False) as editor:
        if finding.kind == "missing":
            statement = _constraint_sql(finding.name, editor)
            with transaction.atomic():
                editor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                editor.execute(f"{statement} NOT VALID", params=None)
        editor.execute(f'ALTER TABLE "{Task._meta.db_table}" VALIDATE CONSTRAINT "{finding.name}"')


def _constraint_sql(name: str, editor: BaseDatabaseSchemaEditor) -> str:
    """Return the statement that adds a constraint, as a call of its ``CheckByFunctions`` if there is one."""
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION_CALL, [name])
        call = cursor.fetchone()
    if call:
        return f'ALTER TABLE "{Task._meta.db_table}" ADD CONSTRAINT "{name}" CHECK ({call[0]})'
    return str(CONSTRAINTS[name].create_sql(Task, editor))
