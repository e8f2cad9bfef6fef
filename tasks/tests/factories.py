"""Factories of tasks."""

import factory
from django.utils import timezone

from tasks.models import Task

SOMEBODY_ELSE = "somebody-else"


class TaskFactory(factory.django.DjangoModelFactory):
    """A live task of ``default``, the user of single-user mode."""

    class Meta:
        model = Task

    class Params:
        trashed = factory.Trait(deleted_at=factory.LazyFunction(timezone.now))
        foreign = factory.Trait(user_id=SOMEBODY_ELSE)

    user_id = "default"
    title = factory.Sequence("Task {}".format)
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")


def make_task(route, **values):
    """Make the task that a route addresses, without storing it for a route that stores new tasks."""
    make = TaskFactory.build if route.new else TaskFactory
    return make(trashed=route.trashed, **values)
