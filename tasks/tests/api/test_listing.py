"""The parameters of ``GET /api/tasks``: effects, refusals, and the pages with their ``Link``."""

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, product
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from django.core import signing
from django.db import connection

from tasks.models import Task
from tasks.rules import EARLIEST, LATEST
from tasks.tests.api.contract import (
    LIST_PARAMETERS,
    LISTS,
    ORDERINGS,
    headers,
    invalid_parameter,
    json_headers,
    problem,
    problem_headers,
    rfc_3339,
    sort_key,
    task_body,
    unknown_parameter,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

PATH = "/api/tasks"
CREATED = datetime(2026, 1, 11, 9, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

LINKS = re.compile(r'(?:<(/api/tasks\?[!-=?-~]+)>; rel="next", )?<(/api/tasks\?[!-=?-~]+)>; rel="first"')
URL_SAFE = re.compile(r"[A-Za-z0-9_.:~-]+")

TIMES = [f"{column}_{side}" for column in ("created", "updated", "completed") for side in ("after", "before")]

UNKNOWN = "is unknown here"
LIMIT = "must be a number from 1 to 1000"
COMPLETED = "must be true or false"
TOO_LONG = "must not exceed 200 characters"
NO_TEXT = "must be text to search for"
TIME = "must be an RFC 3339 date and time with an offset, of the years 0001 to 9999"
ORDERING = f"must be one of {', '.join(ORDERINGS)}"
ENCODING = "must be percent-encoded UTF-8, such as %C3%BC for ü and %25 for %"
EMPTY = "must not be empty"
REPEATED = "must appear only once"
BROKEN = "is broken, or belongs to another list; take it from a Link of this list"
NO_LIMIT = "needs a limit"

#: Texts that are not percent-encoded UTF-8, and the texts that name them.
NOT_UTF_8 = {
    "%ff": "%FF",
    "%80": "%80",
    "a%80b": "a%80b",
    "%C3": "%C3",
    "%C3%28": "%C3(",
    "%C0%AF": "%C0%AF",
    "%E0%80%AF": "%E0%80%AF",
    "%ED%A0%80": "%ED%A0%80",
    "%ED%B3%BF": "%ED%B3%BF",
    "%F4%90%80%80": "%F4%90%80%80",
    "%": "%25",
    "100%": "100%25",
    "%4": "%254",
    "%zz": "%25zz",
    "%u00fc": "%25u00fc",
    "%%20": "%25 ",
}


def error(parameter, rule):
    if rule == UNKNOWN:
        return unknown_parameter(parameter, LISTS["list"])
    return invalid_parameter(parameter, rule)


#: Queries, and what is wrong with each parameter.
REFUSED = [
    ("limit=0", ("limit", LIMIT)),
    ("limit=000", ("limit", LIMIT)),
    ("limit=1001", ("limit", LIMIT)),
    ("limit=10000", ("limit", LIMIT)),
    ("limit=-1", ("limit", LIMIT)),
    (f"limit={'9' * 30}", ("limit", LIMIT)),
    (f"limit={'9' * 5000}", ("limit", LIMIT)),
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
    ("completed=True", ("completed", f"{COMPLETED}; send true instead of True")),
    ("completed=FALSE", ("completed", f"{COMPLETED}; send false instead of FALSE")),
    ("completed=1", ("completed", COMPLETED)),
    ("completed=0", ("completed", COMPLETED)),
    ("completed=yes", ("completed", COMPLETED)),
    ("completed=on", ("completed", COMPLETED)),
    ("completed=null", ("completed", COMPLETED)),
    ("completed=%20true", ("completed", COMPLETED)),
    ("completed=true%0A", ("completed", COMPLETED)),
    ("completed=true,false", ("completed", COMPLETED)),
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
    *((f"q={value}", ("q", ENCODING)) for value in NOT_UTF_8),
    *((f"{name}=1", (escaped, ENCODING)) for name, escaped in NOT_UTF_8.items()),
    ("q=milk&q=%FF", ("q", REPEATED)),
    ("created_after=%FF&%FF", ("created_after", ENCODING), ("%FF", ENCODING)),
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
    ("limit=5&cursor=x", ("cursor", BROKEN)),
    ("limit=5&cursor=%00", ("cursor", BROKEN)),
    ("limit=5&cursor=:", ("cursor", BROKEN)),
    ("limit=5&cursor=a:b", ("cursor", BROKEN)),
    ("limit=5&cursor=%C3%BC:%C3%BC", ("cursor", BROKEN)),
    ("limit=5&cursor=0", ("cursor", BROKEN)),
    ("limit=5&cursor=.eJw:x", ("cursor", BROKEN)),
    (f"limit=5&cursor={'x' * 5000}", ("cursor", BROKEN)),
    ("cursor=x", ("cursor", NO_LIMIT)),
    # Faults are in the order of the query.
    ("colour=red&size=5", ("colour", UNKNOWN), ("size", UNKNOWN)),
    ("colour=red&size&colour=blue", ("colour", UNKNOWN), ("size", UNKNOWN)),
    ("limit=5&colour=red", ("colour", UNKNOWN)),
    ("colour=red&limit=0", ("colour", UNKNOWN), ("limit", LIMIT)),
    ("q=&completed=2&limit=0", ("q", EMPTY), ("completed", COMPLETED), ("limit", LIMIT)),
    ("limit=0&completed=true&ordering=id", ("limit", LIMIT), ("ordering", ORDERING)),
]

NOT_TIMES = [
    "now",
    "2026-01-11",
    "1768123800",
    "T09:30:00Z",
    "2026-01-11T09:30:00",
    "2026-01-11T09:30:00.000000",
    "2026-01-11T09:30Z",
    "2026-01-11T09Z",
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
    # A leap second is refused, because a task's times have none.
    "2016-12-31T23:59:60Z",
    "2026-01-11T09:30:00Z ",
    " 2026-01-11T09:30:00Z",
    "2026-01-11T09:30:00Z\n",
    "2026-01-11T09:30:00Z\0",
    "\N{ARABIC-INDIC DIGIT TWO}026-01-11T09:30:00Z",
    "2026-01-11T09:30:00.\N{ARABIC-INDIC DIGIT THREE}Z",
    # In UTC the year is not 0001 to 9999.
    "0001-01-01T00:00:00+00:01",
    "0001-01-01T20:40:59.999999+20:41",
    "9999-12-31T23:59:59.999999-00:01",
    "9999-12-31T03:19:00-20:41",
]

PLUS = "must have %2B for the + of its offset; send %2B01:00"
#: Times as they stand in a query.
OFFSETS = {
    "2026-01-11T09:30:00+01:00": PLUS,
    "2026-01-11t09:30:00.5+01:00": PLUS,
    "2026-01-11+09:30:00%2001:00": PLUS,
    "2026-01-11T09:30:00+0100": PLUS,
    "2026-01-11T09:30:00%2B0000": "must have a colon in its offset; send +00:00",
    "2026-01-11%2009:30:00.123-0530": "must have a colon in its offset; send -05:30",
    "2026-01-11+09:30": TIME,
    "2026-01-11T09:30:00+1:00": TIME,
    "2026-01-11T09:30:00%2B01": TIME,
    "2026-01-11T09:30:00%2B0100%0A": TIME,
    "now+01:00": TIME,
    "now%2B0100": TIME,
}

SENT = {**LIST_PARAMETERS, "cursor": "x"}


@pytest.fixture
def listed(as_user):
    """Return the tasks that a query lists."""

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
        errors = [error(*each) for each in faults]
        assert response.json() == problem("validation_error", PATH, errors=errors)

    return ask


def links(response):
    """Return the targets of the ``Link`` header by relation, and check that it has nothing else."""
    match = LINKS.fullmatch(response.headers["Link"])
    return {relation: target for relation, target in zip(("next", "first"), match.groups(), strict=True) if target}


def walk(client, path):
    """Yield the tasks of each page from ``path`` on."""
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.content
        yield response.json()
        path = links(response).get("next")


def cursor_of(target):
    return parse_qs(urlsplit(target).query)["cursor"][0]


# Refusals


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0][:60])
def test_parameter_breaking_rule_is_refused_by_name(assert_refused, row):
    TaskFactory()
    assert_refused(*row)


