"""``manage.py serve``: replace this process by granian, the production server."""

import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection

from changes.epoch import is_epoch_current, renew_epoch_of_copy
from commands.base import ExitCode
from database import row_security
from database.connections import find_missing_migration
from database.errors import first_line
from tasks.models import Task
from todo_project.server import SIGNALS, STOP_SECONDS
from todo_project.server.socket_activation import passed_socket
from todo_project.static_files import StaticFilesStorage

#: How many connections may wait to be accepted.
BACKLOG = 1024

logger = logging.getLogger("todo_project.server")

#: The configuration that gives granian's own events the service's format (observability/log.py).
GRANIAN_LOGS = settings.BASE_DIR / "todo_project" / "server" / "granian_logs.json"


class Command(BaseCommand):
    """A command that becomes granian by ``exec``, so that signals and the exit code are granian's own.

    docs/decisions/0002-server.md explains the server, docs/decisions/0013-socket.md the sockets of systemd.
    """

    help = "Serve the API, its documentation and the admin. HOST, PORT, WORKERS and THREADS configure the server."

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_missing_static_files()
        try:
            self.refuse_unusable_database()
        except DatabaseError as error:
            reason = f"The database of DATABASE_URL cannot be used: {first_line(error)}"
            raise CommandError(reason, returncode=ExitCode.DATABASE_FAILED) from error
        passed = passed_socket()
        metrics = [open_metrics_socket()] if settings.METRICS_PORT else []
        sockets = [passed] if passed else open_sockets()
        logger.info("To-do tasks %s starts", settings.BUILD_VERSION)
        self.print_addresses(*(passed.getsockname()[:2] if passed else (settings.HOST, settings.PORT)))
        become_server(sockets, metrics)

    def refuse_unusable_database(self) -> None:
        """Check migrations, role and limits of the database, and note that it was restored.

        Raises:
            CommandError: the service could not run on this database.
        """
        if connection.settings_dict["NAME"] == ":memory:":
            raise CommandError("Set DATABASE_URL to a file, because each process would have a database of its own")
        self.check(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])
        if missing := find_missing_migration():
            raise CommandError(
                f"The database lacks the migration {missing}; run manage.py migrate",
                returncode=ExitCode.DATABASE_FAILED,
            )
        refuse_wrong_role()
        expire_states_of_other_database()

    def print_addresses(self, host: str, port: int) -> None:
        """Print the addresses to standard error, because the log uses standard output."""
        address = url(host, port)
        metrics = f"{url(settings.METRICS_HOST, settings.METRICS_PORT)}/metrics"
        for line in (
            f"API            {address}/api/tasks",
            f"Documentation  {address}/api/docs",
            *([f"Admin          {address}/admin/"] if settings.ADMIN else []),
            *([f"Metrics        {metrics}"] if settings.METRICS_PORT else []),
        ):
            self.stderr.write(line, style_func=str)
        self.stderr.flush()


def refuse_missing_static_files() -> None:
    """Require the files that ``collectstatic`` makes, because pages without them have no styles.

    Raises:
        CommandError: there are none, and DEBUG is off.
    """
    if not settings.DEBUG and not (settings.STATIC_ROOT / StaticFilesStorage.manifest_name).exists():
        raise CommandError(
            "The static files are missing; run manage.py collectstatic --no-input", returncode=ExitCode.BAD_INPUT
        )


