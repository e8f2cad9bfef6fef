"""The list of tasks: what it shows, narrows, finds, sorts and counts, by how many queries."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone

from tasks import totals
from tasks.admin import changelist
from tasks.models import Task
from tasks.tests.admin.admin_pages import LIST, listed, text_of
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_live_tasks_of_everybody_are_listed_newest_first(admin_client):
    TaskFactory(title="Buy milk")
    TaskFactory(title="Buy rye", foreign=True, completed=True)
    TaskFactory(title="Gone", trashed=True)
    assert listed(admin_client) == ["Buy rye", "Buy milk"]
    response = admin_client.get(LIST)
    assert "Title Owner Completed Created Updated Trashed" in text_of(response)
    assert "2 tasks" in text_of(response)
    assert re.findall('aria-label="(completed|open)"', response.content.decode()) == ["completed", "open"]


def test_times_are_told_to_the_minute_in_utc(admin_client):
    task = TaskFactory(trashed=True)
    content = admin_client.get(f"{LIST}?where=trash").content.decode()
    for moment in (task.created_at, task.updated_at, task.deleted_at):
        second, minute = f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment:%Y-%m-%d %H:%M}"
        assert f'<time datetime="{second}Z" title="{second} UTC">{minute}</time>' in content


def test_text_of_a_task_is_not_html(admin_client):
    TaskFactory(title="<b>Buy</b>", user_id='"><script>')
    content = admin_client.get(LIST).content.decode()
    assert "&lt;b&gt;Buy&lt;/b&gt;" in content
    assert '<a href="?owner=%22%3E%3Cscript%3E">&quot;&gt;&lt;script&gt;</a>' in content


# Queries.


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_the_same_few_queries_for_any_number_of_tasks(admin_client, django_assert_num_queries, count):
    """The session, the operator and the tasks, of which there are so few that nothing is counted."""
    TaskFactory.create_batch(count)
    with django_assert_num_queries(3):
        assert len(listed(admin_client)) == count


@pytest.mark.parametrize(
    ("query", "queries"),
    [
        ("", 4),
        ("?completed__exact=0", 4),
        ("?created=day&where=both", 4),
        ("?owner=default", 4),
        ("?p=2", 3),
        ("?q=task", 6),
        ("?q=default", 5),
        ("?q=01a1fae6-0000-7000-8000-000000000000", 6),
    ],
)
def test_a_list_of_more_than_a_page_is_counted_once(admin_client, django_assert_num_queries, query, queries):
    """A search asks the two indexes of owners as well, and what looks like an id that of ids."""
    TaskFactory.create_batch(51)
    with django_assert_num_queries(queries):
        listed(admin_client, query)


def test_staff_of_a_group_take_two_queries_more(client, django_assert_num_queries):
    user = User.objects.create_user("operator", is_staff=True)
    user.groups.add(Group.objects.get(name="operator"))
    client.force_login(user)
    TaskFactory.create_batch(51)
    with django_assert_num_queries(6):
        listed(client)


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite prepares nothing")
@pytest.mark.parametrize("query", ["?q=milk", "?created=day", "?completed__exact=1"])
def test_no_statement_of_the_list_is_prepared_to_be_planned_for_any_values(admin_client, query):
    TaskFactory.create_batch(51, title="Buy milk", completed=True)
    for _ in range(3):
        listed(admin_client, query)
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        assert [sql for (sql,) in cursor.fetchall() if 'FROM "tasks_task"' in sql] == []


# Finding.


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("milk", ["Buy milk"]),
        ("ÄPFEL", ["Shop"]),
        ("buy milk", ["Buy milk"]),
        ("milk äpfel", []),
        ("somebody", []),
        ("somebody-else", ["Shop"]),
        (" somebody-else ", ["Shop"]),
        ('"buy milk"', ["Buy milk"]),
        ('"default"', ["Set the default"]),
        ("default", ["Set the default", "Buy milk"]),
    ],
)
def test_a_search_finds_words_as_the_api_does_or_a_whole_owner(admin_client, q, found):
    TaskFactory(title="Buy milk")
    TaskFactory(title="Shop", description="Two äpfel", foreign=True)
    TaskFactory(title="Milk and äpfel", trashed=True)
    TaskFactory(title="Set the default")
    assert listed(admin_client, f"?q={q}") == found


def test_an_owner_who_has_only_trash_is_found(admin_client):
    TaskFactory(title="Gone", user_id="gone", trashed=True)
    assert listed(admin_client, "?q=gone&where=trash") == ["Gone"]


@pytest.mark.parametrize("write", [str, lambda uuid: str(uuid).upper(), lambda uuid: f" {uuid.hex} "])
@pytest.mark.parametrize("trashed", [False, True])
def test_an_id_finds_its_task_wherever_it_is(admin_client, trashed, write):
    TaskFactory(title="Other")
    task = TaskFactory(title="Buy milk", trashed=trashed, foreign=True)
    assert listed(admin_client, f"?q={write(task.id)}") == ["Buy milk"]


def test_an_id_of_no_task_finds_nothing(admin_client):
    TaskFactory()
    assert listed(admin_client, "?q=01a1fae6-0000-7000-8000-000000000000") == []


@pytest.mark.parametrize("q", ["%25", "_", "%5C", "(", "[a"])
def test_a_search_takes_any_character_for_itself(admin_client, q):
    TaskFactory(title="Buy milk")
    assert listed(admin_client, f"?q={q}") == []


def test_an_owner_whose_id_looks_like_a_task_s_is_found(admin_client):
    owner = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    TaskFactory(user_id=owner, title="Live")
    TaskFactory(user_id=owner, title="Gone", trashed=True)
    TaskFactory(title="Another's")
    assert listed(admin_client, f"?q={owner}") == ["Live"]


def test_a_search_is_as_long_as_the_api_s(admin_client):
    TaskFactory(title="Buy milk")
    assert "has at most 200 characters (it has 3000)" in text_of(admin_client.get(f"{LIST}?q={'ab+' * 1000}"))
    assert listed(admin_client, f"?q={'b+' * 100}") == ["Buy milk"]


def test_a_search_that_is_refused_finds_nothing_that_could_be_acted_on(admin_client):
    task = TaskFactory()
    query = f"?q={'a' * 201}"
    assert listed(admin_client, query) == []
    assert "No task matches." in text_of(admin_client.get(LIST + query))
    selection = {"action": "complete", "index": "0", "_selected_action": [str(task.pk)], "select_across": "1"}
    admin_client.post(LIST + query, {**selection, "confirmed": "yes"}).getvalue()
    assert not Task.objects.get().completed


def test_what_no_text_holds_is_not_searched_for(admin_client):
    TaskFactory(title="Buy milk")
    response = admin_client.get(f"{LIST}?q=milk%00")
    assert "Null characters are not allowed." in text_of(response)


# Narrowing.


def test_an_owner_that_no_task_can_have_is_no_filter(admin_client):
    assert admin_client.get(f"{LIST}?owner=%00").headers["Location"] == f"{LIST}?e=1"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Done", "Open"]),
        ("?completed__exact=1", ["Done"]),
        ("?completed__exact=0", ["Open"]),
        ("?where=trash", ["Gone"]),
        ("?where=both", ["Gone", "Done", "Open"]),
        ("?where=both&completed__exact=0", ["Gone", "Open"]),
        ("?owner=somebody-else", ["Done"]),
        ("?owner=nobody", []),
    ],
)
def test_the_list_is_narrowed(admin_client, query, found):
    TaskFactory(title="Open")
    TaskFactory(title="Done", completed=True, foreign=True)
    TaskFactory(title="Gone", trashed=True)
    assert listed(admin_client, query) == found


@pytest.mark.parametrize(("within", "found"), [("day", [0]), ("week", [0, 6]), ("month", [0, 6, 29])])
def test_the_list_is_narrowed_to_what_was_created_lately(admin_client, within, found):
    for days in (31, 29, 6, 0):
        made = timezone.now() - timedelta(days=days, hours=12)
        TaskFactory(title=str(days), created_at=made, updated_at=timezone.now())
    assert listed(admin_client, f"?created={within}") == [str(days) for days in found]


@pytest.mark.parametrize("query", ["?where=nowhere", "?created=yesterday", "?completed__exact=perhaps"])
def test_a_filter_that_is_none_narrows_nothing_and_says_so(admin_client, query):
    """Django's answer to such an address."""
    TaskFactory()
    response = admin_client.get(LIST + query)
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")


