from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

#: What each group of operators may do to tasks, when it is made.
GROUPS = {"viewer": ("view",), "operator": ("view", "add", "change", "delete")}


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        # Django makes the permissions after the migrations, so that none of these could give them to a group.
        post_migrate.connect(make_groups, sender=self)


def make_groups(using: str, **_: Any) -> None:
    """Make the groups of ``GROUPS`` that there are not; one that is there stays as the operators have it."""
    from django.contrib.auth.models import Group, Permission

    for name, verbs in GROUPS.items():
        group, made = Group.objects.using(using).get_or_create(name=name)
        if made:
            names = [f"{verb}_task" for verb in verbs]
            permissions = Permission.objects.using(using)
            group.permissions.set(permissions.filter(content_type__app_label="tasks", codename__in=names))
