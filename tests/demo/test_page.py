"""The demo's page in a real browser: what its buttons do can be seen on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.mail import SLOW_MAILS
from tests.demo.shop_process import Demo

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 60_000
"""Milliseconds."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def test_every_button_shows_what_it_does(page: Page, tmp_path: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    expect.set_options(timeout=PATIENCE)
    with Demo(tmp_path) as demo:
        page.goto(demo.url)
        expect(page.locator("#server")).to_contain_text("The server is process")

        page.get_by_label("Name").fill("Grace")
        page.get_by_label("E-mail").fill("grace@example.org")
        page.get_by_role("button", name="Sign up").click()
        expect(page.locator("#mails")).to_contain_text("Welcome, Grace!")

        page.get_by_role("button", name="Upload the sample").click()
        expect(page.locator("#import-note")).to_contain_text("succeeded: 240 of 240 rows read; 238 orders")
        expect(page.locator("#import-rejected li")).to_have_count(2)

        page.get_by_role("button", name=f"Queue {SLOW_MAILS} slow mails").click()
        expect(page.locator("#newsletter-note")).to_contain_text("newsletters have arrived")
        page.get_by_role("button", name="Kill the server").click()
        expect(page.locator("#server")).to_contain_text("The server is gone")
        expect(page.locator("#server")).to_contain_text("restarted once")
        expect(page.locator("#newsletter-note")).to_have_text(
            f"{SLOW_MAILS} of {SLOW_MAILS} newsletters have arrived."
        )
        expect(page.locator("#counts")).not_to_contain_text("queued")
        expect(page.locator("#counts")).not_to_contain_text("failed")
    assert errors == []
