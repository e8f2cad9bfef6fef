"""``manage.py purge_idempotency_keys``."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory
from testing.commands import Ended, done, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    """Seven that are expired and two that are not."""
    now = timezone.now()
    for hours in (24, 25, 26, 27, 48, 480, 4800):
        KeptResponseFactory(created_at=now - timedelta(hours=hours))
    KeptResponseFactory(key="young")
    KeptResponseFactory(key="yesterday", created_at=now - timedelta(hours=23, minutes=59))


def keys():
    return set(KeptResponse.objects.values_list("key", flat=True))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_deletes_what_is_older_than_a_day(rows, size):
    assert run("purge_idempotency_keys", f"--batch-size={size}") == done("Deleted 7 keys\n")
    assert keys() == {"young", "yesterday"}
    assert run("purge_idempotency_keys") == done("Deleted 0 keys\n")


def test_one_key_is_one():
    KeptResponseFactory(expired=True)
    assert run("purge_idempotency_keys", "--dry-run") == done("Would delete 1 key\n")
    assert run("purge_idempotency_keys") == done("Deleted 1 key\n")


def test_each_batch_is_a_statement_of_its_own(rows):
    with CaptureQueriesContext(connection) as queries:
        run("purge_idempotency_keys", "--batch-size=3")
    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3


def test_a_dry_run_says_what_it_would_do(rows):
    before = keys()
    assert run("purge_idempotency_keys", "--dry-run") == done("Would delete 7 keys\n")
    assert keys() == before


def test_says_nothing_where_nothing_is_to_be_said(rows):
    assert run("purge_idempotency_keys", "--verbosity=0") == done("")
    assert keys() == {"young", "yesterday"}
    assert run("purge_idempotency_keys", "--dry-run", "--verbosity=0") == done("")


@pytest.mark.parametrize("size", ["0", "-1", "10001", "x"])
def test_a_batch_has_bounds(rows, size):
    before = keys()
    refusal = "CommandError: Error: argument --batch-size: must be a whole number from 1 to 10000\n"
    assert run("purge_idempotency_keys", f"--batch-size={size}") == Ended("", refusal, 1)
    assert keys() == before
