import pytest

from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_shows_a_task(client):
    task = TaskFactory(title="Buy milk")
    response = client.get(f"/api/tasks/{task.id}")
    assert response.status_code == 200
    print(response.json(), response.headers)
