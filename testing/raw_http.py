"""The running server, asked by a socket: what no HTTP client would send."""

import socket
from http.client import HTTPResponse
from io import BytesIO

from testing.servers import HOST

SECONDS = 10


def exchange(server, sent, *, gone=False):
    """All that the server says, until it closes."""
    with socket.create_connection((HOST, server.port), SECONDS) as connection:
        try:
            connection.sendall(sent)
            if gone:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        return b"".join(parts(connection))


def parts(connection):
    try:
        while part := connection.recv(65536):
            yield part
    except ConnectionResetError:
        pass  # what it did not read is still under way


class Canned(BytesIO):
    def makefile(self, _):
        return self


def response(said):
    answer = HTTPResponse(Canned(said))
    answer.begin()
    return answer, answer.read()