@pytest.mark.parametrize("query", ["?title__regex=a", "?user_id__gt=a", "?deleted_at__isnull=1"])
def test_what_has_no_index_cannot_be_asked_for(admin_client, query):
    assert admin_client.get(LIST + query).status_code == 400


def test_an_owner_that_is_chosen_is_shown_and_can_be_left(admin_client):
    TaskFactory(foreign=True)
    response = admin_client.get(f"{LIST}?owner=somebody-else&completed__exact=0")
    assert re.search("By owner All somebody-else", text_of(response))


# Sorting.


@pytest.mark.parametrize(
    ("query", "sorted_by"),
    [("", ["created"]), ("?where=trash", ["created", "trashed"]), ("?where=both", ["created"])],
)
def test_only_what_has_an_index_sorts(admin_client, query, sorted_by):
    TaskFactory()
    TaskFactory(trashed=True)
    content = admin_client.get(LIST + query).content.decode()
    assert re.findall('class="(?:sortable|sorted)[^"]*column-(\\w+)', content) == sorted_by


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("4", "ABC"),
        ("1.4", "ABC"),
        ("-4", "CBA"),
        ("1", "CBA"),
        ("2", "CBA"),
        ("5", "CBA"),
        ("99", "CBA"),
        ("x", "CBA"),
    ],
)
def test_an_address_sorts_by_nothing_else(admin_client, order, found):
    """Column 4 is the time of creation; by others, and by none, the newest are first."""
    TaskFactory(title="A", user_id="c")
    TaskFactory(title="B", user_id="b")
    TaskFactory(title="C", user_id="a")
    assert "".join(listed(admin_client, f"?o={order}")) == found


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("", ("created", "descending")),
        ("?where=trash", ("trashed", "descending")),
        ("?where=trash&o=4", ("created", "ascending")),
    ],
)
def test_the_column_that_sorts_is_marked(admin_client, query, marked):
    TaskFactory()
    TaskFactory(trashed=True)
    content = admin_client.get(LIST + query).content.decode()
    assert re.findall(r"column-(\w+) +sorted (\w+)", content) == [marked]


