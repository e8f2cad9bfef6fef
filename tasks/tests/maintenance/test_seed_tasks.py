"""``manage.py seed_tasks``: believable tasks, the same ones for the same seed."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tasks.maintenance.sample_tasks import SampleTasks
from tasks.models import Task
from tasks.tests.api.contract import task_body
from tasks.tests.factories import TaskFactory
from tasks.transfer.importing import STORED_TASK
from testing.commands import Ended, done, run

pytestmark = pytest.mark.django_db

UNTIL = datetime(2026, 1, 11, tzinfo=UTC)
SEED_5 = [
    {
        "id": "019b508a-3bb1-751c-96ca-29629e065790",
        "title": "Call Fátima about the budget",
        "description": "",
        "completed": True,
        "user_id": "default",
        "created_at": "2025-12-24T13:26:35.185688Z",
        "updated_at": "2025-12-29T13:50:38.438673Z",
        "version": 4,
    },
    {
        "id": "019ba9e2-3ade-78e7-90d1-83b58f659c55",
        "title": "Pay the parking ticket",
        "description": (
            "Two options:\n- printer paper\n- nothing at all\nTwo options:\n- a birthday present\n- nothing at all"
        ),
        "completed": False,
        "user_id": "default",
        "created_at": "2026-01-10T21:48:54.366505Z",
        "updated_at": "2026-01-10T21:48:54.366505Z",
        "version": 1,
    },
]
FIXED = ("--until=2026-01-11T00:00:00Z", "--force")


def seed(*options):
    return run("seed_tasks", *FIXED, *options)


def bodies():
    return [task_body(task) for task in Task.objects.order_by("id")]


def test_it_adds_tasks_of_the_default_user():
    assert seed("--count=50") == done("Added 50 tasks; 0 there already\n")
    assert Counter(Task.objects.live().values_list("user_id", flat=True)) == {"default": 50}


def test_a_seed_gives_these_tasks_for_ever():
    """On every version of Python and either database: a benchmark of next year compares with one of today."""
    seed("--count=2", "--seed=5")
    assert bodies() == SEED_5


def test_the_same_seed_gives_the_same_tasks_and_another_gives_others():
    tasks = [list(sample(seed).first(30)) for seed in (1, 1, 2)]
    one, same, other = ([task.columns() for task in seeded] for seeded in tasks)
    assert one == same
    assert not {task["id"] for task in one} & {task["id"] for task in other}


def sample(seed, **options):
    return SampleTasks(
        **{"seed": seed, "owners": ["default"], "completed_ratio": 0.4, "until": UNTIL, "days": 90, **options}
    )


def test_more_of_a_seed_begin_with_the_same_ones(stored):
    seed("--count=20")
    before = stored()
    assert seed("--count=50") == done("Added 30 tasks; 20 there already\n")
    assert [row for row in stored() if row in before] == before


def test_a_second_run_adds_nothing(stored):
    seed("--count=20")
    before = stored()
    assert seed("--count=20") == done("Added 0 tasks; 20 there already\n")
    assert stored() == before


@pytest.mark.parametrize("option", ["--user=bob", "--users=2", "--completed-ratio=0.5", "--days=30", "--seed=2"])
def test_whatever_else_is_asked_for_gives_other_tasks(stored, option):
    seed("--count=20")
    before = stored()
    assert seed("--count=20", option) == done("Added 20 tasks; 0 there already\n")
    assert seed("--count=20", option) == done("Added 0 tasks; 20 there already\n")
    assert [row for row in stored() if row in before] == before


def test_the_size_of_a_batch_changes_nothing(stored):
    seed("--count=20")
    before = stored()
    seed("--count=20", "--clear", "--batch-size=3")
    assert stored() == before


def test_every_task_is_one_that_the_service_could_have_made():
    tasks = list(sample(1, days=30).first(2000))
    assert [STORED_TASK.run_validation({**task_body(task), "deleted_at": None}) for task in tasks] == [
        {**task.columns(), "deleted_at": None} for task in tasks
    ]
    for task in tasks:
        assert UNTIL - timedelta(days=30) <= task.created_at <= UNTIL
        assert task.updated_at <= UNTIL + timedelta(microseconds=3)
        assert (task.version == 1) == (task.updated_at == task.created_at)
        assert task.id.int >> 80 == int(task.created_at.timestamp() * 1000)
    assert len({task.title for task in tasks}) > 200


@pytest.mark.parametrize(("ratio", "least", "most"), [("0", 0, 0), ("1", 100, 100), ("0.5", 30, 70), (".5", 30, 70)])
def test_the_ratio_of_completed_tasks(ratio, least, most):
    seed("--count=100", f"--completed-ratio={ratio}")
    assert least <= Task.objects.filter(completed=True).count() <= most


def test_they_may_be_of_another_user_or_of_many():
    seed("--count=10", "--user=alice")
    assert Counter(Task.objects.values_list("user_id", flat=True)) == {"alice": 10}
    seed("--count=100", "--users=3", "--seed=2")
    assert set(Task.objects.exclude(user_id="alice").values_list("user_id", flat=True)) == {
        "user-1",
        "user-2",
        "user-3",
    }


def test_without_until_the_times_reach_up_to_this_day():
    run("seed_tasks", "--count=20", "--days=1", "--force")
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    created = list(Task.objects.values_list("created_at", flat=True))
    assert today - timedelta(days=1) <= min(created) <= max(created) < today + timedelta(days=1)


def test_clear_removes_the_tasks_of_the_same_users_first():
    TaskFactory.create_batch(3)
    TaskFactory(trashed=True)
    kept = TaskFactory(foreign=True)
    assert seed("--count=2", "--clear", "--batch-size=2") == done("Removed 4 tasks, added 2 tasks; 0 there already\n")
    assert Task.objects.owned_by("default").count() == 2
    assert list(Task.objects.exclude(user_id="default")) == [kept]


def test_a_dry_run_says_so_and_changes_nothing(stored):
    seed("--count=5")
    before = stored()
    assert seed("--count=7", "--dry-run") == done("Would have added 2 tasks; 5 there already\n")
    assert seed("--count=7", "--dry-run", "--clear") == done(
        "Would have removed 5 tasks, added 7 tasks; 0 there already\n"
    )
    assert stored() == before


def test_with_debug_off_it_wants_force(stored, settings):
    assert run("seed_tasks", "--count=1") == Ended(
        "", "CommandError: DEBUG is off, so this may be a database that matters; add --force if it is not\n", 2
    )
    assert stored() == []
    settings.DEBUG = True
    assert run("seed_tasks", "--count=1") == done("Added 1 task; 0 there already\n")


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ([], "Error: the following arguments are required: --count"),
        (["--count=0"], "Error: argument --count: must be a whole number from 1 to 1000000000"),
        (["--count=1", "--users=0"], "Error: argument --users: must be a whole number from 1 to 10000"),
        (["--count=1", "--user="], "Error: argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", f"--user={'x' * 256}"], "Error: argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", "--user=\udcff"], "Error: argument --user: must be 1 to 255 visible ASCII characters"),
        (["--count=1", "--user=a", "--users=2"], "Error: argument --users: not allowed with argument --user"),
        (["--count=1", "--completed-ratio=1.1"], "Error: argument --completed-ratio: must be a number from 0 to 1"),
        (["--count=1", "--completed-ratio=nan"], "Error: argument --completed-ratio: must be a number from 0 to 1"),
        (["--count=1", "--days=0"], "Error: argument --days: must be a whole number from 1 to 36500"),
        (["--count=1", "--seed=-1"], "Error: argument --seed: must be a whole number from 0 to 4294967296"),
        (
            ["--count=1", "--until=today"],
            "Error: argument --until: must be an RFC 3339 date and time with an offset, of the years 0001 to 9999",
        ),
    ],
)
def test_what_cannot_be_is_refused(stored, options, refusal):
    assert run("seed_tasks", "--force", *options) == Ended("", f"CommandError: {refusal}\n", 1)
    assert stored() == []


def test_ids_of_version_7_do_not_reach_back_beyond_1970(stored):
    refusal = "CommandError: --days must not reach back beyond 1970, where ids of version 7 begin\n"
    assert seed("--count=1", "--days=36500") == Ended("", refusal, 2)
    assert seed("--count=1", "--days=1", "--until=0001-01-01T00:00:00Z") == Ended("", refusal, 2)
    assert stored() == []
