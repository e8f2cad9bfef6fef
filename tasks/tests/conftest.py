import pytest


@pytest.fixture
def stored(db):
    """Every column of every task, the trash and other users included; equal twice: nothing was written."""
    from tasks.models import Task

    def rows():
        return list(Task.objects.order_by("id").values())

    return rows


@pytest.fixture
def no_owner(monkeypatch):
    """Statements that leave the owner out."""
    from tasks.api import statements
    from tasks.models import TaskQuerySet

    compiled = [statement for statement in vars(statements).values() if isinstance(statement, statements.Compiled)]
    monkeypatch.setattr(TaskQuerySet, "owned_by", lambda self, _: self.all())
    for statement in compiled:
        statement.compile.cache_clear()
    yield
    for statement in compiled:
        statement.compile.cache_clear()


@pytest.fixture
def admin_user(db):
    """Without a password, which takes long to hash."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("admin")
