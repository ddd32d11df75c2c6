"""The demo's page in a real browser: what its buttons do can be seen on it."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

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
    plain = page.locator("main p").first.evaluate(COLOUR)
    assert rows.last.locator("summary").evaluate(COLOUR) == plain, "what ended well is not red"
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

    page.get_by_role("button", name="Upload the sample").click()
    expect(page.locator("#import-note")).to_contain_text("running")
    page.get_by_role("button", name=f"Queue {SLOW_MAILS} slow mails").click()
    expect(page.locator("#newsletter-note")).to_contain_text("newsletters have arrived")
    page.get_by_role("button", name="Kill the server").click()
    expect(page.locator("#server")).to_contain_text("The server is gone")
    expect(page.locator("#server")).to_contain_text("restarted once")
    expect(page.locator("#newsletter-note")).to_contain_text("Nothing moves: what was cut off runs")
    expect(page.locator("#newsletter-note")).to_have_text(
        f"{SLOW_MAILS} of {SLOW_MAILS} newsletters have arrived."
    )
    expect(page.locator("#counts")).not_to_contain_text("queued")
    expect(page.locator("#counts")).not_to_contain_text("failed")


def test_what_is_left_out_or_stands_still_is_told(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="The mail server refuses").click()
    page.get_by_role("button", name=f"Queue {SLOW_MAILS} slow mails").click()
    expect(page.locator("#newsletter-note")).to_contain_text("The mail server refuses (step 2) for")
    expect(page.locator("#jobs-cut")).to_have_text(f"The newest 25 of {SLOW_MAILS}.")
    with demo.not_restarted():
        page.get_by_role("button", name="Kill the server").click()
        expect(page.locator("#newsletter-note")).to_contain_text("nothing moves until the server is back")
    # The one that was being sent when the server died may have arrived twice.
    expect(page.locator("#mails-cut")).to_have_text(re.compile(r"The newest 25 of 5[01]\."))


def test_the_command_that_is_shown_finds_the_job(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Sign up 20 people").click()
    expect(page.locator("#jobs tr")).to_have_count(20)
    for shown in page.locator("#jobs td.id").all_inner_texts():
        _, command, _, *options = shlex.split(page.locator("#command").inner_text())
        done = subprocess.run(
            [sys.executable, "-c", CLI, command, shown, *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "send_welcome" in done.stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("button", name="Sign up", exact=True).click()
    expect(page.locator("#jobs tr")).to_have_count(1)
    states = ("queued", "running", "succeeded", "failed", "cancelled", "parked", "dead")
    page.evaluate(EVERY_COLOUR, states)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 40
    assert [text for text in found if text["contrast"] < 4.5] == []


CLI = "from postlude.cli import main; main()"

COLOUR = "element => getComputedStyle(element).color"

EVERY_COLOUR = """
states => states.forEach(state => document.querySelector("#jobs").insertAdjacentHTML("beforeend",
  `<tr class="${state}"><td class="${state}">${state}</td>
    <td><details open><summary>why</summary></details></td></tr>`))
"""

CONTRASTS = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return (numbers(colour)[3] ?? 1) && colour !== "transparent" ? colour : behind(element.parentElement);
  };
  return [...document.querySelectorAll("body *")]
    .filter(e => !e.disabled && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .filter(e => e.checkVisibility())
    .map(e => {
      const [dark, bright] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
      return { text: e.textContent.trim().slice(0, 40), contrast: (bright + 0.05) / (dark + 0.05) };
    });
}
"""
