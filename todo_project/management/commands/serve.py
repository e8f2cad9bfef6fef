"""``manage.py serve``: the production server, as the settings have it."""

import errno
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from database import row_security
from database.connections import lacks_migrations
from todo_project.server.socket_activation import passed_address

#: granian's own events in the form of the service's: observability/log.py.
GRANIAN_LOGS = settings.BASE_DIR / "todo_project" / "server" / "granian_logs.json"


class Command(BaseCommand):
    """Becomes granian, so that signals and the exit code are the server's own.

    Why granian, and why so many workers and threads: docs/decisions/0002-server.md. A socket that systemd passes takes
    the place of HOST and PORT: docs/decisions/0013-socket.md.
    """

    help = "Serve the API, its documentation and the admin with HOST, PORT, WORKERS and THREADS of the settings."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.refuse_database()
        except DatabaseError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(f"The database of DATABASE_URL cannot be used: {reason}") from error
        passed = passed_address()
        listens_on = passed or free_address()
        host, port = passed or (settings.HOST, settings.PORT)
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # The standard output is the log's.
        for line in (
            f"API            {address}/api/tasks",
            f"Documentation  {address}/api/docs",
            f"Admin          {address}/admin/",
        ):
            self.stderr.write(line, style_func=str)
        self.stderr.flush()
        program = ("todo_project.server", "--runtime-mode=st") if passed else ("granian",)
        arguments = ("-m", *program, *server_options(*listens_on), "todo_project.wsgi:application")
        os.execv(sys.executable, [sys.executable, *arguments])

    def refuse_database(self) -> None:
        """Refuse a database that the service could not run on."""
        if lacks_migrations():
            raise CommandError("The database lacks migrations; run manage.py migrate")
        refuse_other_row_security()
        self.check(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])


def refuse_other_row_security() -> None:
    """A role that its policy does not bind would be one floor less, and one that it does bind would see no tasks."""
    if row_security.is_active() == settings.DB_ROW_SECURITY:
        return
    if settings.DB_ROW_SECURITY:
        raise CommandError(
            "DB_ROW_SECURITY is on, and the role of DATABASE_URL owns the tables or bypasses it; set DATABASE_URL to a "
            "role of its own: docs/decisions/0010-row-security.md"
        )
    raise CommandError("The role of DATABASE_URL sees no tasks by itself; set DB_ROW_SECURITY=on")


def free_address() -> tuple[str, int]:
    """HOST as an address, which is all that granian knows, and PORT.

    Raises:
        CommandError: the port is in use: granian's workers share it, and so would two servers on two databases; or
            there is no such address here.
    """
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
            address, port, *_ = probe.getsockname()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {settings.PORT} is in use; set PORT to a free one") from error
            raise CommandError(f"{settings.HOST} cannot be listened on: {error.strerror}; set HOST and PORT") from error
    return address, port


def server_options(host: str, port: int) -> list[str]:
    return [
        "--interface=wsgi",
        "--http=1",
        "--no-ws",
        f"--host={host}",
        f"--port={port}",
        f"--workers={settings.WORKERS}",
        f"--blocking-threads={settings.THREADS}",
        "--respawn-failed-workers",
        "--workers-kill-timeout=10",
        f"--log-level={settings.LOG_LEVEL.lower()}",
        *([] if settings.DEBUG else [f"--log-config={GRANIAN_LOGS}"]),
    ]
