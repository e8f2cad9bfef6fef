import pytest


@pytest.fixture
def stored(db):
    """Return a function that reads every column of all tasks, so that equal results mean no write."""
    from tasks.models import Task

    return lambda: list(Task.objects.order_by("id").values())


@pytest.fixture
def no_owner(monkeypatch):
    """Remove the owner from the conditions of every statement."""
    from tasks.api import statements
    from tasks.querysets import TaskQuerySet

    compiled = [each for each in vars(statements).values() if isinstance(each, statements.CompiledStatement)]
    monkeypatch.setattr(TaskQuerySet, "owned_by", lambda self, _: self.all())
    for statement in compiled:
        statement.compile.cache_clear()
    yield
    for statement in compiled:
        statement.compile.cache_clear()


@pytest.fixture
def admin_user(db):
    """Make a superuser without a password, because hashing one takes long."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("admin")
