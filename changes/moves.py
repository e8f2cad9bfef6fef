"""Move one user's rows between databases: refuse writes meanwhile, and end the states of the feed.

The triggers of ``changes/triggers.py`` refuse the user's writes in the former database from ``leave`` on.
docs/decisions/0025-cells.md
"""

import time
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from changes.models import BEGINNING, Forgotten, Move, Removal
from changes.triggers import NEXT_NUMBER

#: Seconds between two looks at the writers.
INTERVAL = 0.05

#: The transactions that have written to a table whose trigger refuses users who move. A writer locks the table before
#: the trigger looks, so a transaction without the lock will see the move.
WRITERS = """
SELECT COALESCE(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
JOIN pg_trigger ON tgrelid = relation JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND mode = 'RowExclusiveLock' AND proname = 'changes_refuse_moving_user' AND pid IS DISTINCT FROM pg_backend_pid()
"""

#: The change number of a write of this transaction.
NUMBER = {
    "postgresql": "SELECT pg_current_xact_id()::text::bigint + changes_offset()",
    "sqlite": "SELECT {next} FROM (SELECT %(user_id)s AS user_id, 0 AS change_number) AS written",
}


class MoveError(Exception):
    """The reason why a user cannot leave or arrive."""


@transaction.atomic
def leave(user_id: str) -> UUID:
    """Refuse the user's writes from now on, and return the id of the move; an unfinished move goes on.

    Raises:
        MoveError: the data has left this database already.
    """
    move, _ = Move.objects.get_or_create(user_id=user_id)
    if move.state == Move.State.LEFT:
        raise MoveError(f"The data of {user_id} has left this database already")
    if move.state == Move.State.ARRIVED:
        move.delete()
        move = Move.objects.create(user_id=user_id)
    return move.move_id


def wait_for_writes(seconds: float) -> bool:
    """Wait until the writes that began before now have ended, and tell whether they have.

    SQLite has one writer at a time, so they have.
    """
    deadline = time.monotonic() + seconds
    writers = begun = _writers()
    while (writers := writers & begun) and time.monotonic() < deadline:
        time.sleep(INTERVAL)
        writers = _writers()
    return not writers


def _writers() -> set[str]:
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(WRITERS)
        return set(cursor.fetchone()[0])


def allow_writes(user_id: str) -> bool:
    """Give up a move whose data has not left, and tell whether there was one."""
    return bool(Move.objects.filter(user_id=user_id, state=Move.State.LEAVING).delete()[0])


def may_remove(user_id: str, move_id: UUID) -> bool:
    """Let this transaction remove the data of a user who leaves; return False if the data has left.

    Other transactions see the move until this one commits, so the user's writes stay refused.

    Raises:
        MoveError: the user does not leave by this move.
    """
    move = Move.objects.select_for_update().filter(user_id=user_id, move_id=move_id).first()
    if move is None or move.state == Move.State.ARRIVED:
        raise MoveError(f"{user_id} does not leave this database by this move; was it cancelled, or begun again?")
    if move.state == Move.State.LEFT:
        return False
    move.delete()
    return True


def mark_left(user_id: str, move_id: UUID) -> None:
    """Refuse writes that still come here after the data has left."""
    Move.objects.create(user_id=user_id, move_id=move_id, state=Move.State.LEFT)


def arrive(user_id: str, move_id: UUID) -> bool:
    """Let this transaction store the data of a user; return False if this move has stored the data.

    Raises:
        MoveError: the user leaves this database, or has left it by this move.
    """
    move, created = Move.objects.select_for_update().get_or_create(
        user_id=user_id, defaults={"move_id": move_id, "state": Move.State.ARRIVED}
    )
    if not created and move.state == Move.State.LEAVING:
        raise MoveError(f"{user_id} leaves this database; --cancel ends that move")
    if not created and move.move_id == move_id:
        if move.state == Move.State.LEFT:
            raise MoveError(f"The data of {user_id} has left this database by this move")
        return False
    Move.objects.filter(user_id=user_id).update(move_id=move_id, state=Move.State.ARRIVED)
    return True


def begin_feed(user_id: str, table: str) -> int:
    """End every state of a user, and return the change number of the removals to store.

    A client with a state of an earlier stay would miss the removals since then.
    """
    with connection.cursor() as cursor:
        next_number = NEXT_NUMBER.format(table=table, row="written")
        cursor.execute(NUMBER[connection.vendor].format(next=next_number), {"user_id": user_id})
        [number] = cursor.fetchone()
    Forgotten.objects.update_or_create(user_id=user_id, defaults={"change_number": number, "row_id": BEGINNING.id})
    return int(number)


def remember_removals(user_id: str, number: int, removals: list[tuple[UUID, datetime]]) -> None:
    """Store removals of another database."""
    Removal.objects.bulk_create(
        Removal(user_id=user_id, row_id=row_id, change_number=number, removed_at=removed_at)
        for row_id, removed_at in removals
    )
