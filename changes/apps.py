"""The app of the change feed."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChangesConfig(AppConfig):
    """The configuration of the app ``changes``."""

    name = "changes"

    def ready(self) -> None:
        # Not a migration, because a restored database has all migrations.
        post_migrate.connect(_renew_epoch_of_copy, sender=self)


def _renew_epoch_of_copy(**_: Any) -> None:
    from django.db import connection

    from changes.epoch import renew_epoch_of_copy
    from changes.models import Epoch

    if Epoch._meta.db_table in connection.introspection.table_names():
        renew_epoch_of_copy()
