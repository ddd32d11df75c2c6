"""The demo's page in a real browser: what its buttons do can be seen on it."""

import itertools
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.mail import SLOW_MAILS, arrived
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
def demo(tmp_path: Path) -> Iterator[Demo]:
    with Demo(tmp_path) as running:
        yield running


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """The demo's page; no script of it may fail."""
    errors: list[str] = []
    expect.set_options(timeout=PATIENCE)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(demo.url)
    expect(page.locator("#server")).to_contain_text("The server is process")
    yield page
    page.close()
    assert errors == []


def test_every_mail_outlives_an_outage_of_its_server(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="The mail server refuses").click()
    expect(page.locator("#outage-note")).to_have_text(re.compile("It refuses for . s more"))
    page.get_by_role("button", name="Sign up 20 people").click()
    expect(page.locator("#signup-note")).to_have_text("20 accounts opened; 20 mails are on their way.")

    rows = page.locator("#jobs tr", has_text="send_welcome")
    expect(rows).to_have_count(20)
    waiting = rows.filter(has_text=re.compile(r"queued[2-9]next attempt in \d+ s\s.*421"))
    expect(waiting.nth(5)).to_be_visible()
    rows.last.locator("summary").click()
    expect(rows.last.locator("li").first).to_contain_text("421")

    expect(page.locator("#outage-note")).to_have_text("It takes mails.")
    expect(page.locator("#counts")).to_have_text("20 succeeded")
    mails = arrived(demo.directory / "mailbox")
    assert sorted(mail.to for mail in mails) == sorted(f"guest{n}@example.org" for n in range(1, 21))
    assert mails[0].arrived >= (demo.directory / "outage").stat().st_mtime
    check_that_attempts_spread(demo)


def check_that_attempts_spread(demo: Demo) -> None:
    """See in the journal that the jobs did not come back together."""
    waits: list[float] = []
    for job in demo.get("/overview")["jobs"]:
        refused = demo.get(f"/jobs/{job['id']}/attempts")
        assert len(refused) == job["attempt"] - 1 >= 1
        assert all("421" in attempt["error"] for attempt in refused)
        for before, after in itertools.pairwise(refused[:2]):
            failed, again = (datetime.fromisoformat(t) for t in (before["finished"], after["started"]))
            waits.append((again - failed).total_seconds())
    assert len(waits) >= 15
    # Drawn between 0 and 1 s. All of them above 0.8 s, or within 0.2 s: less than once in 10^8.
    assert min(waits) < 0.8
    assert max(waits) - min(waits) > 0.2


def test_every_button_shows_what_it_does(page: Page) -> None:
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_role("button", name="Sign up", exact=True).click()
    expect(page.locator("#mails")).to_contain_text("Welcome, Grace!")

    page.get_by_role("button", name="Draw an invoice").click()
    expect(page.locator("#invoice-note")).to_contain_text("succeeded: drawn by process")
    expect(page.get_by_role("link", name="Look at it")).to_be_visible()

    page.get_by_role("button", name="Upload the sample").click()
    expect(page.locator("#import-note")).to_contain_text(
        re.compile("running: [1-9][0-9]* of 240 orders read")
    )
    page.get_by_role("button", name="Cancel the import").click()
    expect(page.locator("#import-note")).to_contain_text("cancelled")
    page.get_by_role("button", name="Upload the sample").click()
    expect(page.locator("#import-note")).to_contain_text("succeeded: 238 orders")
    expect(page.locator("#import-problems li")).to_have_count(2)

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