def url(host: str, port: int) -> str:
    """Return the URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_wrong_role() -> None:
    """Refuse a role that does not match ``DB_ROW_SECURITY``.

    With ``on``, the policy must restrict the role. With ``off``, the policy would hide all tasks from such a role.

    Raises:
        CommandError: the role does not match.
    """
    if row_security.is_active(Task._meta.db_table) == settings.DB_ROW_SECURITY:
        return
    if settings.DB_ROW_SECURITY:
        raise CommandError(
            "DB_ROW_SECURITY is on, but the role of DATABASE_URL owns the tables or bypasses row-level security; set "
            "DATABASE_URL to another role: docs/decisions/0010-row-security.md"
        )
    raise CommandError("Row-level security hides all tasks from the role of DATABASE_URL; set DB_ROW_SECURITY=on")


def expire_states_of_other_database() -> None:
    """Begin a new epoch of the change feed if the database was restored or copied.

    Raises:
        CommandError: the role does not own the tables, so that ``manage.py migrate`` must do it.
    """
    if settings.DB_ROW_SECURITY and not is_epoch_current():
        raise CommandError(
            "The database was restored or copied; run manage.py migrate with the role that owns the tables"
        )
    renew_epoch_of_copy()


def open_sockets() -> list[socket.socket]:
    """Return a listening socket for each worker, so that the kernel shares connections out evenly.

    Only the first socket is bound without ``SO_REUSEPORT``, so it fails if any other server has the port, and no
    other server can be between the first and the next.

    Raises:
        CommandError: this machine lacks the address, or the port is in use.
    """
    with refusing_unusable_address("HOST", "PORT"):
        first = listen(settings.HOST, settings.PORT)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        address = first.getsockname()[0]
        return [first, *(listen(address, settings.PORT, shared=True) for _ in range(1, settings.WORKERS))]


def open_metrics_socket() -> socket.socket:
    """Return a listening socket for the metrics.

    Raises:
        CommandError: this machine lacks the address, or the port is in use.
    """
    with refusing_unusable_address("METRICS_HOST", "METRICS_PORT"):
        return listen(settings.METRICS_HOST, settings.METRICS_PORT)


@contextmanager
def refusing_unusable_address(host: str, port: str) -> Iterator[None]:
    """Turn the failure to listen into a sentence that names the settings ``host`` and ``port``.

    Raises:
        CommandError: this machine lacks the address, or the port is in use.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {getattr(settings, port)} is in use; set {port} to a free one") from error
        reason = f"Cannot listen on {getattr(settings, host)}: {error.strerror}; set {host} and {port}"
        raise CommandError(reason) from error


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port``."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def become_server(sockets: Sequence[socket.socket], metrics: Sequence[socket.socket]) -> None:
    """Replace this process by granian on open sockets; ``metrics`` has a socket if metrics are on.

    The new program must find the modules of this project, and no module of the working directory.
    """
    host, port, *_ = sockets[0].getsockname()
    descriptors = [inheritable(sockets), sqlite_file(connection), inheritable(metrics)]
    program = ("-P", "-m", "todo_project.server", *descriptors, *granian_options(host, port))
    path = os.pathsep.join(filter(None, (str(settings.BASE_DIR), os.environ.get("PYTHONPATH"))))
    # The server unblocks the signals after it has set its handlers.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    arguments = [sys.executable, *program, "todo_project.wsgi:application"]
    os.execve(sys.executable, arguments, {**os.environ, "PYTHONPATH": path})


def inheritable(sockets: Sequence[socket.socket]) -> str:
    """Return the descriptors of sockets, which the new program inherits."""
    for listening in sockets:
        listening.set_inheritable(True)
    return ",".join(str(listening.detach()) for listening in sockets)


def sqlite_file(database: Any) -> str:
    """Return the file of a database connection, or nothing if the database is not a file of SQLite."""
    if database.vendor != "sqlite" or database.is_in_memory_db():
        return ""
    return str(database.settings_dict["NAME"])


def granian_options(host: str, port: int) -> list[str]:
    """Return granian's command-line options."""
    return [
        "--interface=wsgi",
        "--http=1",
        "--no-ws",
        "--runtime-mode=st",
        f"--working-dir={settings.BASE_DIR}",
        f"--host={host}",
        f"--port={port}",
        f"--workers={settings.WORKERS}",
        f"--blocking-threads={settings.THREADS + settings.WAITING_REQUESTS + settings.SPARE_THREADS}",
        "--respawn-failed-workers",
        f"--workers-kill-timeout={STOP_SECONDS}",
        f"--log-level={settings.LOG_LEVEL.lower()}",
        *([] if settings.DEBUG else [f"--log-config={GRANIAN_LOGS}"]),
    ]