def test_the_trash_shows_the_newest_deletion_first(admin_client):
    first, second = TaskFactory(title="A"), TaskFactory(title="B")
    Task.objects.addressed(second.pk).move_to_trash()
    Task.objects.addressed(first.pk).move_to_trash()
    assert listed(admin_client, "?where=trash") == ["A", "B"]
    assert listed(admin_client, "?where=trash&o=6") == ["B", "A"]


# Paging and counting.


@pytest.fixture
def many():
    """Two full pages and a task, the newest of which is the first, as their ids tell."""
    now = timezone.now()
    Task.objects.bulk_create(
        Task(user_id="default", title=f"Task {number}", created_at=now - timedelta(minutes=number), updated_at=now)
        for number in reversed(range(1, 102))
    )


@pytest.mark.parametrize(
    ("page", "first", "last"), [("1", 1, 50), ("2", 51, 100), ("3", 101, 101), ("x", 1, 50), ("-1", 1, 50)]
)
def test_a_page_has_50_tasks(admin_client, many, page, first, last):
    assert listed(admin_client, f"?p={page}") == [f"Task {number}" for number in range(first, last + 1)]
    assert "101 tasks" in text_of(admin_client.get(f"{LIST}?p={page}"))


@pytest.mark.parametrize("page", ["4", "100000000000000000000"])
def test_past_the_last_page_is_the_first(admin_client, many, page):
    assert listed(admin_client, f"?p={page}&completed__exact=0")[0] == "Task 1"


def test_the_links_of_pages_keep_the_filter(admin_client, many):
    content = admin_client.get(f"{LIST}?completed__exact=0&owner=default&o=-4").content.decode()
    assert '<a href="?completed__exact=0&amp;o=-4&amp;owner=default&amp;p=2">2</a>' in content


def test_counting_stops_and_pages_do_too(admin_client, many, monkeypatch):
    """As far as anybody knows: the planner expects fewer, and SQLite expects nothing."""
    monkeypatch.setattr(totals, "estimates", lambda *sets: [1])
    monkeypatch.setattr(changelist, "REACHABLE", 60)
    response = admin_client.get(LIST)
    total, pages = response.context["cl"].total, response.context["cl"].paginator.num_pages
    assert (str(total), pages) == ("more than 60", 2)
    assert f"Select all {total} tasks" in text_of(response)
    assert listed(admin_client, "?p=3")[0] == "Task 1"


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite estimates nothing")
def test_the_estimate_is_the_planners(admin_client, many, monkeypatch):
    monkeypatch.setattr(changelist, "REACHABLE", 60)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    assert str(admin_client.get(LIST).context["cl"].total) == "about 101"
    assert str(admin_client.get(f"{LIST}?completed__exact=0&owner=default").context["cl"].total) == "about 101"


# Nothing to show.


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "There are no live tasks. They come in at the API , or add one here ; what was deleted is in the trash ."),
        (
            "?q=milk",
            (
                "No task matches “milk”. Try fewer words, or a whole id or owner, or look in the trash too ;"
                " or see all live tasks ."
            ),
        ),
        ("?where=trash", "No task matches. Choose other filters; or see all live tasks ."),
        ("?completed__exact=1", "No task matches. Choose other filters, or look in the trash too ; or see all live"),
    ],
)
def test_an_empty_list_says_what_to_do(admin_client, query, says):
    assert says in text_of(admin_client.get(LIST + query))


def test_looking_in_the_trash_too_keeps_the_search(admin_client):
    assert (
        '<a href="?completed__exact=1&amp;q=milk&amp;where=both">'
        in admin_client.get(f"{LIST}?q=milk&completed__exact=1").content.decode()
    )
