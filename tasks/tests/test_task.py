"""``Task`` and ``TaskQuerySet``."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from identity.user_ids import USER_ID
from tasks.models import Task
from tasks.querysets import ORDERINGS
from tasks.rules import validate_due, validate_user_id
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

VERBS = {
    "change": lambda tasks: tasks.change(title="Buy bread"),
    "toggle": lambda tasks: tasks.toggle(),
    "move_to_trash": lambda tasks: tasks.move_to_trash(),
    "restore": lambda tasks: tasks.restore(),
}


@pytest.fixture(params=VERBS)
def verb(request):
    return VERBS[request.param]


@pytest.fixture
def clock(monkeypatch):
    """Stop the clock of ``timezone.now`` at a given time."""

    def stop_at(time):
        monkeypatch.setattr("tasks.querysets.timezone.now", lambda: time)

    return stop_at


def columns(task):
    """Return the columns that no trigger sets."""
    fields = [field for field in Task._meta.concrete_fields if field.name not in Task.TRIGGER_FIELDS]
    return {field.attname: getattr(task, field.attname) for field in fields}


def test_due_in_another_form_is_refused():
    validate_due("2026-12-24T17:00:00Z")
    with pytest.raises(ValidationError, match="Due must be a date"):
        validate_due("2026-12-24T18:00:00+01:00")


@pytest.mark.django_db
def test_serialized_task_is_restored():
    task = TaskFactory(labels=frozenset({"work", "home"}), due="2026-12-24")
    [restored] = serializers.deserialize("json", serializers.serialize("json", [task]))
    assert (restored.object.labels, restored.object.due) == (frozenset({"work", "home"}), "2026-12-24")


def test_user_id_is_valid_if_token_can_name_it():
    texts = [*map(chr, range(0x2100)), "\ufffd", "\ud800", "\U0010ffff", "", "a" * 255, "a" * 256, "a\n", "a b", "a|b"]
    for text in texts:
        with nullcontext() if USER_ID.fullmatch(text) else pytest.raises(ValidationError):
            validate_user_id(text)


def test_task_as_text_is_its_title():
    assert str(TaskFactory.build(title="Buy milk")) == "Buy milk"


def test_new_task_has_defaults():
    task = Task.objects.create(user_id="alice", title="Buy milk")
    assert (task.description, task.completed, task.version, task.deleted_at) == ("", False, 1, None)
    assert task.id.version == 7
    assert task.updated_at == task.created_at
    assert columns(Task.objects.get()) == columns(task)


def test_unknown_columns_of_new_task_are_refused():
    with pytest.raises(TypeError) as refusal:
        Task.new_columns(user_id="alice", title="Buy milk", colour="red", Title="Buy bread")
    assert str(refusal.value) == "Task has no columns Title, colour"


def test_stored_task_cannot_be_saved(stored):
    task = TaskFactory(title="Buy milk")
    before = stored()
    task.title = "Buy bread"
    for save in (task.save, lambda: Task.objects.get().save(update_fields=["title"])):
        with pytest.raises(TypeError, match=r"Task\.objects\.filter"):
            save()
    assert stored() == before


def test_change_writes_only_named_columns():
    task = TaskFactory(title="Buy milk", created_at=NOON)
    assert Task.objects.filter(id=task.id).change(title="Buy bread", completed=True) == 1
    changed = Task.objects.get()
    assert columns(changed) == {
        **columns(task),
        "title": "Buy bread",
        "completed": True,
        "version": 2,
        "updated_at": changed.updated_at,
        "completed_at": changed.updated_at,
    }


def test_toggle_flips_each_task_of_set():
    done, undone = TaskFactory(completed=True), TaskFactory(completed=False)
    assert Task.objects.toggle() == 2
    assert {task.id: task.completed for task in Task.objects.all()} == {done.id: False, undone.id: True}


def test_move_to_trash_keeps_other_columns():
    task = TaskFactory(created_at=NOON, completed=True)
    assert Task.objects.filter(id=task.id).move_to_trash() == 1
    trashed = Task.objects.get()
    assert columns(trashed) == {
        **columns(task),
        "version": 2,
        "updated_at": trashed.updated_at,
        "deleted_at": trashed.deleted_at,
    }
    assert trashed.deleted_at is not None


def test_restore_keeps_other_columns():
    task = TaskFactory(created_at=NOON, completed=True, trashed=True)
    assert Task.objects.filter(id=task.id).restore() == 1
    restored = Task.objects.get()
    assert columns(restored) == {**columns(task), "version": 2, "updated_at": restored.updated_at, "deleted_at": None}


def test_remove_deletes_rows_of_set():
    TaskFactory(trashed=True)
    live = TaskFactory()
    assert Task.objects.in_trash().remove() == 1
    assert list(map(columns, Task.objects.all())) == [columns(live)]


def test_change_without_columns_writes_nothing(stored):
    TaskFactory()
    before = stored()
    assert Task.objects.change() == 0
    assert stored() == before


def test_verb_returns_number_of_written_tasks(verb):
    TaskFactory.create_batch(3)
    assert verb(Task.objects.all()) == 3


def test_verb_writes_only_tasks_of_its_set(verb, stored):
    task, other = TaskFactory.create_batch(2)
    before = stored()
    assert verb(Task.objects.filter(id=task.id)) == 1
    assert [row for row in stored() if row["id"] == other.id] == [row for row in before if row["id"] == other.id]


def test_verb_runs_one_query(verb, django_assert_num_queries):
    TaskFactory.create_batch(3)
    with django_assert_num_queries(1, connection=connection):
        verb(Task.objects.all())


def test_verb_on_empty_set_writes_nothing(verb, stored, django_assert_max_num_queries):
    TaskFactory()
    before = stored()
    for nothing in (Task.objects.none(), Task.objects.filter(version__in=[]), Task.objects.filter(title="?")):
        with django_assert_max_num_queries(1, connection=connection):
            assert verb(nothing) == 0
    assert stored() == before


def test_verb_on_slice_raises_type_error(verb, stored):
    """An UPDATE has no place for a slice; Django's own ``update`` refuses one too."""
    TaskFactory.create_batch(3)
    before = stored()
    with pytest.raises(TypeError, match="slice"):
        verb(Task.objects.newest_first()[:1])
    assert stored() == before