@pytest.mark.parametrize("query", ["q=\xff", "q=\xc3", "q=%C3\xbc", "q=\xed\xa0\x80"], ids=ascii)
def test_query_with_raw_bytes_that_are_no_utf8_is_refused(as_user, query):
    response = as_user.get(PATH, QUERY_STRING=query)
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", PATH, errors=[invalid_parameter("q", ENCODING)])


def test_query_with_raw_utf8_is_read(as_user):
    TaskFactory(title="Müll")
    response = as_user.get(PATH, QUERY_STRING="q=m\xc3\xbcll")
    assert [task["title"] for task in json.loads(response.getvalue())] == ["Müll"]


@pytest.mark.parametrize("text", NOT_TIMES, ids=ascii)
def test_time_of_other_form_is_refused(assert_refused, text):
    for parameter in TIMES:
        assert_refused(urlencode({parameter: text}), (parameter, TIME))


@pytest.mark.parametrize(("text", "rule"), OFFSETS.items(), ids=ascii)
def test_time_with_malformed_offset_is_told_the_correction(assert_refused, text, rule):
    """An unescaped plus sign in a query is a space."""
    assert_refused(f"created_after={text}", ("created_after", rule))


@pytest.mark.parametrize("parameter", SENT)
def test_parameter_without_value_is_refused(assert_refused, parameter):
    beside = [("cursor", NO_LIMIT)] if parameter == "cursor" else []
    assert_refused(f"{parameter}=", (parameter, EMPTY), *beside)
    assert_refused(parameter, (parameter, EMPTY), *beside)


