"""The files that commands read and write.

Raises:
    CommandError: a file cannot be opened, read or written.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

from django.core.management.base import CommandError

from commands.base import ExitCode

STANDARD_INPUT = Path("-")


def open_input(path: Path) -> AbstractContextManager[IO[bytes]]:
    """Open a file, or standard input for ``-``."""
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}", returncode=ExitCode.BAD_INPUT) from error


def open_report(path: Path, source: IO[bytes]) -> IO[str]:
    """Open a file to write about ``source``, which must be another file, because opening empties the file."""
    try:
        if path.is_file() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            raise CommandError(f"{path} is the input file; choose another file", returncode=ExitCode.BAD_INPUT)
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}", returncode=ExitCode.BAD_INPUT) from error


def is_standard_output(path: Path) -> bool:
    """Tell whether ``path`` is ``/dev/stdout`` or another name of the same file."""
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


@contextmanager
def replace_file(path: Path) -> Iterator[Callable[[str], Any]]:
    """Yield a function that writes text, and replace ``path`` once the new file is complete and on disk.

    Only the owner may read the new file. If ``path`` is a link, replace the file it leads to. Write directly to a
    named pipe or device.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file.write
            return
        target = Path(os.path.realpath(path))
        descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
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
