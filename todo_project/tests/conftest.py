import pytest
from django.core.signals import got_request_exception
from django.test import Client


@pytest.fixture
def client():
    """A client that answers with the server's failures; Django's own raises them into the test."""
    return Client(raise_request_exception=False)


@pytest.fixture
def fail_with(settings, monkeypatch):
    """Give the views of ``todo_project/tests/urls.py`` the error that they raise."""
    settings.ROOT_URLCONF = "todo_project.tests.urls"
    return lambda error: monkeypatch.setattr("todo_project.tests.urls.error", error)


@pytest.fixture
def got_request_exceptions():
    """The requests that ``got_request_exception``, which error trackers listen to, was sent for."""
    requests = []

    def receive(request, **_):
        requests.append(request)

    got_request_exception.connect(receive)
    yield requests
    got_request_exception.disconnect(receive)
