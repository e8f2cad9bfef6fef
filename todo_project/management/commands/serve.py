"""``manage.py serve``: the production server, as the settings have it."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Becomes granian, so that signals and the exit code are the server's own.

    Why granian, and why so many workers and threads: docs/decisions/0002-server.md.
    """

    help = "Serve the API, its documentation and the admin with HOST, PORT, WORKERS and THREADS of the settings."
    requires_migrations_checks = True

    def handle(self, *args: Any, **options: Any) -> None:
        host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
        address = f"http://{host}:{settings.PORT}"
        self.stdout.write(f"API            {address}/api/tasks")
        self.stdout.write(f"Documentation  {address}/api/docs")
        self.stdout.write(f"Admin          {address}/admin/")
        self.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "granian", *server_options(), "todo_project.wsgi:application"])


def server_options() -> list[str]:
    return [
        "--interface=wsgi",
        "--no-ws",
        f"--host={settings.HOST}",
        f"--port={settings.PORT}",
        f"--workers={settings.WORKERS}",
        f"--blocking-threads={settings.THREADS}",
        "--respawn-failed-workers",
        "--workers-kill-timeout=10",
        f"--log-level={settings.LOG_LEVEL.lower()}",
    ]
