import pytest


@pytest.fixture
def tasks(db):
    """Create an open, a completed and a trashed task; another user owns the trashed one."""
    from tasks.tests.factories import TaskFactory

    return {
        "open": TaskFactory(title="Open"),
        "completed": TaskFactory(title="Completed", completed=True),
        "trashed": TaskFactory(title="Trashed", trashed=True, foreign=True),
    }


@pytest.fixture
def as_member(client, db):
    """Return a client that is logged in as a member of a group, or of no group."""
    from django.contrib.auth.models import Group, User

    def as_member(group=None):
        user = User.objects.create_user(group or "nobody", is_staff=True)
        user.groups.set(Group.objects.filter(name=group))
        client.force_login(user)
        return client

    return as_member
