"""The API documentation in a browser."""

import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from uuid_utils.compat import uuid7

#: The status, the target and the headers of the request that the first click on each operation sends.
FIRST_CLICKS = {
    "tasks-listTasks": (200, "/api/tasks?ordering=-created_at", {}),
    "tasks-createTask": (201, "/api/tasks", {}),
    "tasks-getTask": (200, "/api/tasks/{id}", {}),
    "tasks-putTask": (201, "/api/tasks/{id}", {"if-none-match": "*"}),
    "tasks-updateTask": (200, "/api/tasks/{id}", {}),
    "tasks-deleteTask": (200, "/api/tasks/{id}", {}),
    "tasks-toggleTask": (200, "/api/tasks/{id}/toggle", {}),
    "tasks-bulkTasks": (200, "/api/tasks/bulk", {}),
    "tasks-listChanges": (200, "/api/tasks/changes?limit=100", {}),
    "tasks-countTasks": (200, "/api/tasks/count", {}),
    "trash-restoreTask": (200, "/api/tasks/{id}/restore", {}),
    "trash-listTrash": (200, "/api/tasks/trash?ordering=-updated_at", {}),
    "trash-getTrashedTask": (200, "/api/tasks/trash/{id}", {}),
    "trash-removeTask": (200, "/api/tasks/trash/{id}", {}),
}
OPTIONAL_HEADERS = {"idempotency-key", "if-match", "if-none-match"}
TRASHED = {"trash-restoreTask", "trash-getTrashedTask", "trash-removeTask"}

COLORS = {
    "/api/docs": {
        "dark": ("rgb(210, 214, 215)", "rgb(28, 32, 34)"),
        "light": ("rgb(59, 65, 81)", "rgb(250, 250, 250)"),
    },
    "/api/redoc": {"dark": ("rgb(228, 230, 230)", "rgb(28, 32, 34)"), "light": ("rgb(51, 51, 51)", "rgba(0, 0, 0, 0)")},
}


def open_operation(page, name):
    """Open an operation of Swagger UI, and click on “Try it out”."""
    operation = page.locator(f"#operations-{name}")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def execute(page, operation):
    """Click on “Execute”, and return the response."""
    with page.expect_response(lambda response: "/api/tasks" in response.url) as response:
        operation.get_by_role("button", name="Execute").click()
    return response.value


def stored_id(page, *, trashed):
    """Store a task, and return its id."""
    task = page.request.post("/api/tasks", data={"title": "Buy tea"}).json()
    if trashed:
        page.request.delete(f"/api/tasks/{task['id']}")
    return task["id"]


def first_click(page, name):
    """Try an operation, and return the status, the target and the optional headers of the request."""
    key = str(uuid7()) if name == "tasks-putTask" else stored_id(page, trashed=name in TRASHED)
    operation = open_operation(page, name)
    for field in operation.locator("[data-param-name=id] input").all():
        field.fill(key)
    response = execute(page, operation)
    operation.locator(".opblock-summary-control").click()
    parts = urlsplit(response.url)
    target = parts._replace(scheme="", netloc="").geturl().replace(key, "{id}")
    headers = {header: value for header, value in response.request.headers.items() if header in OPTIONAL_HEADERS}
    return response.status, target, headers


def test_swagger_ui_first_click_on_each_operation_works(open_page):
    page = open_page("/api/docs")
    expect(page.locator(".opblock")).to_have_count(len(FIRST_CLICKS))
    assert {name: first_click(page, name) for name in FIRST_CLICKS} == FIRST_CLICKS


def test_swagger_ui_second_click_creates_another_task(open_page):
    page = open_page("/api/docs")
    operation = open_operation(page, "tasks-createTask")
    first, second = (execute(page, operation).json() for _ in range(2))
    assert (first["title"], second["title"]) == ("Buy milk", "Buy milk")
    assert first["id"] != second["id"]


def test_swagger_ui_creates_a_task(open_page):
    page = open_page("/api/docs")
    operation = open_operation(page, "tasks-createTask")
    operation.locator("textarea.body-param__text").fill(json.dumps({"title": "Buy rice"}))
    task = execute(page, operation).json()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    assert page.request.get(f"/api/tasks/{task['id']}").json() == {**task, "title": "Buy rice"}


def test_swagger_ui_on_phone_does_not_scroll_sideways(open_page):
    page = open_page("/api/docs", viewport={"width": 390, "height": 900})
    execute(page, open_operation(page, "tasks-createTask"))
    expect(page.locator(".live-responses-table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("path", COLORS)
def test_page_follows_color_scheme(open_page, path):
    page = open_page(path, color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        text, background = COLORS[path][scheme]
        expect(page.get_by_role("heading", name="To-do tasks")).to_have_css("color", text)
        expect(page.locator("html")).to_have_css("background-color", background)


def test_redoc_shows_and_searches_the_document(open_page):
    """``open_page`` fails if the console has a violation of the Content-Security-Policy."""
    page = open_page("/api/redoc")
    expect(page.get_by_role("heading", name="To-do tasks")).to_be_visible()
    assert "script-src 'self';" in f"{page.request.get('/api/redoc').headers['content-security-policy']};"
    page.get_by_placeholder("Search...").fill("toggle")
    expect(page.locator("[role=search] [role=menuitem]").first).to_be_visible()


def test_inline_script_in_redoc_is_a_complaint(open_page, complaints):
    """Without this, the test above could miss violations."""
    page = open_page("/api/redoc")
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.evaluate("window.ran") is None
    [complaint] = complaints
    assert "Content Security Policy" in complaint
    complaints.clear()
