"""``python -m todo_project.server``: granian, on the socket that was passed to this process.

granian itself only knows sockets of its own (https://github.com/emmett-framework/granian/issues/786), so that it is
handed this one where it would make one.
"""

import socket

from granian import cli
from granian.net import SocketHolder
from granian.server import MPServer

from todo_project.server.socket_activation import PASSED


class Server(MPServer):  # type: ignore[misc]  # is untyped
    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(PASSED, uds=False, backlog=self.backlog)
        self._sso = socket.socket(fileno=PASSED)


if __name__ == "__main__":
    cli.Server = Server
    cli.entrypoint()