@pytest.mark.parametrize("parameter", SENT)
def test_parameter_sent_twice_is_refused(assert_refused, parameter):
    beside = [("cursor", NO_LIMIT)] if parameter == "cursor" else []
    sent = urlencode({parameter: SENT[parameter]})
    assert_refused(f"{sent}&{sent}", (parameter, REPEATED), *beside)
    assert_refused(f"{sent}&{parameter}=", (parameter, REPEATED), *beside)
    assert_refused(f"{sent}&colour=red&{sent}", (parameter, REPEATED), ("colour", UNKNOWN), *beside)


def test_head_with_bad_parameter_is_refused(as_user):
    response = as_user.head(f"{PATH}?limit=0")
    assert response.status_code == 400
    assert headers(response) == problem_headers()
    assert response.content == b""


def test_refused_parameter_runs_no_query(as_user, django_assert_num_queries):
    with django_assert_num_queries(0, connection=connection):
        assert as_user.get(f"{PATH}?limit=5&cursor=x").status_code == 400
        assert as_user.get(f"{PATH}?colour=red").status_code == 400


def test_limit_with_5000_zeros_is_read(as_user):
    """Python refuses to read a number of so many digits."""
    TaskFactory()
    assert as_user.get(f"{PATH}?limit={'0' * 5000}1").status_code == 200


@pytest.mark.parametrize("sent", ["&", "&&", ""])
def test_query_without_parameter_lists_all(as_user, sent):
    task = TaskFactory()
    response = as_user.get(f"{PATH}?{sent}")
    assert response.status_code == 200
    assert json.loads(response.getvalue()) == [task_body(task)]


# Pages


def test_page_links_to_next_and_first(as_user):
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
def test_last_page_has_no_next(as_user, number, sizes):
    tasks = [task_body(task) for task in reversed(TaskFactory.create_batch(number))]
    pages = list(walk(as_user, f"{PATH}?limit=2"))
    assert [len(page) for page in pages] == sizes
    assert list(chain(*pages)) == tasks


@pytest.mark.parametrize("limit", ["1", "4", "5", "6", "1000", "05"])
def test_limit_is_size_of_page(as_user, limit):
    tasks = [task_body(task) for task in reversed(TaskFactory.create_batch(5))]
    assert as_user.get(f"{PATH}?limit={limit}").json() == tasks[: int(limit)]


def test_limit_of_1000_is_size_of_page(as_user):
    at = {"created_at": CREATED, "updated_at": CREATED}
    Task.objects.bulk_create(Task(user_id="default", title=f"{number}", **at) for number in range(1001))
    response = as_user.get(f"{PATH}?limit=1000")
    assert len(response.json()) == 1000
    assert len(as_user.get(links(response)["next"]).json()) == 1


def test_list_without_limit_has_no_link(as_user):
    TaskFactory.create_batch(3)
    assert headers(as_user.get(f"{PATH}?ordering=title")) == json_headers()


def test_page_runs_one_query(as_user, django_assert_num_queries):
    for number in (1, 3):
        TaskFactory.create_batch(number)
        with django_assert_num_queries(2, connection=connection):
            as_user.get(links(as_user.get(f"{PATH}?limit=1")).get("next", f"{PATH}?limit=1"))


def test_head_of_page_has_link(as_user):
    TaskFactory.create_batch(3)
    response = as_user.head(f"{PATH}?limit=2")
    assert headers(response) == headers(as_user.get(f"{PATH}?limit=2"))
    assert response.content == b""


def test_link_keeps_and_escapes_every_parameter(as_user):
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


def test_link_of_path_with_slash_is_the_same(as_user):
    TaskFactory.create_batch(3)
    response = as_user.get(f"{PATH}/?limit=2")
    assert response.status_code == 200
    assert headers(response) == headers(as_user.get(f"{PATH}?limit=2"))
    cursor = quote(cursor_of(links(response)["next"]), safe="")
    assert as_user.get(f"{PATH}/?limit=2&cursor={cursor}").json() == as_user.get(links(response)["next"]).json()


