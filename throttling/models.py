"""Count the requests of each client in one table for all workers, with one statement per request."""

from hashlib import sha256
from time import time

from django.db import connection, models

#: The most rows that one purge deletes, because a client's request waits for it.
PURGE_BATCH_SIZE = 1000

#: The kinds of requests that have limits of their own.
SCOPES = ("read", "write")

COUNT_REQUEST = """
INSERT INTO throttling_window AS stored (client, used, ends) VALUES (%(client)s, %(number)s, %(ends)s)
ON CONFLICT (client) DO UPDATE SET
    used = CASE WHEN stored.ends <= %(now)s THEN %(number)s ELSE stored.used + %(number)s END,
    ends = CASE WHEN stored.ends <= %(now)s THEN excluded.ends ELSE stored.ends END
RETURNING used, ends
"""


def hash_client(scope: str, identity: str) -> str:
    """Return the ``client`` of a window, which tells neither the user nor the address."""
    return sha256(f"{scope} {identity}".encode()).hexdigest()


class WindowManager(models.Manager["Window"]):
    """The writes to the table of windows."""

    def count_request(self, client: str, seconds: int, number: int = 1) -> "Window":
        """Count a request, as ``number`` requests, in the client's current window or a new one of ``seconds``."""
        now = time()
        with connection.cursor() as cursor:
            cursor.execute(COUNT_REQUEST, {"client": client, "now": now, "ends": now + seconds, "number": number})
            used, ends = cursor.fetchone()
        return Window(client=client, used=used, ends=ends)

    def of_user(self, user_id: str) -> "models.QuerySet[Window]":
        """Return the windows of one user's requests with a token."""
        return self.filter(client__in=[hash_client(scope, f"user {user_id}") for scope in SCOPES])

    def purge(self) -> None:
        """Delete up to ``PURGE_BATCH_SIZE`` windows that have ended."""
        ended = self.filter(ends__lte=time()).values("client")[:PURGE_BATCH_SIZE]
        # Without the second condition, this would delete a window that its client has just renewed.
        self.filter(client__in=ended, ends__lte=time()).delete()


class Window(models.Model):
    """A period in which the requests of one client are counted."""

    client = models.CharField(
        primary_key=True, max_length=64, help_text="SHA-256 of the scope and of the user id or the address."
    )
    used = models.BigIntegerField(help_text="Requests in this window, including refused ones.")
    ends = models.FloatField(help_text="End of this window, in seconds since 1970.")

    objects = WindowManager()

    def __str__(self) -> str:
        return self.client
