"""``Task`` and ``TaskQuerySet``: what a task is and what may be done to it."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from commands.base import counted
from identity.authentication import SUBJECT
from tasks.models import ORDERINGS, Task, validate_user_id
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
    """Stops the clock of ``timezone.now`` at what it is called with."""

    def stop_at(moment):
        monkeypatch.setattr("tasks.models.timezone.now", lambda: moment)

    return stop_at


def columns(task):
    return {field.attname: getattr(task, field.attname) for field in Task._meta.concrete_fields}


def test_an_owner_is_whom_a_token_can_name():
    """By the truth of it, which is what authentication admits as a subject."""
    texts = [*map(chr, range(0x2100)), "\ufffd", "\ud800", "\U0010ffff", "", "a" * 255, "a" * 256, "a\n", "a b", "a|b"]
    for text in texts:
        with nullcontext() if SUBJECT.fullmatch(text) else pytest.raises(ValidationError):
            validate_user_id(text)


def test_a_task_is_shown_by_its_title():
    assert str(TaskFactory.build(title="Buy milk")) == "Buy milk"


def test_a_new_task_is_live_undone_and_at_version_1():
    task = Task.objects.create(user_id="alice", title="Buy milk")
    assert (task.description, task.completed, task.version, task.deleted_at) == ("", False, 1, None)
    assert task.id.version == 7
    assert task.updated_at == task.created_at
    assert columns(Task.objects.get()) == columns(task)


def test_a_stored_task_is_not_saved_again(stored):
    task = TaskFactory(title="Buy milk")
    before = stored()
    task.title = "Buy bread"
    with pytest.raises(TypeError, match=r"Task\.objects\.filter"):
        task.save()
    assert stored() == before


def test_a_task_that_was_read_is_not_saved_either(stored):
    TaskFactory(title="Buy milk")
    before = stored()
    with pytest.raises(TypeError, match=r"Task\.objects\.filter"):
        Task.objects.get().save(update_fields=["title"])
    assert stored() == before


def test_change_writes_the_named_columns_alone():
    task = TaskFactory(title="Buy milk", created_at=NOON)
    [changed] = Task.objects.filter(id=task.id).change(title="Buy bread", completed=True)
    assert columns(changed) == {
        **columns(task),
        "title": "Buy bread",
        "completed": True,
        "version": 2,
        "updated_at": changed.updated_at,
    }
    assert columns(Task.objects.get()) == columns(changed)


def test_toggle_flips_each_task_of_the_set():
    done, undone = TaskFactory(completed=True), TaskFactory(completed=False)
    toggled = Task.objects.toggle()
    assert {task.id: task.completed for task in toggled} == {done.id: False, undone.id: True}
    assert {task.id: task.completed for task in Task.objects.all()} == {done.id: False, undone.id: True}


def test_move_to_trash_leaves_the_rest_of_a_task_alone():
    task = TaskFactory(created_at=NOON, completed=True)
    [trashed] = Task.objects.filter(id=task.id).move_to_trash()
    assert columns(trashed) == {
        **columns(task),
        "version": 2,
        "updated_at": trashed.updated_at,
        "deleted_at": trashed.deleted_at,
    }
    assert trashed.deleted_at is not None
    assert columns(Task.objects.get()) == columns(trashed)


def test_restore_leaves_the_rest_of_a_task_alone():
    task = TaskFactory(created_at=NOON, completed=True, trashed=True)
    [restored] = Task.objects.filter(id=task.id).restore()
    assert columns(restored) == {**columns(task), "version": 2, "updated_at": restored.updated_at, "deleted_at": None}
    assert columns(Task.objects.get()) == columns(restored)


def test_remove_deletes_the_set_for_good_and_returns_what_there_was():
    trashed, live = TaskFactory(trashed=True), TaskFactory()
    assert list(map(columns, Task.objects.in_trash().remove())) == [columns(trashed)]
    assert list(map(columns, Task.objects.all())) == [columns(live)]


def test_change_with_nothing_writes_nothing(stored):
    task = TaskFactory()
    before = stored()
    assert [columns(shown) for shown in Task.objects.change()] == [columns(task)]
    assert stored() == before


def test_a_verb_returns_the_tasks_as_they_are_afterwards(verb):
    TaskFactory.create_batch(3)
    written = sorted((columns(task) for task in verb(Task.objects.all())), key=lambda task: task["id"])
    assert written == [columns(task) for task in Task.objects.order_by("id")]


def test_a_verb_writes_the_tasks_of_its_set_alone(verb, stored):
    task, other = TaskFactory.create_batch(2)
    before = stored()
    assert [written.id for written in verb(Task.objects.filter(id=task.id))] == [task.id]
    assert [row for row in stored() if row["id"] == other.id] == [row for row in before if row["id"] == other.id]


def test_a_verb_is_one_query(verb, django_assert_num_queries):
    TaskFactory.create_batch(3)
    with django_assert_num_queries(1, connection=connection):
        verb(Task.objects.all())


def test_a_verb_on_nothing_writes_nothing(verb, stored, django_assert_max_num_queries):
    TaskFactory()
    before = stored()
    for nothing in (Task.objects.none(), Task.objects.filter(version__in=[]), Task.objects.filter(title="?")):
        with django_assert_max_num_queries(1, connection=connection):
            assert verb(nothing) == []
    assert stored() == before


def test_a_verb_does_not_write_past_a_slice(verb, stored):
    """A slice has no place in an UPDATE; Django's own ``update`` refuses it, too."""
    TaskFactory.create_batch(3)
    before = stored()
    with pytest.raises(TypeError, match="slice"):
        verb(Task.objects.newest_first()[:1])
    assert stored() == before


