"""The dashboard in a real browser: what its pages look like, and what its buttons do."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.dashboard.served import LOG, Shop, elsewhere, served, served_shop

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS: Final = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE: Final = 30_000
"""Milliseconds."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here: apt-get install chromium"),
]

PAGES: Final = (
    "/",
    "/failures",
    "/jobs",
    "/jobs?q=state:failed",
    "/tasks",
    "/schedules",
    "/processes",
    "/audit",
)
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with served_shop() as shop:
        shop.fill()
        yield shop


class Watched:
    """A page of which nothing may go wrong: no error, no dialog, no request to another host."""

    def __init__(self, context: BrowserContext, shop: Shop) -> None:
        self.wrong: list[str] = []
        expect.set_options(timeout=PATIENCE)
        self.page = page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("dialog", self._asked)
        page.on("request", self._requested)
        self._own = shop.url

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.wrong.append(said.text)

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, asked: Request) -> None:
        if not asked.url.startswith(self._own):
            self.wrong.append(asked.url)


@pytest.fixture
def watched(browser: Browser, shop: Shop) -> Iterator[Watched]:
    with browser.new_context() as context:
        watched = Watched(context, shop)
        yield watched
        assert watched.wrong == []


def all_pages(shop: Shop, page: Page) -> list[str]:
    """Return the addresses of pages of all kinds, of one job and of one group among them."""
    page.goto(f"{shop.url}/jobs?q=state:failed")
    job = page.locator("td.what a.name").first.get_attribute("href")
    page.goto(f"{shop.url}/failures")
    group = page.locator("td.what a.name").first.get_attribute("href")
    page.goto(f"{shop.url}/tasks")
    task = page.locator("td.what a.name").first.get_attribute("href")
    assert job is not None
    assert group is not None
    assert task is not None
    host = shop.url.removesuffix("/background")
    again = f"{shop.url}/jobs/again?id={job.rpartition('/')[2]}"
    return [*(shop.url + path for path in PAGES), host + job, host + group, host + task, again]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_in_the_way_of_anybody(watched: Watched, shop: Shop, scheme: Scheme) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme)
    for address in all_pages(shop, page):
        page.goto(address)
        found = Axe().run(page).response["violations"]
        told = [
            (one["id"], node["html"][:120], node["failureSummary"][:300])
            for one in found
            if one["impact"] in ("serious", "critical", "moderate")
            for node in one["nodes"][:2]
        ]
        assert told == [], address


@pytest.mark.parametrize("width", [160, 320, 390, 768, 1280])
def test_no_page_scrolls_sideways(watched: Watched, shop: Shop, width: int) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 800})
    for address in all_pages(shop, page):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        small = page.evaluate(SMALL_TARGETS)
        assert small == [], address


SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
  .filter(one => one.checkVisibility() && !one.closest("p, svg, .skip, td.what, dd, td.rule, .shared"))
  .map(one => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([one, box]) => box.width > 0 && box.height < 23.5 && box.width < 23.5)
  .map(([one, box]) => `${one.outerHTML.slice(0, 80)} ${box.width}x${box.height}`)
