"""All workers share the quota of a client."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from testing.servers import running_service


@pytest.fixture
def server(database_url):
    with running_service(database_url, WORKERS="2", THROTTLE_READ="50/day") as server:
        yield server


def test_two_workers_share_a_quota_exactly(server):
    assert len(server.workers()) >= 2
    with ThreadPoolExecutor(16) as threads:
        answers = threads.map(lambda _: server.get("/api/tasks")[0], range(100))
    assert Counter(answers) == {200: 50, 429: 50}
