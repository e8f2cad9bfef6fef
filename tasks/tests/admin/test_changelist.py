"""The list of tasks: its columns, queries, search, filters, order, pages and counts."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from database import cursors
from rest.timestamps import TIMESTAMP_RULE
from tasks import statistics
from tasks.admin import changelist
from tasks.models import Task
from tasks.rules import MESSAGES
from tasks.tests.admin.admin_pages import (
    LIST,
    UNUSED_ID,
    listed_titles,
    run_action,
    run_action_on_all,
    shown_messages,
    text_of,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db


def test_list_shows_live_tasks_of_all_owners_newest_first(admin_client):
    TaskFactory(title="Buy milk")
    TaskFactory(title="Buy rye", foreign=True, completed=True)
    TaskFactory(title="Trashed", trashed=True)
    assert listed_titles(admin_client) == ["Buy rye", "Buy milk"]
    response = admin_client.get(LIST)
    columns = "Title Owner Completed Due Priority Labels Created Updated "
    assert columns in text_of(response)
    assert "Trashed" not in text_of(response).partition(columns)[2]
    for where in ("trash", "both"):
        assert f"{columns}Trashed " in text_of(admin_client.get(f"{LIST}?where={where}"))
    assert "2 tasks" in text_of(response)
    assert re.findall('aria-label="(completed|open)"', response.content.decode()) == ["completed", "open"]


def test_times_are_shown_to_the_minute_in_utc(admin_client):
    task = TaskFactory(trashed=True)
    content = admin_client.get(f"{LIST}?where=trash").content.decode()
    for time in (task.created_at, task.updated_at, task.deleted_at):
        second, minute = f"{time:%Y-%m-%d %H:%M:%S}", f"{time:%Y-%m-%d %H:%M}"
        assert f'<time datetime="{second}Z" title="{second} UTC">{minute}</time>' in content


def test_text_of_a_task_is_escaped(admin_client):
    TaskFactory(title="<b>Buy</b>", user_id='"><script>')
    content = admin_client.get(LIST).content.decode()
    assert "&lt;b&gt;Buy&lt;/b&gt;" in content
    assert '<a href="?owner=%22%3E%3Cscript%3E">&quot;&gt;&lt;script&gt;</a>' in content


# Time limits.

ON_SQLITE = pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL has a timeout of its own")


@ON_SQLITE
@pytest.mark.parametrize("query", ["?q=milk", "?q=milk&where=both", ""])
def test_list_beyond_answer_timeout_is_503(admin_client, settings, monkeypatch, query):
    TaskFactory(title="Buy milk")
    settings.DB_ANSWER_TIMEOUT = 0  # the session and the user come before the list
    monkeypatch.setattr(cursors, "INSTRUCTIONS_PER_CHECK", 1)
    admin_client.raise_request_exception = False
    response = admin_client.get(LIST + query)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "unavailable" in text_of(response)
    settings.DB_ANSWER_TIMEOUT = 60
    assert listed_titles(admin_client, query) == ["Buy milk"]


@ON_SQLITE
def test_action_beyond_answer_timeout_is_completed(admin_client, settings, monkeypatch):
    task = TaskFactory(title="Buy milk")
    settings.DB_ANSWER_TIMEOUT = 0
    monkeypatch.setattr(cursors, "INSTRUCTIONS_PER_CHECK", 1)
    assert run_action(admin_client, "complete", [task]).status_code == 302
    assert Task.objects.get().completed is True


@pytest.mark.parametrize(
    ("due", "shown"),
    [
        ("2026-12-24", "2026-12-24"),
        ("2026-12-24T18:00:30", "2026-12-24 18:00"),
        ("2026-12-24T17:00:00Z", "2026-12-24 17:00 UTC"),
        ("2026-12-24T18:00:00[Europe/Berlin]", "2026-12-24 18:00 Europe/Berlin"),
    ],
)
def test_due_date_is_shown_to_the_minute(admin_client, due, shown):
    TaskFactory(due=due)
    assert f'<span class="due" title="{due}">{shown}</span>' in admin_client.get(LIST).content.decode()


def test_priority_and_labels_are_shown_as_words(admin_client):
    TaskFactory(priority=3, labels=frozenset({"work", "<b>&"}))
    content = admin_client.get(LIST).content.decode()
    assert '<td class="field-priority_word">high</td>' in content
    assert re.findall('<a class="label" href="([^"]*)">([^<]*)</a>', content) == [
        (f"{LIST}?label=%3Cb%3E%26", "&lt;b&gt;&amp;"),
        (f"{LIST}?label=work", "work"),
    ]


def test_task_without_plan_has_empty_columns(admin_client):
    TaskFactory()
    content = admin_client.get(LIST).content.decode()
    columns = ("due_text", "priority_word", "label_links")
    assert [re.search(f'<td class="field-{name}">(.*?)</td>', content)[1] for name in columns] == ["", "", ""]


# Queries.


@pytest.mark.parametrize("number", [1, 3])
def test_list_of_one_page_takes_3_queries(admin_client, django_assert_num_queries, number):
    """The session, the user and the tasks, without a count."""
    TaskFactory.create_batch(number)
    with django_assert_num_queries(3):
        assert len(listed_titles(admin_client)) == number


@pytest.mark.parametrize(
    ("query", "queries"),
    [
        ("", 4),
        ("?completed__exact=0", 4),
        ("?created=day&where=both", 4),
        ("?owner=default", 4),
        ("?p=2", 3),
        ("?due=none&priority=none", 4),
        ("?q=task", 6),
        ("?q=default", 5),
        (f"?q={UNUSED_ID}", 6),
    ],
)
def test_list_of_several_pages_is_counted_once(admin_client, django_assert_num_queries, query, queries):
    """A search also looks for an owner in two indexes, and for an id if it looks like one."""
    TaskFactory.create_batch(51)
    with django_assert_num_queries(queries):
        listed_titles(admin_client, query)


def test_member_of_a_group_takes_two_queries_more(as_member, django_assert_num_queries):
    client = as_member("operator")
    TaskFactory.create_batch(51)
    with django_assert_num_queries(6):
        listed_titles(client)


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no prepared statements")
@pytest.mark.parametrize("query", ["?q=milk", "?created=day", "?completed__exact=1"])
def test_list_prepares_no_statement(admin_client, query):
    """PostgreSQL would plan a prepared statement for any values."""
    TaskFactory.create_batch(51, title="Buy milk", completed=True)
    for _ in range(3):
        listed_titles(admin_client, query)
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        assert [sql for (sql,) in cursor.fetchall() if 'FROM "tasks_task"' in sql] == []


# Search.


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
        (UNUSED_ID, []),
        # These characters have no special meaning.
        *((character, []) for character in ("%25", "_", "%5C", "(", "[a")),
    ],
)
def test_search_finds_words_or_a_whole_owner(admin_client, q, found):
    TaskFactory(title="Buy milk")
    TaskFactory(title="Shop", description="Two äpfel", foreign=True)
    TaskFactory(title="Milk and äpfel", trashed=True)
    TaskFactory(title="Set the default")
    assert listed_titles(admin_client, f"?q={q}") == found


def test_search_finds_an_owner_with_only_trash(admin_client):
    TaskFactory(title="Trashed", user_id="gone", trashed=True)
    assert listed_titles(admin_client, "?q=gone&where=trash") == ["Trashed"]


@pytest.mark.parametrize("write", [str, lambda uuid: str(uuid).upper(), lambda uuid: f" {uuid.hex} "])
@pytest.mark.parametrize("trashed", [False, True])
def test_search_for_an_id_ignores_the_filters(admin_client, trashed, write):
    TaskFactory(title="Other")
    task = TaskFactory(title="Buy milk", trashed=trashed, foreign=True)
    assert listed_titles(admin_client, f"?q={write(task.id)}&completed__exact=1") == ["Buy milk"]


def test_search_finds_an_owner_that_looks_like_an_id(admin_client):
    owner = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    TaskFactory(user_id=owner, title="Live")
    TaskFactory(user_id=owner, title="Trashed", trashed=True)
    TaskFactory(title="Another's")
    assert listed_titles(admin_client, f"?q={owner}") == ["Live"]


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ("ab+" * 1000, "has at most 200 characters (it has 3000)"),
        ("milk%00", "Null characters are not allowed."),
    ],
    ids=["too-long", "nul"],
)
def test_refused_search_finds_and_changes_nothing(admin_client, q, message):
    TaskFactory(title="Buy milk")
    text = text_of(admin_client.get(f"{LIST}?q={q}"))
    assert message in text
    assert "No task matches." in text
    assert listed_titles(admin_client, f"?q={q}") == []
    run_action_on_all(admin_client, "complete", f"?q={q}", confirmed="yes").getvalue()
    assert not Task.objects.get().completed


@pytest.mark.parametrize(
    ("q", "values", "shown"),
    [
        ("milk", {"title": "Buy Milk, no milk<b>"}, "Buy <mark>Milk</mark>, no <mark>milk</mark>&lt;b&gt;"),
        ("ÄPFEL", {"title": "Zwei äpfel"}, "Zwei <mark>äpfel</mark>"),
        ("'buy milk' now", {"title": "Buy milk now"}, "<mark>Buy milk</mark> <mark>now</mark>"),
        ("a(", {"title": "a(b"}, "<mark>a(</mark>b"),
        ('"', {"title": 'Say "a"'}, "Say &quot;a&quot;"),
        ("rye", {"title": "Shop", "description": "Buy rye"}, 'Shop<span class="hit">Buy <mark>rye</mark></span>'),
        (
            "rye",
            {"title": "Shop", "description": f"{'a' * 50}\nrye{'b' * 200}"},
            f'Shop<span class="hit">…{"a" * 29}\n<mark>rye</mark>{"b" * 90}…</span>',
        ),
        ("default", {"title": "Shop"}, "Shop"),
        ("  ", {"title": "Shop"}, "Shop"),
    ],
    ids=["title", "case", "quoted", "special", "quote", "description", "piece", "owner", "blank"],
)
def test_search_marks_its_hits(admin_client, q, values, shown):
    TaskFactory(**values)
    content = admin_client.get(LIST, {"q": q}).content.decode()
    [cell] = re.findall('<th class="field-title"><a href="[^"]*">(.*?)</a></th>', content, re.S)
    assert cell == shown


def test_search_of_200_characters_is_accepted(admin_client):
    TaskFactory(title="Buy milk")
    assert listed_titles(admin_client, f"?q={'b+' * 100}") == ["Buy milk"]


# Filters.


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Completed", "Open"]),
        ("?completed__exact=1", ["Completed"]),
        ("?completed__exact=0", ["Open"]),
        ("?where=trash", ["Trashed"]),
        ("?where=both", ["Trashed", "Completed", "Open"]),
        ("?where=both&completed__exact=0", ["Trashed", "Open"]),
        ("?where=both&owner=somebody-else", ["Trashed"]),
        ("?owner=nobody", []),
    ],
)
def test_filter_narrows_the_list(admin_client, tasks, query, found):
    assert listed_titles(admin_client, query) == found


@pytest.mark.parametrize(("value", "found"), [("day", [0]), ("week", [0, 6]), ("month", [0, 6, 29])])
def test_created_filter_keeps_the_last_days(admin_client, value, found):
    for days in (31, 29, 6, 0):
        created = timezone.now() - timedelta(days=days, hours=12)
        TaskFactory(title=f"{days}", created_at=created, updated_at=created)
    assert [int(title) for title in listed_titles(admin_client, f"?created={value}")] == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?priority=high", ["High"]),
        ("?priority=low", ["Low"]),
        ("?priority=none", ["None"]),
        ("?label=home", ["Low", "High"]),
        ("?label=%20home%20", ["Low", "High"]),
        ("?label=Home", []),
        ("?label=hom", []),
        ("?label=%C3%A4%25", ["High"]),
        ("?label=home&priority=low", ["Low"]),
        ("?label=", ["None", "Low", "High"]),
    ],
)
def test_priority_and_label_filters_narrow_the_list(admin_client, query, found):
    TaskFactory(title="High", priority=3, labels=frozenset({"home", "ä%"}))
    TaskFactory(title="Low", priority=1, labels=frozenset({"home"}))
    TaskFactory(title="None")
    assert listed_titles(admin_client, query) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [("overdue", ["-1"]), ("today", ["0"]), ("week", ["6", "0"]), ("none", ["None"])],
)
def test_due_filter_narrows_the_list(admin_client, value, found):
    today = timezone.now().date()
    for days in (-1, 0, 6, 7):
        TaskFactory(title=f"{days}", due=f"{today + timedelta(days=days)}")
    TaskFactory(title="Completed", due=f"{today - timedelta(days=1)}", completed=True)
    TaskFactory(title="None")
    assert listed_titles(admin_client, f"?due={value}") == found


@pytest.mark.parametrize(("zone", "found"), [("Etc/GMT+12", []), ("Pacific/Kiritimati", ["Due"])])
def test_due_filter_counts_days_by_the_time_zone_setting(admin_client, settings, zone, found):
    """Kiritimati is 26 hours ahead of GMT+12, so its date is always later."""
    settings.DUE_TIME_ZONE = zone
    behind = timezone.now() - timedelta(hours=12)
    TaskFactory(title="Due", due=f"{behind:%Y-%m-%d}")
    assert listed_titles(admin_client, "?due=overdue") == found


def test_label_filter_keeps_the_other_filters(admin_client):
    content = admin_client.get(f"{LIST}?label=%3Cb%3E&completed__exact=0").content.decode()
    form = re.search('<form method="get" class="label-filter">.*?</details>', content, re.S)[0]
    assert re.findall(r'name="(\w+)" value="([^"]*)"', form) == [("label", "&lt;b&gt;"), ("completed__exact", "0")]
    assert '<a href="?completed__exact=0">All</a>' in form


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ("where=nowhere", " “where” is one of: trash, both."),
        ("created=yesterday", " “created” is one of: day, week, month."),
        ("completed__exact=perhaps", ""),
        ("owner=%00", " An owner has no NUL character."),
        ("due=tomorrow", " “due” is one of: overdue, today, week, none."),
        ("priority=3", " “priority” is one of: high, medium, low, none."),
        ("label=a%2Cb", f" {MESSAGES['labels']['forbidden_character']}."),
        ("label=+", f" {MESSAGES['labels']['blank']}."),
        ("label=%00", f" {MESSAGES['labels']['blank']}."),
        ("trashed=yesterday", f" “trashed” {TIMESTAMP_RULE}."),
    ],
)
def test_invalid_filter_value_is_named(admin_client, filters, reason):
    TaskFactory(title="Buy milk")
    response = admin_client.get(f"{LIST}?{filters}&q=milk&p=1")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?e=1")
    message = f"The address has an invalid filter: {filters}.{reason} The list below has no filter."
    assert shown_messages(response) == [("error", message)]
    assert listed_titles(admin_client, "?e=1") == ["Buy milk"]


def test_invalid_filter_value_is_quoted_in_part(admin_client):
    [(_, message)] = shown_messages(admin_client.get(f"{LIST}?where={'a' * 1000}"))
    assert message.startswith(f"The address has an invalid filter: where={'a' * 93}…. “where”")


@pytest.mark.parametrize("query", ["?title__regex=a", "?user_id__gt=a", "?deleted_at__isnull=1"])
def test_lookup_without_an_index_is_refused(admin_client, query):
    assert admin_client.get(LIST + query).status_code == 400


def test_owner_filter_shows_the_chosen_owner(admin_client):
    TaskFactory(foreign=True)
    response = admin_client.get(f"{LIST}?owner=somebody-else&completed__exact=0")
    assert re.search("Owner All somebody-else", text_of(response))


@pytest.mark.parametrize(
    ("query", "active"),
    [
        ("", []),
        ("?q=milk&o=-7&p=1", []),
        ("?where=trash&completed__exact=0", ["State: In the trash", "Completed: No"]),
        ("?owner=a%26b&label=%3Cb%3E&due=none", ["Due date: No due date", "Label: &lt;b&gt;", "Owner: a&amp;b"]),
        ("?created=day&priority=high", ["Priority: High", "Created: Last day"]),
        ("?where=trash&trashed=2026-11-26T20:00:00Z", ["State: In the trash", "Trashed at: 2026-11-26T20:00:00Z"]),
    ],
)
def test_filters_that_are_on_are_named_above_the_list(admin_client, query, active):
    content = admin_client.get(LIST + query).content.decode()
    assert re.findall('<a class="chip" [^>]*>(.*?) <span', content) == active
    [summary] = re.findall("<summary>(Filters.*?)</summary>", content)
    assert summary == (f"Filters ({len(active)} on)" if active else "Filters")
    assert content.index('id="changelist-filter"') < content.index('id="changelist-form"')


def test_name_of_a_filter_that_is_on_removes_it(admin_client):
    content = admin_client.get(f"{LIST}?where=trash&label=home&q=milk").content.decode()
    chips = re.findall('<a class="chip" href="([^"]*)"', content)
    assert chips == ["?label=home&amp;q=milk", "?q=milk&amp;where=trash"]


def test_filters_have_names(admin_client):
    content = admin_client.get(LIST).content.decode()
    names = ["State", "Completed", "Due date", "Priority", "Label", "Created"]
    assert re.findall(r"<details data-filter-title=[^>]*>\s*<summary>(.*?)</summary>", content) == names


# Order.


@pytest.mark.parametrize(
    ("query", "sortable"),
    [("", ["created"]), ("?where=trash", ["created", "trashed"]), ("?where=both", ["created"])],
)
def test_only_columns_with_an_index_are_sortable(admin_client, query, sortable):
    TaskFactory()
    TaskFactory(trashed=True)
    content = admin_client.get(LIST + query).content.decode()
    assert re.findall('class="(?:sortable|sorted)[^"]*column-(\\w+)', content) == sortable


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("7", "ABC"),
        ("1.7", "ABC"),
        ("-7", "CBA"),
        ("1", "CBA"),
        ("2", "CBA"),
        ("4", "CBA"),
        ("5", "CBA"),
        ("6", "CBA"),
        ("99", "CBA"),
        ("x", "CBA"),
    ],
)
def test_order_of_a_column_without_an_index_is_ignored(admin_client, order, found):
    """Column 7 is the time of creation; otherwise the newest tasks come first."""
    TaskFactory(title="A", user_id="c")
    TaskFactory(title="B", user_id="b")
    TaskFactory(title="C", user_id="a")
    assert "".join(listed_titles(admin_client, f"?o={order}")) == found


@pytest.mark.parametrize("query", ["", "?o=-7", "?o=1", "?where=both", "?owner=default"])
def test_list_sorts_by_time_of_creation_and_not_by_id(admin_client, query):
    """A client may make an id with any time in it."""
    TaskFactory(title="A", id="ffffffff-ffff-7fff-bfff-ffffffffffff")
    TaskFactory(title="B", id="00000000-0001-7000-8000-000000000000")
    assert "".join(listed_titles(admin_client, query)) == "BA"


@pytest.mark.parametrize(
    ("query", "sorted_column"),
    [
        ("", ("created", "descending")),
        ("?where=trash", ("trashed", "descending")),
        ("?where=trash&o=7", ("created", "ascending")),
    ],
)
def test_sorted_column_is_marked(admin_client, query, sorted_column):
    TaskFactory()
    TaskFactory(trashed=True)
    content = admin_client.get(LIST + query).content.decode()
    assert re.findall(r"column-(\w+) +sorted (\w+)", content) == [sorted_column]


def test_trash_is_sorted_by_time_of_deletion(admin_client):
    first, second = TaskFactory(title="A"), TaskFactory(title="B")
    Task.objects.addressed(second.pk).move_to_trash()
    Task.objects.addressed(first.pk).move_to_trash()
    assert listed_titles(admin_client, "?where=trash") == ["A", "B"]
    assert listed_titles(admin_client, "?where=trash&o=9") == ["B", "A"]


# Pages and counts.


@pytest.fixture
def numbered_tasks():
    """Two full pages and one task; “Task 1” is the newest by its id."""
    now = timezone.now()
    Task.objects.bulk_create(
        Task(user_id="default", title=f"Task {number}", created_at=now - timedelta(minutes=number), updated_at=now)
        for number in reversed(range(1, 102))
    )


@pytest.mark.parametrize(
    ("page", "first", "last"), [("1", 1, 50), ("2", 51, 100), ("3", 101, 101), ("x", 1, 50), ("-1", 1, 50)]
)
def test_page_has_50_tasks(admin_client, numbered_tasks, page, first, last):
    assert listed_titles(admin_client, f"?p={page}") == [f"Task {number}" for number in range(first, last + 1)]
    assert "101 tasks" in text_of(admin_client.get(f"{LIST}?p={page}"))


@pytest.mark.parametrize("page", ["4", "100000000000000000000"])
def test_page_after_the_last_shows_the_first(admin_client, numbered_tasks, page):
    assert listed_titles(admin_client, f"?p={page}&completed__exact=0")[0] == "Task 1"


def test_page_links_keep_the_filter(admin_client, numbered_tasks):
    content = admin_client.get(f"{LIST}?completed__exact=0&owner=default&o=-7").content.decode()
    assert '<a href="?completed__exact=0&amp;o=-7&amp;owner=default&amp;p=2">2</a>' in content


def test_count_and_pages_end_at_the_limit(admin_client, numbered_tasks, monkeypatch):
    """A lower estimate than the limit is not used, and SQLite has no estimates."""
    monkeypatch.setattr(statistics, "estimate", lambda *querysets: [1])
    monkeypatch.setattr(changelist, "MAX_LISTED", 60)
    response = admin_client.get(LIST)
    task_list = response.context["cl"]
    assert (str(task_list.task_count), task_list.paginator.num_pages) == ("more than 60 tasks", 2)
    assert "Select all (more than 60 tasks)" in text_of(response)
    assert listed_titles(admin_client, "?p=3")[0] == "Task 1"


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no estimates")
@pytest.mark.parametrize("query", ["", "?completed__exact=0&owner=default"])
def test_count_above_the_limit_is_estimated(admin_client, numbered_tasks, monkeypatch, query):
    monkeypatch.setattr(changelist, "MAX_LISTED", 60)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    assert str(admin_client.get(LIST + query).context["cl"].task_count) == "about 101 tasks"


# An empty list.

IN_TRASH_TOO = "You can also include the trash or show all live tasks ."


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "",
            "There are no live tasks. Create tasks through the API or add one here . Deleted tasks are in the trash .",
        ),
        ("?q=milk", f"No task matches “milk”. Try fewer words, or a whole id or owner. {IN_TRASH_TOO}"),
        ("?where=trash", "No task matches. Choose other filters. You can also show all live tasks ."),
        ("?completed__exact=1", f"No task matches. Choose other filters. {IN_TRASH_TOO}"),
    ],
)
def test_empty_list_says_what_to_do(admin_client, query, text):
    assert text in text_of(admin_client.get(LIST + query))


def test_link_to_include_the_trash_keeps_the_search(admin_client):
    content = admin_client.get(f"{LIST}?q=milk&completed__exact=1").content.decode()
    assert '<a href="?completed__exact=1&amp;q=milk&amp;where=both">' in content
