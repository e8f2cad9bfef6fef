"""Find acknowledged writes that the database has lost."""

from collections.abc import Iterable
from typing import Any

import psycopg

from testing.api_clients import RequestRecord

Row = tuple[Any, int, str, bool]

SELECT_ROWS = "SELECT id, version, title, completed FROM tasks_task"


def read_rows(url: str) -> list[Row]:
    """Read the tasks of a PostgreSQL database."""
    with psycopg.connect(url) as connection:
        return connection.execute(SELECT_ROWS).fetchall()


def last_acknowledged(records: Iterable[RequestRecord]) -> dict[str, Any]:
    """Return each task's body in its last successful response, by id."""
    return {record.body["id"]: record.body for record in records if record.status in {200, 201}}


def find_lost(acknowledged: dict[str, Any], rows: Iterable[Row]) -> list[Any]:
    """Return the acknowledged bodies that are not in ``rows``.

    A row may be newer than the last response, because a write without a response may have been carried out.
    """
    stored = {str(task): (version, title, completed) for task, version, title, completed in rows}

    def is_stored(body: dict[str, Any]) -> bool:
        row = stored.get(body["id"], (0, "", False))
        return row[0] > body["version"] or row == (body["version"], body["title"], body["completed"])

    return [body for body in acknowledged.values() if not is_stored(body)]
