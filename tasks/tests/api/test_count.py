"""``GET /api/tasks/count``."""

from urllib.parse import urlencode

import pytest
from django.db import connection

from tasks.tests.api.contract import (
    ALLOW,
    COUNT,
    COUNT_PARAMETERS,
    SELECTED,
    headers,
    json_headers,
    send,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

PATH = COUNT.path


@pytest.fixture
def assert_counts(as_user):
    def ask(number, query="", **sent_headers):
        response = as_user.get(f"{PATH}?{query}", headers=sent_headers)
        assert (response.status_code, headers(response)) == (200, json_headers())
        assert response.content == b'{"count":%d}' % number

    return ask


def test_count_without_tasks_is_0(assert_counts):
    assert_counts(0)
    assert_counts(0, "q=milk")


def test_count_is_of_own_live_tasks(assert_counts):
    TaskFactory.create_batch(3)
    TaskFactory.create_batch(2, trashed=True)
    TaskFactory.create_batch(2, foreign=True)
    assert_counts(3)


def test_count_of_each_user_is_own(client_of):
    for user_id, number in (("alice", 1), ("bob", 2)):
        TaskFactory.create_batch(number, user_id=user_id)
    numbers = [client_of(user_id).get(PATH).json() for user_id in ("alice", "bob", "carol")]
    assert numbers == [{"count": 1}, {"count": 2}, {"count": 0}]


@pytest.mark.parametrize(
    "query", [*(urlencode([each]) for each in COUNT_PARAMETERS.items()), urlencode(COUNT_PARAMETERS)]
)
def test_count_has_filters_of_list(assert_counts, query):
    TaskFactory.create_batch(2, **SELECTED)
    TaskFactory.create_batch(2, **SELECTED, trashed=True)
    TaskFactory.create_batch(2, **SELECTED, foreign=True)
    TaskFactory(title="Buy bread")
    # Each other parameter excludes the last task.
    assert_counts(3 if query.startswith(("created", "updated")) else 2, query)


def test_count_ignores_if_none_match(assert_counts):
    TaskFactory()
    assert_counts(1, **{"If-None-Match": "*"})
    assert_counts(1, **{"If-None-Match": '"1"'})


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/problem+json", "text/html, application/json"])
def test_count_is_json_for_any_accept_of_json(assert_counts, accept):
    assert_counts(0, Accept=accept)


def test_head_of_count_has_no_body(as_user):
    response = as_user.head(PATH)
    assert (response.status_code, headers(response), response.content) == (200, json_headers(), b"")


def test_trash_has_no_count(as_user):
    assert as_user.get("/api/tasks/trash/count").json()["code"] == "not_found"


def test_count_runs_one_query(as_user, django_assert_num_queries):
    TaskFactory.create_batch(3)
    with django_assert_num_queries(1, connection=connection):
        assert send(as_user, COUNT).json() == {"count": 3}


def test_count_allows_reading_alone(as_user):
    assert as_user.options(PATH).headers["Allow"] == ALLOW[PATH] == "GET, HEAD, OPTIONS"