"""


def test_what_happens_is_seen_without_a_reload(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs")
    before = page.locator("tr[data-id]").count()
    page.evaluate("window.sameDocument = true")
    id = shop.add(shop.send, 500, "new@example.org", "globex")
    expect(page.locator(f'tr[data-id="{id}"]')).to_be_visible()
    assert page.locator("tr[data-id]").count() == before + 1
    assert page.evaluate("window.sameDocument")


def test_rows_do_not_move_under_the_pointer(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs")
    page.locator("tr[data-id]").nth(3).hover()
    id = shop.add(shop.send, 501, "new@example.org", "globex")
    button = page.get_by_role("button", name="Show what is new")
    expect(button).to_be_visible()
    assert page.locator(f'tr[data-id="{id}"]').count() == 0
    button.click()
    expect(page.locator(f'tr[data-id="{id}"]')).to_be_visible()


def test_nothing_is_updated_while_rows_are_selected(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs")
    page.locator("tr[data-id] input").nth(1).check()
    expect(page.locator(".chosen-number")).to_have_text("1 selected")
    id = shop.add(shop.send, 502, "new@example.org", "globex")
    shop.ended(id)
    page.locator("tr[data-id] input").nth(1).uncheck()
    page.get_by_role("button", name="Show what is new").click()  # the pointer is on a row
    expect(page.locator(f'tr[data-id="{id}"]')).to_be_visible()


def test_an_idle_page_is_answered_without_a_page(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs")
    with page.expect_response(lambda answer: answer.status == 304, timeout=PATIENCE):
        pass


def test_a_running_job_is_followed(watched: Watched, shop: Shop) -> None:
    page = watched.page
    id = shop.add(shop.import_orders, "orders.csv")
    page.goto(f"{shop.url}/jobs/{id}")
    expect(page.locator(".lead")).to_contain_text("Runs")
    with page.expect_request(lambda asked: asked.url.endswith("/events")):
        page.reload()
    shop.do(shop.postlude.cancel(id))
    expect(page.locator(".lead")).to_contain_text("Cancelled.")


def test_a_group_is_retried_by_two_clicks(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(shop.url)
    page.get_by_role("link", name="Look").click()
    expect(page.get_by_text("tenant = acme")).to_be_visible()
    page.get_by_role("button", name="Retry all 4 …").click()
    expect(page.get_by_role("heading", name="Retry 4 jobs?")).to_be_visible()
    page.get_by_role("button", name="Retry 4 jobs").click()
    expect(page.get_by_role("status").first).to_contain_text("4 jobs run again.")
    page.goto(f"{shop.url}/audit")
    expect(page.locator("tbody tr").first).to_contain_text("ada")
    expect(page.locator("tbody tr").first).to_contain_text("retry")


def test_what_fails_now_is_retried_from_the_first_page(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(shop.url)
    page.get_by_role("button", name="Retry them …").click()
    page.get_by_role("button", name="Retry 4 jobs").click()
    expect(page.get_by_role("status").first).to_contain_text("4 jobs run again.")


def test_a_job_that_goes_while_it_is_looked_at_is_told(watched: Watched, shop: Shop) -> None:
    page = watched.page
    id = shop.add(shop.send, 1, "ada@example.org", "globex")
    shop.ended(id)
    page.goto(f"{shop.url}/jobs/{id}")
    expect(page.locator(".lead")).to_contain_text("Succeeded")
    form = {"act": "delete", "id": id, "jobs": "1"}
    httpx.post(f"{shop.url}/act/confirm", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    expect(page.get_by_text("No such job, or it has been pruned")).to_be_visible()
    watched.wrong.clear()  # the browser notes the 404


def test_what_was_done_is_said_once(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs?q=state:failed")
    page.locator("tr[data-id] input").nth(0).check()
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("1 job runs again.")
    expect(page.locator("#q")).to_have_value("state:failed")
    page.reload()
    expect(page.locator("#q")).to_have_value("state:failed")
    expect(page.locator(".said")).to_have_count(0)


def test_the_way_back_after_an_act_sends_nothing_again(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs?q=state:succeeded")
    page.get_by_role("button", name="Delete all …").click()
    page.get_by_role("button", name="Delete 12 jobs").click()
    expect(page.get_by_role("status").first).to_contain_text("12 jobs deleted.")
    page.go_back()
    expect(page.get_by_role("heading", name="Delete 0 jobs?")).to_be_visible()
    page.get_by_role("link", name="Do nothing").click()
    expect(page.get_by_text("No job matches.")).to_be_visible()


def test_selected_jobs_are_deleted(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs?q=state:succeeded")
    boxes = page.locator("tr[data-id] input")
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(page.locator(".chosen-number")).to_have_text("3 selected")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 3 jobs").click()
    expect(page.get_by_role("status").first).to_contain_text("3 jobs deleted.")
    expect(page.locator("tr[data-id]")).to_have_count(9)


def test_queues_and_schedules(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/tasks")
    page.locator("tr", has_text="mail").get_by_role("button", name="Pause").click()
    expect(page.locator(".banner")).to_contain_text("Queue mail is paused by ada")
    page.locator(".banner").get_by_role("button", name="Resume").click()
    expect(page.locator(".banner")).to_have_count(0)
    page.goto(f"{shop.url}/schedules")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", name="sweep")).to_be_visible()
    expect(page.locator(".lead")).to_contain_text("Succeeded")


def test_a_job_is_run_again_with_changes(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(f"{shop.url}/jobs?q=state:failed")
    page.locator("td.what a.name").first.click()
    page.get_by_role("link", name="Run again with changes").click()
    page.get_by_label("tenant").fill("globex")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("This is no JSON.")).to_be_visible()
    page.get_by_label("tenant").fill('"globex"')
    watched.wrong.clear()  # the browser notes the 422
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".lead")).to_contain_text("Succeeded")
    expect(page.get_by_text("Changed copy of")).to_be_visible()


def test_keys_alone(watched: Watched, shop: Shop) -> None:
    page = watched.page
    page.goto(shop.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url(re.compile(r"/jobs$"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("tr[data-id] a.name").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".chosen-number")).to_have_text("1 selected")
    page.keyboard.press("x")
    address = second.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(str(address)))
    page.keyboard.press("/")
    page.keyboard.type("state:failed")
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-id]")).to_have_count(4)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_all_of_it_without_scripts(browser: Browser, shop: Shop) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        watched = Watched(context, shop)
        page = watched.page
        for address in all_pages(shop, page):
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200
        page.goto(f"{shop.url}/jobs?q=state:failed")
        page.locator("tr[data-id] input").nth(0).check()
        page.locator("tr[data-id] input").nth(1).check()
        page.get_by_role("button", name="Retry", exact=True).click()
        page.get_by_role("button", name="Retry 2 jobs").click()
        expect(page.locator(".said")).to_contain_text("2 jobs run again.")
        page.goto(f"{shop.url}/jobs")
        page.locator("select").first.select_option(label="charge_card")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tr[data-id]")).to_have_count(3)
        page.get_by_role("button", name="Cancel all …").click()
        page.get_by_role("button", name="Cancel 3 jobs").click()
        expect(page.locator(".said")).to_contain_text("3 jobs cancelled")
        assert watched.wrong == []


def test_another_site_changes_nothing(browser: Browser, shop: Shop) -> None:
    with served(elsewhere(shop.url), "127.0.0.1") as (site, _), browser.new_context() as context:
        page = context.new_page()
        for host in (site, site.replace("127.0.0.1", "localhost")):
            page.goto(f"{host}/form")
            page.get_by_role("button", name="Win").click()
            expect(page.locator("body")).to_contain_text("Refused: Sec-Fetch-Site is")
            page.goto(f"{host}/form")
            body = "new URLSearchParams({kind: 'queue', name: 'mail'})"
            send = f"fetch('{shop.url}/pause', {{method: 'POST', mode: 'no-cors', body: {body}}})"
            assert "Failed to fetch" in page.evaluate(f"{send}.then(() => 'sent', String)")
            page.evaluate(f"new Image().src = '{shop.url}/pause?kind=queue&name=mail'")
            with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
                page.goto(f"{host}/frame")
    assert shop.do(shop.postlude.paused()) == []


ALIVE = 'img, script:not([src]), svg[onload], [onfocus], [onmouseover], [href^="javascript:"]'


def texts() -> list[str]:
    """Return texts that would do something if a page took them for anything else."""
    return [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover=alert(1) autofocus onfocus=alert(1) x='",
        "javascript:alert(1)",
        "</textarea></title></pre><svg onload=alert(1)>",
        "{{ 7 * 7 }}{% if 1 %}",
        "../../etc/passwd?x=%00%0d%0aSet-Cookie:a=b#f&amp;",
        "a/b.c%2Fd\u202eevil\u0000",
    ]


def test_what_others_have_written_is_text_on_every_page(watched: Watched, shop: Shop) -> None:
    page = watched.page

    ids = []
    for number, text in enumerate(texts()):
        plain = "".join(one for one in text if one.isprintable())
        task = shop.postlude.task(hostile_of(text), name=f"hostile {number} {plain}", queue=plain)
        for fails in (False, True):
            given = task.using(key=f"{plain}{fails}", owner=plain)
            ids.append(shop.add(given, text=text, fails=fails))
    shop.ended(*ids)
    for text in texts():
        shop.do(shop.postlude.pause("".join(one for one in text if one.isprintable())))
    waiting = [
        shop.add(shop.postlude.task(hostile_of("x"), name="hostile waits").using(delay=60), text=texts()[0])
    ]
    host = shop.url.removesuffix("/background")
    addresses = [*(shop.url + path for path in PAGES), *(f"{shop.url}/jobs/{id}" for id in [*ids, *waiting])]
    addresses += [f"{shop.url}/jobs/again?id={id}" for id in ids[::2]]
    page.goto(f"{shop.url}/failures?span=all")
    addresses += [host + link for link in links_of(page)]
    page.goto(f"{shop.url}/tasks")
    addresses += [host + link for link in links_of(page)]
    seen = 0
    for address in addresses:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert "default-src 'none'" in (answer.header_value("content-security-policy") or "")
        assert (
            page.locator('img, script:not([src]), svg[onload], [onfocus], [href^="javascript:"]').count() == 0
        )
        seen += "alert(1)" in page.locator("body").inner_text()
    assert seen > 20


def hostile_of(text: str) -> Any:
    async def hostile(text: str, fails: bool = False) -> str:
        LOG.warning("%s", text)
        if fails:
            raise ValueError(text)
        return text

    return hostile


def links_of(page: Page) -> list[str]:
    return [str(one.get_attribute("href")) for one in page.locator("td.what a.name").all()]
