"""``manage.py backup``: a copy of a SQLite database that may be in use."""

import os
import shlex
import sqlite3
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError
from django.db import connection

from commands.base import ExitCode, OperatorCommand
from commands.files import refuse_database
from database.fingerprint import mark_copy


class Command(OperatorCommand):
    """A command that copies one moment of the database, writes in the write-ahead log included.

    A copy of the files could mix several moments, or lack the log. https://www.sqlite.org/backup.html
    """

    help = "Copy a SQLite database into FILE, also while the service runs. Only the owner may read FILE."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="The copy; an existing file is replaced.")
        self.add_dry_run(parser)

    def _refuse_restricted_role(self) -> None:
        """Accept every role, because SQLite has none."""

    def handle(self, *args: Any, file: Path, dry_run: bool, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(
                "This command copies SQLite only; for PostgreSQL run "
                f"pg_dump --format=custom --file={shlex.quote(str(file))} --dbname=URL, with the URL of DATABASE_URL",
                returncode=ExitCode.BAD_INPUT,
            )
        database = Path(connection.settings_dict["NAME"])
        if not database.is_file():
            raise CommandError(f"There is no database {database}", returncode=ExitCode.BAD_INPUT)
        if file.exists() and not file.is_file():
            raise CommandError(f"{file} is a directory, a pipe or a device", returncode=ExitCode.BAD_INPUT)
        refuse_database(file)
        if dry_run:
            self.print_summary(f"Would copy {database} into {file}")
            return
        size = back_up(file)
        self.print_summary(f"Copied {database} into {file}: {size} bytes")


def back_up(file: Path) -> int:
    """Replace ``file`` by a copy of the database that is complete and on disk, and return its size.

    A link at ``file`` is replaced too: somebody else may have put the link into a shared directory.
    """
    with TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as directory:
        copy = Path(directory, file.name)
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(copy)) as target:
            connection.ensure_connection()
            # All pages in one step, because SQLite starts again after a write between two steps.
            connection.connection.backup(target)
            # Without this, the copy would need a log of its own, and a directory to write the log to.
            target.execute("PRAGMA journal_mode=DELETE").fetchall()
            mark_copy(target)
            target.commit()
        with copy.open("rb") as written:
            os.fsync(written.fileno())
        copy.replace(file)
    return file.stat().st_size
