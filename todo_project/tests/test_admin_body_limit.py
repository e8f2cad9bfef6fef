"""The limit of bodies in the admin, and the files that Django writes without this limit."""

import pytest
from django.core.files import uploadedfile, uploadhandler
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string

pytestmark = pytest.mark.django_db

PATHS = ["/admin/login/", "/admin/tasks/task/add/", "/admin/nowhere"]
LIMIT = 1024 * 1024


@pytest.fixture
def files_on_disk(monkeypatch):
    """Return the list of the names of uploaded files that Django writes to the disk."""
    names = []

    class RecordedFile(uploadedfile.TemporaryUploadedFile):
        def __init__(self, name, *arguments):
            names.append(name)
            super().__init__(name, *arguments)

    monkeypatch.setattr(uploadhandler, "TemporaryUploadedFile", RecordedFile)
    return names


def upload(client, path, size=3 * LIMIT):
    return client.post(path, {"file": SimpleUploadedFile("holiday.mp4", b"x" * size)})


@pytest.mark.parametrize("path", PATHS)
def test_upload_over_1_mib_is_refused_and_not_written(client, files_on_disk, path):
    response = upload(client, path)
    assert (response.status_code, response.content.decode()) == (413, render_to_string("413.html"))
    assert files_on_disk == []


def test_control_without_body_limit_upload_is_written(client, settings, files_on_disk):
    limit = "todo_project.admin_body_limit.admin_body_limit_middleware"
    assert limit in settings.MIDDLEWARE
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != limit]
    assert (upload(client, "/admin/login/").status_code, files_on_disk) == (200, ["holiday.mp4"])


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_limit_of_body_is_exactly_1_mib(client, content_type, size, status):
    response = client.post("/admin/login/", "username=olga&password=".ljust(size, "x"), content_type=content_type)
    assert response.status_code == status


@pytest.mark.parametrize("length", ["-1", "a", "9" * 5000])
def test_body_of_unknown_length_is_refused(client, length):
    assert client.post("/admin/login/", {}, CONTENT_LENGTH=length).status_code == 413
