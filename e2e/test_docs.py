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
