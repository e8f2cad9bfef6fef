"""The admin in a browser, with 100,000 tasks."""

import csv
import json
import re
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.rows import execute, insert_shared_tasks, stored_id
from testing.python_processes import python_output

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = Path(__file__).parent / "pictures"
LIST = "/admin/tasks/task/"
PASSWORD = "a-password-of-the-tests"
TASKS = 100_000

#: A plan of the newest tasks, so that the pages show each form of a due date.
PLAN = """
UPDATE tasks_task SET priority = 3, labels = '{"home":true,"waiting":true}', due = CASE completed
WHEN true THEN '2026-12-24' ELSE '2026-12-24T18:00:00[America/Argentina/ComodRivadavia]' END
""".strip()

MAKE_VIEWER = f"""
from django.contrib.auth.models import Group, User
user = User.objects.create_user("vera", password="{PASSWORD}", is_staff=True)
user.groups.add(Group.objects.get(name="viewer"))
"""


@pytest.fixture(scope="module")
def database_url(database_url):
    """Return a database with 100,000 tasks, some of them of the last weeks, and with two accounts."""
    insert_shared_tasks(database_url, TASKS)
    execute(database_url, f"{PLAN} WHERE id > '{stored_id(database_url, TASKS - 20)}'")
    superuser = {f"DJANGO_SUPERUSER_{name}": value for name, value in (("PASSWORD", PASSWORD), ("USERNAME", "olga"))}
    superuser["DJANGO_SUPERUSER_EMAIL"] = "olga@example.org"
    python_output("manage.py", "createsuperuser", "--no-input", DATABASE_URL=database_url, **superuser)
    python_output("manage.py", "shell", "--verbosity=0", "--command", MAKE_VIEWER, DATABASE_URL=database_url)
    return database_url


@pytest.fixture(scope="module")
def sessions():
    return {}


@pytest.fixture
def open_as(open_page, sessions):
    """Open a page of the admin as ``olga``, a superuser, or as ``vera``, a viewer; each logs in once."""

    def open_as(name, path, **options):
        if name not in sessions:
            page = open_page("/admin/")
            log_in(page, name)
            sessions[name] = page.context.storage_state()
        return open_page(path, storage_state=sessions[name], **options)

    return open_as


def log_in(page, name, password=PASSWORD):
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def search(page, words):
    page.locator("#searchbar").fill(words)
    page.get_by_role("button", name="Search").click()


def choose(page, action):
    page.get_by_label("Action:").select_option(label=action)
    page.get_by_role("button", name="Go").click()


# Tasks of an operator.


def test_log_in_leads_to_the_requested_page(open_page):
    page = open_page(f"{LIST}?where=trash")
    log_in(page, "olga")
    expect(page).to_have_url(re.compile(r"/admin/tasks/task/\?where=trash$"))


def test_search_finds_one_of_100_000_tasks(open_as):
    page = open_as("olga", LIST)
    search(page, "passport (54321)")
    expect(page.get_by_text("No task matches")).to_be_visible()
    search(page, "ZÄHLER (54321)")
    expect(page.locator("#result_list .field-title")).to_have_text(["Zähler ablesen und melden (54321)"])
    page.locator("#result_list .field-title a").click()
    expect(page.get_by_label("Title:")).to_have_value("Zähler ablesen und melden (54321)")


def test_links_of_a_filtered_list_keep_the_filter(open_as):
    page = open_as("olga", f"{LIST}?completed__exact=1")
    page.locator(".paginator").get_by_role("link", name="2", exact=True).click()
    expect(page).to_have_url(re.compile(r"completed__exact=1&p=2$"))
    page.locator("#result_list .field-owner_link a").first.click()
    expect(page.locator("#changelist-filter")).to_contain_text("Owner")
    expect(page.locator(".chip")).to_have_text([re.compile("Owner: ")])


def test_action_completes_20_checked_tasks(open_as):
    page = open_as("olga", f"{LIST}?owner=default&completed__exact=0")
    for box in page.locator("#result_list tbody .action-select").all()[:20]:
        box.check()
    expect(page.locator(".action-counter")).to_have_text("20 of 50 selected")
    choose(page, "Mark completed")
    expect(page.locator(".messagelist")).to_have_text("20 tasks completed")


