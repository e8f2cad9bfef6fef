"""Instances of the service, as ``deploy/todo@.service`` runs them: on a port of their own, and started again."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.running import HOST, ROOT, SERVE, Server, environment, stop, wait_until_ready
from faults.nginx import nginx
from faults.programs import port_of_its_own


class Instance:
    """One server process with its workers."""

    def __init__(self, url: str, **variables: str) -> None:
        self.port = port_of_its_own()
        self.variables = environment(DATABASE_URL=url, HOST=HOST, PORT=str(self.port), **variables)
        self.start()

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            SERVE, cwd=ROOT, env=self.variables, stdout=quiet, stderr=quiet, start_new_session=True
        )
        self.server = Server(self.port, self.process.pid)
        wait_until_ready(self.server, self.process)

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended."""
        stop(self.process)

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def behind_nginx(url: str, **variables: str) -> Iterator[tuple[int, list[Instance]]]:
    """The port of the shipped proxy, and the two instances behind it."""
    with ExitStack() as stack:
        instances = []
        for _ in range(2):
            instances.append(Instance(url, **variables))
            stack.callback(instances[-1].stop)
        yield stack.enter_context(nginx(*(instance.port for instance in instances))), instances
