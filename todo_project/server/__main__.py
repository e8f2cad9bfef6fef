"""Run granian on the socket that systemd passed: ``python -m todo_project.server``.

Granian can only listen on sockets that it opens itself (https://github.com/emmett-framework/granian/issues/786), so
this module replaces the method that opens the socket.
"""

import socket

from granian import cli
from granian.net import SocketHolder
from granian.server import MPServer

from todo_project.server.socket_activation import LISTEN_FDS_START


class Server(MPServer):  # type: ignore[misc]  # granian is untyped
    """A granian server that listens on the passed socket."""

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(LISTEN_FDS_START, uds=False, backlog=self.backlog)
        self._sso = socket.socket(fileno=LISTEN_FDS_START)


if __name__ == "__main__":
    cli.Server = Server
    cli.entrypoint()
