"""Wait for conditions, instead of a fixed time."""

import time
from collections.abc import Callable

TIMEOUT = 20


def wait_for(
    condition: Callable[[], object],
    description: str = "the condition holds",
    timeout: float = TIMEOUT,
    pause: float = 0.005,
) -> None:
    """Wait until ``condition``, called after each ``pause``, returns a true value.

    Raises:
        TimeoutError: the condition was false for ``timeout`` seconds; the message has the description.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{description}: not within {timeout} s")
        time.sleep(pause)
