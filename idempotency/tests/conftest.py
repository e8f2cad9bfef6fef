import pytest

from tasks.tests.conftest import stored

__all__ = ["stored"]


@pytest.fixture
def kept(db):
    """Return every column of every kept response; equal twice means that no response was kept."""
    from idempotency.models import KeptResponse

    return lambda: list(KeptResponse.objects.order_by("id").values())
