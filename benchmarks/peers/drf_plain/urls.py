"""The endpoints, in one ViewSet."""

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.urls import include, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from benchmarks.peers.drf_plain.models import Task
from benchmarks.rows import FIELDS

USER = "default"


class TaskSerializer(serializers.ModelSerializer[Task]):
    labels = serializers.DictField(child=serializers.BooleanField(), required=False)

    class Meta:
        model = Task
        fields = list(FIELDS)


class TaskPagination(CursorPagination):
    page_size = None  # because a list without a limit has all tasks
    page_size_query_param = "limit"
    max_page_size = 1000
    ordering = ("-created_at", "-id")


class TaskViewSet(ModelViewSet[Task]):
    serializer_class = TaskSerializer
    pagination_class = TaskPagination
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Task]:
        tasks = Task.objects.filter(user_id=USER).order_by("-created_at", "-id")
        if completed := self.request.query_params.get("completed"):
            tasks = tasks.filter(completed=completed == "true")
        if q := self.request.query_params.get("q"):
            tasks = tasks.filter(Q(title__icontains=q) | Q(description__icontains=q))
        return tasks

    def perform_create(self, serializer: serializers.BaseSerializer[Task]) -> None:
        completed = serializer.validated_data.get("completed", False)
        serializer.save(user_id=USER, completed_at=timezone.now() if completed else None)

    def perform_update(self, serializer: serializers.BaseSerializer[Task]) -> None:
        task = serializer.instance
        task.set_completed(completed=serializer.validated_data.get("completed", task.completed))
        serializer.save(version=task.version + 1)

    @action(detail=True, methods=["post"])
    def toggle(self, request: Request, pk: str) -> Response:
        task = self.get_object()
        task.set_completed(completed=not task.completed)
        task.version += 1
        task.save()
        return Response(self.get_serializer(task).data)


router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("tasks", TaskViewSet, basename="task")
urlpatterns = [path("api/", include(router.urls)), path("readyz", lambda request: HttpResponse("ok"))]
