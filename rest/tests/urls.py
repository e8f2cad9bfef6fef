"""The URLs of the project, and views that fail at each layer that an error can come from."""

import logging

from django.http import HttpResponse
from django.urls import include, path, re_path
from rest_framework.response import Response
from rest_framework.views import APIView

from todo_project.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500"]

logger = logging.getLogger("todo_project.tests")

#: The exception that the views and the middleware raise; the fixture ``fail_with`` sets it.
error: Exception = AssertionError("no test has set the error")


class FailingAPIView(APIView):
    def get(self, request):
        raise error


class LoggingAPIView(APIView):
    def get(self, request):
        logger.info("one")
        logger.warning("two")
        return Response()


def failing_view(request):
    raise error


def host_view(request):
    return HttpResponse(request.get_host())


def failing_middleware(get_response):
    def middleware(request):
        raise error

    return middleware


urlpatterns = [
    path("api/rest-framework", FailingAPIView.as_view()),
    path("api/django", failing_view),
    re_path("^api/forged/", failing_view),
    path("api/host", host_view),
    path("api/log", LoggingAPIView.as_view()),
    path("django", failing_view),
    path("admin/django", failing_view),
    path("", include("todo_project.urls")),
]
