"""Instances of the service as ``deploy/todo@.service`` runs them: several on one socket."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

from resilience.haproxy import HOST_NAME, ONE_SERVICE, HAProxy, run_haproxy
from resilience.nginx import run_nginx
from testing.ports import HOST, free_port
from testing.python_processes import ROOT, service_environment
from testing.servers import SERVE_COMMAND, START_TIMEOUT, Server, stop_server

#: The steps of systemd between fork and exec: sd_listen_fds(3).
PASS_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def open_socket(**changes: str) -> socket.socket:
    """Open a listening socket on a free port, with the options of ``deploy/todo.socket``.

    systemd.socket(5) describes the options.
    """
    unit = ConfigParser(interpolation=None)
    unit.read(ROOT / "deploy" / "todo.socket")
    options = {**unit["Socket"], **changes}
    listening = socket.create_server((HOST, 0), backlog=int(options["backlog"]))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, options["nodelay"] == "true")
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(options["deferacceptsec"]))
    return listening


#: The settings of an instance with a thread for each client of a scenario. HAProxy's check sends the host name.
ONE_MACHINE = {
    "WORKERS": "1",
    "THREADS": "12",
    "MAX_CONCURRENT_PER_USER": "12",
    "DB_POOL_SIZE": "13",
    "ALLOWED_HOSTS": f"{HOST},localhost,{HOST_NAME}",
}


class Instance:
    """A server process and its workers, on a given socket or on one that the process opens."""

    def __init__(self, url: str, listening: socket.socket | None, **variables: str) -> None:
        self.listening = listening
        self.port = listening.getsockname()[1] if listening else free_port()
        self.variables = service_environment(DATABASE_URL=url, HOST=HOST, PORT=str(self.port), **variables)
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it reports that it is ready: sd_notify(3)."""
        passed = [self.listening.fileno()] if self.listening else []
        pass_socket = (sys.executable, "-c", PASS_SOCKET, *map(str, passed)) if passed else ()
        with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{directory}/notify")
            manager.settimeout(START_TIMEOUT)
            self.process = subprocess.Popen(
                (*pass_socket, *SERVE_COMMAND),
                cwd=ROOT,
                env={**self.variables, "NOTIFY_SOCKET": f"{directory}/notify"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=passed,
            )
            self.server = Server(self.port, self.process.pid)
            assert manager.recv(100) == b"READY=1"

    def stop(self) -> None:
        """Send SIGTERM, and wait until the server has ended."""
        stop_server(self.process)

    def restart(self) -> None:
        """Stop the server, and start a new one."""
        self.stop()
        self.start()


@contextmanager
def serve_behind_nginx(
    url: str, replacements: Mapping[str, str] | None = None, **variables: str
) -> Iterator[tuple[int, list[Instance]]]:
    """Run nginx in front of two instances, and yield its port and the instances."""
    with ExitStack() as stack:
        listening = stack.enter_context(open_socket())
        instances = []
        for _ in range(2):
            instances.append(Instance(url, listening, **variables))
            stack.callback(instances[-1].stop)
        yield stack.enter_context(run_nginx(instances[0].port, replacements)), instances


@contextmanager
def serve_behind_haproxy(
    url: str, replacements: Mapping[str, str] | None = None, **variables: str
) -> Iterator[tuple[HAProxy, list[Instance]]]:
    """Run HAProxy in front of two instances with a port each, and yield HAProxy and the instances."""
    with ExitStack() as stack:
        instances = start_instances(url, stack, **variables)
        addresses = {f"10.0.0.1{each}:8001": f"{HOST}:{instances[each - 1].port}" for each in (1, 2)}
        yield stack.enter_context(run_haproxy(ONE_SERVICE, {**(replacements or {}), **addresses})), instances


def start_instances(url: str, stack: ExitStack, **variables: str) -> list[Instance]:
    """Start two instances with a port each, which the end of ``stack`` stops."""
    instances = []
    for _ in range(2):
        instances.append(Instance(url, None, **{**ONE_MACHINE, **variables}))
        stack.callback(instances[-1].stop)
    return instances
