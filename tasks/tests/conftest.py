import pytest


@pytest.fixture
def stored(db):
    """Every column of every task, the trash and other users included; equal twice: nothing was written."""
    from tasks.models import Task

    def rows():
        return list(Task.objects.order_by("id").values())

    return rows
