"""The addresses of ``/api/tasks``."""

from rest_framework.routers import SimpleRouter

from tasks.api.views import TaskViewSet, TrashViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("tasks", TaskViewSet, basename="task")
router.register("tasks/trash", TrashViewSet, basename="trash")

urlpatterns = router.urls
