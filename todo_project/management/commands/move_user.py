"""``manage.py move_user``: move all data of one user to another database, through a file."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from changes.models import Removal
from changes.moves import MoveError, allow_writes, arrive, leave, mark_left, may_remove, wait_for_writes
from commands.base import ExitCode, OperatorCommand, format_count
from commands.files import open_input, replace_file
from idempotency.models import KeptResponse
from tasks.management.arguments import existing_user_id
from tasks.models import Task
from tasks.transfer.user_files import KINDS, Header, read_header, store_user, write_user
from throttling.models import Window

#: Seconds to wait for writes that began before the move.
TIMEOUT = 60


class Command(OperatorCommand):
    """A move in three steps, each of which an operator can run again after an interruption.

    The former database keeps the data until it sees the receipt that ``--from`` writes beside the file.
    """

    help = "Move all data of one user to another database: --to FILE, --from FILE there, then --done FILE."
    model = Task

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user_id", type=existing_user_id, metavar="ID", help="The “sub” claim of the user's tokens."
        )
        steps = parser.add_mutually_exclusive_group(required=True)
        steps.add_argument(
            "--to", type=Path, metavar="FILE", help="Refuse the user's writes, and write the data to FILE."
        )
        steps.add_argument("--from", type=Path, metavar="FILE", dest="source", help="Store the data that FILE has.")
        steps.add_argument("--done", type=Path, metavar="FILE", help="Remove the data that --from FILE has stored.")
        steps.add_argument("--cancel", action="store_true", help="Allow the user's writes again. Not after --from.")
        self.add_batch_size(parser)

    def handle(
        self,
        *,
        user_id: str,
        to: Path | None,
        source: Path | None,
        done: Path | None,
        cancel: bool,
        batch_size: int,
        **_: Any,
    ) -> None:
        try:
            if to:
                self.write_file(user_id, to, batch_size)
            elif source:
                self.read_file(user_id, source, batch_size)
            elif done:
                self.remove(user_id, done, batch_size)
            else:
                self.cancel(user_id)
        except MoveError as error:
            raise CommandError(str(error), returncode=ExitCode.BAD_INPUT) from error

    def write_file(self, user_id: str, path: Path, batch_size: int) -> None:
        """Refuse the user's writes, wait for the last one, and write the file."""
        move_id = leave(user_id)
        if not wait_for_writes(TIMEOUT):
            reason = (
                f"Writes have been in progress for {TIMEOUT} s; {user_id}'s writes are refused until --to or --cancel"
            )
            raise CommandError(reason, returncode=ExitCode.DATABASE_FAILED)
        with replace_file(path) as write:
            tally = write_user(Header(user_id, move_id), write, batch_size)
        self.print_summary(f"Wrote of {user_id} to {path}: {describe(tally.counts)}; writes are refused")

    def read_file(self, user_id: str, path: Path, batch_size: int) -> None:
        """Store the data of the file in one transaction, and write the receipt."""
        with open_input(path) as file:
            header = read_header(file)
            if header.user_id != user_id:
                raise MoveError(f"The file has the data of {header.user_id}")
            with transaction.atomic():
                arrived = arrive(*header)
                summary = describe(store_user(user_id, file, batch_size).counts) if arrived else "all of it, before"
        write_receipt(path, header)
        self.print_summary(f"Stored of {user_id}: {summary}")

    def remove(self, user_id: str, path: Path, batch_size: int) -> None:
        """Remove the data, which is in another database now, and go on to refuse writes."""
        header = read_receipt(path)
        with transaction.atomic():
            if not may_remove(user_id, header.move_id):
                return self.print_summary(f"Removed of {user_id}: all of it, before")
            counts = remove_all(user_id, batch_size)
            mark_left(user_id, header.move_id)
        return self.print_summary(f"Removed of {user_id}: {describe(counts)}")

    def cancel(self, user_id: str) -> None:
        """Allow the user's writes again."""
        if not allow_writes(user_id):
            raise MoveError(f"{user_id} does not leave this database")
        self.print_summary(f"Writes of {user_id} are allowed")


def remove_all(user_id: str, batch_size: int) -> Mapping[str, int]:
    """Delete all data of a user, and return the number of rows by kind."""
    removals = Removal.objects.filter(user_id=user_id).count()
    tasks = Task.objects.owned_by(user_id).remove()
    for _batch in Removal.objects.erase_in_batches(user_id, batch_size):
        pass
    responses, _ = KeptResponse.objects.filter(user_id=user_id).delete()
    Window.objects.of_user(user_id).delete()
    return dict(zip(KINDS, (tasks, removals, responses), strict=True))


def receipt_of(path: Path) -> Path:
    """Return the file that proves that another database has the data."""
    return path.with_name(f"{path.name}.received")


def write_receipt(path: Path, header: Header) -> None:
    """Write the receipt of a file."""
    with replace_file(receipt_of(path)) as write:
        write(header.line())


def read_receipt(path: Path) -> Header:
    """Read the receipt of a file."""
    with open_input(receipt_of(path)) as file:
        return read_header(file)


def describe(counts: Mapping[str, int]) -> str:
    """Return the number of records of each kind."""
    tasks, removals, responses = (format_count(counts[kind], kind) for kind in KINDS)
    return f"{tasks}, {removals} and {responses}"
