"""Send bytes to the running server over a socket, because HTTP clients send no malformed requests."""

import socket
from contextlib import suppress
from http.client import HTTPResponse
from io import BytesIO

from testing.ports import HOST

TIMEOUT_SECONDS = 10


def exchange(server, request, *, half_close=False):
    """Send ``request``, and return all bytes until the server closes the connection.

    ``half_close`` ends the client's side after the request, so that the server waits for no more bytes.
    """
    with socket.create_connection((HOST, server.port), TIMEOUT_SECONDS) as connection:
        # The server may close the connection before it has read the whole request.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return b"".join(receive(connection))


def receive(connection):
    # The server resets the connection if it closes it with unread bytes.
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            yield part


class ReceivedBytes(BytesIO):
    """A socket for ``HTTPResponse`` that holds all received bytes."""

    def makefile(self, _):
        return self


def parse_response(received):
    """Return the response and its body."""
    response = HTTPResponse(ReceivedBytes(received))
    response.begin()
    return response, response.read()
