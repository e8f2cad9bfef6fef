"""The parameters of ``GET /api/tasks``: each one, its refusals, the pages and their ``Link``."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import chain, product
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.core import signing
from django.db import connection

from tasks.api.listing import Listing
from tasks.models import Task
from tasks.querysets import ORDERINGS
from tasks.rules import EARLIEST, LATEST
from tasks.tests.api.contract import headers, json_headers, moment, problem, problem_headers, task_body
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory

pytestmark = pytest.mark.django_db

PATH = "/api/tasks"
MOMENT = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

LINKS = re.compile(r'(?:<(/api/tasks\?[!-=?-~]+)>; rel="next", )?<(/api/tasks\?[!-=?-~]+)>; rel="first"')
URL_SAFE = re.compile(r"[A-Za-z0-9_.:~-]+")

INSTANTS = ["created_after", "created_before", "updated_after", "updated_before"]

UNKNOWN = "This parameter is unknown here"
LIMIT = "must be a number from 1 to 1000"
COMPLETED = "must be true or false"
TOO_LONG = "must not exceed 200 characters"
NO_TEXT = "must be text to search for"
INSTANT = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"
ORDERING = "must be one of -created_at, created_at, -updated_at, updated_at, -title, title"
EMPTY = "must not be empty"
REPEATED = "must stand only once"
BROKEN = "is broken, or belongs to another list"
NO_LIMIT = "needs a limit"


def fault(parameter, rule):
    if rule == UNKNOWN:
        return {"parameter": parameter, "code": "unknown_parameter", "detail": UNKNOWN}
    return {"parameter": parameter, "code": "invalid_parameter", "detail": f"Parameter {parameter} {rule}"}


#: A query as it is sent, and what is wrong with it.
REFUSED = [
    # Outside 1 to 1000
    ("limit=0", ("limit", LIMIT)),
    ("limit=000", ("limit", LIMIT)),
    ("limit=1001", ("limit", LIMIT)),
    ("limit=10000", ("limit", LIMIT)),
    ("limit=-1", ("limit", LIMIT)),
    (f"limit={'9' * 30}", ("limit", LIMIT)),
    (f"limit={'9' * 5000}", ("limit", LIMIT)),
    # Not ASCII digits alone
    ("limit=1e3", ("limit", LIMIT)),
    ("limit=5.0", ("limit", LIMIT)),
    ("limit=0x5", ("limit", LIMIT)),
    ("limit=1_0", ("limit", LIMIT)),
    ("limit=+5", ("limit", LIMIT)),
    ("limit=%2B5", ("limit", LIMIT)),
    ("limit=5%20", ("limit", LIMIT)),
    ("limit=5%0A", ("limit", LIMIT)),
    ("limit=5%00", ("limit", LIMIT)),
    ("limit=%D9%A3", ("limit", LIMIT)),
    ("limit=\N{ARABIC-INDIC DIGIT THREE}", ("limit", LIMIT)),
    ("limit=%C2%B2", ("limit", LIMIT)),
    ("limit=%EF%BC%95", ("limit", LIMIT)),
    ("limit=five", ("limit", LIMIT)),
    ("limit=null", ("limit", LIMIT)),
    ("limit=5,6", ("limit", LIMIT)),
    # completed
    ("completed=True", ("completed", COMPLETED)),
    ("completed=FALSE", ("completed", COMPLETED)),
    ("completed=1", ("completed", COMPLETED)),
    ("completed=0", ("completed", COMPLETED)),
    ("completed=yes", ("completed", COMPLETED)),
    ("completed=on", ("completed", COMPLETED)),
    ("completed=null", ("completed", COMPLETED)),
    ("completed=%20true", ("completed", COMPLETED)),
    ("completed=true%0A", ("completed", COMPLETED)),
    ("completed=true,false", ("completed", COMPLETED)),
    # q
    (f"q={'x' * 201}", ("q", TOO_LONG)),
    (f"q={'%C3%84' * 201}", ("q", TOO_LONG)),
    (f"q={'%F0%9F%92%A9' * 201}", ("q", TOO_LONG)),
    (f"q=milk{'%20' * 197}", ("q", TOO_LONG)),
    ("q=%20", ("q", NO_TEXT)),
    ("q=+", ("q", NO_TEXT)),
    ("q=%20%09%0D%0A", ("q", NO_TEXT)),
    ("q=%E3%80%80%C2%A0", ("q", NO_TEXT)),
    ("q=%00", ("q", NO_TEXT)),
    ("q=milk%00", ("q", NO_TEXT)),
    # ordering
    ("ordering=created", ("ordering", ORDERING)),
    ("ordering=%2Bcreated_at", ("ordering", ORDERING)),
    ("ordering=+created_at", ("ordering", ORDERING)),
    ("ordering=--title", ("ordering", ORDERING)),
    ("ordering=-", ("ordering", ORDERING)),
    ("ordering=Title", ("ordering", ORDERING)),
    ("ordering=title%20", ("ordering", ORDERING)),
    ("ordering=title,created_at", ("ordering", ORDERING)),
    ("ordering=id", ("ordering", ORDERING)),
    ("ordering=completed", ("ordering", ORDERING)),
    ("ordering=version", ("ordering", ORDERING)),
    ("ordering=%3F", ("ordering", ORDERING)),
    # Unknown ones
    ("colour=red", ("colour", UNKNOWN)),
    ("colour", ("colour", UNKNOWN)),
    ("Limit=5", ("Limit", UNKNOWN)),
    ("limit%20=5", ("limit ", UNKNOWN)),
    ("limit[]=5", ("limit[]", UNKNOWN)),
    ("page=2", ("page", UNKNOWN)),
    ("offset=0", ("offset", UNKNOWN)),
    ("page_size=5", ("page_size", UNKNOWN)),
    ("search=milk", ("search", UNKNOWN)),
    ("title=milk", ("title", UNKNOWN)),
    ("user_id=somebody-else", ("user_id", UNKNOWN)),
    ("created_at=2026-01-11T09:30:00Z", ("created_at", UNKNOWN)),
    ("created_at__gte=2026-01-11T09:30:00Z", ("created_at__gte", UNKNOWN)),
    ("completed__in=true", ("completed__in", UNKNOWN)),
    ("format=json", ("format", UNKNOWN)),
    ("amp;limit=5", ("amp;limit", UNKNOWN)),
    # Cursors of no list
    ("limit=5&cursor=x", ("cursor", BROKEN)),
    ("limit=5&cursor=%00", ("cursor", BROKEN)),
    ("limit=5&cursor=:", ("cursor", BROKEN)),
    ("limit=5&cursor=a:b", ("cursor", BROKEN)),
    ("limit=5&cursor=%C3%BC:%C3%BC", ("cursor", BROKEN)),
    ("limit=5&cursor=0", ("cursor", BROKEN)),
    ("limit=5&cursor=.eJw:x", ("cursor", BROKEN)),
    (f"limit=5&cursor={'x' * 5000}", ("cursor", BROKEN)),
    ("cursor=x", ("cursor", NO_LIMIT)),
    # More than one fault, in the order in which they were sent
    ("colour=red&size=5", ("colour", UNKNOWN), ("size", UNKNOWN)),
    ("colour=red&size&colour=blue", ("colour", UNKNOWN), ("size", UNKNOWN)),
    ("limit=5&colour=red", ("colour", UNKNOWN)),
    ("colour=red&limit=0", ("colour", UNKNOWN), ("limit", LIMIT)),
    ("q=&completed=2&limit=0", ("q", EMPTY), ("completed", COMPLETED), ("limit", LIMIT)),
    ("limit=0&completed=true&ordering=id", ("limit", LIMIT), ("ordering", ORDERING)),
]

NO_INSTANTS = [
    "now",
    "2026-01-11",
    "1768123800",
    "T09:30:00Z",
    "2026-01-11T09:30:00",
    "2026-01-11T09:30:00.000000",
    "2026-01-11T09:30Z",
    "2026-01-11T09Z",
    "2026-01-11T09:30:00+0100",
    "2026-01-11T09:30:00+01",
    "2026-01-11T09:30:00+1:00",
    "2026-01-11T09:30:00+24:00",
    "2026-01-11T09:30:00+01:60",
    "2026-01-11T09:30:00+01:00:00",
    "2026-01-11T09:30:00Z+01:00",
    "2026-01-11T09:30:00 Z",
    "2026-01-11T09:30:00UTC",
    "2026-01-11T09:30:00\N{MINUS SIGN}01:00",
    "2026-01-11T09:30:00.Z",
    "2026-01-11T09:30:00,5Z",
    "2026-01-11_09:30:00Z",
    "20260111T093000Z",
    "2026-W02-7T09:30:00Z",
    "2026-011T09:30:00Z",
    "26-01-11T09:30:00Z",
    "2026-1-11T09:30:00Z",
    "2026-01-11T9:30:00Z",
    "-2026-01-11T09:30:00Z",
    "12026-01-11T09:30:00Z",
    "0000-01-11T09:30:00Z",
    "2026-00-11T09:30:00Z",
    "2026-13-11T09:30:00Z",
    "2026-02-29T09:30:00Z",
    "2026-01-32T09:30:00Z",
    "2026-01-11T24:00:00Z",
    "2026-01-11T09:60:00Z",
    "2026-01-11T09:30:61Z",
    # A leap second has no place in a task's times: it would have to be cut off or moved.
    "2016-12-31T23:59:60Z",
    "2026-01-11T09:30:00Z ",
    " 2026-01-11T09:30:00Z",
    "2026-01-11T09:30:00Z\n",
    "2026-01-11T09:30:00Z\0",
    "\N{ARABIC-INDIC DIGIT TWO}026-01-11T09:30:00Z",
    "2026-01-11T09:30:00.\N{ARABIC-INDIC DIGIT THREE}Z",
    # Years of their own that are not 0001 to 9999 in UTC
    "0001-01-01T00:00:00+00:01",
    "0001-01-01T20:40:59.999999+20:41",
    "9999-12-31T23:59:59.999999-00:01",
    "9999-12-31T03:19:00-20:41",
]

SENT_WELL = {
    "limit": "5",
    "cursor": "x",
    "completed": "true",
    "q": "milk",
    **dict.fromkeys(INSTANTS, "2026-01-11T09:30:00Z"),
    "ordering": "title",
}


def query(**parameters):
    return "&".join(f"{name}={quote(text, safe='')}" for name, text in parameters.items())


@pytest.fixture
def listed(as_user):
    """The tasks that a query lists."""

    def ask(**parameters):
        response = as_user.get(PATH, query_params=parameters)
        assert response.status_code == 200, response.content
        return json.loads(response.getvalue())

    return ask


@pytest.fixture
def titles(listed):
    return lambda **parameters: [task["title"] for task in listed(**parameters)]


@pytest.fixture
def assert_refused(as_user):
    def ask(sent, *faults):
        response = as_user.get(f"{PATH}?{sent}")
        assert response.status_code == 400
        assert headers(response) == problem_headers()
        errors = [fault(*each) for each in faults]
        assert response.json() == problem("validation_error", PATH, errors=errors)

    return ask


def links(response):
    """The targets of the ``Link`` header by relation; nothing else stands in it."""
    match = LINKS.fullmatch(response.headers["Link"])
    return {relation: target for relation, target in zip(("next", "first"), match.groups(), strict=True) if target}


def walk(client, where):
    """The pages from ``where`` on, each a list of tasks."""
    while where:
        response = client.get(where)
        assert response.status_code == 200, response.content
        yield response.json()
        where = links(response).get("next")


def cursor_of(target):
    return parse_qs(urlsplit(target).query)["cursor"][0]


# Refusals


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0][:60])
def test_what_breaks_a_rule_is_refused_and_named(assert_refused, row):
    TaskFactory()
    assert_refused(*row)


@pytest.mark.parametrize("text", NO_INSTANTS, ids=ascii)
@pytest.mark.parametrize("parameter", INSTANTS)
def test_what_is_no_instant_is_refused(assert_refused, parameter, text):
    assert_refused(query(**{parameter: text}), (parameter, INSTANT))


def test_an_offset_whose_plus_is_not_encoded_is_refused(assert_refused):
    """A plus sign in a query is a space."""
    assert_refused("created_after=2026-01-11T09:30:00+01:00", ("created_after", INSTANT))


@pytest.mark.parametrize("parameter", SENT_WELL)
def test_an_empty_value_is_refused(assert_refused, parameter):
    beside = [("cursor", NO_LIMIT)] if parameter == "cursor" else []
    assert_refused(f"{parameter}=", (parameter, EMPTY), *beside)
    assert_refused(parameter, (parameter, EMPTY), *beside)


@pytest.mark.parametrize("parameter", SENT_WELL)
def test_a_repeated_parameter_is_refused(assert_refused, parameter):
    beside = [("cursor", NO_LIMIT)] if parameter == "cursor" else []
    sent = query(**{parameter: SENT_WELL[parameter]})
    assert_refused(f"{sent}&{sent}", (parameter, REPEATED), *beside)
    assert_refused(f"{sent}&{parameter}=", (parameter, REPEATED), *beside)
    assert_refused(f"{sent}&colour=red&{sent}", (parameter, REPEATED), ("colour", UNKNOWN), *beside)


def test_head_is_refused_too(as_user):
    response = as_user.head(f"{PATH}?limit=0")
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.content == b""


def test_a_refusal_asks_the_database_nothing(as_user, django_assert_num_queries):
    with django_assert_num_queries(0, connection=connection):
        assert as_user.get(f"{PATH}?limit=5&cursor=x").status_code == 400
        assert as_user.get(f"{PATH}?colour=red").status_code == 400


def test_nothing_of_the_programs_insides_stands_in_a_refusal(as_user):
    """Python refuses to read a number of so many digits, and says so in words of its own."""
    TaskFactory()
    assert as_user.get(f"{PATH}?limit={'0' * 5000}1").status_code == 200


@pytest.mark.parametrize("sent", ["&", "&&", ""])
def test_a_query_of_no_parameter_is_none(as_user, sent):
    task = TaskFactory()
    response = as_user.get(f"{PATH}?{sent}")
    assert response.status_code == 200
    assert json.loads(response.getvalue()) == [task_body(task)]


# limit and Link


def test_a_page_is_the_first_of_the_list_and_links_to_the_next(as_user):
    tasks = [task_body(task) for task in reversed(TaskFactory.create_batch(5))]
    first = as_user.get(f"{PATH}?limit=2")
    assert first.status_code == 200
    cursor = cursor_of(links(first)["next"])
    link = f'<{PATH}?limit=2&cursor={quote(cursor, safe="")}>; rel="next", <{PATH}?limit=2>; rel="first"'
    assert headers(first) == json_headers(Link=link)
    assert first.json() == tasks[:2]
    second = as_user.get(links(first)["next"])
    assert second.json() == tasks[2:4]
    assert links(second)["first"] == f"{PATH}?limit=2"
    last = as_user.get(links(second)["next"])
    assert last.status_code == 200
    assert headers(last) == json_headers(Link=f'<{PATH}?limit=2>; rel="first"')
    assert last.json() == tasks[4:]


@pytest.mark.parametrize(("number", "sizes"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1])])
def test_there_is_a_next_page_only_when_there_is_more(as_user, number, sizes):
    tasks = [task_body(task) for task in reversed(TaskFactory.create_batch(number))]
    pages = list(walk(as_user, f"{PATH}?limit=2"))
    assert [len(page) for page in pages] == sizes
    assert list(chain(*pages)) == tasks


@pytest.mark.parametrize("limit", ["1", "4", "5", "6", "1000", "05"])
def test_a_limit_is_the_most_that_a_page_holds(as_user, limit):
    tasks = [task_body(task) for task in reversed(TaskFactory.create_batch(5))]
    assert as_user.get(f"{PATH}?limit={limit}").json() == tasks[: int(limit)]


def test_the_greatest_limit(as_user):
    at = {"created_at": MOMENT, "updated_at": MOMENT}
    Task.objects.bulk_create(Task(user_id="default", title=f"{number}", **at) for number in range(1001))
    response = as_user.get(f"{PATH}?limit=1000")
    assert len(response.json()) == 1000
    assert len(as_user.get(links(response)["next"]).json()) == 1


def test_a_list_without_a_limit_has_no_link(as_user):
    TaskFactory.create_batch(3)
    assert headers(as_user.get(f"{PATH}?ordering=title")) == json_headers()


def test_a_page_is_one_query(as_user, django_assert_num_queries):
    for number in (1, 3):
        TaskFactory.create_batch(number)
        with django_assert_num_queries(2, connection=connection):
            where = links(as_user.get(f"{PATH}?limit=1")).get("next", f"{PATH}?limit=1")
            as_user.get(where)


def test_head_answers_the_link_too(as_user):
    TaskFactory.create_batch(3)
    response = as_user.head(f"{PATH}?limit=2")
    assert headers(response) == headers(as_user.get(f"{PATH}?limit=2"))
    assert response.content == b""


def test_links_keep_every_parameter_whatever_stands_in_it(as_user):
    tasks = [TaskFactory(title="ä&b=c #%41+ </>;,\"'") for _ in range(3)]
    response = as_user.get(
        PATH,
        query_params={
            "q": "Ä&B=c #%41+ </>;,\"'",
            "limit": 1,
            "created_after": "2020-01-01T00:00:00+05:30",
            "ordering": "title",
            "completed": "false",
        },
    )
    assert parse_qs(urlsplit(links(response)["first"]).query) == {
        "q": ["Ä&B=c #%41+ </>;,\"'"],
        "limit": ["1"],
        "created_after": ["2020-01-01T00:00:00+05:30"],
        "ordering": ["title"],
        "completed": ["false"],
    }
    assert as_user.get(links(response)["first"]).json() == [task_body(tasks[0])]
    assert list(chain(*walk(as_user, links(response)["next"]))) == [task_body(task) for task in tasks[1:]]


def test_links_of_a_request_with_a_slash_at_the_end_are_the_same(as_user):
    TaskFactory.create_batch(3)
    response = as_user.get(f"{PATH}/?limit=2")
    assert response.status_code == 200
    assert headers(response) == headers(as_user.get(f"{PATH}?limit=2"))
    cursor = quote(cursor_of(links(response)["next"]), safe="")
    assert as_user.get(f"{PATH}/?limit=2&cursor={cursor}").json() == as_user.get(links(response)["next"]).json()


@pytest.mark.parametrize("host", ["testserver", "localhost:8000"])
def test_links_are_paths_and_never_built_from_the_host(as_user, host):
    TaskFactory.create_batch(3)
    response = as_user.get(f"{PATH}?limit=2", headers={"Host": host, "X-Forwarded-Host": "evil.example"})
    assert all(target.startswith(f"{PATH}?limit=2") for target in links(response).values())


# cursor


@pytest.fixture
def next_of(as_user):
    """The cursor that leads on from the first page of a query."""

    def ask(**parameters):
        return cursor_of(links(as_user.get(PATH, query_params={"limit": 1, **parameters}))["next"])

    return ask


@pytest.fixture
def three():
    return [TaskFactory(title="Buy milk", completed=True, created_at=MOMENT) for _ in range(3)]


def test_a_cursor_holds_with_another_limit(as_user, next_of, three):
    page = as_user.get(PATH, query_params={"limit": 1000, "cursor": next_of()})
    assert page.json() == [task_body(three[1]), task_body(three[0])]
    assert headers(page) == json_headers(Link=f'<{PATH}?limit=1000>; rel="first"')


def test_a_cursor_holds_with_its_parameters_in_another_order(as_user, next_of, three):
    cursor = quote(next_of(completed="true", q="milk"), safe="")
    assert len(as_user.get(f"{PATH}?cursor={cursor}&q=milk&completed=true&limit=5").json()) == 2


def test_a_cursor_of_the_usual_order_holds_where_that_is_spelled_out(as_user, next_of, three):
    """It is the same order; only with others a cursor is refused."""
    query_params = {"limit": 5, "cursor": next_of(), "ordering": "-created_at"}
    assert as_user.get(PATH, query_params=query_params).status_code == 200
    query_params = {"limit": 5, "cursor": next_of(ordering="-created_at")}
    assert as_user.get(PATH, query_params=query_params).status_code == 200


def test_a_cursor_needs_a_limit(assert_refused, next_of, three):
    assert_refused(query(cursor=next_of()), ("cursor", NO_LIMIT))


def test_a_cursor_is_told_of_beside_other_faults(assert_refused, next_of, three):
    assert_refused(query(cursor=next_of(), colour="red"), ("colour", UNKNOWN), ("cursor", NO_LIMIT))
    assert_refused(query(cursor=next_of(), limit="0"), ("limit", LIMIT))


OTHERS = [
    ({}, {"completed": "true"}),
    ({"completed": "true"}, {}),
    ({"completed": "true"}, {"completed": "false"}),
    ({}, {"q": "milk"}),
    ({"q": "milk"}, {"q": "buy"}),
    ({"q": "milk"}, {}),
    ({"q": "buy milk"}, {"q": "buymilk"}),
    ({}, {"created_after": "2020-01-01T00:00:00Z"}),
    ({"created_after": "2020-01-01T00:00:00Z"}, {"created_after": "2020-01-02T00:00:00Z"}),
    ({"created_after": "2020-01-01T00:00:00Z"}, {"updated_after": "2020-01-01T00:00:00Z"}),
    ({"created_before": "9999-01-01T00:00:00Z"}, {"created_after": "9999-01-01T00:00:00Z"}),
    ({"updated_before": "9999-01-01T00:00:00Z"}, {}),
    ({}, {"ordering": "created_at"}),
    ({}, {"ordering": "-updated_at"}),
    ({}, {"ordering": "title"}),
    ({"ordering": "title"}, {}),
    ({"ordering": "title"}, {"ordering": "-title"}),
    ({"ordering": "created_at"}, {"ordering": "updated_at"}),
    ({"q": "milk", "completed": "true"}, {"q": "milk"}),
]


@pytest.mark.parametrize(("made_for", "used_with"), OTHERS)
def test_a_cursor_of_other_filters_or_another_order_is_refused(assert_refused, next_of, three, made_for, used_with):
    assert_refused(query(limit="1", cursor=next_of(**made_for), **used_with), ("cursor", BROKEN))


def test_a_cursor_of_another_user_is_refused(assert_refused, three):
    TaskFactory.create_batch(3, foreign=True)
    _, link = Listing(PATH, {"limit": ["1"]}, SOMEBODY_ELSE, trashed=False).page(1)
    cursor = cursor_of(re.match("<(.+?)>", link)[1])
    assert_refused(query(limit="1", cursor=cursor), ("cursor", BROKEN))


def test_a_cursor_of_ones_own_is_taken_that_way(as_user, three):
    """The control: the refusal above is not for the way in which the cursor was got."""
    _, link = Listing(PATH, {"limit": ["1"]}, "default", trashed=False).page(1)
    assert as_user.get(re.match("<(.+?)>", link)[1]).json() == [task_body(three[1])]


def test_a_cursor_that_was_tampered_with_is_refused(assert_refused, next_of, three):
    cursor = next_of()
    assert URL_SAFE.fullmatch(cursor)
    for position in range(len(cursor)):
        other = "A" if cursor[position] != "A" else "B"
        # The last digit of an unpadded base64 text may have bits to spare; Django compares the texts themselves.
        assert_refused(query(limit="1", cursor=cursor[:position] + other + cursor[position + 1 :]), ("cursor", BROKEN))
    for broken in (cursor[:-1], cursor[1:], cursor[: len(cursor) // 2], cursor + "A", cursor + ":", f" {cursor}"):
        assert_refused(query(limit="1", cursor=broken), ("cursor", BROKEN))


def test_a_cursor_of_another_secret_key_is_refused(assert_refused, next_of, three, settings):
    cursor = next_of()
    settings.SECRET_KEY = "another-key-for-the-tests-which-is-long-enough"
    assert_refused(query(limit="1", cursor=cursor), ("cursor", BROKEN))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_cursor_carries_no_more_than_the_place_of_the_last_task_shown(as_user, next_of, ordering):
    TaskFactory.create_batch(3, foreign=True, title="A secret", created_at=MOMENT)
    for title in ("a", "b", "c"):
        TaskFactory(title=title, description="Not in it")
    [shown] = as_user.get(PATH, query_params={"limit": 1, "ordering": ordering}).json()
    payload = json.loads(signing.b64_decode(next_of(ordering=ordering).rpartition(":")[0].encode()))
    assert payload == [shown[ordering.removeprefix("-")], shown["id"]]


def test_a_cursor_holds_when_its_task_is_gone(as_user, next_of, three):
    cursor = next_of()
    three[2].delete()
    assert as_user.get(PATH, query_params={"limit": 1, "cursor": cursor}).json() == [task_body(three[1])]


def test_a_cursor_past_the_last_task_is_an_empty_page(as_user, next_of, three):
    cursor = next_of()
    Task.objects.all().move_to_trash()
    response = as_user.get(PATH, query_params={"limit": 1, "cursor": cursor})
    assert headers(response) == json_headers(Link=f'<{PATH}?limit=1>; rel="first"')
    assert response.json() == []


@pytest.mark.parametrize("title", ["\N{PILE OF POO}" * 200, 'a"b\\c', "%s %(x)s {}", "Ä \ue000\U0010ffff", "null"])
def test_a_cursor_leads_past_any_title(as_user, title):
    tasks = [TaskFactory(title=title, description=f"{number}") for number in range(4)]
    pages = list(walk(as_user, f"{PATH}?limit=1&ordering=title"))
    assert pages == [[task_body(task)] for task in tasks]


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_cursor_leads_past_the_first_and_the_last_of_times(as_user, ordering):
    for at in (EARLIEST, EARLIEST, EARLIEST + MICROSECOND, LATEST - MICROSECOND, LATEST, LATEST):
        TaskFactory(created_at=at)
    tasks = [[task_body(task)] for task in Task.objects.in_order(ordering)]
    assert list(walk(as_user, f"{PATH}?limit=1&ordering={ordering}")) == tasks


# completed


@pytest.mark.parametrize("completed", [True, False])
def test_completed(listed, completed):
    task = TaskFactory(completed=completed)
    TaskFactory(completed=not completed)
    assert listed(completed=str(completed).lower()) == [task_body(task)]


# q


FOUND = [
    ("milk", "Buy milk", ""),
    ("milk", "Shopping", "two litres of milk"),
    ("MILK", "Buy milk", ""),
    ("milk", "BUY MILK", ""),
    ("il", "Buy milk", ""),
    ("milk buy", "Buy milk", ""),
    ("milk litres", "Buy milk", "Two litres"),
    ("milk milk", "Buy milk", ""),
    ("  milk \t\r\n  buy ", "Buy milk", ""),
    ("milk\u3000buy\u2028m", "Buy milk", ""),
    ("uy mi", "Buy milk", ""),
    ("litres", "Buy milk", "Two\nlitres\n"),
    ("9", "Task 9", ""),
    # Beyond ASCII, either way
    ("ä", "Ä", ""),
    ("Ä", "ä", ""),
    ("ÄPFEL", "Zwei äpfel", ""),
    ("ж", "Ж", ""),
    ("Ж", "ж", ""),
    ("купить", "КУПИТЬ МОЛОКО", ""),
    ("Σ", "σ", ""),  # noqa: RUF001
    ("σ", "Σ", ""),  # noqa: RUF001
    ("Σ", "ς", ""),
    ("ς", "Σ", ""),
    ("ς", "σ", ""),  # noqa: RUF001
    ("ΟΔΟΣ", "οδος", ""),
    ("É", "é", ""),
    ("Ñ", "ñ", ""),
    ("Ç", "", "ç"),
    ("Ё", "ё", ""),
    ("Բ", "բ", ""),
    ("ÿ", "Ÿ", ""),
    ("Ő", "ő", ""),
    ("\N{DESERET SMALL LETTER LONG I}", "\N{DESERET CAPITAL LETTER LONG I}", ""),
    # Letters that have no case, and what is no letter
    ("世界", "Hello 世界", ""),
    ("\N{PILE OF POO}", "a \N{PILE OF POO} b", ""),
    # Literally
    ("%", "100 %", ""),
    ("100%", "100% wool", ""),
    ("_", "snake_case", ""),
    ("a_b", "a_b", ""),
    ("\\", "back\\slash", ""),
    ("\\%", "a\\%b", ""),
    ("\\_", "", "a\\_b"),
    ("\\\\", "a\\\\b", ""),
    ("%%", "a%%b", ""),
    ("%s", "%s and %(name)s", ""),
    (".*", "a.*b", ""),
    ("[a-z]", "[a-z]", ""),
    ("(?i)", "(?i)", ""),
    ("a|b", "a|b", ""),
    ("^a$", "^a$", ""),
    ("a+", "a+", ""),
    ("{}", "{}", ""),
    ("#", "#1", ""),
    ("'", "it's", ""),
    ('"', 'say "yes"', ""),
    ("'; --", "'; --", ""),
    ("?", "really?", ""),
    ("-- $1", "-- $1", ""),
]

NOT_FOUND = [
    ("bread", "Buy milk", "Two litres"),
    ("milk bread", "Buy milk", "Two litres"),
    ("bread milk", "Buy milk", "Two litres"),
    ("milkTwo", "Buy milk", "Two litres"),
    ("default", "Buy milk", ""),
    ("true", "Buy milk", ""),
    ("ä", "a", ""),
    ("a", "ä", ""),
    ("д", "Ж", ""),
    ("%", "Buy milk", "Two litres"),
    ("B%k", "Buy milk", ""),
    ("100%", "1000", ""),
    ("_", "Buy milk", "Two litres"),
    ("a_b", "axb", ""),
    ("\\", "Buy milk", "Two litres"),
    ("\\%", "a%b", ""),
    ("\\_", "a_b", ""),
    ("\\\\", "a\\b", ""),
    ("\\d", "1", ""),
    (".", "Buy milk", ""),
    (".*", "Buy milk", ""),
    ("[a-z]", "Buy milk", ""),
    ("milk|bread", "Buy milk", ""),
    ("^Buy", "Buy milk", ""),
    ("milk$", "Buy milk", ""),
    ("k?", "Buy milk", ""),
]


@pytest.mark.parametrize(("q", "title", "description"), FOUND)
def test_q_finds(listed, q, title, description):
    task = TaskFactory(title=title or "x", description=description)
    assert listed(q=q) == [task_body(task)]


@pytest.mark.parametrize(("q", "title", "description"), NOT_FOUND)
def test_q_does_not_find(listed, q, title, description):
    TaskFactory(title=title, description=description)
    assert listed(q=q) == []


def test_q_leaves_the_other_tasks_out(titles):
    for title in ("Buy milk", "Buy bread", "Sell milk"):
        TaskFactory(title=title)
    TaskFactory(title="Buy milk", foreign=True)
    TaskFactory(title="Buy milk", trashed=True)
    assert titles(q="buy") == ["Buy bread", "Buy milk"]
    assert titles(q="buy milk") == ["Buy milk"]


@pytest.mark.parametrize("letter", ["x", "Ä", "\N{PILE OF POO}"])
def test_q_may_have_200_characters(listed, letter):
    task = TaskFactory(title=letter * 200)
    TaskFactory(title=letter * 199)
    assert listed(q=letter * 200) == [task_body(task)]


def test_q_may_have_100_words(listed):
    task = TaskFactory(title="".join(map(chr, range(0x4E00, 0x4E64))))
    TaskFactory(title="".join(map(chr, range(0x4E00, 0x4E63))))
    assert listed(q=" ".join(map(chr, range(0x4E00, 0x4E64)))) == [task_body(task)]


def test_q_may_be_sent_in_utf_8_that_is_not_percent_encoded(as_user):
    task = TaskFactory(title="Äpfel")
    assert json.loads(as_user.get(f"{PATH}?q=äpfel").getvalue()) == [task_body(task)]


# created_after, created_before, updated_after, updated_before


SPELLINGS = [
    "2026-01-11T09:30:00Z",
    "2026-01-11t09:30:00z",
    "2026-01-11T09:30:00.0Z",
    "2026-01-11T09:30:00.000000Z",
    "2026-01-11T09:30:00.000000999999Z",
    "2026-01-11T09:30:00." + "0" * 300 + "1Z",
    "2026-01-11T09:30:00+00:00",
    "2026-01-11T09:30:00-00:00",
    "2026-01-11T10:30:00+01:00",
    "2026-01-11T15:15:00+05:45",
    "2026-01-11T01:30:00.0000004-08:00",
    "2026-01-10T12:49:00-20:41",
    "2026-01-12T09:29:00+23:59",
]


@pytest.fixture
def around():
    """Three tasks a microsecond apart, which differ in the given column."""

    def make(column):
        for title, at in (("before", MOMENT - MICROSECOND), ("at", MOMENT), ("after", MOMENT + MICROSECOND)):
            TaskFactory(title=title, **{"created_at": EARLIEST, "updated_at": at, column: at})

    return make


@pytest.mark.parametrize("text", SPELLINGS, ids=lambda text: text[:40])
@pytest.mark.parametrize("column", ["created", "updated"])
def test_after_is_from_an_instant_on_and_before_is_until_it(titles, around, column, text):
    around(f"{column}_at")
    order = {"ordering": f"{column}_at"}
    assert titles(**{f"{column}_after": text}, **order) == ["at", "after"]
    assert titles(**{f"{column}_before": text}, **order) == ["before"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-01-11T09:29:59.999999Z", ["before", "at", "after"]),
        ("2026-01-11T09:29:59.9999999Z", ["before", "at", "after"]),
        ("2026-01-11T09:30:00.000001Z", ["after"]),
        ("2026-01-11T09:30:00.0000019Z", ["after"]),
        ("2026-01-11T09:30:00.000002Z", []),
        ("2026-01-11T09:30:01Z", []),
    ],
)
def test_digits_past_the_sixth_are_cut_off_and_none_is_rounded(titles, around, text, found):
    around("created_at")
    assert titles(created_after=text, ordering="created_at") == found


@pytest.mark.parametrize("offset", ["Z", "+00:00"])
def test_the_first_and_the_last_of_times(titles, offset):
    TaskFactory(title="first", created_at=EARLIEST)
    TaskFactory(title="last", created_at=LATEST)
    assert titles(created_after=f"0001-01-01T00:00:00{offset}") == ["last", "first"]
    assert titles(created_before=f"0001-01-01T00:00:00{offset}") == []
    assert titles(created_after=f"9999-12-31T23:59:59.999999{offset}") == ["last"]
    assert titles(created_before=f"9999-12-31T23:59:59.9999999{offset}") == ["first"]


def test_an_offset_may_lead_to_the_edge_of_time(titles):
    TaskFactory(title="first", created_at=EARLIEST)
    TaskFactory(title="last", created_at=LATEST)
    assert titles(created_after="0001-01-01T20:41:00+20:41") == ["last", "first"]
    assert titles(created_after="9999-12-31T03:18:59.999999-20:41") == ["last"]


def test_bounds_that_leave_nothing_between_them_find_nothing(titles):
    TaskFactory(created_at=MOMENT)
    assert titles(created_after="2026-01-12T00:00:00Z", created_before="2026-01-11T00:00:00Z") == []
    assert titles(created_after="2026-01-11T09:30:00Z", created_before="2026-01-11T09:30:00Z") == []


# ordering


ALPHABET = [*"!02ABZ_ab", "10", "a b", "aB", "ab", *"ßÄäж世\ufffd😀"]


@pytest.mark.parametrize("ordering", ["title", "-title"])
def test_titles_are_ordered_by_code_point(titles, ordering):
    for title in ALPHABET[::2] + ALPHABET[1::2]:
        TaskFactory(title=title)
    assert titles(ordering=ordering) == sorted(ALPHABET, reverse=ordering.startswith("-"))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_each_ordering_has_ties_by_id_in_the_same_direction(listed, ordering):
    days = [MOMENT + timedelta(days=day) for day in range(3)]
    for number in range(8):
        TaskFactory(title="ab"[number % 2], created_at=days[number % 2], updated_at=days[1 + number % 2])
    column = ordering.removeprefix("-")
    in_order = sorted(
        map(task_body, Task.objects.all()),
        key=lambda task: (task[column], task["id"]),
        reverse=ordering.startswith("-"),
    )
    assert listed(ordering=ordering) == in_order


def test_created_and_updated_are_two_orders(titles):
    TaskFactory(title="a", created_at=MOMENT, updated_at=MOMENT + timedelta(days=9))
    TaskFactory(title="b", created_at=MOMENT + timedelta(days=1), updated_at=MOMENT + timedelta(days=2))
    assert titles() == titles(ordering="-created_at") == titles(ordering="updated_at") == ["b", "a"]
    assert titles(ordering="created_at") == titles(ordering="-updated_at") == ["a", "b"]


# All together


CHOICES = {
    "completed": [None, "true", "false"],
    "q": [None, "milk", "MILK two"],
    "created_after": [None, "2026-01-12T09:30:00Z"],
    "created_before": [None, "2026-01-15T09:30:00Z"],
    "updated_after": [None, "2026-01-13T10:30:00+01:00"],
    "updated_before": [None, "2026-01-16T09:30:00Z"],
}
MEANINGS = {
    "completed": lambda task, text: task["completed"] == (text == "true"),
    "q": lambda task, text: all(
        word in task["title"].lower() or word in task["description"] for word in text.lower().split()
    ),
    "created_after": lambda task, text: task["created_at"] >= "2026-01-12T09:30:00.000000Z",
    "created_before": lambda task, text: task["created_at"] < "2026-01-15T09:30:00.000000Z",
    "updated_after": lambda task, text: task["updated_at"] >= "2026-01-13T09:30:00.000000Z",
    "updated_before": lambda task, text: task["updated_at"] < "2026-01-16T09:30:00.000000Z",
}


@pytest.fixture
def week():
    """Thirty tasks of a week, of all kinds."""
    for number in range(30):
        created = MOMENT + timedelta(days=number % 7)
        TaskFactory(
            title=("Buy milk", "Milk", "Bread")[number % 3],
            description=("", "two litres", "two", "milk")[number % 4],
            completed=number % 5 < 2,
            created_at=created,
            updated_at=created + timedelta(days=number % 2),
        )


@pytest.mark.parametrize("ordering", [None, *ORDERINGS])
def test_every_combination_is_all_of_its_parts(as_user, listed, week, ordering):
    tasks = [task_body(task) for task in Task.objects.in_order(ordering or "-created_at")]
    for texts in product(*CHOICES.values()):
        parameters = {name: text for name, text in zip(CHOICES, texts, strict=True) if text}
        found = [task for task in tasks if all(MEANINGS[name](task, text) for name, text in parameters.items())]
        if ordering:
            parameters["ordering"] = ordering
        assert listed(**parameters) == found, parameters


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_pages_of_a_combination_are_the_list_in_parts(as_user, listed, week, ordering):
    parameters = {"ordering": ordering, "q": "milk", "completed": "false", "updated_after": "2026-01-12T09:30:00Z"}
    found = listed(**parameters)
    assert len(found) > 6
    pages = list(walk(as_user, f"{PATH}?limit=3&{query(**parameters)}"))
    assert pages == [found[start : start + 3] for start in range(0, len(found), 3)]


def test_no_parameter_is_ignored(listed):
    """Each one of the contract makes a difference."""
    TaskFactory(title="b", created_at=MOMENT)
    TaskFactory(title="a", completed=True, created_at=MOMENT + timedelta(days=1))
    usual = listed()
    one_day = moment(MOMENT + timedelta(days=1))
    for parameters in (
        {"limit": 1},
        {"completed": "true"},
        {"q": "a"},
        {"created_after": one_day},
        {"created_before": one_day},
        {"updated_after": one_day},
        {"updated_before": one_day},
        {"ordering": "created_at"},
    ):
        assert listed(**parameters) != usual, parameters
