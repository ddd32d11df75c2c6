"""What every answer has, and requests that do not come from the dashboard's own pages."""

from typing import Any

import pytest

from tests.dashboard.shop import visiting

pytestmark = pytest.mark.anyio


async def test_every_answer_has_the_headers() -> None:
    async with visiting() as visitor:
        for path in ("/", "/jobs", "/jobs/none", "/nothing", "/static/none"):
            headers = (await visitor.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers


FOREIGN = [
    ({}, "neither"),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://shop.example"}, "Sec-Fetch-Site"),
    ({"Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site"),
    ({"Sec-Fetch-Site": "none"}, "Sec-Fetch-Site"),
    ({"Origin": "null"}, "Origin"),
    ({"Origin": "http://evil.example"}, "Origin"),
    ({"Origin": "https://shop.example"}, "Origin"),
    ({"Origin": "http://shop.example:8080"}, "Origin"),
    ({"Origin": "http://shop.example.evil.example"}, "Origin"),
    ({"Referer": "http://shop.example/"}, "neither"),
]
OWN: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://shop.example"},
    {"Origin": "http://SHOP.example:80"},
]


@pytest.mark.parametrize("headers, told", FOREIGN)
async def test_what_another_site_has_sent_is_refused(headers: dict[str, str], told: str) -> None:
    async with visiting() as visitor:
        answer = await visitor.post("/act", headers=headers)
        assert answer.status_code == 403
        assert told in answer.text


@pytest.mark.parametrize("headers", OWN)
async def test_what_its_own_pages_send_is_not(headers: dict[str, str]) -> None:
    async with visiting() as visitor:
        assert (await visitor.post("/act", headers=headers)).status_code != 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    async with visiting() as visitor:
        answer: Any = await visitor.request(method, "/", headers={"X-HTTP-Method-Override": "POST"})
        assert answer.status_code == 405


async def test_no_page_takes_a_post() -> None:
    async with visiting() as visitor:
        for path in ("/", "/jobs", "/failures", "/audit"):
            assert (await visitor.post(path)).status_code == 405