def test_action_completes_all_tasks_of_a_filter(open_as):
    page = open_as("olga", f"{LIST}?owner=user-22")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name=re.compile(r"Select all \([0-9]+ tasks\)")).click()
    choose(page, "Mark completed")
    expect(page.locator(".examples li")).to_have_count(5)
    page.get_by_role("button", name="Mark completed:").click()
    expect(page.locator("li.done")).to_have_text(re.compile("Done: (99|100) tasks completed."))
    page.get_by_role("link", name="Back to the tasks").click()
    expect(page).to_have_url(re.compile(r"\?owner=user-22$"))


def test_stale_form_is_refused_and_keeps_its_edits(open_as):
    page = open_as("olga", LIST)
    search(page, "milk (6000)")
    page.locator("#result_list .field-title a").click()
    stale = open_as("olga", page.url)
    history = page.url.replace("/change/", "/history/")
    page.get_by_label("Title:").fill("Buy oat milk")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    stale.get_by_label("Title:").fill("Buy rye")
    stale.get_by_role("button", name="Save", exact=True).click()
    expect(stale.locator(".errorlist.nonfield")).to_contain_text(
        "Someone changed this task after you opened it. Your edits were not saved."
    )
    expect(stale.get_by_text("It is now “Buy oat milk”.")).to_be_visible()
    stale.get_by_label("Title:").press("Enter")
    expect(stale.get_by_label("Title:")).to_have_value("Buy rye")
    expect(stale.get_by_text("It is now “Buy oat milk”.")).to_be_visible()
    stale.get_by_role("button", name="Overwrite with mine").click()
    expect(stale.locator(".messagelist")).to_contain_text("The task “Buy rye” was changed successfully")
    page.goto(history)
    expect(page.locator("#change-history tbody tr").last).to_contain_text("Buy oat milk → Buy rye")


def test_undo_restores_trashed_tasks(open_as):
    page = open_as("olga", f"{LIST}?owner=user-28&completed__exact=0")
    titles = page.locator("#result_list .field-title").all_inner_texts()
    for box in page.locator("#result_list tbody .action-select").all()[:3]:
        box.check()
    choose(page, "Move to the trash")
    expect(page.locator(".messagelist")).to_contain_text("3 tasks moved to the trash")
    expect(page.locator("#result_list .field-title").first).to_have_text(titles[3])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".messagelist")).to_have_text("3 tasks restored")
    expect(page).to_have_url(re.compile(r"\?owner=user-28&completed__exact=0$"))
    expect(page.locator("#result_list .field-title")).to_have_text(titles)


def test_due_widget_writes_all_four_forms(open_as):
    page = open_as("olga", f"{LIST}?owner=user-26")
    title = page.locator("#result_list .field-title a").first
    title.click()
    zone = page.get_by_label("Time zone", exact=True)
    expect(zone).to_be_hidden()
    for day, time, clock, name, shown in (
        ("2026-12-24", "", "local", "", "2026-12-24"),
        ("2026-12-24", "18:00", "local", "", "2026-12-24 18:00"),
        ("2026-12-24", "17:00:30", "in UTC", "", "2026-12-24 17:00 UTC"),
        ("0999-12-31", "18:00", "in a time zone", "Europe/Berlin", "0999-12-31 18:00 Europe/Berlin"),
        ("", "", "local", "", ""),
    ):
        page.get_by_label("Date", exact=True).fill(day)
        page.get_by_label("Time (optional)").fill(time)
        page.get_by_label("The time is").select_option(label=clock)
        if name:
            zone.fill(name)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#result_list .field-due_text").first).to_have_text(shown)
        title.click()


def test_due_widget_keeps_what_a_refused_form_had(open_as):
    page = open_as("olga", f"{LIST}add/")
    page.get_by_label("Title:").fill("Buy milk")
    page.get_by_label("Owner:").fill("default")
    page.get_by_label("Date", exact=True).fill("2026-12-24")
    page.get_by_label("Time (optional)").fill("18:00")
    page.get_by_label("The time is").select_option(label="in a time zone")
    page.get_by_label("Time zone", exact=True).fill("Europe/Berln")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-due .errorlist")).to_have_text("Due names an unknown time zone")
    expect(page.get_by_label("Date", exact=True)).to_have_value("2026-12-24")
    expect(page.get_by_label("Time zone", exact=True)).to_have_value("Europe/Berln")