def test_version_and_updated_at_are_not_for_a_caller_to_set(stored):
    TaskFactory()
    before = stored()
    with pytest.raises(TypeError, match="version"):
        Task.objects.change(version=7)
    with pytest.raises(TypeError, match="updated_at"):
        Task.objects.change(updated_at=NOON)
    assert stored() == before


def test_the_version_grows_by_one_with_each_write(verb):
    TaskFactory()
    assert [[task.version for task in verb(Task.objects.all())] for _ in range(3)] == [[2], [3], [4]]


def test_updated_at_is_the_time_of_the_write(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON + timedelta(hours=1))
    [written] = verb(Task.objects.all())
    assert written.updated_at == NOON + timedelta(hours=1)
    assert written.created_at == NOON


def test_updated_at_grows_while_the_clock_stands_still(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON)
    written = [verb(Task.objects.all())[0].updated_at for _ in range(3)]
    assert written == [NOON + MICROSECOND, NOON + 2 * MICROSECOND, NOON + 3 * MICROSECOND]


def test_updated_at_grows_when_the_clock_steps_back(verb, clock):
    TaskFactory(created_at=NOON)
    clock(NOON - timedelta(days=1))
    assert verb(Task.objects.all())[0].updated_at == NOON + MICROSECOND


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_updated_at_grows_over_the_edge_of_a_second(clock, microsecond):
    before = NOON.replace(microsecond=microsecond)
    TaskFactory(created_at=before)
    clock(before)
    assert Task.objects.toggle()[0].updated_at == before + MICROSECOND
    assert Task.objects.get().updated_at == before + MICROSECOND


def test_each_task_of_a_set_grows_from_its_own_time(clock):
    early, late = TaskFactory(created_at=NOON), TaskFactory(created_at=NOON + timedelta(days=2))
    clock(NOON + timedelta(days=1))
    assert {task.id: task.updated_at for task in Task.objects.toggle()} == {
        early.id: NOON + timedelta(days=1),
        late.id: NOON + timedelta(days=2) + MICROSECOND,
    }


def test_owned_by_leaves_other_users_out():
    mine = TaskFactory()
    TaskFactory(foreign=True)
    assert list(Task.objects.owned_by("default")) == [mine]


@pytest.mark.parametrize("user_id", ["Default", "default ", "defaul", "%", ""])
def test_an_owner_is_compared_to_the_letter(user_id):
    TaskFactory()
    assert not Task.objects.owned_by(user_id).exists()


