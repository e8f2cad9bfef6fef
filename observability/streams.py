"""Watch the bodies of responses, also of those that are sent piece by piece."""

from collections.abc import Callable, Iterator

from django.http import HttpResponse
from django.http.response import HttpResponseBase


class WatchedStream:
    """The pieces of a body, which are counted until the server closes the response.

    Args:
        pieces: the body.
        ended: takes the number of bytes; also called if the client disconnects before the stream begins.
    """

    def __init__(self, pieces: Iterator[bytes], ended: Callable[[int], None]) -> None:
        self.pieces, self.ended = pieces, ended
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        self.size += len(piece)
        return piece

    def close(self) -> None:
        """Report the end, as the server does through ``response.close``."""
        self.ended(self.size)


def when_ended(response: HttpResponseBase, ended: Callable[[int], None]) -> None:
    """Call ``ended`` with the size of the body: now if the size is known, else when the stream is closed."""
    if isinstance(response, HttpResponse):
        ended(len(response.content))
    elif length := response.headers.get("Content-Length"):  # a file
        ended(int(length))
    else:
        response.streaming_content = WatchedStream(iter(response), ended)  # type: ignore[attr-defined]
