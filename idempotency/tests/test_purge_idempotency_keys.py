"""``manage.py purge_idempotency_keys``."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory
from testing.commands import run_command, success

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    """Seven expired responses and two others."""
    now = timezone.now()
    for hours in (24, 25, 26, 27, 48, 480, 4800):
        KeptResponseFactory(created_at=now - timedelta(hours=hours))
    KeptResponseFactory(key="young")
    KeptResponseFactory(key="yesterday", created_at=now - timedelta(hours=23, minutes=59))


def keys():
    return set(KeptResponse.objects.values_list("key", flat=True))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_expired_keys_are_deleted(rows, size):
    assert run_command("purge_idempotency_keys", f"--batch-size={size}") == success("Deleted 7 keys\n")
    assert keys() == {"young", "yesterday"}
    assert run_command("purge_idempotency_keys") == success("Deleted 0 keys\n")


def test_each_batch_is_one_statement(rows):
    with CaptureQueriesContext(connection) as queries:
        run_command("purge_idempotency_keys", "--batch-size=3")
    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3


def test_dry_run_counts_and_deletes_nothing(rows):
    before = keys()
    assert run_command("purge_idempotency_keys", "--dry-run") == success("Would delete 7 keys\n")
    assert keys() == before


def test_verbosity_0_prints_nothing(rows):
    assert run_command("purge_idempotency_keys", "--dry-run", "--verbosity=0") == success("")
    assert run_command("purge_idempotency_keys", "--verbosity=0") == success("")
    assert keys() == {"young", "yesterday"}
