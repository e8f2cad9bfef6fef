import pytest


@pytest.fixture
def changes_since(client, transactional_db):
    """Return a function that reads a page of the feed, once the feed need not wait for other tests."""

    def changes_since(state=None, client=client, **parameters):
        from testing.horizon import wait_for_open_writes

        wait_for_open_writes()
        response = client.get("/api/tasks/changes", {**({"since": state} if state else {}), **parameters})
        assert response.status_code == 200, response.content
        return response.json()

    return changes_since


@pytest.fixture
def current_state(changes_since):
    """Return a function that returns the state at the end of the feed."""

    def current_state(**options):
        page = changes_since(limit=1000, **options)
        assert page["more"] is False
        return page["state"]

    return current_state
