"""Limit the length of a request's head, because some headers are parsed in quadratic time.

This module imports no other one of the service, because ``todo_project/wsgi.py`` needs it before the settings exist.
"""

from collections.abc import Mapping
from typing import Any

#: In bytes: the request line and all headers together, the value of a header, and the value of ``Authorization``.
MAX_HEAD_LENGTH = 24 * 1024
MAX_HEADER_LENGTH = 8 * 1024
MAX_AUTHORIZATION_LENGTH = 8300

#: In bytes. Nothing parses a longer value, or caches the result.
MAX_ACCEPT_LENGTH = 1024
MAX_CONTENT_TYPE_LENGTH = 256

#: Replaces a media type that is too long; no endpoint sends or takes this one.
UNKNOWN_TYPE = "application/octet-stream"

#: The most backslashes in a ``Cookie``. Before Python 3.11.10, ``http.cookies`` searches the whole value for each one.
MAX_COOKIE_ESCAPES = 128


def is_head_too_large(environ: Mapping[str, Any]) -> bool:
    """Tell whether the head of a request exceeds a limit; WSGI passes each byte as one character."""
    length = len(environ["REQUEST_METHOD"]) + len(environ["PATH_INFO"]) + len(environ.get("QUERY_STRING", ""))
    for name, value in environ.items():
        if name[:5] == "HTTP_" or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}:  # a slice takes a third of a call
            if len(value) > MAX_HEADER_LENGTH and (
                name != "HTTP_AUTHORIZATION" or len(value) > MAX_AUTHORIZATION_LENGTH
            ):
                return True
            length += len(name) + len(value)
    return length > MAX_HEAD_LENGTH


def replace_long_media_types(environ: dict[str, Any]) -> None:
    """Replace an ``Accept`` or ``Content-Type`` that no client needs, so that the answer is a 406 or 415."""
    if len(environ.get("HTTP_ACCEPT", "")) > MAX_ACCEPT_LENGTH:
        environ["HTTP_ACCEPT"] = UNKNOWN_TYPE
    if len(environ.get("CONTENT_TYPE", "")) > MAX_CONTENT_TYPE_LENGTH:
        environ["CONTENT_TYPE"] = UNKNOWN_TYPE
