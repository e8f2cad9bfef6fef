"""An outage of the database is one event of each worker when it begins, and one when it ends."""

import json
import re
from collections import Counter

from resilience.test_unavailable import FAULTS, observe_outage
from testing.servers import running_service

WORKERS = 2
BEGIN = r"The database is unavailable: \S.*"
END = r"The database is available again after [0-9]+\.[0-9] s"


def read_events(log):
    """Return the events of the database, its pool and the requests, as logger, level and message."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    loggers = ("database", "psycopg.pool", "django.request")
    return [(event["logger"], event["level"], event["message"]) for event in events if event["logger"] in loggers]


def kind(event):
    patterns = {"begin": BEGIN, "end": END}
    return next((name for name, pattern in patterns.items() if re.fullmatch(pattern, event[2])), event)


@FAULTS
def test_outage_is_logged_once_per_worker(database_url, postgresql, report_result, tmp_path, cause_fault, limit):
    file = tmp_path / "log"
    with (
        file.open("wb") as log,
        running_service(database_url, log=log, WORKERS=str(WORKERS), LOG_LEVEL="INFO") as server,
    ):
        outage = observe_outage(server, postgresql, cause_fault, 4)
    events = read_events(file)
    report_result(f"{len(outage.ended)} requests, {len(events)} events, {events[0]}")
    assert Counter(map(kind, events)) == {"begin": WORKERS, "end": WORKERS}
    assert {level for _, level, _ in events} == {"ERROR", "WARNING"}


def test_control_without_outage_filter_log_floods(serve_without, postgresql, report_result, tmp_path):
    file = tmp_path / "log"
    with file.open("wb") as log, serve_without("outage log", log=log, LOG_LEVEL="INFO") as server:
        outage = observe_outage(server, postgresql, lambda database: database.stop() or database.start, 4)
    events = read_events(file)
    report_result(f"{len(outage.ended)} requests, {len(events)} events")
    assert len(events) > 100