def test_due_widget_works_with_the_keyboard(open_as):
    page = open_as("olga", f"{LIST}add/")
    page.get_by_label("Title:").fill("Buy cheese (keyboard)")
    page.get_by_label("Owner:").fill("keyboard")
    for label, keys in (
        ("Date", "12242026"),
        ("Time (optional)", "060000PM"),
        ("The time is", "in a"),
        ("Time zone", "Europe/Berlin"),
        ("Labels:", "home, work"),
    ):
        page.get_by_label(label, exact=True).focus()
        page.keyboard.type(keys)
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    page.goto(f"{LIST}?owner=keyboard&label=work")
    expect(page.locator("#result_list .field-due_text")).to_have_text("2026-12-24 18:00 Europe/Berlin")


def test_label_is_added_and_found(open_as):
    page = open_as("olga", f"{LIST}?owner=user-24")
    page.locator("#result_list tbody .action-select").first.check()
    choose(page, "Add label …")
    page.get_by_label("Label:").fill("a label of one task")
    page.get_by_role("button", name="Add label: 1 task").click()
    expect(page.locator(".messagelist")).to_have_text("1 task labelled “a label of one task”")
    page.locator("#changelist-filter").get_by_label("Label").fill("a label of one task")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile(r"label=a\+label\+of\+one\+task&owner=user-24$"))
    expect(page.locator("#result_list .field-label_links")).to_have_count(1)
    expect(page.locator("#result_list .field-label_links")).to_contain_text("a label of one task")


def test_task_is_trashed_and_restored(open_as):
    page = open_as("olga", LIST)
    search(page, "dentist (7003)")
    page.locator("#result_list .field-title a", has_text="(7003)").click()
    page.get_by_role("link", name="Move to the trash").click()
    page.get_by_role("button", name="Move to the trash").click()
    page.goto(f"{LIST}?where=trash")
    page.locator("#result_list .field-title a", has_text="(7003)").click()
    expect(page.locator(".trashed-note")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".messagelist")).to_have_text("1 task restored")
    expect(page.get_by_role("link", name="(7003)")).to_have_count(0)


def test_export_downloads_readable_files(open_as):
    page = open_as("olga", f"{LIST}?owner=user-23")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all").click()
    with page.expect_download() as download:
        choose(page, "Export as CSV")
    rows = list(csv.DictReader(StringIO(Path(download.value.path()).read_bytes().decode("utf-8-sig"))))
    with page.expect_download() as download:
        choose(page, "Export as JSON Lines")
    tasks = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert len(tasks) > 50
    assert {task["user_id"] for task in tasks} == {"user-23"}
    assert [row["id"] for row in rows] == [task["id"] for task in tasks]


def test_viewer_can_only_look_and_export(open_as, complaints):
    page = open_as("vera", LIST)
    assert page.get_by_label("Action:").locator("option").all_inner_texts() == [
        "---------",
        "Export as CSV",
        "Export as JSON Lines",
    ]
    page.locator("#result_list .field-title a").first.click()
    expect(page.locator(".submit-row").get_by_role("button")).to_have_count(0)
    page.goto(f"{LIST}add/")
    expect(page.get_by_role("heading", name="Not permitted")).to_be_visible()
    assert [complaint for complaint in complaints if "403" not in complaint] == []
    complaints.clear()


def test_front_page_shows_totals_and_chart(open_as):
    page = open_as("olga", "/admin/")
    assert page.locator(".chart rect.created").count() == 30
    expect(page.locator(".numbers tbody tr")).to_have_count(30)
    expect(page.locator(".totals")).to_contain_text("Live")