@pytest.mark.parametrize("host", ["testserver", "localhost:8000"])
def test_link_with_any_host_is_a_path(as_user, host):
    TaskFactory.create_batch(3)
    response = as_user.get(f"{PATH}?limit=2", headers={"Host": host, "X-Forwarded-Host": "evil.example"})
    assert all(target.startswith(f"{PATH}?limit=2") for target in links(response).values())


# Cursors


@pytest.fixture
def next_of(as_user):
    """Return the cursor of a query's second page."""

    def ask(**parameters):
        return cursor_of(links(as_user.get(PATH, query_params={"limit": 1, **parameters}))["next"])

    return ask


@pytest.fixture
def three():
    return [TaskFactory(title="Buy milk", completed=True, created_at=CREATED) for _ in range(3)]


def test_cursor_with_other_limit_continues(as_user, next_of, three):
    page = as_user.get(PATH, query_params={"limit": 1000, "cursor": next_of()})
    assert page.json() == [task_body(three[1]), task_body(three[0])]
    assert headers(page) == json_headers(Link=f'<{PATH}?limit=1000>; rel="first"')


def test_cursor_with_parameters_in_other_order_continues(as_user, next_of, three):
    cursor = quote(next_of(completed="true", q="milk"), safe="")
    assert len(as_user.get(f"{PATH}?cursor={cursor}&q=milk&completed=true&limit=5").json()) == 2


def test_cursor_with_explicit_default_order_continues(as_user, next_of, three):
    query_params = {"limit": 5, "cursor": next_of(), "ordering": "-created_at"}
    assert as_user.get(PATH, query_params=query_params).status_code == 200
    query_params = {"limit": 5, "cursor": next_of(ordering="-created_at")}
    assert as_user.get(PATH, query_params=query_params).status_code == 200


def test_cursor_without_limit_is_refused(assert_refused, next_of, three):
    assert_refused(urlencode({"cursor": next_of()}), ("cursor", NO_LIMIT))


def test_cursor_beside_other_faults_is_named_too(assert_refused, next_of, three):
    assert_refused(urlencode({"cursor": next_of(), "colour": "red"}), ("colour", UNKNOWN), ("cursor", NO_LIMIT))
    assert_refused(urlencode({"cursor": next_of(), "limit": "0"}), ("limit", LIMIT))


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
    ({}, {"due": "none"}),
    ({"due": "none"}, {"due": "any"}),
    ({"priority": "none"}, {}),
    ({}, {"label": "home"}),
    ({}, {"due_after": "2026-12-24"}),
    ({"completed_after": "2020-01-01T00:00:00Z"}, {"completed_before": "2020-01-01T00:00:00Z"}),
    ({"ordering": "due"}, {"ordering": "-due"}),
    ({"ordering": "due"}, {"ordering": "title"}),
    ({"ordering": "-priority"}, {"ordering": "priority"}),
]


@pytest.mark.parametrize(("made_for", "used_with"), OTHERS)
def test_cursor_with_other_filters_or_order_is_refused(assert_refused, next_of, three, made_for, used_with):
    assert_refused(urlencode({"limit": "1", "cursor": next_of(**made_for), **used_with}), ("cursor", BROKEN))


