"""The files that commands read and write.

Raises:
    CommandError: a file cannot be opened, read or written.
"""

import errno
import glob
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

from django.core.management.base import CommandError
from django.db import connection

from commands.base import ExitCode

STANDARD_INPUT = Path("-")

#: The end of the name of an unfinished file.
PARTIAL = ".partial"

#: The most links in a path; Linux has the same limit.
MAX_LINKS = 40


def open_input(path: Path) -> AbstractContextManager[IO[bytes]]:
    """Open a file, or standard input for ``-``."""
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}", returncode=ExitCode.BAD_INPUT) from error


def open_report(path: Path, source: IO[bytes]) -> IO[str]:
    """Open a file to write about ``source``, which must be another file, because opening empties the file.

    Only the owner may read the file. ``path`` can be a link, a named pipe or a device, as for ``replace_file``.
    """
    try:
        target = follow_links(path)
        refuse_database(path)
        if not path.is_file() and path.exists():
            return path.open("w", encoding="utf-8")
        if path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            raise CommandError(f"{path} is the input file; choose another file", returncode=ExitCode.BAD_INPUT)
        descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            Path(name).replace(target)
        except OSError:
            Path(name).unlink()
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}", returncode=ExitCode.BAD_INPUT) from error


def follow_links(path: Path) -> Path:
    """Return the file behind ``path``, and refuse links of other users in a shared directory.

    A link or a named pipe must belong to this user, to root or to the owner of its directory. Linux has the same rule
    for links in ``/tmp`` (``fs.protected_symlinks``), but not for other shared directories.

    Raises:
        OSError: a link or a pipe belongs to another user, or links lead in a circle.
    """
    found, parts, links = Path("/"), [*reversed(path.absolute().parts)], 0
    while parts:
        entry = found / parts.pop()
        if entry.is_symlink():
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            _refuse_planted(entry)
            parts += reversed(entry.readlink().parts)
        else:
            if entry.is_fifo():
                _refuse_planted(entry)
            found = entry
    return found


def _refuse_planted(entry: Path) -> None:
    if entry.lstat().st_uid not in {os.geteuid(), 0, entry.parent.stat().st_uid}:
        raise PermissionError(errno.EPERM, f"{entry} belongs to another user")


def refuse_database(path: Path) -> None:
    """Refuse to overwrite the SQLite database, or a file that belongs to it."""
    if connection.vendor != "sqlite":
        return
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = Path(f"{connection.settings_dict['NAME']}{suffix}")
        if os.path.realpath(path) == os.path.realpath(file) or (
            path.exists() and file.exists() and path.samefile(file)
        ):
            raise CommandError(f"{path} belongs to the database; choose another file", returncode=ExitCode.BAD_INPUT)


def is_standard_output(path: Path) -> bool:
    """Tell whether ``path`` is ``/dev/stdout`` or another name of the same file."""
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


def remove_leftovers(target: Path) -> None:
    """Remove the unfinished files that killed commands have left; a running command locks its file."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*{PARTIAL}"):
        with suppress(OSError), leftover.open("rb") as file:
            flock(file, LOCK_EX | LOCK_NB)
            leftover.unlink()


@contextmanager
def replace_file(path: Path) -> Iterator[Callable[[str], Any]]:
    """Yield a function that writes text, and replace ``path`` once the new file is complete and on disk.

    Only the owner may read the new file. If ``path`` is a link, replace the file it leads to. Write directly to a
    named pipe or device. A killed command leaves an unfinished file, which the next command for ``path`` removes.
    """
    try:
        target = follow_links(path)
        refuse_database(path)
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file.write
            return
        remove_leftovers(target)
        descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=PARTIAL)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                flock(descriptor, LOCK_EX)
                yield file.write
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}", returncode=ExitCode.BAD_INPUT) from error
