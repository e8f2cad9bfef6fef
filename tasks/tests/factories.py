import factory

from tasks.models import Task


class TaskFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Task

    user_id = "default"
    title = factory.Sequence("Task {}".format)
