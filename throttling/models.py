"""What each client has used of its quota. One table for all workers, one statement a request."""

from time import time

from django.db import connection, models

#: Rows of one purge: a request carries it out.
PURGED_AT_ONCE = 1000

ADD = """
INSERT INTO throttling_window AS stored (client, used, ends) VALUES (%(client)s, 1, %(ends)s)
ON CONFLICT (client) DO UPDATE SET
    used = CASE WHEN stored.ends <= %(now)s THEN 1 ELSE stored.used + 1 END,
    ends = CASE WHEN stored.ends <= %(now)s THEN excluded.ends ELSE stored.ends END
RETURNING used, ends
"""


class WindowManager(models.Manager["Window"]):
    def add(self, client: str, seconds: int) -> "Window":
        """Count one request of ``client``, in the window of so many seconds that is running or that it begins."""
        now = time()
        with connection.cursor() as cursor:
            cursor.execute(ADD, {"client": client, "now": now, "ends": now + seconds})
            used, ends = cursor.fetchone()
        return Window(client=client, used=used, ends=ends)

    def purge(self) -> None:
        """Remove windows that have ended, some at a time; a client that comes again begins a new one."""
        ended = self.filter(ends__lte=time()).values("client")[:PURGED_AT_ONCE]
        self.filter(client__in=ended, ends__lte=time()).delete()


class Window(models.Model):
    """The requests of one client since it began."""

    client = models.CharField(
        primary_key=True, max_length=64, help_text="SHA-256 of the scope and of the user id or the address."
    )
    used = models.BigIntegerField(help_text="Requests in this window, those that were refused too.")
    ends = models.FloatField(help_text="When it ends, in seconds since 1970.")

    objects = WindowManager()

    def __str__(self) -> str:
        return self.client
