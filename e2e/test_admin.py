"""The admin in a browser, with 100,000 tasks."""

import csv
import json
import re
from io import StringIO
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
    expect(page.locator("#changelist-filter")).to_contain_text("By owner")


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
    page.get_by_label("Title:").fill("Buy oat milk")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    stale.get_by_label("Title:").fill("Buy rye")
    stale.get_by_role("button", name="Save", exact=True).click()
    expect(stale.locator(".errorlist.nonfield")).to_contain_text(
        "Someone changed this task after you opened it. Your edits were not saved."
    )
    expect(stale.get_by_text("It is now “Buy oat milk”.")).to_be_visible()
    expect(stale.get_by_label("Title:")).to_have_value("Buy rye")


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
    "add": f"{LIST}add/",
}
LOOKS = {
    f"{width}-{scheme}": {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width in (1280, 390)
    for scheme in ("light", "dark")
}


@pytest.fixture
def check_appearance(complaints):
    def check_appearance(page, picture):
        take_picture(page, picture)
        before = len(complaints)
        check_accessibility(page)
        del complaints[before:]  # axe-core tries inline styles, which the Content-Security-Policy forbids

    return check_appearance


def take_picture(page, picture):
    """Save a picture for people to look at; nothing may be wider than the window."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{picture}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def check_accessibility(page):
    """Assert that axe-core finds no serious fault of accessibility."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(result => result.violations)")
    serious = [fault for fault in found if fault["impact"] in {"serious", "critical"}]
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in serious] == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_and_is_accessible(open_as, check_appearance, name, look):
    check_appearance(open_as("olga", PAGES[name], **LOOKS[look]), f"{name}-{look}")


@pytest.mark.parametrize("look", LOOKS)
def test_task_page_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", LIST, **LOOKS[look])
    page.locator("#result_list .field-title a").first.click()
    check_appearance(page, f"task-{look}")
    page.locator(".deletelink").click()
    check_appearance(page, f"delete-{look}")


@pytest.mark.parametrize("look", LOOKS)
def test_confirmation_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?owner=user-42", **LOOKS[look])
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all").click()
    choose(page, "Move to the trash" if look in {"1280-light", "390-light"} else "Restore")
    check_appearance(page, f"confirm-{look}")


@pytest.mark.parametrize("look", LOOKS)
def test_value_action_fits_and_is_accessible(open_as, check_appearance, look):
    page = open_as("olga", f"{LIST}?owner=user-42", **LOOKS[look])
    page.locator("#action-toggle").check()
    choose(page, "Add label …")
    page.get_by_role("button", name="Add label: ").click()
    check_appearance(page, f"value-{look}")


@pytest.mark.parametrize("look", LOOKS)
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
