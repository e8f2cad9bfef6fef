"""``manage.py purge_idempotency_keys``."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idempotency.models import KeptResponse
from idempotency.tests.factories import KeptResponseFactory

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    def isatty(self):
        return True


def purge(*arguments, err=StringIO):
    out, err = StringIO(), err()
    call_command("purge_idempotency_keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


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
    assert purge(f"--batch-size={size}") == ("Deleted 7 keys\n", "")
    assert keys() == {"young", "yesterday"}
    assert purge() == ("Deleted 0 keys\n", "")


def test_each_batch_is_a_statement_of_its_own(rows):
    with CaptureQueriesContext(connection) as queries:
        purge("--batch-size=3")
    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3


def test_a_dry_run_says_what_it_would_do(rows):
    before = keys()
    assert purge("--dry-run") == ("Would delete 7 keys\n", "")
    assert keys() == before


def test_says_nothing_where_nothing_is_to_be_said(rows):
    assert purge("--verbosity=0") == ("", "")
    assert keys() == {"young", "yesterday"}


def test_shows_progress_on_a_terminal(rows):
    assert purge("--batch-size=4", err=Terminal) == ("Deleted 7 keys\n", "\r4 keys\r7 keys\n")
    assert purge("--verbosity=0", err=Terminal) == ("", "")


@pytest.mark.parametrize("size", ["0", "-1", "10001"])
def test_a_batch_has_bounds(rows, size):
    before = keys()
    with pytest.raises(CommandError, match=r"^--batch-size must be a whole number from 1 to 10000$"):
        purge(f"--batch-size={size}")
    assert keys() == before
