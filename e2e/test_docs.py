"""The API documentation in a browser."""

import json

from playwright.sync_api import expect

TASK = {"title": "Buy milk", "description": "Two litres"}


def test_swagger_ui_creates_a_task(open_page):
    page = open_page("/api/docs")
    operation = page.locator(".opblock-post", has=page.locator("[data-path='/api/tasks']"))
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea.body-param__text").fill(json.dumps(TASK))
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    [task] = page.request.get("/api/tasks").json()
    assert {name: task[name] for name in TASK} == TASK


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
