"""The app of the change feed."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChangesConfig(AppConfig):
    """The configuration of the app ``changes``."""

    name = "changes"

    def ready(self) -> None:
        # Not a migration, because a restored database has all migrations.
        post_migrate.connect(renew_epoch_after_migration, sender=self)


def renew_epoch_after_migration(**_: Any) -> None:
    """Begin a new epoch if this database is a copy; without the table of epochs, do nothing."""
    from django.db import connection

    from changes.epoch import renew_epoch_of_copy
    from changes.models import Epoch

    if Epoch._meta.db_table in connection.introspection.table_names():
        renew_epoch_of_copy()
