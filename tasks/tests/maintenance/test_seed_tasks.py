"""``manage.py seed_tasks``."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tasks.maintenance.sample_tasks import SampleTasks
from tasks.models import Task
from tasks.tests.api.contract import task_body
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from tasks.transfer.importing import STORED_TASK
from testing.commands import failure, run_command, success

pytestmark = pytest.mark.django_db

UNTIL = datetime(2026, 1, 11, tzinfo=UTC)
SEED_5 = [
    {
        "id": "019b508a-3bb1-751c-96ca-29629e065790",
        "title": "Call Fátima about the budget",
        "description": "",
        "completed": True,
        "due": None,
        "priority": "medium",
        "labels": {"健康": True, "home": True, "money": True},
        "user_id": "default",
        "created_at": "2025-12-24T13:26:35.185688Z",
        "updated_at": "2025-12-29T13:50:38.438673Z",
        "completed_at": "2025-12-29T13:50:38.438673Z",
        "version": 4,
    },
    {
        "id": "019ba9e2-3ade-78e7-90d1-83b58f659c55",
        "title": "Pay the parking ticket",
        "description": (
            "Two options:\n- printer paper\n- nothing at all\nTwo options:\n- a birthday present\n- nothing at all"
        ),
        "completed": False,
        "due": None,
        "priority": None,
        "labels": {},
        "user_id": "default",
        "created_at": "2026-01-10T21:48:54.366505Z",
        "updated_at": "2026-01-10T21:48:54.366505Z",
        "completed_at": None,
        "version": 1,
    },
]
FIXED = ("--until=2026-01-11T00:00:00Z", "--force")


def seed(*options):
    return run_command("seed_tasks", *FIXED, *options)


def sample(seed, **options):
    return SampleTasks(
        **{"seed": seed, "owners": ["default"], "completed_ratio": 0.4, "until": UNTIL, "days": 90, **options}
    )


def without_trigger_fields(row):
    return {name: value for name, value in row.items() if name not in Task.TRIGGER_FIELDS}


def owners():
    return Counter(Task.objects.values_list("user_id", flat=True))


def test_tasks_are_live_and_owned_by_default():
    assert seed("--count=50") == success("Added 50 tasks; 0 existed already\n")
    assert (owners(), Task.objects.live().count()) == ({"default": 50}, 50)


def test_seed_gives_same_tasks_in_every_version():
    """Benchmarks of different years compare the same tasks."""
    seed("--count=2", "--seed=5")
    assert [task_body(task) for task in Task.objects.order_by("id")] == SEED_5


def test_other_seed_gives_other_tasks():
    first, again, other = ([task.columns() for task in sample(seed).first(30)] for seed in (1, 1, 2))
    assert first == again
    assert not {task["id"] for task in first} & {task["id"] for task in other}


def test_larger_count_begins_with_same_tasks(stored):
    seed("--count=20")
    before = stored()
    assert seed("--count=50") == success("Added 30 tasks; 20 existed already\n")
    assert [row for row in stored() if row in before] == before


def test_second_run_adds_nothing(stored):
    seed("--count=20")
    before = stored()
    assert seed("--count=20") == success("Added 0 tasks; 20 existed already\n")
    assert stored() == before


@pytest.mark.parametrize("option", ["--user=bob", "--users=2", "--completed-ratio=0.5", "--days=30", "--seed=2"])
def test_other_option_gives_other_tasks(stored, option):
    seed("--count=20")
    before = stored()
    assert seed("--count=20", option) == success("Added 20 tasks; 0 existed already\n")
    assert seed("--count=20", option) == success("Added 0 tasks; 20 existed already\n")
    assert [row for row in stored() if row in before] == before


def test_batch_size_does_not_change_tasks(stored):
    seed("--count=20")
    before = [without_trigger_fields(row) for row in stored()]
    seed("--count=20", "--clear", "--batch-size=3")
    assert [without_trigger_fields(row) for row in stored()] == before


def test_tasks_have_due_dates_priorities_and_labels():
    tasks = list(sample(1).first(500))
    assert 200 < sum(task.due is not None for task in tasks) < 300
    assert {len(task.due) for task in tasks if task.due} == {10, 19, 20, 34}
    assert {task.priority for task in tasks} == {0, 1, 2, 3}
    assert {len(task.labels) for task in tasks} == {0, 1, 2, 3}


def test_every_task_keeps_rules_of_service():
    tasks = list(sample(1, days=30).first(2000))
    assert [STORED_TASK.run_validation({**task_body(task), "deleted_at": None}) for task in tasks] == [
        without_trigger_fields(task.columns()) for task in tasks
    ]
    for task in tasks:
        assert UNTIL - timedelta(days=30) <= task.created_at <= UNTIL
        assert task.updated_at <= UNTIL + timedelta(microseconds=3)
        assert (task.version == 1) == (task.updated_at == task.created_at)
        assert task.id.int >> 80 == int(task.created_at.timestamp() * 1000)
    assert len({task.title for task in tasks}) > 200


@pytest.mark.parametrize(("ratio", "least", "most"), [("0", 0, 0), ("1", 100, 100), ("0.5", 30, 70)])
def test_completed_ratio_is_about_kept(ratio, least, most):
    seed("--count=100", f"--completed-ratio={ratio}")
    assert least <= Task.objects.filter(completed=True).count() <= most


def test_user_and_users_name_owners():
    seed("--count=10", "--user=alice")
    assert owners() == {"alice": 10}
    seed("--count=100", "--users=3", "--seed=2")
    assert owners().keys() == {"alice", "user-1", "user-2", "user-3"}


def test_without_until_times_end_today():
    run_command("seed_tasks", "--count=20", "--days=1", "--force")
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    created = list(Task.objects.values_list("created_at", flat=True))
    assert today - timedelta(days=1) <= min(created) <= max(created) < today + timedelta(days=1)


def test_clear_first_removes_tasks_of_same_users():
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    TaskFactory(foreign=True)
    assert seed("--count=2", "--clear", "--batch-size=2") == success(
        "Removed 4 tasks and added 2 tasks; 0 existed already\n"
    )
    assert owners() == {"default": 2, SOMEBODY_ELSE: 1}


def test_dry_run_counts_and_changes_nothing(stored):
    seed("--count=5")
    before = stored()
    assert seed("--count=7", "--dry-run") == success("Would add 2 tasks; 5 exist already\n")
    assert seed("--count=7", "--dry-run", "--clear") == success(
        "Would remove 5 tasks and add 7 tasks; 0 exist already\n"
    )
    assert stored() == before


def test_debug_off_needs_force(stored, settings):
    reason = "DEBUG is off, so this may be a production database; add --force if it is not"
    assert run_command("seed_tasks", "--count=1") == failure(reason, 2)
    assert stored() == []
    settings.DEBUG = True
    assert run_command("seed_tasks", "--count=1") == success("Added 1 task; 0 existed already\n")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "the following arguments are required: --count"),
        (["--count=0"], "argument --count: must be a whole number from 1 to 1000000000"),
        (["--count=1", "--users=0"], "argument --users: must be a whole number from 1 to 10000"),
        (["--count=1", "--user="], "argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", f"--user={'x' * 256}"], "argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", "--user=\udcff"], "argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", "--user=a", "--users=2"], "argument --users: not allowed with argument --user"),
        (["--count=1", "--completed-ratio=1.1"], "argument --completed-ratio: must be a number from 0 to 1"),
        (["--count=1", "--days=0"], "argument --days: must be a whole number from 1 to 36500"),
        (["--count=1", "--seed=-1"], "argument --seed: must be a whole number from 0 to 4294967296"),
        (
            ["--count=1", "--until=today"],
            "argument --until: must be an RFC 3339 date and time with an offset, of the years 0001 to 9999",
        ),
    ],
)
def test_bad_options_refused(stored, options, reason):
    assert run_command("seed_tasks", "--force", *options) == failure(f"Error: {reason}", 1)
    assert stored() == []


@pytest.mark.parametrize("options", [["--days=36500"], ["--days=1", "--until=0001-01-01T00:00:00Z"]])
def test_times_before_1970_refused(stored, options):
    reason = "--days must not reach back before 1970, because UUIDs of version 7 begin there"
    assert seed("--count=1", *options) == failure(reason, 2)
    assert stored() == []
