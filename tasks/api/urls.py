"""The addresses of ``/api/tasks``."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from tasks.api.views import TaskViewSet, TrashViewSet, no_such_task

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("api/tasks", TaskViewSet, basename="task")
router.register("api/tasks/trash", TrashViewSet, basename="trash")

urlpatterns = [*router.urls, path("api/tasks/<str:id>", no_such_task)]