def test_live_leaves_the_trash_out():
    live = TaskFactory()
    TaskFactory(trashed=True)
    assert list(Task.objects.live()) == [live]


def test_newest_first_is_by_creation_and_then_by_id():
    older = TaskFactory.create_batch(3, created_at=NOON)
    newer = TaskFactory.create_batch(3, created_at=NOON + MICROSECOND)

    def by_id(tasks):
        return sorted(tasks, key=lambda task: str(task.id), reverse=True)

    assert list(Task.objects.newest_first()) == by_id(newer) + by_id(older)
    assert list(Task.objects.all()) == by_id(newer) + by_id(older)


@pytest.fixture
def alike():
    """Tasks of few titles and few instants, so that every order has ties."""
    days = [NOON + timedelta(days=day) for day in range(3)]
    for number, title in enumerate(["b", "a", "B", "ä", "a", "b", "z", "Z", "b"]):
        TaskFactory(title=title, created_at=days[number % 2], updated_at=days[1 + number % 2])


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_in_order_is_by_a_column_and_then_by_id_in_the_same_direction(alike, ordering):
    column, descending = ordering.removeprefix("-"), ordering.startswith("-")
    tasks = sorted(Task.objects.all(), key=lambda task: (getattr(task, column), str(task.id)), reverse=descending)
    assert list(Task.objects.in_order(ordering)) == tasks


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_after_is_what_follows_a_position_in_that_order(alike, ordering):
    tasks = list(Task.objects.in_order(ordering))
    for number, task in enumerate(tasks):
        position = (getattr(task, ordering.removeprefix("-")), task.id)
        assert list(Task.objects.in_order(ordering).after(position, ordering)) == tasks[number + 1 :]


def test_mentioning_is_every_word_in_the_title_or_the_description():
    both = TaskFactory(title="Buy milk", description="At the corner shop")
    TaskFactory(title="Buy bread")
    assert list(Task.objects.mentioning("MILK", "shop", "uy m")) == [both]
    assert Task.objects.mentioning("buy").count() == 2
    assert Task.objects.mentioning().count() == 2


def test_named_is_one_task_at_one_of_the_versions():
    task, _ = TaskFactory.create_batch(2)
    assert list(Task.objects.addressed(task.id)) == [task]
    assert list(Task.objects.addressed(task.id, {1, 5})) == [task]
    assert list(Task.objects.addressed(task.id, {2, 5})) == []
    assert list(Task.objects.addressed(task.id, set())) == []


def test_trashed_before_is_what_went_to_the_trash_earlier():
    earlier = TaskFactory(deleted_at=NOON - MICROSECOND)
    TaskFactory(deleted_at=NOON)
    TaskFactory()
    assert list(Task.objects.trashed_before(NOON)) == [earlier]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_in_batches_is_every_task_once_by_id(size):
    TaskFactory.create_batch(6)
    batches = [[task.id for task in batch] for batch in Task.objects.in_batches(size)]
    assert [task for batch in batches for task in batch] == [task.id for task in Task.objects.order_by("id")]
    assert {len(batch) for batch in batches[:-1]} <= {size}


def test_in_batches_of_no_task_is_none():
    TaskFactory()
    assert list(Task.objects.none().in_batches(2)) == []
    assert list(Task.objects.in_trash().in_batches(2)) == []


def test_a_batch_keeps_the_conditions_of_its_set():
    tasks = TaskFactory.create_batch(3, trashed=True)
    [batch] = Task.objects.in_trash().in_batches(5)
    Task.objects.addressed(tasks[1].id).restore()
    assert list(batch) == [tasks[0], tasks[2]]


def test_insert_stores_new_tasks_as_they_are():
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


def test_insert_of_no_task_is_nothing():
    Task.objects.insert([])
    assert not Task.objects.exists()


@pytest.mark.parametrize(("number", "text"), [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks")])
def test_tasks_are_counted_in_words(number, text):
    assert counted(number, "task") == text
