import pytest

from tasks.tests.conftest import stored

__all__ = ["stored"]


@pytest.fixture
def kept(db):
    """Every column of every kept response; equal twice: nothing was kept in between."""
    from idempotency.models import KeptResponse

    return lambda: list(KeptResponse.objects.order_by("id").values())