def test_change_of_version_or_updated_at_raises_type_error(stored):
    TaskFactory()
    before = stored()
    with pytest.raises(TypeError, match="version"):
        Task.objects.change(version=7)
    with pytest.raises(TypeError, match="updated_at"):
        Task.objects.change(updated_at=NOON)
    assert stored() == before


def run_verb(verb):
    """Run a verb on the only task, and return the task as it is afterwards."""
    verb(Task.objects.all())
    return Task.objects.get()


def test_version_grows_by_one_with_each_write(verb):
    TaskFactory()
    assert [run_verb(verb).version for _ in range(3)] == [2, 3, 4]


def test_updated_at_is_time_of_write(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON + timedelta(hours=1))
    task = run_verb(verb)
    assert (task.updated_at, task.created_at) == (NOON + timedelta(hours=1), NOON)


def test_updated_at_grows_while_clock_stands_still(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON)
    times = [run_verb(verb).updated_at for _ in range(3)]
    assert times == [NOON + MICROSECOND, NOON + 2 * MICROSECOND, NOON + 3 * MICROSECOND]


def test_updated_at_grows_when_clock_steps_back(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON - timedelta(days=1))
    assert run_verb(verb).updated_at == NOON + MICROSECOND


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_updated_at_grows_across_edge_of_second(clock, microsecond):
    before = NOON.replace(microsecond=microsecond)
    TaskFactory(created_at=before)
    clock(before)
    assert run_verb(VERBS["toggle"]).updated_at == before + MICROSECOND


def test_updated_at_grows_from_each_tasks_own_time(clock):
    early, late = TaskFactory(created_at=NOON), TaskFactory(created_at=NOON + timedelta(days=2))
    clock(NOON + timedelta(days=1))
    Task.objects.toggle()
    assert {task.id: task.updated_at for task in Task.objects.all()} == {
        early.id: NOON + timedelta(days=1),
        late.id: NOON + timedelta(days=2) + MICROSECOND,
    }


def test_owned_by_excludes_other_users():
    mine = TaskFactory()
    TaskFactory(foreign=True)
    assert list(Task.objects.owned_by("default")) == [mine]


@pytest.mark.parametrize("user_id", ["Default", "default ", "defaul", "%", ""])
def test_owned_by_compares_user_id_exactly(user_id):
    TaskFactory()
    assert not Task.objects.owned_by(user_id).exists()


def test_live_excludes_trash():
    live = TaskFactory()
    TaskFactory(trashed=True)
    assert list(Task.objects.live()) == [live]