def test_cursor_changed_anywhere_is_refused(assert_refused, next_of, three):
    cursor = next_of()
    assert URL_SAFE.fullmatch(cursor)
    for position in range(len(cursor)):
        other = "A" if cursor[position] != "A" else "B"
        # Unpadded base64 may have unused bits in its last digit, but the service compares the texts.
        assert_refused(
            urlencode({"limit": "1", "cursor": cursor[:position] + other + cursor[position + 1 :]}), ("cursor", BROKEN)
        )
    for broken in (cursor[:-1], cursor[1:], cursor[: len(cursor) // 2], cursor + "A", cursor + ":", f" {cursor}"):
        assert_refused(urlencode({"limit": "1", "cursor": broken}), ("cursor", BROKEN))


def test_cursor_of_other_secret_key_is_refused(assert_refused, next_of, three, settings):
    cursor = next_of()
    settings.SECRET_KEY = "another-key-for-the-tests-which-is-long-enough"
    assert_refused(urlencode({"limit": "1", "cursor": cursor}), ("cursor", BROKEN))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_cursor_shows_no_part_of_a_task(as_user, next_of, ordering):
    for title in ("Secret a", "Secret b", "Secret c"):
        TaskFactory(title=title)
    [shown] = as_user.get(PATH, query_params={"limit": 1, "ordering": ordering}).json()
    cursor = next_of(ordering=ordering)
    visible = signing.b64_decode(cursor.encode()) + cursor.encode()
    for text in ("Secret", shown["title"], shown["id"], shown["created_at"]):
        for part in (text, text[:10], text[-10:]):
            assert part.encode() not in visible
            assert b64encode(part.encode()).rstrip(b"=")[:-1] not in visible


def test_control_without_encryption_cursor_shows_title(as_user, next_of, monkeypatch):
    class Unencrypted:
        def encrypt(self, text, bound_to):
            return text

    monkeypatch.setattr("rest.pages.cipher", lambda secret_key: Unencrypted())
    TaskFactory.create_batch(2, title="Secret")
    assert b"Secret" in signing.b64_decode(next_of(ordering="title").encode())


def test_cursor_of_the_former_form_is_refused(assert_refused, three):
    salt = json.dumps(["tasks.listing", PATH, "default", "-created_at", []])
    former = signing.Signer(salt=salt).sign_object([three[2].created_at.isoformat(), str(three[2].id)])
    assert_refused(urlencode({"limit": "1", "cursor": former}), ("cursor", BROKEN))


def test_link_after_longest_title_fits_into_a_header(as_user):
    """A proxy accepts a header of 8 KiB.

    The search stands in the header twice, and a character takes 12 bytes.
    """
    TaskFactory.create_batch(2, title="\N{PILE OF POO}" * 200)
    query_params = {"limit": 1, "ordering": "title", "q": "\N{PILE OF POO}" * 200}
    [first] = {len(as_user.get(PATH, query_params=query_params).headers["Link"]) for _ in range(2)}
    assert first < 8 * 1024


def test_cursor_of_deleted_task_continues(as_user, next_of, three):
    cursor = next_of()
    three[2].delete()
    assert as_user.get(PATH, query_params={"limit": 1, "cursor": cursor}).json() == [task_body(three[1])]


def test_cursor_after_last_task_answers_empty_page(as_user, next_of, three):
    cursor = next_of()
    Task.objects.all().move_to_trash()
    response = as_user.get(PATH, query_params={"limit": 1, "cursor": cursor})
    assert headers(response) == json_headers(Link=f'<{PATH}?limit=1>; rel="first"')
    assert response.json() == []


@pytest.mark.parametrize("title", ["\N{PILE OF POO}" * 200, 'a"b\\c', "%s %(x)s {}", "Ä \ue000\U0010ffff", "null"])
def test_cursor_after_any_title_continues(as_user, title):
    tasks = [TaskFactory(title=title, description=f"{number}") for number in range(4)]
    pages = list(walk(as_user, f"{PATH}?limit=1&ordering=title"))
    assert pages == [[task_body(task)] for task in tasks]


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_cursor_after_extreme_times_continues(as_user, ordering):
    for at in (EARLIEST, EARLIEST, EARLIEST + MICROSECOND, LATEST - MICROSECOND, LATEST, LATEST):
        TaskFactory(created_at=at)
    tasks = [[task_body(task)] for task in Task.objects.in_order(ordering)]
    assert list(walk(as_user, f"{PATH}?limit=1&ordering={ordering}")) == tasks


# Filters


@pytest.mark.parametrize("completed", [True, False])
def test_completed_lists_tasks_of_that_state(listed, completed):
    task = TaskFactory(completed=completed)
    TaskFactory(completed=not completed)
    assert listed(completed=str(completed).lower()) == [task_body(task)]


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
    ("世界", "Hello 世界", ""),
    ("\N{PILE OF POO}", "a \N{PILE OF POO} b", ""),
    # Wildcards and syntax of other languages have no meaning.
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
def test_q_in_any_case_finds_task(listed, q, title, description):
    task = TaskFactory(title=title or "x", description=description)
    assert listed(q=q) == [task_body(task)]


@pytest.mark.parametrize(("q", "title", "description"), NOT_FOUND)
def test_q_not_in_task_finds_nothing(listed, q, title, description):
    TaskFactory(title=title, description=description)
    assert listed(q=q) == []


def test_q_finds_only_matching_tasks(titles):
    for title in ("Buy milk", "Buy bread", "Sell milk"):
        TaskFactory(title=title)
    TaskFactory(title="Buy milk", foreign=True)
    TaskFactory(title="Buy milk", trashed=True)
    assert titles(q="buy") == ["Buy bread", "Buy milk"]
    assert titles(q="buy milk") == ["Buy milk"]


@pytest.mark.parametrize("letter", ["x", "Ä", "\N{PILE OF POO}"])
def test_q_of_200_characters_is_taken(listed, letter):
    task = TaskFactory(title=letter * 200)
    TaskFactory(title=letter * 199)
    assert listed(q=letter * 200) == [task_body(task)]


def test_q_of_100_words_is_taken(listed):
    task = TaskFactory(title="".join(map(chr, range(0x4E00, 0x4E64))))
    TaskFactory(title="".join(map(chr, range(0x4E00, 0x4E63))))
    assert listed(q=" ".join(map(chr, range(0x4E00, 0x4E64)))) == [task_body(task)]


def test_q_in_unescaped_utf_8_is_taken(as_user):
    task = TaskFactory(title="Äpfel")
    assert json.loads(as_user.get(f"{PATH}?q=äpfel").getvalue()) == [task_body(task)]


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
    """Make three tasks a microsecond apart in one column."""

    def make(column):
        for title, at in (("before", CREATED - MICROSECOND), ("at", CREATED), ("after", CREATED + MICROSECOND)):
            completed = column == "completed_at"
            TaskFactory(title=title, completed=completed, **{"created_at": EARLIEST, "updated_at": at, column: at})

    return make


@pytest.mark.parametrize("text", SPELLINGS, ids=lambda text: text[:40])
@pytest.mark.parametrize("column", ["created", "updated", "completed"])
def test_after_includes_its_time_and_before_excludes_it(titles, around, column, text):
    around(f"{column}_at")
    order = {"ordering": "created_at" if column == "completed" else f"{column}_at"}
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
def test_time_digits_after_sixth_are_cut_off(titles, around, text, found):
    around("created_at")
    assert titles(created_after=text, ordering="created_at") == found


@pytest.mark.parametrize("offset", ["Z", "+00:00"])
def test_time_at_either_limit_is_compared(titles, offset):
    TaskFactory(title="first", created_at=EARLIEST)
    TaskFactory(title="last", created_at=LATEST)
    assert titles(created_after=f"0001-01-01T00:00:00{offset}") == ["last", "first"]
    assert titles(created_before=f"0001-01-01T00:00:00{offset}") == []
    assert titles(created_after=f"9999-12-31T23:59:59.999999{offset}") == ["last"]
    assert titles(created_before=f"9999-12-31T23:59:59.9999999{offset}") == ["first"]


def test_time_with_offset_at_either_limit_is_compared(titles):
    TaskFactory(title="first", created_at=EARLIEST)
    TaskFactory(title="last", created_at=LATEST)
    assert titles(created_after="0001-01-01T20:41:00+20:41") == ["last", "first"]
    assert titles(created_after="9999-12-31T03:18:59.999999-20:41") == ["last"]


def test_open_tasks_are_in_neither_completed_filter(titles):
    TaskFactory(title="open")
    TaskFactory(title="done", completed=True)
    assert titles(completed_after="0001-01-01T00:00:00Z") == ["done"]
    assert titles(completed_before="9999-12-31T00:00:00Z") == ["done"]


#: Due dates in the order of the text on the wall clock.
DUES = [
    "0001-01-01",
    "2026-12-24",
    "2026-12-24T00:00:00",
    "2026-12-24T17:00:00Z",
    "2026-12-24T18:00:00[Europe/Berlin]",
    "2026-12-24T18:00:01",
    "2026-12-25",
    "9999-12-31T23:59:59[Pacific/Auckland]",
]


@pytest.fixture
def due_tasks():
    """Make a task for each due date, with the due date as title, and one without."""
    for due in [*DUES[::2], None, *DUES[1::2]]:
        TaskFactory(title=due or "none", due=due)


@pytest.mark.parametrize(
    ("bound", "number"),
    [
        ("0001-01-01", 0),
        ("0001-01-01T00:00:00", 1),
        ("2026-12-23T23:59:59", 1),
        ("2026-12-24", 1),
        ("2026-12-24T00:00:00", 2),
        ("2026-12-24T00:00:01", 3),
        ("2026-12-24T17:00:00", 3),
        ("2026-12-24T18:00:00", 4),
        ("2026-12-24T18:00:01", 5),
        ("2026-12-25", 6),
        ("9999-12-31", 7),
        ("9999-12-31T23:59:59", 7),
    ],
)
@pytest.mark.usefixtures("due_tasks")
def test_due_bounds_compare_wall_clocks(titles, bound, number):
    """Tasks without a due date are in neither."""
    assert titles(due_before=bound, ordering="due") == DUES[:number]
    assert titles(due_after=bound, ordering="due") == DUES[number:]


@pytest.mark.usefixtures("due_tasks")
def test_due_any_and_none_divide_tasks(titles):
    assert titles(due="none") == ["none"]
    assert titles(due="any", ordering="due") == DUES
    assert titles(due="none", due_after="0001-01-01") == []


@pytest.mark.parametrize("ordering", ["due", "-due"])
@pytest.mark.usefixtures("due_tasks")
def test_due_order_has_tasks_without_due_last(as_user, titles, ordering):
    order = [*DUES, "none"][:: -1 if ordering == "-due" else 1]
    assert titles(ordering=ordering) == order
    pages = walk(as_user, f"{PATH}?limit=1&ordering={ordering}")
    assert [task["title"] for task in chain(*pages)] == order


def test_equal_wall_clocks_are_ordered_by_id(listed):
    for due in ("2026-12-24T18:00:00[Europe/Berlin]", "2026-12-24T18:00:00", "2026-12-24T18:00:00Z", None, None):
        TaskFactory(due=due)
    assert listed(ordering="due") == listed(ordering="created_at")
    assert listed(ordering="-due")[:2] == listed(due="none")


def test_priority_filters_and_orders_by_rank(titles):
    words = ["none", "low", "medium", "high"]
    for priority in (2, 0, 3, 1, 3):
        TaskFactory(title=words[priority], priority=priority)
    for word in words:
        assert titles(priority=word) == [word] * (2 if word == "high" else 1)
    assert titles(ordering="priority") == [*words, "high"]
    assert titles(ordering="-priority") == ["high", *words[::-1]]


#: Names of labels, and names that contain them or look alike.
LABELS = [
    ("home", ["Home", "homes", "ho me", "at home", "h", "hom%", "ho_e"]),
    ("%", ["a", "%%", "_"]),
    ("true", ["a"]),
    (":true", ["true", "::true"]),
    ("a: b", ["a", "b", "a:b"]),
    ("?", ["a"]),
    ("'; --", ["a"]),
    ("\u00e9", ["e\u0301", "e", "\u00c9"]),
    ("\N{PILE OF POO}", ["\N{PILE OF POO}" * 2, "\N{GRINNING FACE}"]),
    ("x" * 50, ["x" * 49]),
]


@pytest.mark.parametrize(("name", "others"), LABELS, ids=lambda value: ascii(value)[:20])
def test_label_lists_tasks_with_that_name(listed, name, others):
    tasks = [TaskFactory(labels=frozenset({name})), TaskFactory(labels=frozenset({name, *others}))]
    for labels in ([], others, *([other] for other in others)):
        TaskFactory(labels=frozenset(labels))
    TaskFactory(title=name)
    TaskFactory(labels=frozenset({name}), trashed=True)
    TaskFactory(labels=frozenset({name}), foreign=True)
    assert listed(label=name) == [task_body(task) for task in reversed(tasks)]
    assert listed(label=f" \u3000{name}\n") == listed(label=name)


def test_bounds_that_exclude_each_other_find_nothing(titles):
    TaskFactory(created_at=CREATED)
    assert titles(created_after="2026-01-12T00:00:00Z", created_before="2026-01-11T00:00:00Z") == []
    assert titles(created_after="2026-01-11T09:30:00Z", created_before="2026-01-11T09:30:00Z") == []


# Orderings


ALPHABET = [*"!02ABZ_ab", "10", "a b", "aB", "ab", *"ßÄäж世\ufffd😀"]


@pytest.mark.parametrize("ordering", ["title", "-title"])
def test_titles_are_ordered_by_code_point(titles, ordering):
    for title in ALPHABET[::2] + ALPHABET[1::2]:
        TaskFactory(title=title)
    assert titles(ordering=ordering) == sorted(ALPHABET, reverse=ordering.startswith("-"))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_ordering_breaks_ties_by_id(listed, ordering):
    days = [CREATED + timedelta(days=day) for day in range(3)]
    for number in range(8):
        TaskFactory(
            title="ab"[number % 2],
            created_at=days[number % 2],
            updated_at=days[1 + number % 2],
            due=[None, "2026-12-24", "2026-12-25T18:00:00Z"][number % 3],
            priority=number % 4,
        )
    bodies = map(task_body, Task.objects.all())
    in_order = sorted(bodies, key=partial(sort_key, ordering), reverse=ordering.startswith("-"))
    assert listed(ordering=ordering) == in_order


def test_ordering_by_created_differs_from_updated(titles):
    TaskFactory(title="a", created_at=CREATED, updated_at=CREATED + timedelta(days=9))
    TaskFactory(title="b", created_at=CREATED + timedelta(days=1), updated_at=CREATED + timedelta(days=2))
    assert titles() == titles(ordering="-created_at") == titles(ordering="updated_at") == ["b", "a"]
    assert titles(ordering="created_at") == titles(ordering="-updated_at") == ["a", "b"]


# Filters, orderings and pages together


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
    """Make thirty tasks of all kinds within a week."""
    for number in range(30):
        created = CREATED + timedelta(days=number % 7)
        TaskFactory(
            title=("Buy milk", "Milk", "Bread")[number % 3],
            description=("", "two litres", "two", "milk")[number % 4],
            completed=number % 5 < 2,
            created_at=created,
            updated_at=created + timedelta(days=number % 2),
            due=[None, *DUES[1:7]][number % 7],
            priority=number % 11 % 4,
            labels=frozenset(["home", "work"][: number % 3]),
        )


@pytest.mark.parametrize("ordering", [None, *ORDERINGS])
def test_filters_together_find_what_each_one_finds(as_user, listed, week, ordering):
    tasks = [task_body(task) for task in Task.objects.in_order(ordering or "-created_at")]
    for texts in product(*CHOICES.values()):
        parameters = {name: text for name, text in zip(CHOICES, texts, strict=True) if text}
        found = [task for task in tasks if all(MEANINGS[name](task, text) for name, text in parameters.items())]
        if ordering:
            parameters["ordering"] = ordering
        assert listed(**parameters) == found, parameters


PLANS = {
    "due": [None, "any", "none"],
    "due_after": [None, "2026-12-24T18:00:00"],
    "due_before": [None, "2026-12-25"],
    "priority": [None, "high", "none"],
    "label": [None, "home"],
    "completed_after": [None, "2026-01-13T09:30:00Z"],
    "completed_before": [None, "2026-01-15T09:30:00Z"],
}
PLAN_MEANINGS = {
    "due": lambda task, text: (task["due"] is None) == (text == "none"),
    "due_after": lambda task, text: bool(task["due"]) and task["due"][:19] >= text,
    "due_before": lambda task, text: bool(task["due"]) and task["due"][:19] < text,
    "priority": lambda task, text: (task["priority"] or "none") == text,
    "label": lambda task, text: text in task["labels"],
    "completed_after": lambda task, text: bool(task["completed_at"]) and task["completed_at"] >= text[:-1],
    "completed_before": lambda task, text: bool(task["completed_at"]) and task["completed_at"] < text,
}


@pytest.mark.parametrize("ordering", ["-created_at", "due", "-priority"])
def test_plans_together_find_what_each_one_finds(as_user, listed, week, ordering):
    tasks = [task_body(task) for task in Task.objects.in_order(ordering)]
    for texts in product(*PLANS.values()):
        parameters = {name: text for name, text in zip(PLANS, texts, strict=True) if text}
        found = [task for task in tasks if all(PLAN_MEANINGS[name](task, text) for name, text in parameters.items())]
        assert listed(**parameters, ordering=ordering) == found, parameters
        assert as_user.get(f"{PATH}/count", query_params=parameters).json() == {"count": len(found)}, parameters


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_pages_with_filters_are_parts_of_list(as_user, listed, week, ordering):
    parameters = {"ordering": ordering, "q": "milk", "completed": "false", "updated_after": "2026-01-12T09:30:00Z"}
    found = listed(**parameters)
    assert len(found) > 6
    pages = list(walk(as_user, f"{PATH}?limit=3&{urlencode(parameters)}"))
    assert pages == [found[start : start + 3] for start in range(0, len(found), 3)]


def test_every_parameter_changes_list(listed):
    TaskFactory(title="b", created_at=CREATED)
    plan = {"due": "2026-12-24", "priority": 3, "labels": frozenset({"home"})}
    TaskFactory(title="a", completed=True, created_at=CREATED + timedelta(days=1), **plan)
    usual = listed()
    one_day = rfc_3339(CREATED + timedelta(days=1))
    for parameters in (
        {"limit": 1},
        {"completed": "true"},
        {"q": "a"},
        {"created_after": one_day},
        {"created_before": one_day},
        {"updated_after": one_day},
        {"updated_before": one_day},
        {"due": "any"},
        {"due_after": "2026-12-24"},
        {"due_before": "2026-12-25"},
        {"priority": "high"},
        {"label": "home"},
        {"completed_after": one_day},
        {"completed_before": "9999-01-01T00:00:00Z"},
        {"ordering": "created_at"},
        {"ordering": "-due"},
        {"ordering": "priority"},
    ):
        assert listed(**parameters) != usual, parameters
