"""The app of tasks, and the groups of operators."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

#: The groups of operators, with the permissions on tasks that a new group gets.
GROUPS = {"viewer": ("view",), "operator": ("view", "add", "change", "delete")}


class TasksConfig(AppConfig):
    """The configuration of the app ``tasks``."""

    name = "tasks"

    def ready(self) -> None:
        from tasks.api import checks  # noqa: F401  # the import registers the checks

        # Not a migration, because Django creates the permissions after all migrations.
        post_migrate.connect(create_groups, sender=self)


def create_groups(using: str, **_: Any) -> None:
    """Create the missing groups; an existing group keeps the permissions that operators gave it."""
    from django.contrib.auth.models import Group, Permission

    for name, verbs in GROUPS.items():
        group, created = Group.objects.using(using).get_or_create(name=name)
        if created:
            names = [f"{verb}_task" for verb in verbs]
            permissions = Permission.objects.using(using)
            group.permissions.set(permissions.filter(content_type__app_label="tasks", codename__in=names))