def test_newest_first_sorts_by_creation_and_id():
    older = TaskFactory.create_batch(3, created_at=NOON)
    newer = TaskFactory.create_batch(3, created_at=NOON + MICROSECOND)

    def by_id(tasks):
        return sorted(tasks, key=lambda task: str(task.id), reverse=True)

    assert list(Task.objects.newest_first()) == by_id(newer) + by_id(older)
    assert list(Task.objects.all()) == by_id(newer) + by_id(older)


@pytest.fixture
def tasks_with_ties():
    """Make tasks of few titles and few times, so that every order has ties."""
    days = [NOON + timedelta(days=day) for day in range(3)]
    for number, title in enumerate(["b", "a", "B", "ä", "a", "b", "z", "Z", "b"]):
        TaskFactory(
            title=title,
            created_at=days[number % 2],
            updated_at=days[1 + number % 2],
            due=[None, "2026-12-24", "2026-12-24T18:00:00[Europe/Berlin]"][number % 3],
            priority=number % 4,
        )


def sort_key_of(task, ordering):
    """Return the key that the database sorts by; a missing due date comes last."""
    key = getattr(task, ordering.removeprefix("-"))
    return (key or "~")[:19] if ordering.endswith("due") else key


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_in_order_sorts_by_column_and_id(tasks_with_ties, ordering):
    descending = ordering.startswith("-")
    tasks = sorted(Task.objects.all(), key=lambda task: (sort_key_of(task, ordering), str(task.id)), reverse=descending)
    assert list(Task.objects.in_order(ordering)) == tasks


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_after_keeps_tasks_that_follow_position(tasks_with_ties, ordering):
    tasks = list(Task.objects.in_order(ordering))
    for number, task in enumerate(tasks):
        position = (sort_key_of(task, ordering), task.id)
        assert list(Task.objects.in_order(ordering).after(position, ordering)) == tasks[number + 1 :]


def test_mentioning_requires_every_word_in_either_text():
    both = TaskFactory(title="Buy milk", description="At the corner shop")
    TaskFactory(title="Buy bread")
    assert list(Task.objects.mentioning("MILK", "shop", "uy m")) == [both]
    assert Task.objects.mentioning("buy").count() == 2
    assert Task.objects.mentioning().count() == 2


def test_addressed_keeps_task_at_one_of_versions():
    task, _ = TaskFactory.create_batch(2)
    assert list(Task.objects.addressed(task.id)) == [task]
    assert list(Task.objects.addressed(task.id, {1, 5})) == [task]
    assert list(Task.objects.addressed(task.id, {2, 5})) == []
    assert list(Task.objects.addressed(task.id, set())) == []


def test_trashed_before_excludes_its_time():
    earlier = TaskFactory(deleted_at=NOON - MICROSECOND)
    TaskFactory(deleted_at=NOON)
    TaskFactory()
    assert list(Task.objects.trashed_before(NOON)) == [earlier]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_in_batches_yields_each_task_once_by_id(size):
    TaskFactory.create_batch(6)
    batches = [[task.id for task in batch] for batch in Task.objects.in_batches(size)]
    assert [task for batch in batches for task in batch] == [task.id for task in Task.objects.order_by("id")]
    assert {len(batch) for batch in batches[:-1]} <= {size}


def test_in_batches_of_empty_set_yields_nothing():
    TaskFactory()
    assert list(Task.objects.none().in_batches(2)) == []
    assert list(Task.objects.in_trash().in_batches(2)) == []


def test_batch_keeps_conditions_of_its_set():
    tasks = TaskFactory.create_batch(3, trashed=True)
    [batch] = Task.objects.in_trash().in_batches(5)
    Task.objects.addressed(tasks[1].id).restore()
    assert list(batch) == [tasks[0], tasks[2]]


def test_insert_stores_every_column():
    tasks = TaskFactory.build_batch(
        3, title="a\\b", description='\t"\r\n\\N', completed=True, created_at=NOON, version=7, deleted_at=NOON
    )
    Task.objects.insert(tasks)
    assert [columns(task) for task in Task.objects.order_by("id")] == [columns(task) for task in tasks]


def test_insert_stores_all_or_none(stored):
    taken = TaskFactory()
    before = stored()
    for bad in (TaskFactory.build(id=taken.id), TaskFactory.build(title="a ")):
        with pytest.raises(IntegrityError), transaction.atomic():
            Task.objects.insert([TaskFactory.build(), bad])
    assert stored() == before


def test_insert_without_tasks_stores_nothing():
    Task.objects.insert([])
    assert not Task.objects.exists()
