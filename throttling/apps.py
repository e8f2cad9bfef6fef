"""The app of rate limits."""

from django.apps import AppConfig

from database.write_breaker import unlogged_tables


class ThrottlingConfig(AppConfig):
    """The configuration of the app ``throttling``."""

    name = "throttling"

    def ready(self) -> None:
        """Count requests while writes are refused, because reads are counted too."""
        unlogged_tables.add("throttling_window")