def test_administrator_ends_the_sessions_of_a_viewer(open_as, sessions):
    viewer = open_as("vera", "/admin/")
    page = open_as("olga", "/admin/auth/user/")
    page.get_by_role("row", name="vera").get_by_role("checkbox").check()
    choose(page, "End sessions")
    expect(page.locator(".messagelist")).to_contain_text("ended")
    del sessions["vera"]
    viewer.reload()
    expect(viewer.get_by_label("Username")).to_be_visible()


# Appearance.

PAGES = {
    "front": "/admin/",
    "list": LIST,
    "trash": f"{LIST}?where=trash",
    "planned": f"{LIST}?label=home&priority=high",
    "empty": f"{LIST}?q=nothing-of-the-kind",
    "search": f"{LIST}?q=dentist+thursday",
    "invalid": f"{LIST}?where=nowhere",
    "add": f"{LIST}add/",
    "users": "/admin/auth/user/",
    "staff": "/admin/auth/user/?is_staff__exact=1",
    "user": "/admin/auth/user/1/change/",
    "user-add": "/admin/auth/user/add/",
    "user-delete": "/admin/auth/user/1/delete/",
    "user-password": "/admin/auth/user/1/password/",
    "groups": "/admin/auth/group/",
    "group": "/admin/auth/group/1/change/",
    "log": "/admin/admin/logentry/",
    "app": "/admin/auth/",
    "password": "/admin/password_change/",
}
LOOKS = {
    f"{width}-{scheme}": {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width in (1280, 390)
    for scheme in ("light", "dark")
}


def in_each_look(test):
    """Run a test in each look, on SQLite only, because a page looks alike on both databases."""
    return pytest.mark.once(pytest.mark.parametrize("look", LOOKS)(test))


@pytest.fixture
def check_appearance(complaints):
    def check_appearance(page, picture):
        take_picture(page, picture)
        before = len(complaints)
        check_accessibility(page)
        check_red_buttons(page)
        del complaints[before:]  # axe-core tries inline styles, which the Content-Security-Policy forbids

    return check_appearance


def take_picture(page, picture):
    """Save a picture for people to look at; nothing may be wider than the window."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{picture}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def check_accessibility(page):
    """Assert that axe-core finds no fault; it looks for targets below 24 pixels only if asked."""
    page.evaluate(AXE.read_text())
    options = {"rules": {"target-size": {"enabled": True}}}
    found = page.evaluate("options => axe.run(options).then(result => result.violations)", options)
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found] == []


#: The only buttons whose result cannot be undone.
RED_BUTTONS = {"Delete", "Delete for good", "Delete for good: 1 task", "Yes, I\u2019m sure"}

FIND_RED = """
() => [...document.querySelectorAll("a, button, input")].filter(element => {
    const [red, green, blue] = getComputedStyle(element).backgroundColor.match(/[0-9]+/g)
    return red > 120 && green < 80 && blue < 80 && element.checkVisibility()
}).map(element => element.value || element.textContent.trim())
"""


def check_red_buttons(page):
    """Assert that no button is red whose result can be undone."""
    assert {*page.evaluate(FIND_RED)} <= RED_BUTTONS


@in_each_look
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_is_accessible(open_as, check_appearance, name, look):
    check_appearance(open_as("olga", PAGES[name], **LOOKS[look]), f"{name}-{look}")


@in_each_look
def test_task_page_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", LIST, **LOOKS[look])
    page.locator("#result_list .field-title a").first.click()
    check_appearance(page, f"task-{look}")
    page.locator(".trashlink").click()
    check_appearance(page, f"delete-{look}")


@in_each_look
def test_stale_form_and_history_are_accessible(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?owner=user-30", **LOOKS[look])
    page.locator("#result_list .field-title a").first.click()
    values = {"title": f"Written on {look}", "description": "Two\nlitres"}
    other = open_as("olga", page.url)
    other.get_by_label("Title:").fill(values["title"])
    other.get_by_label("Description:").fill(values["description"])
    other.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Save", exact=True).click()
    check_appearance(page, f"stale-{look}")
    page.get_by_role("link", name="History").click()
    check_appearance(page, f"history-{look}")


@in_each_look
def test_page_of_a_trashed_task_has_one_red_button(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?where=trash", **LOOKS[look])
    page.locator("#result_list .field-title a").first.click()
    check_appearance(page, f"trashed-{look}")
    assert page.evaluate(FIND_RED) == ["Delete for good"]
    page.get_by_role("button", name="Delete for good").click()
    check_appearance(page, f"delete-for-good-{look}")
    assert page.evaluate(FIND_RED) == ["Delete for good: 1 task"]


@in_each_look
def test_refusals_fit_and_are_accessible(open_as, check_appearance, complaints, look):
    for path in ("/admin/nowhere/", f"{LIST}?title__regex=a"):
        page = open_as("olga", path, **LOOKS[look])
        check_appearance(page, f"{'404' if 'nowhere' in path else '400'}-{look}")
    check_appearance(open_as("vera", f"{LIST}add/", **LOOKS[look]), f"403-{look}")
    assert [complaint for complaint in complaints if not re.search("40[034]", complaint)] == []
    complaints.clear()


@pytest.mark.parametrize("path", ["tasks/task/?where=both", "auth/user/", "auth/group/", "admin/logentry/"])
def test_cells_of_a_phone_stand_one_below_the_other(open_as, path):
    """Every list of the admin is a list of cards, in which no cell covers another or leaves the window."""
    page = open_as("olga", f"/admin/{path}", **LOOKS["390-light"])
    for row in page.locator("#result_list tbody tr").all()[:5]:
        boxes = [box for cell in row.locator("td, th").all() if (box := cell.bounding_box())]
        assert len(boxes) >= 1
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        stacked = sorted((box for box in boxes if box["width"] > 100), key=lambda box: box["y"])
        assert all(upper["y"] + upper["height"] <= lower["y"] + 1 for upper, lower in pairwise(stacked))


def test_filters_of_a_phone_come_before_the_cards(open_as):
    page = open_as("olga", f"{LIST}?priority=high&label=home", **LOOKS["390-light"])
    summary = page.get_by_text("Filters (2 on)")
    expect(page.get_by_role("link", name="In the trash")).to_be_hidden()
    assert summary.bounding_box()["y"] < page.locator("#result_list").bounding_box()["y"]
    summary.click()
    page.get_by_role("link", name="In the trash").click()
    expect(page.locator(".chip")).to_have_count(3)


def test_filters_of_a_wide_window_are_open(open_as):
    page = open_as("olga", f"{LIST}?priority=high&label=home")
    expect(page.locator(".all-filters > summary")).to_be_hidden()
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_role("link", name="In the trash").click()
    expect(page).to_have_url(re.compile("where=trash"))


@in_each_look
def test_confirmation_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?owner=user-42", **LOOKS[look])
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all").click()
    choose(page, "Move to the trash" if look in {"1280-light", "390-light"} else "Mark completed")
    check_appearance(page, f"confirm-{look}")


@in_each_look
def test_value_action_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?owner=user-42", **LOOKS[look])
    page.locator("#action-toggle").check()
    choose(page, "Add label …")
    page.get_by_role("button", name="Add label: ").click()
    check_appearance(page, f"value-{look}")


@in_each_look
def test_login_page_fits_and_is_accessible(open_page, check_appearance, look):
    check_appearance(open_page("/admin/", **LOOKS[look]), f"login-{look}")


def test_progress_page_fits_and_is_accessible(open_as, check_appearance):
    page = open_as("olga", f"{LIST}?completed__exact=0")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name=re.compile("Select all")).click()
    choose(page, "Mark completed")
    page.get_by_role("button", name="Mark completed:").click()
    expect(page.locator(".progress li").last).to_contain_text(re.compile("[2-6][0-9],[05]00 of"), timeout=60_000)
    expect(page.locator(".progress progress:visible")).to_have_count(1)
    check_appearance(page, "progress")
    expect(page.locator("li.done")).to_contain_text("tasks completed", timeout=180_000)


def test_failed_log_ins_are_locked_out(open_page, check_appearance, complaints):
    page = open_page("/admin/")
    for _ in range(5):
        log_in(page, "nobody", "wrong")
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    assert [complaint for complaint in complaints if "429" not in complaint] == []
    complaints.clear()
    check_appearance(page, "locked")
